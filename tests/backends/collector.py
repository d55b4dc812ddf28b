"""The Collector: with the configuration of most tests it writes everything that it receives to files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from backends.jaeger import Jaeger
from backends.otlp_json import Json, LogRecord, Metric, Span, decode_logs, decode_metrics, decode_spans
from backends.ports import free_port
from backends.program import CONFIG, Backend

SINGLE_NODE = CONFIG / "otelcol" / "single-node.yaml"
AGENT = CONFIG / "otelcol" / "agent.yaml"
GATEWAY = CONFIG / "otelcol" / "gateway.yaml"
RECORDING = (SINGLE_NODE, CONFIG / "otelcol" / "debug.yaml", Path(__file__).with_name("recording.yaml"))


def config_arguments(configs: Iterable[Path]) -> tuple[str | Path, ...]:
    """Return the arguments with which a Collector merges each configuration into those before it."""
    return tuple(argument for config in configs for argument in ("--config", config))


class Collector(Backend):
    """A Collector that writes everything it receives to files, and forwards traces to a Jaeger if it is given one.

    Args:
        directory: Its directory, with its files and its queues.
        jaeger: The Jaeger that gets traces.
        configs: Its configurations; each is merged into those before it.
        environment: Further variables of the configurations.
    """

    program = "otelcol"

    def __init__(
        self,
        directory: Path,
        jaeger: Jaeger | None = None,
        *,
        configs: tuple[Path, ...] = RECORDING,
        **environment: str,
    ) -> None:
        grpc_port, http_port, health_port = free_port(), free_port(), free_port()
        self.otlp_grpc_endpoint = f"http://127.0.0.1:{grpc_port}"
        self.otlp_http_endpoint = f"http://127.0.0.1:{http_port}"
        self.files = directory / "telemetry"
        self._decoded: dict[bytes, list[Any]] = {}
        # Without a Jaeger it sends to a free port, and never to a Jaeger that the developer runs.
        jaeger_port = jaeger.otlp_grpc_port if jaeger else free_port()
        super().__init__(
            directory,
            {
                "HELIOGRAPH_OTLP_GRPC_PORT": grpc_port,
                "HELIOGRAPH_OTLP_HTTP_PORT": http_port,
                "HELIOGRAPH_COLLECTOR_HEALTH_PORT": health_port,
            },
            health=f"http://127.0.0.1:{health_port}",
            arguments=config_arguments(configs),
            HELIOGRAPH_JAEGER_OTLP_GRPC_PORT=str(jaeger_port),
            HELIOGRAPH_COLLECTOR_FILES=str(self.files),
            HELIOGRAPH_COLLECTOR_QUEUE=str(directory / "queue"),
            **environment,
        )

    def traces(self) -> list[Span]:
        """Return the spans that arrived, in the order of arrival."""
        return list(self._items("traces", decode_spans))

    def logs(self) -> list[LogRecord]:
        """Return the log records that arrived, in the order of arrival. A duplicate is listed twice."""
        return list(self._items("logs", decode_logs))

    def metrics(self) -> list[Metric]:
        """Return the metrics that arrived, in the order of arrival, one for each export of each metric."""
        return list(self._items("metrics", decode_metrics))

    def raw(self) -> bytes:
        """Return the bytes of all files, for a test that searches them for a secret."""
        return b"".join(file.read_bytes() for file in sorted(self.files.glob("*.jsonl")))

    def _items(self, signal: str, decode: Callable[[Json], Iterable[Any]]) -> Iterator[Any]:
        # Each request is decoded once: a test that waits asks fifty times a second, and the files grow with each test.
        # A rotated file is logs-<time>.jsonl, which sorts before logs.jsonl. A last line without a line end is still being written.
        for file in sorted(self.files.glob(f"{signal}*.jsonl")):
            for line in file.read_bytes().split(b"\n")[:-1]:
                if line not in self._decoded:
                    self._decoded[line] = list(decode(json.loads(line)))
                yield from self._decoded[line]
