"""OTLP/HTTP servers that answer as a test wants them to."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

Answer = tuple[int, dict[str, str], bytes]
OK: Answer = (200, {"Content-Type": "application/x-protobuf"}, b"")


@dataclass
class Arrived:
    """What a server was sent.

    Attributes:
        endpoint: Where it listens.
        answer: From a request's number and records to the answer; `None` cuts the connection after the request was read.
        accepted: The bodies of the records of requests that were answered by 200.
        requests: The bodies of the records of each request.
        resources: The service names of accepted requests.
    """

    answer: Callable[[int, list[str]], Answer | None]
    endpoint: str = ""
    accepted: list[str] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


@contextmanager
def serving(answer: Callable[[int, list[str]], Answer | None] = lambda number, records: OK) -> Iterator[Arrived]:
    """A server on a free port of 127.0.0.1, for as long as the block runs."""
    arrived = Arrived(answer)
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            message = ExportLogsServiceRequest.FromString(body)
            with lock:
                records = bodies(message)
                arrived.requests.append(records)
                arrived.headers.append(dict(self.headers.items()))
                answer = arrived.answer(len(arrived.requests) - 1, records)
                if answer is not None and answer[0] == 200:
                    arrived.accepted += records
                    arrived.resources += [services(message)] * len(records)
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    arrived.endpoint = f"http://127.0.0.1:{server.server_port}/v1/logs"
    try:
        yield arrived
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def bodies(message: ExportLogsServiceRequest) -> list[str]:
    return [
        record.body.string_value
        for resource in message.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def services(message: ExportLogsServiceRequest) -> str:
    return ",".join(
        pair.value.string_value
        for resource in message.resource_logs
        for pair in resource.resource.attributes
        if pair.key == "service.name"
    )
