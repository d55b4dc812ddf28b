"""Every configuration of the stack is valid for the program that reads it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from backends import promtool
from backends.collector import config_arguments
from backends.program import BIN, CONFIG, require
from stack.configurations import COLLECTORS, OTELCOL


@pytest.mark.parametrize("configs", COLLECTORS.values(), ids=COLLECTORS)
def test_collector_accepts_each_configuration(configs: tuple[Path, ...], tmp_path: Path) -> None:
    """The Collector validates each file, with the overlays that its documentation names."""
    require("otelcol")
    command = [BIN / "otelcol", "validate", *config_arguments(configs)]

    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    assert checked.returncode == 0, checked.stderr


def test_every_configuration_of_the_collector_is_validated() -> None:
    """A new file in the folder is among the validated ones."""
    validated = {config for configs in COLLECTORS.values() for config in configs}

    assert set(OTELCOL.glob("*.yaml")) - {OTELCOL / "kustomization.yaml"} <= validated


def test_every_documented_combination_is_validated() -> None:
    """The commands in the README name configurations and overlays that are validated together."""
    commands = re.findall(r"^\$ \S+/start\.sh otelcol (--config .*)", (CONFIG / "README.md").read_text(), re.MULTILINE)
    documented = [tuple(OTELCOL / Path(name).name for name in re.findall(r"\S+\.yaml", each)) for each in commands]

    assert documented
    assert set(documented) <= set(COLLECTORS.values())


def test_promtool_accepts_the_configuration_of_prometheus() -> None:
    """The file is valid, and so are the files that it names."""
    checked = promtool("check", "config", CONFIG / "prometheus" / "prometheus.yaml")

    assert checked.returncode == 0, checked.stderr
