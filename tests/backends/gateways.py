"""An agent with two gateways behind it: Collectors with the configurations that operators use, and VictoriaLogs."""

from __future__ import annotations

from pathlib import Path

from backends.collector import AGENT, GATEWAY, Collector
from backends.group import ProgramGroup, made
from backends.program import CONFIG
from backends.victorialogs import VictoriaLogs

OVERLAYS = Path(__file__).parent
"""The directory of the overlays without which tests would wait for long intervals."""


class Gateways(ProgramGroup):
    """An agent, the gateways A and B, and VictoriaLogs. They run inside a `with` block, apart from those that a test stops.

    The gateways write traces to files, after they were sampled.
    """

    def __init__(self, directory: Path) -> None:
        self.victorialogs = VictoriaLogs(made(directory / "victorialogs"))
        self.a, self.b = (self._gateway(made(directory / name)) for name in ("a", "b"))
        self.agent = Collector(
            made(directory / "agent"),
            configs=(AGENT, OVERLAYS / "agent.yaml"),
            HELIOGRAPH_GATEWAY_A_PORT=_port(self.a),
            HELIOGRAPH_GATEWAY_B_PORT=_port(self.b),
        )
        super().__init__((self.victorialogs, self.a, self.b, self.agent))

    def _gateway(self, directory: Path) -> Collector:
        return Collector(
            directory,
            configs=(GATEWAY, CONFIG / "otelcol" / "debug.yaml", OVERLAYS / "gateway.yaml"),
            HELIOGRAPH_VICTORIALOGS_PORT=str(self.victorialogs.port),
        )


def _port(gateway: Collector) -> str:
    return gateway.otlp_grpc_endpoint.rpartition(":")[2]
