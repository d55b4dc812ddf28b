"""A server in its own process that accepts every request at once, and counts the records and spans of some."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

COUNTED = "/counted/v1/logs"
"""The path at which records are counted. Other paths skip that, because it takes time."""
COUNTED_SPANS = "/counted/v1/traces"
"""The path at which spans are counted."""


class Counts(NamedTuple):
    """The counted requests, records and spans since the last call.

    Attributes:
        requests: The number of requests.
        records: The number of records.
        distinct: The number of different ids, among the ids that are numbers.
        spans: The number of spans.
        span_events: The number of their events.
    """

    requests: int
    records: int
    distinct: int
    spans: int
    span_events: int


class Arrived:
    """Counts of the requests, records and spans that arrived, as in `Counts`."""

    def __init__(self) -> None:
        self.requests = 0
        self.records = 0
        self.distinct = 0
        self.spans = 0
        self.span_events = 0
        self._seen = bytearray()

    def count(self, request: ExportLogsServiceRequest) -> None:
        """Count a request, and the records of it."""
        self.requests += 1
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                self.records += len(scope.log_records)
                for record in scope.log_records:
                    uid = record.attributes[0].value.string_value if record.attributes else ""
                    if uid.isdecimal():
                        self._mark(int(uid))

    def count_spans(self, request: ExportTraceServiceRequest) -> None:
        """Count a request, and the spans of it."""
        self.requests += 1
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += len(scope.spans)
                self.span_events += sum(len(span.events) for span in scope.spans)

    def _mark(self, number: int) -> None:
        if number >= len(self._seen):
            self._seen.extend(bytes(number + 1))
        self.distinct += not self._seen[number]
        self._seen[number] = 1


class _Accepting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arrived = Arrived()

    def do_POST(self) -> None:
        """Accept a request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path in {COUNTED, COUNTED_SPANS}:
            body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
        if self.path == COUNTED:
            self.arrived.count(ExportLogsServiceRequest.FromString(body))
        elif self.path == COUNTED_SPANS:
            self.arrived.count_spans(ExportTraceServiceRequest.FromString(body))
        self._respond(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Return the counts since the last call, and start again at zero."""
        arrived, _Accepting.arrived = self.arrived, Arrived()
        counts = Counts(arrived.requests, arrived.records, arrived.distinct, arrived.spans, arrived.span_events)
        self._respond(json.dumps(counts).encode(), "application/json")

    def _respond(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _serve(connection: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accepting)
    connection.send(server.server_port)
    server.serve_forever()


@contextmanager
def accepting() -> Iterator[str]:
    """Run the server while the block runs, and yield its URL."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def counted(url: str) -> Counts:
    """Return the counts since the last call."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url) as response:
        return Counts(*json.load(response))
