"""Requests that are sent on over HTTP: connections are used again, and a target that misbehaves is one that does not respond."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from heliograph.receiver.contract import NotKept
from heliograph.receiver.http_target import HttpResponse, HttpTarget
from heliograph.receiver.target import Target
from threads import join

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Scripted:
    """A server that answers each request with the next bytes of a script, and closes connections as they say.

    Attributes:
        url: Its URL.
        requests: The requests of each connection.
    """

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/below"
        self.requests: list[list[bytes]] = []
        self._thread.start()

    def close(self) -> None:
        join(self._thread)
        self._listener.close()

    def _serve(self) -> None:
        while self._answers:
            client, _ = self._listener.accept()
            self.requests.append([])
            with client:
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        while self._answers:
            request = client.recv(65_536)
            while request and not request.endswith(b"body"):
                request += client.recv(65_536)
            if not request:
                return
            self.requests[-1].append(request)
            answer = self._answers.pop(0)
            client.sendall(answer)
            if answer != OK:
                return


@contextmanager
def target_of(*answers: bytes) -> Iterator[tuple[Scripted, HttpTarget]]:
    with closing(Scripted(list(answers))) as server, closing(HttpTarget(Target.from_url(server.url))) as target:
        yield server, target


def send(target: HttpTarget, *headers: tuple[str, str]) -> HttpResponse:
    return target.send("/v1/logs", headers, b"body")


def test_request_has_its_headers_and_the_length_of_its_body() -> None:
    """Headers of one connection are not passed on. No header is added that the client did not send."""
    with target_of(OK) as (server, target):
        headers = [("X-More", "a"), ("x-more", "b"), ("Connection", "x-hop"), ("X-Hop", "c"), ("Content-Length", "99")]
        response = send(target, *headers)
    host = server.url.removeprefix("http://").partition("/")[0]
    lines = ["POST /below/v1/logs HTTP/1.1", f"Host: {host}", "X-More: a", "x-more: b", "Content-Length: 4", "", "body"]
    assert server.requests == [["\r\n".join(lines).encode()]]
    assert response == HttpResponse(status=200, headers=[], body=b"ok")


def test_connection_is_used_again_until_the_target_closes_it() -> None:
    """Another connection is opened then, and also after it was closed here."""
    with target_of(OK, OK, CLOSING, OK, OK) as (server, target):
        assert [send(target).status for _ in range(4)] == [200] * 4
        target.close()
        assert send(target).body == b"ok"
    assert [len(each) for each in server.requests] == [3, 1, 1]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-More: a\r\n\r\n2\r\no\x00\r\n1\r\nk\r\n0\r\n\r\n",
            HttpResponse(status=200, headers=[("X-More", "a")], body=b"o\x00k"),
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", HttpResponse(status=200, headers=[], body=b"until the end")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", HttpResponse(status=204, headers=[], body=b"")),
        (
            b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            HttpResponse(status=307, headers=[("Location", "http://127.0.0.1:1/")], body=b""),
        ),
    ],
)
def test_answer_is_that_of_the_target(answer: bytes, expected: HttpResponse) -> None:
    """Any way to give the length of an answer is read. A redirect is not followed: credentials would go to another server."""
    with target_of(answer) as (_, target):
        assert send(target) == expected


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "RemoteDisconnected"),
        (b"SSH-2.0-OpenSSH\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nok", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "IncompleteRead"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", "LineTooLong"),
    ],
)
def test_answer_that_is_none(answer: bytes, error: str) -> None:
    """The client keeps its request. Nothing of the answer is quoted."""
    with target_of(answer) as (_, target), pytest.raises(NotKept) as raised:
        send(target)
    assert str(raised.value) == f"the target of the receiver does not respond: {error}"
