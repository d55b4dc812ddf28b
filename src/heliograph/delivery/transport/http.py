"""OTLP over HTTP: a kept-alive connection of `http.client`, and one deadline for all of a request.

Source: OTLP specification, OTLP/HTTP.
"""

from __future__ import annotations

import base64
import gzip
import os
import ssl
import threading
from datetime import datetime, timezone
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from heliograph.delivery.transport.connect import Resolver, TimedSocket, connect, over_tls
from heliograph.delivery.transport.destination import Destination
from heliograph.delivery.transport.endpoint import port_of
from heliograph.delivery.transport.response import MAX_RESPONSE_BYTES
from heliograph.delivery.transport.verdict import (
    Reason,
    Verdict,
    check_request_size,
    no_response,
    verdict_from_http,
)
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.version import __version__

USER_AGENT: Final = f"heliograph/{__version__}"

_SUCCESS: Final = range(200, 300)
_GZIP_LEVEL: Final = 6  # zlib's own default, which is gRPC's too; 9 costs twice the time for one percent


class HttpTransport:
    """Sends over HTTP/1.1, one request after the other; for several at once, take several transports.

    Args:
        destination: Where to. Its certificates are read anew for each connection.
    """

    usual_limit_bytes = 20 * 1024 * 1024

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self._secrets = (*destination.secrets, *_proxy_headers(urlsplit(destination.proxy or "")).values())
        self._url = urlsplit(destination.url)
        self._next_hop = destination.proxy or destination.url
        self._target, self._headers = self._request_head()
        self._closed = False
        self._connection: HTTPConnection | None = None
        self._socket: TimedSocket | None = None
        self._begin()
        after_fork_in_child(self._begin_in_child)

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        """What the server made of the request; see `heliograph.delivery.transport.open.Transport`."""
        if (too_large := check_request_size(body)) is not None:
            return too_large
        deadline = Deadline(timeout_seconds * 1000)
        if not self._sending.acquire(timeout=deadline.remaining() / 1000):
            return no_response(Reason.TIMEOUT, "another request was under way")
        try:
            return self._exchange(body, deadline)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a name that no host can have
            self._drop()
            return no_response(Reason.CANCELLED if self._closed else _reason(error), _words(error), self._secrets)
        finally:
            self._sending.release()

    def close(self) -> None:
        """End; a request that is under way is cancelled."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                self._socket.interrupt()
        self._resolver.cancel()
        with self._sending:
            self._drop()

    def _exchange(self, body: bytes, deadline: Deadline) -> Verdict:
        data = gzip.compress(body, _GZIP_LEVEL, mtime=0) if self._destination.gzip else body
        connection = self._connected(deadline)
        try:
            connection.request("POST", self._target, data, self._headers)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            # Who refuses a large request may close before it has all of it; what it said is there to be read.
            response = connection.getresponse()
            if response.status in _SUCCESS:
                response.close()
                raise
        else:
            response = connection.getresponse()
        return self._judge(response)

    def _judge(self, response: HTTPResponse) -> Verdict:
        with response:
            body = _read(response)
            if response.will_close or not response.isclosed():
                self._drop()
        headers = {name.lower(): value for name, value in response.headers.items()}
        now = datetime.now(timezone.utc)
        return verdict_from_http(response.status, headers, body, now=now, secrets=self._secrets)

    def _connected(self, deadline: Deadline) -> HTTPConnection:
        if self._connection is not None and self._socket is not None and self._socket.is_idle():
            self._socket.deadline = deadline
            return self._connection
        self._drop()
        self._connection = HTTPConnection(self._url.hostname or "", port_of(self._destination.url))
        self._connection.auto_open = 0  # it would connect without a deadline
        self._connection.sock = self._connect(deadline)
        return self._connection

    def _connect(self, deadline: Deadline) -> TimedSocket:
        connection = connect(self._resolver.addresses(deadline), deadline, self._waits_for)
        if not self._destination.secure:
            return connection
        try:
            if self._destination.proxy:
                self._open_tunnel(connection, urlsplit(self._destination.proxy))
            context = _tls_context(self._destination)
        except (OSError, HTTPException):
            connection.close()
            raise
        return over_tls(connection, context, self._url.hostname or "", self._waits_for)

    def _open_tunnel(self, connection: TimedSocket, proxy: SplitResult) -> None:
        host = self._url.hostname or ""
        authority = f"{f'[{host}]' if ':' in host else host}:{port_of(self._destination.url)}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", f"User-Agent: {USER_AGENT}"]
        lines += [f"{name}: {value}" for name, value in _proxy_headers(proxy).items()]
        connection.sendall("\r\n".join([*lines, "\r\n"]).encode())
        with HTTPResponse(connection, method="CONNECT") as response:
            response.begin()
            if response.status not in _SUCCESS:
                raise _ProxyRefused(f"the proxy says HTTP {response.status}")

    def _request_head(self) -> tuple[str, dict[str, str]]:
        headers = {"host": self._url.netloc, "user-agent": USER_AGENT, **self._destination.headers}
        headers["content-type"] = "application/x-protobuf"
        if self._destination.gzip:
            headers["content-encoding"] = "gzip"
        if self._destination.proxy and not self._destination.secure:
            return self._destination.url, {**headers, **_proxy_headers(urlsplit(self._destination.proxy))}
        return self._url._replace(scheme="", netloc="", fragment="").geturl() or "/", headers

    def _waits_for(self, connection: TimedSocket) -> None:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the transport was closed")
            self._socket = connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        with self._lock:
            self._socket = None
        if connection is not None:
            connection.close()

    def _begin(self) -> None:
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._resolver = Resolver(urlsplit(self._next_hop).hostname or "", port_of(self._next_hop))

    def _begin_in_child(self) -> None:
        """Leave the parent its connection: the descriptor is closed here without a word to the server.

        The objects above it are not closed: a thread of the parent may hold their locks, which nobody frees here.
        """
        if self._socket is not None and (descriptor := self._socket.detach()) >= 0:
            os.close(descriptor)
        self._connection = self._socket = None
        self._begin()


class _ProxyRefused(OSError):
    """The proxy opens no way to the destination."""


def _read(response: HTTPResponse) -> bytes:
    """The body, or a byte more than is allowed. Of an error that is cut short the status is enough."""
    try:
        body = response.read(MAX_RESPONSE_BYTES + 1)
        if response.length and len(body) <= MAX_RESPONSE_BYTES:
            raise IncompleteRead(body, response.length)
    except (OSError, HTTPException):
        if response.status in _SUCCESS:
            raise
        return b""
    return body


def _tls_context(destination: Destination) -> ssl.SSLContext:
    try:
        context = destination.tls_context()
    except OSError as error:
        raise ssl.SSLError(f"the certificates cannot be used: {error.strerror}") from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def _reason(error: Exception) -> Reason:
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Reason.TLS
    return Reason.PROXY if isinstance(error, _ProxyRefused) else Reason.CONNECTION


def _words(error: Exception) -> str:
    """What may be said of it: the texts of other errors can have what was sent in them."""
    return str(error) if isinstance(error, OSError) else type(error).__name__
