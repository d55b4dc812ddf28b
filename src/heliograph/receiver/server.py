"""An OTLP/HTTP server on 127.0.0.1.

It accepts protobuf and JSON, plain or compressed, in requests with a length or in chunks, at ``/v1/logs``, ``/v1/traces`` and
``/v1/metrics``. Every request has a response, valid or not, unless its client disconnects first.

Threads: one thread accepts connections, and each connection is served by a thread of its own, which calls `Keep`. A connection
stays open for the next request. `HttpServer.close` disconnects the clients that wait between two requests, and lets requests in progress
end. Then it waits for all threads, so that the caller sees everything that was acknowledged to a client. `_lock` guards `_handlers`,
the open connections.

Source: OTLP specification 1.7, section OTLP/HTTP.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.errors import FirstHeaderLineIsContinuationDefect, MissingHeaderBodySeparatorDefect
from http import HTTPStatus
from http.client import HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from typing_extensions import Self

from heliograph.receiver.body_reader import read_body
from heliograph.receiver.contract import LOOPBACK, RETRY_AFTER_SECONDS, Keep, Missed, NotKept, ignore
from heliograph.receiver.http_body import JSON, PROTOBUF, RequestError, decode_request, encode_error, encode_response
from heliograph.receiver.http_target import HttpResponse, HttpTarget
from heliograph.receiver.memory import Memory, RequestMemory
from heliograph.receiver.signals import SIGNALS, OtlpRequest, OtlpSignal
from heliograph.receiver.store import Store

CLIENT_TIMEOUT_SECONDS: Final = 10
"""The time after which a client is disconnected if it has begun a request, and sends nothing more."""
IDLE_TIMEOUT_SECONDS: Final = 90
"""The time after which a connection without a request is closed. Exporters of metrics send once a minute."""
MAX_CONNECTIONS: Final = 256
"""The number of connections that are served at the same time, each by a thread."""
LINGER_SECONDS: Final = 5
"""The time for which the rest of a refused request is read, so that its client sees the response."""

_ACCEPTED: Final = 2
"""The first digit of the HTTP statuses of accepted requests."""
_BLOCK_BYTES: Final = 64 * 1024
_MAX_LINE_BYTES: Final = 64 * 1024
_NOT_A_HEADER: Final = (MissingHeaderBodySeparatorDefect, FirstHeaderLineIsContinuationDefect)
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    % RETRY_AFTER_SECONDS
)


@contextmanager
def receiving(store: Store) -> Iterator[str]:
    """Store everything that is sent to a free port of 127.0.0.1, for the time of a ``with`` block.

    Yields:
        The endpoint, such as ``http://127.0.0.1:40123``.
    """
    with HttpServer(store.add) as server:
        yield server.endpoint


class HttpServer(ThreadingHTTPServer):
    """A server on a port of 127.0.0.1. Use it in a ``with`` block, which starts and closes it.

    Args:
        keep: Keeps a request, before it is acknowledged.
        port: The port; 0 for a free one.
        target: The server that every request is forwarded to, of whatever path. The client gets the target's response, and `keep` each
            request that the target has accepted. `None` if this server responds itself.
        missed: Called if the target has accepted a request that cannot be decoded or kept here.
        memory: Limits the memory of all requests in progress. Several servers may share one.

    Attributes:
        endpoint: The URL that exporters send to.

    Raises:
        OSError: The port is in use, or may not be used.
    """

    # `server_close` does not wait for daemon threads.
    daemon_threads = False
    request_queue_size = 128

    def __init__(
        self,
        keep: Keep,
        port: int = 0,
        target: HttpTarget | None = None,
        *,
        missed: Missed = ignore,
        memory: Memory | None = None,
    ) -> None:
        self.keep = keep
        self.target = target
        self.missed = missed
        self.memory = Memory() if memory is None else memory
        self.is_closing = False
        self._handlers: set[_Handler] = set()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((LOOPBACK, port), _Handler)
        self.endpoint = f"http://{LOOPBACK}:{self.server_address[1]}"
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="heliograph-receiver"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Accept no more connections, and wait until requests in progress have their responses."""
        self.shutdown()
        self._thread.join()
        # Set before the loop, because a handler first sets `waiting` and then reads this: one of the two always sees the other.
        self.is_closing = True
        with self._lock:
            for handler in self._handlers:
                handler.stop_waiting()
        self.server_close()

    def opened(self, handler: _Handler) -> None:
        """Remember a connection."""
        with self._lock:
            self._handlers.add(handler)

    def closed(self, handler: _Handler) -> None:
        """Forget a connection."""
        with self._lock:
            self._handlers.discard(handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a new thread, or respond that there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            with suppress(OSError):
                request.sendall(_BUSY)
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: the connection was closed by its client, or the client was too slow."""


class _Handler(BaseHTTPRequestHandler):
    """Handles the requests of one connection.

    Attributes:
        waiting: True while no request is in progress.
        unread: True until the body of the current request was read completely. A connection with an unread body cannot be used for the
            next request, and is closed after the response.
    """

    server: HttpServer
    protocol_version = "HTTP/1.1"
    # Otherwise the response to a request line that is not HTTP would have no status.
    default_request_version = "HTTP/1.1"
    timeout = IDLE_TIMEOUT_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body are sent together
    raw_requestline: bytes
    waiting = True
    unread = True

    def setup(self) -> None:
        super().setup()
        self.server.opened(self)

    def finish(self) -> None:
        self.server.closed(self)
        super().finish()
        if self.unread:
            self._linger()

    def stop_waiting(self) -> None:
        """Close the connection for reading, unless a request is in progress. Bytes that have arrived can still be read."""
        if self.waiting:
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RD)

    def handle_one_request(self) -> None:
        self.connection.settimeout(self.timeout)
        # An error before the headers are parsed must not use those of the previous request.
        self.headers = HTTPMessage()
        self.waiting = self.unread = True
        if self.server.is_closing:  # pragma: no cover — the moment between the end of accepting and that of waiting
            self.stop_waiting()
        super().handle_one_request()

    def parse_request(self) -> bool:
        self.waiting = False
        self.connection.settimeout(min(self.timeout, CLIENT_TIMEOUT_SECONDS))
        if not self.raw_requestline.rstrip(b"\r\n"):
            # Some clients send an empty line after a body.
            self.raw_requestline = self.rfile.readline(_MAX_LINE_BYTES)
        if not super().parse_request():
            if self.raw_requestline and not self.raw_requestline.split():
                self.send_error(HTTPStatus.BAD_REQUEST, "there is no request line")
            return False
        # Python's parser stops at the first line that is not a header, and ignores those after it. One could be the Content-Length.
        if any(isinstance(defect, _NOT_A_HEADER) for defect in self.headers.defects):
            self.send_error(HTTPStatus.BAD_REQUEST, "a line of the headers is not a header")
            return False
        return True

    def do_POST(self) -> None:
        """Keep a request, or respond with an error."""
        try:
            with self.server.memory.request() as memory:
                response = self._handle(memory)
        except RequestError as error:
            self.send_error(error.status, str(error))
        except NotKept as error:
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        except OSError:
            # The client has disconnected, so there is nobody to respond to.
            raise
        except Exception as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, f"the request cannot be kept: {type(error).__name__}")
        else:
            # This comes after the memory is released, because the client's next request may need it at once.
            self._send(response)

    def do_GET(self) -> None:
        """Respond that the method is not allowed."""
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED, "send OTLP with POST")

    def _handle(self, memory: RequestMemory) -> HttpResponse:
        body = read_body(self.headers, self.rfile, memory)
        self.unread = False
        if self.server.target is None:
            return self._receive(body, memory)
        return self._forward(body, self.server.target, memory)

    def _receive(self, body: bytes, memory: RequestMemory) -> HttpResponse:
        signal = self._signal()
        # The response is sent after the request was kept: status 200 means that the telemetry is safe.
        self.server.keep(self._decoded(signal, body, memory))
        content_type = self._response_type()
        encoded = encode_response(signal.response_class(), content_type)
        return HttpResponse(status=HTTPStatus.OK, headers=[("Content-Type", content_type)], body=encoded)

    def _forward(self, body: bytes, target: HttpTarget, memory: RequestMemory) -> HttpResponse:
        if not self.path.startswith("/") or not self.path.isascii() or not self.path.isprintable():
            raise RequestError(HTTPStatus.BAD_REQUEST, "send a path of printable ASCII characters")
        response = target.send(self.path, self.headers.items(), body)
        if response.status // 100 == _ACCEPTED:
            self._keep_accepted(body, memory)
        return response

    def _keep_accepted(self, body: bytes, memory: RequestMemory) -> None:
        """Keep a request that the target has accepted.

        Nothing is raised, so that the client does not send the request again. The target may know kinds of requests that are unknown here.
        """
        try:
            self.server.keep(self._decoded(self._signal(), body, memory))
        except Exception as error:
            self.server.missed(error)

    def _signal(self) -> OtlpSignal:
        path = self.path.partition("?")[0]
        for signal in SIGNALS:
            if signal.path == path:
                return signal
        raise RequestError(HTTPStatus.NOT_FOUND, f"send to {', '.join(each.path for each in SIGNALS)}")

    def _decoded(self, signal: OtlpSignal, body: bytes, memory: RequestMemory) -> OtlpRequest:
        encoding = self.headers.get("Content-Encoding", "")
        content_type = self.headers.get_content_type()
        return decode_request(signal, body, content_type=content_type, content_encoding=encoding, memory=memory)

    def _send(self, response: HttpResponse) -> None:
        # `send_response` would add `Date` and `Server`, which costs time.
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        body = response.body
        self.close_connection = self.close_connection or self.unread or self.server.is_closing
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Respond with an error. The base class calls this, too, for requests that it cannot parse."""
        status, content_type = HTTPStatus(code), self._response_type()
        headers = [("Content-Type", content_type)]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
        encoded = encode_error(message or explain or status.phrase, content_type)
        self._send(HttpResponse(status=status, headers=headers, body=encoded))

    def _response_type(self) -> str:
        """Return the content type of a response: that of the request, if it is one of ours."""
        return JSON if self.headers.get_content_type() == JSON else PROTOBUF

    def handle_expect_100(self) -> bool:
        proceed = super().handle_expect_100()
        # The client waits for this response before it sends the body.
        self.wfile.flush()
        return proceed

    def _linger(self) -> None:
        """Read the rest of what the client sends, for a limited time.

        If a connection is closed while it has unread bytes, TCP resets it, and the client may lose the response.
        """
        end = time.monotonic() + LINGER_SECONDS
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1)
            while time.monotonic() < end and self.connection.recv(_BLOCK_BYTES):
                pass

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 — the base class's name
        """Log nothing: commands print what arrived."""
