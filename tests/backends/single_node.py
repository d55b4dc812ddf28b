"""The stack on one machine: a Collector with the configuration that operators use, and the backends that it sends to."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import Self

from backends.collector import SINGLE_NODE, Collector
from backends.jaeger import Jaeger
from backends.program import Backend
from backends.prometheus import Prometheus
from backends.victorialogs import VictoriaLogs


class SingleNode:
    """The programs of the stack. They run inside a `with` block, apart from those that a test stops or has yet to start.

    Args:
        directory: Each program gets a directory below it.
        overlays: Configurations of the Collector that are merged into single-node.yaml.
        absent: The names of the programs that are not started at first.
    """

    def __init__(self, directory: Path, *overlays: Path, absent: frozenset[str] = frozenset()) -> None:
        self.jaeger = Jaeger(_made(directory / "jaeger"))
        self.victorialogs = VictoriaLogs(_made(directory / "victorialogs"))
        self.prometheus = Prometheus(_made(directory / "prometheus"))
        self.collector = Collector(
            _made(directory / "otelcol"),
            self.jaeger,
            configs=(SINGLE_NODE, *overlays),
            HELIOGRAPH_VICTORIALOGS_PORT=str(self.victorialogs.port),
            HELIOGRAPH_PROMETHEUS_PORT=str(self.prometheus.port),
        )
        self._programs: tuple[Backend, ...] = (self.jaeger, self.victorialogs, self.prometheus, self.collector)
        self._absent = absent

    def __enter__(self) -> Self:
        try:
            for backend in self._programs:
                if backend.program not in self._absent:
                    backend.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all programs, the Collector first."""
        for backend in reversed(self._programs):
            backend.stop()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory
