"""The query API of a backend, asked over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from backends import free_port
from heliograph.doctor import query_api
from heliograph.doctor.query_api import QueryApi, QueryError
from servers import serving_in_thread

PATHS: list[str] = []
AUTHORIZATION: list[str | None] = []


@contextmanager
def serving(status: int, media_type: str, *parts: bytes, pause: threading.Event | None = None) -> Iterator[str]:
    """Run a server with one answer, whose parts it sends one after the other."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            PATHS.append(self.path)
            AUTHORIZATION.append(self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()
            with suppress(OSError):  # a client that has enough closes the connection
                for part in parts:
                    self.wfile.write(part)
                    if pause is not None:
                        pause.wait(0.05)

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving_in_thread(server):
        yield f"http://127.0.0.1:{server.server_port}/"


def get(url: str) -> Any:
    return QueryApi(url).get("/api", {"query": 'a="b"'})


def test_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON, lines of JSON, a page, and 404 are answers. A proxy of the environment is not used for this host."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with serving(200, "application/json", b'{"a": ', b"1}") as url:
        assert get(url) == {"a": 1}
    with serving(200, "application/stream+json", b'{"a": 1}\n\n{"a": 2}\n') as url:
        assert get(url) == [{"a": 1}, {"a": 2}]
    with serving(200, "text/html", b"<html>") as url:
        assert get(url) is None
    with serving(404, "text/plain", b"no") as url:
        assert get(url) is None
    assert PATHS[-1] == "/api?query=a%3D%22b%22"


def test_credentials() -> None:
    """User and password of the URL are sent as Basic authentication, and headers as they are. Neither follows a redirect."""
    with serving(200, "application/json", b"1") as url:
        named = url.replace("http://", "http://me:p%40ss@")
        assert (get(named), AUTHORIZATION[-1]) == (1, "Basic bWU6cEBzcw==")
        assert QueryApi(named, {"authorization": "Bearer canary"}).get("/api", {}) == 1
        assert AUTHORIZATION[-1] == "Bearer canary"
        assert (get(url), AUTHORIZATION[-1]) == (1, None)
    with serving(302, "text/html") as url:
        with pytest.raises(QueryError, match=r"^HTTP 302$"):
            get(url.replace("http://", "http://me:canary@"))
        assert PATHS[-1].startswith("/api")
        with pytest.raises(QueryError):  # an endless one
            get(url)
        assert PATHS[-1] == "/elsewhere"


def test_errors() -> None:
    """The message has no text of the server."""
    with serving(401, "text/plain", b"canary") as url, pytest.raises(QueryError, match=r"^HTTP 401$") as refused:
        get(url)
    assert refused.value.status == 401
    with pytest.raises(QueryError, match="Connection refused"):
        get(f"http://127.0.0.1:{free_port()}")
    for url in ("localhost:9428", "http://", "ftp://localhost"):
        with pytest.raises(QueryError, match="has to begin with http"):
            get(url)
    for url in ("http://[::1", "http://me:canary@localhost:x", "http://localhost:65536"):
        with pytest.raises(QueryError, match=r"^the URL cannot be used$"):
            get(url)


def test_answer_that_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long answer is cut in size, and a slow one is given up in time."""
    monkeypatch.setattr(query_api, "TIMEOUT_SECONDS", 0.2)
    with serving(200, "application/json", *[b" "] * 100, pause=threading.Event()) as url:
        with pytest.raises(QueryError, match="TimeoutError"):
            get(url)
    monkeypatch.undo()
    monkeypatch.setattr(query_api, "MAX_BYTES", 4)
    monkeypatch.setattr(query_api, "_PART_BYTES", 2)
    with serving(200, "application/json", b'{"a": 1}') as url:
        assert get(url) is None
