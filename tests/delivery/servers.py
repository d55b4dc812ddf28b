"""OTLP/HTTP servers whose responses a test chooses."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from heliograph.semconv import LOG_RECORD_UID
from servers import serving_in_thread

Answer = tuple[int, dict[str, str], bytes]
"""A response: status, headers, body."""
OK: Answer = (200, {"Content-Type": "application/x-protobuf"}, b"")


@dataclass(frozen=True)
class Trickle:
    """A response that arrives slowly.

    Attributes:
        head: The part that is sent at once.
        rest: The part that is sent at one byte a second.
    """

    head: bytes
    rest: bytes


TRICKLES: Final = {
    "header": Trickle(b"", b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 600),
    "body": Trickle(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 600\r\n\r\n", b"." * 600),
}


@dataclass
class Arrived:
    """The requests that a server received.

    Attributes:
        endpoint: The URL for log records.
        traces_endpoint: The URL for spans.
        answer: Returns the response for a request's number and records. `None` closes the connection after the request was
            read, and a `Trickle` never ends in time.
        accepted: The unique ids of the records, or the ids of the spans, in requests that were accepted as OTLP prescribes it.
        requests: The unique ids of the records of each request.
        resources: The service name of each accepted record.
        headers: The headers of each request.
        raw: The decompressed body of each request.
    """

    answer: Callable[[int, list[str]], Answer | Trickle | None]
    endpoint: str = ""
    traces_endpoint: str = ""
    accepted: list[str] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def endpoint_of(self, signal: str) -> str:
        """Return the URL for a signal."""
        return self.traces_endpoint if signal == "traces" else self.endpoint

    @property
    def largest_batch(self) -> int:
        """The number of records in the largest request."""
        return max(map(len, self.requests), default=0)


@contextmanager
def serving(
    answer: Callable[[int, list[str]], Answer | Trickle | None] = lambda number, records: OK,
) -> Iterator[Arrived]:
    """Run a server on a free port of 127.0.0.1 while the block runs."""
    arrived = Arrived(answer)
    lock, ended = threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            is_traces = "/v1/traces" in self.path
            message = (ExportTraceServiceRequest if is_traces else ExportLogsServiceRequest).FromString(body)
            with lock:
                records = uids(message)
                arrived.requests.append(records)
                arrived.raw.append(body)
                arrived.headers.append(dict(self.headers.items()))
                answer = arrived.answer(len(arrived.requests) - 1, records)
                if isinstance(answer, tuple) and _accepts(answer):
                    arrived.accepted += records
                    arrived.resources += [services(message)] * len(records)
            if answer is None:
                self.close_connection = True
                return
            if isinstance(answer, Trickle):
                self.trickle(answer)
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def trickle(self, answer: Trickle) -> None:
            self.close_connection = True
            with contextlib.suppress(OSError):  # the client gave up, and closed the connection
                self.wfile.write(answer.head)
                for byte in answer.rest:
                    self.wfile.write(bytes([byte]))
                    if ended.wait(1.0):
                        return

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    arrived.endpoint = f"http://127.0.0.1:{server.server_port}/v1/logs"
    arrived.traces_endpoint = f"http://127.0.0.1:{server.server_port}/v1/traces"
    with serving_in_thread(server):
        try:
            yield arrived
        finally:
            ended.set()


def _accepts(answer: Answer) -> bool:
    status, headers, _ = answer
    return status == 200 and headers.get("Content-Type") == "application/x-protobuf"


def uids(message: ExportLogsServiceRequest | ExportTraceServiceRequest) -> list[str]:
    """Return the unique ids of the log records of a request, or the ids of its spans."""
    if isinstance(message, ExportTraceServiceRequest):
        return [span.span_id.hex() for span in spans_of(message)]
    return [
        pair.value.string_value
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
        for pair in record.attributes
        if pair.key == LOG_RECORD_UID
    ]


def spans_of(message: ExportTraceServiceRequest) -> list[Span]:
    return [span for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]


def services(message: ExportLogsServiceRequest | ExportTraceServiceRequest) -> str:
    is_traces = isinstance(message, ExportTraceServiceRequest)
    return ",".join(
        pair.value.string_value
        for resource in (message.resource_spans if is_traces else message.resource_logs)
        for pair in resource.resource.attributes
        if pair.key == "service.name"
    )
