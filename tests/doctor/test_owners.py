"""The owners of the global providers, in processes of their own: a process can set each provider once."""

from __future__ import annotations

import sys
from pathlib import Path

from processes import clean_environment, run

PRINT = "from heliograph.doctor.owners import find_owners; print([each.owner for each in find_owners()])"


def owners(directory: Path, program: str = "") -> str:
    return run([sys.executable, "-c", f"{program}\n{PRINT}"], cwd=directory, env=clean_environment()).stdout.strip()


def test_owner_of_each_provider(tmp_path: Path) -> None:
    """Nobody; heliograph; and another part of the program."""
    other = (
        "from opentelemetry import trace; from opentelemetry.sdk.trace import TracerProvider; "
        "trace.set_tracer_provider(TracerProvider())"
    )
    ours = "import heliograph; heliograph.configure(heliograph.Settings(flush_timeout_millis=1))"

    assert owners(tmp_path) == "['', '', '']"
    assert owners(tmp_path, ours) == "['heliograph', 'heliograph', 'heliograph']"
    assert (
        owners(tmp_path, f"{other}\n{ours}") == "['opentelemetry.sdk.trace.TracerProvider', 'heliograph', 'heliograph']"
    )
