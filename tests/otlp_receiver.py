"""An OTLP/HTTP endpoint inside the test process, for tests that do not need a Collector.

It is independent of `heliograph.receiver`, so that a test does not check our code with our code.
"""

from __future__ import annotations

import base64
import gzip
import threading
from dataclasses import dataclass
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import Self

from backends import Json, LogRecord, Metric, Span, decode_logs, decode_metrics, decode_spans
from threads import join

MESSAGES: Final = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
}
IDS: Final = {"traceId", "spanId", "parentSpanId"}


@dataclass(frozen=True)
class Request:
    """A request that has arrived."""

    path: str
    body: bytes

    @cached_property
    def decoded(self) -> Json:
        """The message, which is decoded once: a test looks at all that arrived again and again until it is enough."""
        return _to_json(MESSAGES[self.path].FromString(self.body))


class Receiver:
    """A server on a free port of 127.0.0.1, for the time of a `with` block, that keeps every request, duplicates too.

    Each connection has a thread of its own, which appends to the list of requests. The test reads a copy of it.
    """

    def __init__(self) -> None:
        self._requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        join(self._thread)

    def spans(self) -> list[Span]:
        """Return the spans, in the order of arrival."""
        return [span for request in self._decoded("/v1/traces") for span in decode_spans(request)]

    def logs(self) -> list[LogRecord]:
        """Return the log records, in the order of arrival."""
        return [record for request in self._decoded("/v1/logs") for record in decode_logs(request)]

    def metrics(self) -> list[Metric]:
        """Return the metrics. A metric is there once for each time that it was exported."""
        return [metric for request in self._decoded("/v1/metrics") for metric in decode_metrics(request)]

    def raw(self) -> bytes:
        """Return the bodies of all requests, decompressed, in the order of arrival."""
        return b"".join(request.body for request in self._requests)

    def _decoded(self, path: str) -> list[Json]:
        return [request.decoded for request in list(self._requests) if request.path == path]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self._requests

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                requests.append(Request(self.path, body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler


def _to_json(message: Any) -> Json:
    """Return a message in OTLP's JSON encoding, which is that of protobuf, but with hexadecimal ids."""
    return _with_hex_ids(MessageToDict(message, use_integers_for_enums=True))


def _with_hex_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {key: base64.b64decode(item).hex() if key in IDS else _with_hex_ids(item) for key, item in value.items()}
    return value
