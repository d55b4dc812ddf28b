"""The stack on one machine: a Collector with the configuration that operators use, and the backends that it sends to."""

from __future__ import annotations

from pathlib import Path

from backends.collector import SINGLE_NODE, Collector
from backends.group import ProgramGroup, made
from backends.jaeger import Jaeger
from backends.prometheus import Prometheus
from backends.victorialogs import VictoriaLogs


class SingleNode(ProgramGroup):
    """The programs of the stack. They run inside a `with` block, apart from those that a test stops or has yet to start.

    Args:
        directory: Each program gets a directory below it.
        overlays: Configurations of the Collector that are merged into single-node.yaml.
        absent: The names of the programs that are not started at first.
    """

    def __init__(self, directory: Path, *overlays: Path, absent: frozenset[str] = frozenset()) -> None:
        self.jaeger = Jaeger(made(directory / "jaeger"))
        self.victorialogs = VictoriaLogs(made(directory / "victorialogs"))
        self.prometheus = Prometheus(made(directory / "prometheus"))
        self.collector = Collector(
            made(directory / "otelcol"),
            self.jaeger,
            configs=(SINGLE_NODE, *overlays),
            HELIOGRAPH_VICTORIALOGS_PORT=str(self.victorialogs.port),
            HELIOGRAPH_PROMETHEUS_PORT=str(self.prometheus.port),
        )
        super().__init__((self.jaeger, self.victorialogs, self.prometheus, self.collector), absent=absent)
