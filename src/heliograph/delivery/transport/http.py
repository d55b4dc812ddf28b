"""OTLP over HTTP: one connection that is kept open between requests, and one deadline for each whole request.

Source: OTLP specification, OTLP/HTTP.

`http.client` writes and parses HTTP. It never connects here, because its own timeouts apply to each operation
separately; `connect` makes the sockets, and they enforce the deadline.

Threads: any thread may call `send` and `close`. Two locks keep them apart:

- `_sending` is held during a whole request. Its holder alone uses `_connection`, and reads and writes the socket.
- `_lock` is held for moments. It guards `_closed` and `_socket`, the socket that the holder of `_sending` may be waiting
  for. Every new socket is registered under it. So `close` either finds the socket and interrupts it, or the sending
  thread finds `_closed` set before it waits for the socket.

`close` takes `_sending` last, after the interruption, and so returns when the request has ended. Neither lock is
reentrant: a signal handler must not call `close` in the thread that sends. (The outbox sends in a thread of its
own, and signal handlers run in the main thread. The command line closes after its `send` was interrupted.)
"""

from __future__ import annotations

import gzip
import io
import os
import ssl
import threading
import zlib
from datetime import datetime, timezone
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected, parse_headers
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from heliograph.delivery.transport.connect import Resolver, connect, start_tls
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.endpoint import port_of
from heliograph.delivery.transport.explain import explain_http_error, explain_status
from heliograph.delivery.transport.response import MAX_RESPONSE_BYTES
from heliograph.delivery.transport.verdict import (
    Reason,
    Verdict,
    check_request_size,
    no_response,
    unreadable_response,
    verdict_from_http,
)
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.version import __version__

if TYPE_CHECKING:
    # The module is imported with the first connection; see its documentation.
    from heliograph.delivery.transport.timed_socket import TimedSocket

USER_AGENT: Final = f"heliograph/{__version__}"

_SUCCESS: Final = range(200, 300)
_INTERIM: Final = frozenset(range(100, 200)) - {101}
_MAX_INTERIM: Final = 100
_SUPPORTED: Final = frozenset({"gzip", "x-gzip", "deflate"})
_COMPRESSIONS: Final = _SUPPORTED | {"br", "compress", "x-compress", "zstd"}
"""The content codings that change the bytes. A server that names something else, such as a character set, sends them as they are."""
_GZIP_LEVEL: Final = 6
"""The default of zlib and of gRPC. Level 9 takes twice the time and saves one percent."""


class HttpTransport(Transport):
    """Sends requests over HTTP/1.1, one after the other.

    Args:
        destination: The server. Its certificate files are read again for each new connection.
    """

    usual_limit_bytes = 20 * 1024 * 1024

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._secrets = destination.secrets
        self._url = urlsplit(destination.url)
        self._next_hop = destination.proxy or destination.url
        self._target, self._headers = self._request_head()
        self._closed = False
        self._connection: HTTPConnection | None = None
        self._socket: TimedSocket | None = None
        self._create_locks_and_resolver()
        after_fork_in_child(self._reset_in_child)

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        """Send one request, and return what its response means; see `Transport.send`."""
        if (too_large := check_request_size(body)) is not None:
            return too_large
        deadline = Deadline(timeout_seconds * 1000)
        if not self._sending.acquire(timeout=deadline.remaining() / 1000):
            return no_response(Reason.TIMEOUT, "another thread was sending a request for the whole time")
        try:
            return self._exchange(body, deadline)
        except (OSError, HTTPException, ValueError) as error:
            # A ValueError means that the name of the host is invalid.
            self._discard_connection()
            reason = Reason.CANCELLED if self._closed else _reason_of(error)
            explanation = explain_http_error(error)
            text = self._explained(_safe_text(error), explanation)
            return no_response(reason, text, self._secrets, explanation=explanation)
        finally:
            self._sending.release()

    def close(self) -> None:
        """Cancel the request that another thread is sending, and every later one. Close the connection."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                self._socket.interrupt()
        self._resolver.cancel()
        with self._sending:
            self._discard_connection()

    def _exchange(self, body: bytes, deadline: Deadline) -> Verdict:
        data = gzip.compress(body, _GZIP_LEVEL, mtime=0) if self._destination.gzip else body
        connection = self._open_connection(deadline)
        try:
            connection.request("POST", self._target, data, self._headers)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            # A server that rejects a large request may close before it has read all of it. Its response is then
            # already here, and says why. A success is not believed, since the server does not have the whole request.
            response = connection.getresponse()
            if response.status in _SUCCESS:
                response.close()
                raise
        else:
            response = connection.getresponse()
        return self._read_verdict(response)

    def _read_verdict(self, response: HTTPResponse) -> Verdict:
        ends_with_connection = response.length is None and not response.chunked
        with response:
            body = _read_body(response)
            if ends_with_connection and self._closed:
                # `close` has ended it, perhaps in the middle. A part of a partial success looks like a whole success.
                raise ConnectionAbortedError("the transport was closed")
            # A connection with unread bytes on it cannot carry another request.
            if response.will_close or not response.isclosed():
                self._discard_connection()
        headers = {name.lower(): value for name, value in response.headers.items()}
        now = datetime.now(timezone.utc)
        explanation = explain_status(response.status, self._destination.url)
        label = f"HTTP {response.status} from {self._destination.shown_url}"
        if explanation:
            label += f" ({explanation})"
        try:
            body = _decoded(body, headers.get("content-encoding", ""))
        except ValueError as error:
            if response.status in _SUCCESS:
                return unreadable_response(label, str(error), self._secrets)
            body = b""
        return verdict_from_http(
            response.status, headers, body, now=now, secrets=self._secrets, label=label, explanation=explanation
        )

    def _explained(self, text: str, explanation: str) -> str:
        return f"{text} from {self._destination.shown_url}: {explanation}" if explanation else text

    def _open_connection(self, deadline: Deadline) -> HTTPConnection:
        """Return the open connection, or a new one if the server has closed it."""
        # Checking first is better than trying: a request that fails on a connection may have been stored, and would
        # have to be sent again.
        if self._connection is not None and self._socket is not None and self._socket.is_idle():
            self._socket.deadline = deadline
            return self._connection
        self._discard_connection()
        self._connection = HTTPConnection(self._url.hostname or "", port_of(self._destination.url))
        self._connection.response_class = _FinalResponse
        # Otherwise http.client reconnects by itself, without a deadline.
        self._connection.auto_open = 0
        self._connection.sock = self._connect(deadline)
        return self._connection

    def _connect(self, deadline: Deadline) -> TimedSocket:
        connection = connect(self._resolver.addresses(deadline), deadline, self._register_socket)
        if not self._destination.secure:
            return connection
        try:
            if self._destination.proxy:
                self._open_tunnel(connection)
            context = _tls_context(self._destination)
        except (OSError, HTTPException):
            connection.close()
            raise
        return start_tls(connection, context, self._url.hostname or "", self._register_socket)

    def _open_tunnel(self, connection: TimedSocket) -> None:
        """Ask the proxy for a tunnel to the server, so that TLS ends at the server. The proxy sees no header of ours."""
        host = self._url.hostname or ""
        authority = f"{f'[{host}]' if ':' in host else host}:{port_of(self._destination.url)}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {USER_AGENT}"]
        lines += [f"{name}: {value}" for name, value in self._destination.proxy_headers.items()]
        connection.sendall("\r\n".join([*lines, "\r\n"]).encode())
        with _FinalResponse(connection, method="CONNECT") as response:
            response.begin()
            if response.status not in _SUCCESS:
                raise _ProxyError(f"the proxy rejected the connection with HTTP {response.status}")

    def _request_head(self) -> tuple[str, dict[str, str]]:
        headers = {"host": self._url.netloc, "user-agent": USER_AGENT, **self._destination.headers}
        headers["content-type"] = "application/x-protobuf"
        if self._destination.gzip:
            headers["content-encoding"] = "gzip"
        if self._destination.proxy and not self._destination.secure:
            # Without TLS there is no tunnel: the proxy reads the request, and needs the whole URL.
            return self._destination.url, {**headers, **self._destination.proxy_headers}
        return self._url._replace(scheme="", netloc="", fragment="").geturl() or "/", headers

    def _register_socket(self, connection: TimedSocket) -> None:
        """Note the socket that this thread is about to wait for, so that `close` can interrupt it."""
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the transport was closed")
            self._socket = connection

    def _discard_connection(self) -> None:
        """Close the connection; the next request opens another. Only the holder of `_sending` may call this."""
        connection, self._connection = self._connection, None
        # First forget the socket, then close it, so that a `close` in another thread never uses a closed socket.
        with self._lock:
            self._socket = None
        if connection is not None:
            connection.close()

    def _create_locks_and_resolver(self) -> None:
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._resolver = Resolver(urlsplit(self._next_hop).hostname or "", port_of(self._next_hop))

    def _reset_in_child(self) -> None:
        """Start again without a connection, in the child of a fork; the parent keeps its connection.

        Only the descriptor is closed, which sends nothing: an orderly end of TLS would end the parent's connection too.
        The objects around it are not closed, and the locks are replaced, because another thread of the parent may have
        held them at the fork, and no thread of the child would ever release them.
        """
        if self._socket is not None and (descriptor := self._socket.detach()) >= 0:
            os.close(descriptor)
        self._connection = self._socket = None
        self._create_locks_and_resolver()


class _HeaderReader(io.BufferedReader):
    """Reads a response. The end of the connection in the middle of its headers is an error.

    `http.client` takes it for the end of the headers: a success that was cut there would be believed, and have no body.

    Attributes:
        is_in_headers: True while the headers are read.
    """

    is_in_headers = False

    def readline(self, size: int | None = -1) -> bytes:
        """Read a line.

        Raises:
            RemoteDisconnected: The connection ended before the headers did.
        """
        line = super().readline(size)
        if self.is_in_headers and not line.endswith(b"\n") and len(line) != size:
            raise RemoteDisconnected("the connection ended in the headers of the response")
        return line


class _FinalResponse(HTTPResponse):
    """A response, after any number of interim ones.

    A server may send interim responses (103 Early Hints, 102 Processing) before the one that counts (RFC 9110, 15.2).
    `http.client` skips 100 Continue only. 101 is no interim response: it ends HTTP on the connection.
    """

    def begin(self) -> None:
        """Read the status and the headers.

        Raises:
            RemoteDisconnected: The connection ended before the headers did.
        """
        reader = self.fp = _HeaderReader(self.fp.detach())
        super().begin()
        reader.is_in_headers = False

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MAX_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # private; also called by `begin`
            if status not in _INTERIM:
                self.fp.is_in_headers = True  # type: ignore[attr-defined]  # see `begin`
                return version, status, reason
            parse_headers(self.fp)
        raise HTTPException("too many interim responses")


class _ProxyError(OSError):
    """The proxy did not open a tunnel to the server."""


def _read_body(response: HTTPResponse) -> bytes:
    """Return the body, cut after the allowed size and one byte (which shows that it is too large).

    A success must be complete, because it may be a partial success. For an error, the status is enough.
    """
    try:
        body = response.read(MAX_RESPONSE_BYTES + 1)
        # read(n) of http.client does not report a body that ends too early.
        if response.length and len(body) <= MAX_RESPONSE_BYTES:
            raise IncompleteRead(body, response.length)
    except (OSError, HTTPException):
        if response.status in _SUCCESS:
            raise
        return b""
    return body


def _decoded(body: bytes, encoding: str) -> bytes:
    """Return the body without its compression, cut as in `_read_body`.

    We ask for none (`http.client` sends ``Accept-Encoding: identity``), but some proxies compress all the same.

    Raises:
        ValueError: It cannot be decoded, or ends too early. Its bytes may look like a message of OTLP with unknown fields, which
            is a full success, and so may the part that can be decoded.
    """
    coding = encoding.strip().lower()
    if not body or coding not in _COMPRESSIONS:
        return body
    if coding not in _SUPPORTED:
        raise ValueError(f"compressed ({coding}), which was not asked for")
    # 32: both formats, gzip and zlib, are recognized by their headers.
    decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        decoded = decoder.decompress(body, MAX_RESPONSE_BYTES + 1)
    except zlib.error:
        raise ValueError(f"not in its encoding ({coding})") from None
    if len(decoded) <= MAX_RESPONSE_BYTES and (not decoder.eof or decoder.unused_data):
        raise ValueError(f"not one complete stream of its encoding ({coding})")
    return decoded


def _tls_context(destination: Destination) -> ssl.SSLContext:
    try:
        context = destination.tls_context()
    except OSError as error:
        raise ssl.SSLError(f"the certificates cannot be loaded: {error.strerror}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _reason_of(error: Exception) -> Reason:
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    # An end of the connection inside TLS is an SSLError too, but it means a lost connection.
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Reason.TLS
    return Reason.PROXY if isinstance(error, _ProxyError) else Reason.CONNECTION


def _safe_text(error: Exception) -> str:
    """Return a description of the error without data: the text of an `HTTPException` may quote what was sent."""
    return str(error) if isinstance(error, OSError) else type(error).__name__
