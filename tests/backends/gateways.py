"""An agent with two gateways behind it: Collectors with the configurations that operators use, and VictoriaLogs."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import Self

from backends.collector import AGENT, GATEWAY, Collector
from backends.program import CONFIG, Backend
from backends.victorialogs import VictoriaLogs

OVERLAYS = Path(__file__).parent
"""The directory of the overlays without which tests would wait for long intervals."""


class Gateways:
    """An agent, the gateways A and B, and VictoriaLogs. They run inside a `with` block, apart from those that a test stops.

    The gateways write traces to files, after they were sampled.
    """

    def __init__(self, directory: Path) -> None:
        self.victorialogs = VictoriaLogs(_made(directory / "victorialogs"))
        self.a, self.b = (self._gateway(_made(directory / name)) for name in ("a", "b"))
        self.agent = Collector(
            _made(directory / "agent"),
            configs=(AGENT, OVERLAYS / "agent.yaml"),
            HELIOGRAPH_GATEWAY_A_PORT=_port(self.a),
            HELIOGRAPH_GATEWAY_B_PORT=_port(self.b),
        )
        self._programs: tuple[Backend, ...] = (self.victorialogs, self.a, self.b, self.agent)

    def _gateway(self, directory: Path) -> Collector:
        return Collector(
            directory,
            configs=(GATEWAY, CONFIG / "otelcol" / "debug.yaml", OVERLAYS / "gateway.yaml"),
            HELIOGRAPH_VICTORIALOGS_PORT=str(self.victorialogs.port),
        )

    def __enter__(self) -> Self:
        try:
            for backend in self._programs:
                backend.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop all programs, the agent first."""
        for backend in reversed(self._programs):
            backend.stop()


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True)
    return directory


def _port(gateway: Collector) -> str:
    return gateway.otlp_grpc_endpoint.rpartition(":")[2]
