"""HTTP servers in a thread; and OTLP/HTTP servers that misbehave: they reject, are slow, or never respond."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import TYPE_CHECKING

from threads import join

if TYPE_CHECKING:
    from typing_extensions import Self


@contextmanager
def serving_in_thread(server: HTTPServer) -> Iterator[None]:
    """Serve in a thread while the block runs, and close the server."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        join(thread)


class Misbehaving:
    """A server that responds with `status` after `delay_seconds`, or never while `silent`. A test may change all three.

    Attributes:
        requests: Path and headers of each request.
    """

    def __init__(self, *, status: int = 200, delay_seconds: float = 0.0, silent: bool = False) -> None:
        self.status, self.delay_seconds, self.silent = status, delay_seconds, silent
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._end = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()
        join(self._thread)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                server.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                server._end.wait(3600 if server.silent else server.delay_seconds)
                if server._end.is_set():
                    return
                self.send_response(server.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        return Handler
