"""Dashboards have the types that Grafana declares for them, checked by TypeScript. Grafana itself is not run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from backends.node import PACKAGES, node
from backends.program import require

pytest.importorskip("grafana_foundation_sdk", reason="the SDK of dashboards needs Python 3.11")

from dashboards.everything import BACKENDS, OrderPlaced, ShopOpened, schemas
from heliograph.dashboards.files import dashboard_files

TYPES = Path(__file__).parent / "dashboard_types.ts"
STRICTLY = ("--strict", "--noEmit", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler")


def checked(directory: Path, *dashboards: str) -> subprocess.CompletedProcess[str]:
    """Check dashboards by their types."""
    require(PACKAGES.name)
    (directory / "node_modules").symlink_to(PACKAGES, target_is_directory=True)
    (directory / TYPES.name).write_text(TYPES.read_text())
    constants = [
        f"export const dashboard{number}: CheckedDashboard = {text.rstrip()};\n"
        for number, text in enumerate(dashboards)
    ]
    program = directory / "dashboards.ts"
    program.write_text("".join([f'import type {{ CheckedDashboard }} from "./{TYPES.stem}";\n', *constants]))
    return node(PACKAGES / "typescript" / "bin" / "tsc", *STRICTLY, program)


def test_dashboards_have_the_types_of_grafana(tmp_path: Path) -> None:
    """The variables, the panels with their options, and the queries of every dashboard and backend are checked."""
    found = schemas(OrderPlaced, ShopOpened)
    texts = [text for backends in BACKENDS.values() for text in dashboard_files(found, backends).values()]

    ended = checked(tmp_path, *texts)

    assert ended.returncode == 0, ended.stdout


def test_mistakes_are_found(tmp_path: Path) -> None:
    """The check fails for a wrong value and for a wrong name, of the dashboard, of a panel and of a query."""
    right = dashboard_files(schemas(ShopOpened), BACKENDS["own"])["heliograph-events.json"]
    mistakes = {
        '"graphTooltip": 1': '"graphTooltips": 1',
        '"mode": "multi"': '"mode": "all"',
        '"colorMode": "value"': '"color": "value"',
        '"noValue": "0"': '"noValues": "0"',
        '"queryType": "statsRange"': '"queryType": "range"',
        '"instant": false': '"instantly": false',
        '"uid": "${logs}"': '"uid": "victorialogs"',
    }

    ended = checked(tmp_path, *(right.replace(*mistake) for mistake in mistakes.items()))

    lines = (tmp_path / "dashboards.ts").read_text().splitlines()
    found = {lines[: int(line)].count("};") for line in re.findall(r"dashboards\.ts\((\d+),", ended.stdout)}
    assert all(wrong in right for wrong in mistakes)
    assert found == set(range(len(mistakes)))
