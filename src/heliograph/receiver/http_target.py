"""Forward requests over HTTP. Bodies and headers are passed on unchanged in both directions, except for hop-by-hop headers.

Threads: any thread may call `HttpTarget.send`. `_lock` guards `_idle`, the connections that wait for their next request. A connection
in use belongs to the thread that sends over it.
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from heliograph.receiver.contract import NotKept
from heliograph.receiver.target import MAX_RESPONSE_BYTES, TARGET_TIMEOUT_SECONDS, Target, passed_headers

MAX_IDLE: Final = 16
"""The number of connections that are kept for later requests."""


@dataclass(frozen=True, kw_only=True)
class HttpResponse:
    """A response: the target's, or the receiver's own.

    Attributes:
        status: The HTTP status.
        headers: The headers, without hop-by-hop headers and the length.
        body: The body, in the content encoding that the headers name.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class HttpTarget:
    """A server that requests are forwarded to.

    Args:
        target: Its address.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def send(self, path: str, headers: Iterable[tuple[str, str]], body: bytes) -> HttpResponse:
        """Send a request, and return the response, whatever its status is.

        Raises:
            NotKept: The target cannot be reached, or does not respond in time.
        """
        while (connection := self._take_idle()) is not None:
            try:
                return self._exchange(connection, path, headers, body)
            except ConnectionError:
                # The target has closed this idle connection, as servers do after some time. Others may be open.
                pass
            except (OSError, http.client.HTTPException) as error:
                raise _no_response(error) from error
        try:
            return self._exchange(self._new_connection(), path, headers, body)
        except (OSError, http.client.HTTPException) as error:
            raise _no_response(error) from error

    def _exchange(
        self, connection: http.client.HTTPConnection, path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> HttpResponse:
        try:
            self._request(connection, path, headers, body)
            response = connection.getresponse()
            content = _content(response)
        except BaseException:
            connection.close()
            raise
        self._put_idle(connection)
        return HttpResponse(status=response.status, headers=passed_headers(response.getheaders()), body=content)

    def _request(
        self, connection: http.client.HTTPConnection, path: str, headers: Iterable[tuple[str, str]], body: bytes
    ) -> None:
        connection.putrequest("POST", self._target.path + path, skip_accept_encoding=True)
        for name, value in passed_headers(headers):
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)

    def _new_connection(self) -> http.client.HTTPConnection:
        host, port = self._target.host, self._target.port
        if self._target.scheme == "https":
            return http.client.HTTPSConnection(
                host, port, timeout=TARGET_TIMEOUT_SECONDS, context=ssl.create_default_context()
            )
        return http.client.HTTPConnection(host, port, timeout=TARGET_TIMEOUT_SECONDS)

    def _take_idle(self) -> http.client.HTTPConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _put_idle(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _content(response: http.client.HTTPResponse) -> bytes:
    content = response.read(MAX_RESPONSE_BYTES)
    if not response.isclosed() and response.read(1):
        raise http.client.HTTPException("the response is too large")
    # `read` with a limit raises nothing if the connection ends before these bytes.
    if response.length:
        raise http.client.IncompleteRead(content, response.length)
    return content


def _no_response(error: Exception) -> NotKept:
    return NotKept(f"the target of the receiver does not respond: {type(error).__name__}")
