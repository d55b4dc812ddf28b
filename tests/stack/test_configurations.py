"""Every configuration of the stack is valid for the program that reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from backends import promtool
from backends.collector import AGENT, GATEWAY, RECORDING, SINGLE_NODE
from backends.kafka import KAFKA_CONSUMER, KAFKA_PRODUCER
from backends.program import BIN, CONFIG, require

OTELCOL = CONFIG / "otelcol"
IN_CONTAINERS = (OTELCOL / "compose.yaml", OTELCOL / "compose-kafka.yaml")
COLLECTORS = {
    "single-node": (SINGLE_NODE,),
    "debug": (SINGLE_NODE, OTELCOL / "debug.yaml"),
    "compose": (SINGLE_NODE, OTELCOL / "compose.yaml"),
    "agent": (AGENT,),
    "gateway": (GATEWAY,),
    "gateway with files": (GATEWAY, OTELCOL / "debug.yaml"),
    "loki": (SINGLE_NODE, OTELCOL / "loki.yaml"),
    "tempo": (SINGLE_NODE, OTELCOL / "tempo.yaml"),
    "gateway with loki and tempo": (GATEWAY, OTELCOL / "loki.yaml", OTELCOL / "tempo.yaml"),
    "kafka producer": (SINGLE_NODE, KAFKA_PRODUCER),
    "gateway as kafka producer": (GATEWAY, KAFKA_PRODUCER),
    "kafka consumer": (SINGLE_NODE, KAFKA_CONSUMER),
    "compose with a kafka producer": (SINGLE_NODE, KAFKA_PRODUCER, *IN_CONTAINERS),
    "compose with a kafka consumer": (SINGLE_NODE, KAFKA_CONSUMER, *IN_CONTAINERS),
    "recording": RECORDING,
}


@pytest.mark.parametrize("configs", COLLECTORS.values(), ids=COLLECTORS)
def test_collector_accepts_each_configuration(configs: tuple[Path, ...], tmp_path: Path) -> None:
    """The Collector validates each file, with the overlays that its documentation names."""
    require("otelcol")
    arguments = [argument for config in configs for argument in ("--config", str(config))]

    checked = subprocess.run(
        [BIN / "otelcol", "validate", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )

    assert checked.returncode == 0, checked.stderr


def test_every_configuration_of_the_collector_is_validated() -> None:
    """A new file in the folder is among the validated ones."""
    validated = {config for configs in COLLECTORS.values() for config in configs}

    assert set(OTELCOL.glob("*.yaml")) <= validated


def test_promtool_accepts_the_configuration_of_prometheus() -> None:
    """The file is valid, and so are the files that it names."""
    checked = promtool("check", "config", CONFIG / "prometheus" / "prometheus.yaml")

    assert checked.returncode == 0, checked.stderr
