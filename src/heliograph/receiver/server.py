"""An OTLP/HTTP server on 127.0.0.1 that stores the telemetry it receives.

It accepts binary protobuf, plain or compressed with gzip, at ``/v1/logs``, ``/v1/traces`` and ``/v1/metrics``.
Source: OTLP specification 1.7, section OTLP/HTTP.

Threads: one thread accepts connections, and each connection is served by a thread of its own, which writes to the
`Store`. The store is the only thing that they share, and has its own lock. `receiving` waits for all of them before it
returns, so the caller sees in the store everything that was acknowledged to a client.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from heliograph.receiver.store import Store

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The largest request body that is read, before decompression. (The decompressed size has no limit.)"""
CLIENT_TIMEOUT_SECONDS: Final = 10
"""The time after which a silent client is disconnected, since it would keep `receiving` from returning."""
PROTOBUF: Final = "application/x-protobuf"
"""The content type of a request and of a response."""


@contextmanager
def receiving(store: Store) -> Iterator[str]:
    """Run a server on a free port of 127.0.0.1 for the time of a ``with`` block.

    Yields:
        The endpoint, such as ``http://127.0.0.1:40123``.
    """
    server = _Server(store)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="heliograph-receiver")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        # First no new connections are accepted, then `server_close` waits for the threads of the open ones.
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    """A server on a free port of 127.0.0.1, with a thread for each connection.

    Attributes:
        routes: For each path, the class of its requests, the method of the store that takes them, and the class of its
            responses.
    """

    daemon_threads = False  # `server_close` waits for threads that store a request only if they are no daemons

    def __init__(self, store: Store) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes: dict[str, tuple[Any, Callable[[Any], None], Any]] = {
            "/v1/logs": (ExportLogsServiceRequest, store.add_logs, ExportLogsServiceResponse),
            "/v1/traces": (ExportTraceServiceRequest, store.add_traces, ExportTraceServiceResponse),
            "/v1/metrics": (ExportMetricsServiceRequest, store.add_metrics, ExportMetricsServiceResponse),
        }


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection."""

    server: _Server
    timeout = CLIENT_TIMEOUT_SECONDS

    def do_POST(self) -> None:
        """Store a request, or respond with an error."""
        routes = self.server.routes
        if self.path not in routes:
            self.send_error(HTTPStatus.NOT_FOUND, f"send to {', '.join(routes)}")
        elif self.headers.get_content_type() != PROTOBUF:
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send the content type {PROTOBUF}")
        else:
            self._receive(*routes[self.path])

    def _receive(self, request_class: Any, add: Callable[[Any], None], response_class: Any) -> None:
        # The response is sent after the rows were committed: "200" means stored.
        try:
            add(request_class.FromString(self._body()))
        except (ValueError, OSError, EOFError, DecodeError, zlib.error) as error:
            self.send_error(HTTPStatus.BAD_REQUEST, str(error))
            return
        body = response_class().SerializeToString()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", PROTOBUF)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        length = int(self.headers.get("Content-Length", 0))
        if not 0 <= length <= MAX_REQUEST_BYTES:
            raise ValueError(f"the Content-Length must be between 0 and {MAX_REQUEST_BYTES}")
        body = self.rfile.read(length)
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Log nothing: the demo prints what arrived."""
