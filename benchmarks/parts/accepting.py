"""A server in a process of its own that takes every request at once, and keeps count."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

COUNTED = "/counted/v1/logs"
"""Where records are counted, which costs time that the others need not wait for."""


class Arrived:
    """What was taken.

    Attributes:
        records: How many records.
        distinct: How many numbers were the unique ids of records.
    """

    def __init__(self) -> None:
        self.records = 0
        self.distinct = 0
        self._seen = bytearray()

    def count(self, request: ExportLogsServiceRequest) -> None:
        """Count the records of a request."""
        for resource in request.resource_logs:
            for scope in resource.scope_logs:
                self.records += len(scope.log_records)
                for record in scope.log_records:
                    uid = record.attributes[0].value.string_value if record.attributes else ""
                    if uid.isdecimal():
                        self._mark(int(uid))

    def _mark(self, number: int) -> None:
        if number >= len(self._seen):
            self._seen.extend(bytes(number + 1))
        self.distinct += not self._seen[number]
        self._seen[number] = 1


class _Accepting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    arrived = Arrived()

    def do_POST(self) -> None:
        """Say yes."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == COUNTED:
            body = gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body
            self.arrived.count(ExportLogsServiceRequest.FromString(body))
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Say how many there were since this was asked last."""
        arrived, _Accepting.arrived = self.arrived, Arrived()
        self._answer(json.dumps([arrived.records, arrived.distinct]).encode(), "application/json")

    def _answer(self, body: bytes, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _serve(connection: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Accepting)
    connection.send(server.server_port)
    server.serve_forever()


@contextmanager
def accepting() -> Iterator[str]:
    """The server's URL, for as long as the block runs."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        server.terminate()
        server.join()


def counted(url: str) -> tuple[int, int]:
    """How many records the server took where it counts, since this was asked last, and how many numbers they had."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url) as response:
        records, distinct = json.load(response)
        return records, distinct
