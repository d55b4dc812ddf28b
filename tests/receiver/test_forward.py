"""Requests that are forwarded over HTTP pass unchanged, and the answer is the target's."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from backends import free_port
from heliograph.receiver import http_target as http_target_module
from heliograph.receiver.http_body import PROTOBUF
from heliograph.receiver.http_target import HttpTarget
from heliograph.receiver.memory import Memory
from heliograph.receiver.server import HttpServer
from heliograph.receiver.target import Target
from receiver.forwarded import BODY, PARTIAL_SUCCESS, Kept
from receiver.requests import log_request
from threads import join


class WebTarget:
    """A server that keeps what it gets, and answers what the test says."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, {"Content-Type": PROTOBUF}, b""
        self.closes = False
        self.requests: list[tuple[str, list[tuple[str, str]], bytes]] = []
        self.clients: list[Any] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                target.requests.append((self.path, self.headers.items(), content))
                target.clients.append(self.client_address)
                self.send_response_only(target.status)
                for name, value in {**target.headers, "Content-Length": str(len(target.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(target.body)
                self.close_connection = target.closes  # without a word to the client

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()


@pytest.fixture
def web() -> Iterator[WebTarget]:
    """A target over HTTP."""
    target = WebTarget()
    yield target
    target.server.shutdown()
    target.server.server_close()
    join(target.thread)


@contextmanager
def forwarding(
    url: str, kept: Kept | None = None, memory: Memory | None = None
) -> Iterator[http.client.HTTPConnection]:
    """Run a server that forwards to the URL, and yield a connection to it."""
    kept = Kept() if kept is None else kept
    with (
        closing(HttpTarget(Target.from_url(url))) as target,
        HttpServer(kept, target=target, missed=kept.missed.append, memory=memory) as server,
    ):
        with closing(http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=60)) as connection:
            yield connection


def post(
    connection: http.client.HTTPConnection, body: Any, path: str = "/v1/logs", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Send a request, and return status, headers and body of the answer."""
    sent = {"Content-Type": PROTOBUF, **{name.replace("_", "-"): value for name, value in headers.items()}}
    connection.request("POST", path, body, sent)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


@pytest.mark.parametrize(("body", "encoding"), [(BODY, ""), (gzip.compress(BODY), "gzip")])
def test_request_over_http_passes_unchanged(web: WebTarget, body: bytes, encoding: str) -> None:
    """Every byte of it, unknown fields and compression included, and the headers. It is kept as well."""
    kept = Kept()
    headers = {"Authorization": "Bearer x", "Content_Encoding": encoding} if encoding else {"Authorization": "Bearer x"}
    with forwarding(f"{web.url}/otlp", kept) as connection:
        assert post(connection, body, **headers, Connection="x-hop", x_hop="1")[0] == 200

    [(path, got, content)] = web.requests
    assert (path, content) == ("/otlp/v1/logs", body)
    names = {name.lower(): value for name, value in got}
    assert names["authorization"] == "Bearer x"
    assert names["content-type"] == PROTOBUF
    assert names.get("content-encoding", "") == encoding
    assert names["host"] == urlsplit(web.url).netloc
    assert "x-hop" not in names
    assert kept == [ExportLogsServiceRequest.FromString(BODY)]


def test_answer_over_http_is_that_of_the_target(web: WebTarget) -> None:
    """Status, headers and body: a partial success, a request to wait, and a refusal."""
    kept = Kept()
    with forwarding(web.url, kept) as connection:
        web.body = PARTIAL_SUCCESS
        assert post(connection, BODY)[2] == PARTIAL_SUCCESS
        web.status, web.headers, web.body = 429, {"Retry-After": "7", "X-More": "y"}, b"slow down"
        status, headers, body = post(connection, BODY)

    assert (status, headers["Retry-After"], headers["X-More"], body) == (429, "7", "y", b"slow down")
    assert len(kept) == 1


def test_requests_that_are_not_understood_pass_too(web: WebTarget) -> None:
    """The target may know more: other paths, chunks, and other encodings."""
    kept = Kept()
    with forwarding(web.url, kept) as connection:
        assert post(connection, b"\xff", "/v1development/profiles?a=b")[0] == 200
        assert post(connection, b"\xff", Content_Encoding="zstd")[0] == 200
        assert post(connection, iter([BODY[:3], BODY[3:]]))[0] == 200

    assert [path for path, _, _ in web.requests] == ["/v1development/profiles?a=b", "/v1/logs", "/v1/logs"]
    assert [content for _, _, content in web.requests] == [b"\xff", b"\xff", BODY]
    assert (len(kept), [str(error).partition(",")[0] for error in kept.missed]) == (
        1,
        ["send to /v1/logs", "send the content encoding gzip"],
    )


def test_accepted_request_that_cannot_be_kept_is_not_asked_for_again(web: WebTarget) -> None:
    """There is no memory to decompress it for this command, or it fails, but the target has accepted it."""
    kept = Kept()
    content = gzip.compress(log_request("app.one", text="x" * 10_000).SerializeToString())
    with forwarding(web.url, kept, Memory(max_bytes=5_000)) as connection:
        assert post(connection, content, Content_Encoding="gzip")[0] == 200
        kept.error = OSError("no space")
        assert post(connection, BODY)[0] == 200

    assert [body for _, _, body in web.requests] == [content, BODY]
    assert (kept, [str(error) for error in kept.missed]) == ([], ["other requests use all the memory", "no space"])


@pytest.mark.parametrize("path", ["http://127.0.0.2/v1/logs", "/\xff"])
def test_odd_paths_are_answered(web: WebTarget, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request with an odd path is refused, and not sent to the target."""
    monkeypatch.setattr(http.client.HTTPConnection, "_encode_request", lambda self, request: request.encode("latin-1"))
    with forwarding(web.url) as connection:
        assert post(connection, BODY, path)[0] == 400
    assert web.requests == []


def test_target_over_http_that_is_away() -> None:
    """The client is asked to keep the request."""
    kept = Kept()
    with forwarding(f"http://127.0.0.1:{free_port()}", kept) as connection:
        status, headers, body = post(connection, BODY)

    assert (status, headers["Retry-After"], kept) == (503, "1", [])
    assert Status.FromString(body).message == "the target of the receiver does not respond: ConnectionRefusedError"


def test_target_that_answers_too_much(web: WebTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is asked to keep the request, over a new connection and over one that was used before."""
    monkeypatch.setattr(http_target_module, "MAX_RESPONSE_BYTES", 3)
    with forwarding(web.url) as connection:
        for body, status in ((b"1234", 503), (b"123", 200), (b"1234", 503)):
            web.body = body
            assert post(connection, BODY)[0] == status


def test_target_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is asked to keep the request."""
    monkeypatch.setattr(http_target_module, "TARGET_TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with forwarding(f"http://127.0.0.1:{silent.getsockname()[1]}") as connection:
            assert post(connection, BODY)[0] == 503


def test_connection_that_the_target_closes_is_replaced(web: WebTarget) -> None:
    """A request is sent once more over a new one."""
    web.closes = True
    with forwarding(web.url) as connection:
        assert [post(connection, BODY)[0] for _ in range(5)] == [200] * 5


@pytest.mark.parametrize(("limit", "connections"), [(0, 3), (1, 1)])
def test_connections_beyond_the_limit_are_closed(
    web: WebTarget, limit: int, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connections within the limit are used for the next request."""
    monkeypatch.setattr(http_target_module, "MAX_IDLE", limit)
    with forwarding(web.url) as connection:
        assert [post(connection, BODY)[0] for _ in range(3)] == [200] * 3
    assert len(set(web.clients)) == connections


def test_target_over_tls_is_verified(web: WebTarget) -> None:
    """A server without TLS, or with a certificate of an unknown authority, counts as unreachable."""
    with forwarding(web.url.replace("http:", "https:")) as connection:
        assert post(connection, BODY)[0] == 503
