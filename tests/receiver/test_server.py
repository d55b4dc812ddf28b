"""The receiver accepts OTLP over HTTP, and rejects requests that it does not understand."""

from __future__ import annotations

import gzip
import http.client
import socket
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from backends import wait_until
from heliograph.receiver import server as server_module
from heliograph.receiver.contract import NotKept
from heliograph.receiver.http_body import JSON, PROTOBUF
from heliograph.receiver.memory import Memory
from heliograph.receiver.server import IDLE_TIMEOUT_SECONDS, HttpServer, receiving
from heliograph.receiver.shared_transactions import SharedTransactions
from heliograph.receiver.signals import MAX_REQUEST_BYTES, OtlpRequest
from heliograph.receiver.store import Store
from receiver.requests import log_request
from threads import LIMIT_SECONDS, join, result_in_time


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store for the receiver."""
    return Store(tmp_path / "store.db")


@pytest.fixture
def endpoint(store: Store) -> Iterator[str]:
    """The endpoint of a running receiver."""
    with receiving(store) as endpoint:
        yield endpoint


def body(name: str = "app.one") -> bytes:
    """Return a request with one log record."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    return request.SerializeToString()


def post(endpoint: str, content: bytes, path: str = "/v1/logs", **headers: str) -> tuple[int, str | None, bytes]:
    """Send a request, and return status, content type and body of the response."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
    sent = {"Content-Type": PROTOBUF, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with closing(connection):
        connection.request("POST", path, content, sent)
        response = connection.getresponse()
        return response.status, response.getheader("Content-Type"), response.read()


def count(store: Store) -> int:
    """Return the number of stored log records."""
    found: int = store.rows("select count(*) from events")[0][0]
    return found


def test_it_listens_on_the_loopback(endpoint: str) -> None:
    """Other machines cannot reach the receiver."""
    assert urlsplit(endpoint).hostname == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", urlsplit(endpoint).port or 0), timeout=10)


@pytest.mark.parametrize("content_type", [PROTOBUF, f"{PROTOBUF}; charset=utf-8"])
def test_log_records_are_stored_before_the_response(endpoint: str, store: Store, content_type: str) -> None:
    """The response is 200 with an empty OTLP message, and the record is in the store by then."""
    status, response_type, content = post(endpoint, body(), Content_Type=content_type)

    assert (status, response_type) == (200, PROTOBUF)
    assert ExportLogsServiceResponse.FromString(content) == ExportLogsServiceResponse()
    assert count(store) == 1


def test_compressed_request_is_accepted(endpoint: str, store: Store) -> None:
    assert post(endpoint, gzip.compress(body()), Content_Encoding="gzip")[0] == 200
    assert count(store) == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_empty_request_is_accepted(endpoint: str, path: str) -> None:
    """Each signal has its own path, and a body without content is a valid request."""
    assert post(endpoint, b"", path)[0] == 200


@pytest.mark.parametrize(
    ("status", "path", "content", "headers"),
    [
        (404, "/v1/nothing", body(), {}),
        (404, "/", body(), {}),
        (415, "/v1/logs", body(), {"Content_Type": "text/plain"}),
        (415, "/v1/logs", body(), {"Content_Encoding": "zstd"}),
        (400, "/v1/logs", b"\xff garbage", {}),
        (400, "/v1/logs", b"not gzip", {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:-6], {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:12] + b"\xff" * 20, {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:10] + b"\xff" * 20, {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", b"[" * 100_000, {"Content_Type": JSON}),
        (413, "/v1/logs", b"", {"Content_Length": str(MAX_REQUEST_BYTES + 1)}),
        (413, "/v1/logs", b"", {"Content_Length": "9" * 18}),
        (413, "/v1/logs", gzip.compress(bytes(MAX_REQUEST_BYTES + 1), 1), {"Content_Encoding": "gzip"}),
        (431, "/v1/logs", body(), {"X_Long": "x" * 70_000}),
        (431, "/v1/logs", body(), {f"X_{number}": "x" for number in range(200)}),
        (501, "/v1/logs", body(), {"Transfer_Encoding": "gzip"}),
        (414, "/" + "x" * 70_000, body(), {}),
        (400, "/v1/logs", b"", {"Content_Length": "-1"}),
        (400, "/v1/logs", b"", {"Content_Length": "many"}),
    ],
)
def test_request_that_is_not_understood_is_rejected(
    endpoint: str, store: Store, *, status: int, path: str, content: bytes, headers: dict[str, str]
) -> None:
    """The status names the problem, nothing is stored, and the next request is accepted."""
    assert post(endpoint, content, path, **headers)[0] == status
    assert count(store) == 0
    assert post(endpoint, body())[0] == 200


def test_requests_at_the_same_time_are_all_stored(endpoint: str, store: Store) -> None:
    """Each client has a thread of its own in the server."""
    threads = [threading.Thread(target=lambda: [post(endpoint, body()) for _ in range(10)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert count(store) == 50


def test_request_that_is_being_stored_is_finished_before_the_block_ends(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class SlowStore(Store):
        def add(self, request: OtlpRequest) -> None:
            begun.set()
            may_end.wait()
            super().add(request)

    store = SlowStore(tmp_path / "store.db")
    with receiving(store) as endpoint:
        client = threading.Thread(target=post, args=(endpoint, body()))
        client.start()
        assert begun.wait(10)
        threading.Timer(0.2, may_end.set).start()

    assert count(store) == 1
    join(client)


@pytest.mark.parametrize(
    "sent", [b"", b"POST /v1/logs HTTP/1.1\r\nX: y", b"POST /v1/logs HTTP/1.1\r\nContent-Length: 5\r\n\r\nx"]
)
def test_silent_client_is_disconnected(store: Store, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    """The block ends although the client never sends the rest of its request."""
    monkeypatch.setattr("heliograph.receiver.server.CLIENT_TIMEOUT_SECONDS", 0.2)
    with receiving(store) as endpoint:
        client = socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0))
        client.sendall(sent)
        last_resort = threading.Timer(60, client.shutdown, [socket.SHUT_RDWR])
        last_resort.start()

    assert not last_resort.finished.is_set()
    last_resort.cancel()
    client.close()


def test_port_is_closed_after_the_block(store: Store) -> None:
    """A client cannot connect any more, and no thread is left."""
    with receiving(store) as endpoint:
        pass

    with pytest.raises(ConnectionRefusedError):
        post(endpoint, body())
    assert "heliograph-receiver" not in [thread.name for thread in threading.enumerate()]


def raw(endpoint: str, content: bytes) -> bytes:
    """Send bytes, and return everything that the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0), timeout=30) as client:
        client.sendall(content)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def head(*lines: str) -> bytes:
    """Return the head of a request for log records."""
    return "\r\n".join(["POST /v1/logs HTTP/1.1", "Host: x", f"Content-Type: {PROTOBUF}", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, head("Content-Length: 5", "Content-Length: 6") + b"123456"),
        (400, head("Content-Length: +5") + b"12345"),
        (400, head("Content-Length: 500") + b"12345"),
        (400, head("Transfer-Encoding: chunked") + b"-5\r\n12345"),
        (400, head("Transfer-Encoding: chunked") + b"many\r\n12345"),
        (400, head("Transfer-Encoding: chunked") + b"2\r\n12345\r\n0\r\n\r\n"),
        (400, head("Transfer-Encoding: chunked") + b"5\r\n123"),
        (413, head("Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFF\r\n12345"),
        (431, head("Transfer-Encoding: chunked") + b"0\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
        (400, head("no header", "Content-Length: 5") + b"12345"),
        (400, head("Content-Length : 5") + b"12345"),
        (400, b"POST /v1/logs HTTP/1.1\r\n folded: x\r\nContent-Length: 5\r\n\r\n12345"),
        (400, b"no http at all\r\n\r\n"),
        (400, b"\r\n\r\n"),
        (400, b"POST /v1/logs HTTP/x\r\n\r\n"),
        (405, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        (501, b"DELETE /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n"),
        (501, b"HEAD /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n"),
        (505, b"POST /v1/logs HTTP/2.0\r\nHost: x\r\n\r\n"),
    ],
)
def test_odd_http_is_answered(endpoint: str, store: Store, *, status: int, content: bytes) -> None:
    """There is one response, with a status of the client's fault, and then the connection is closed."""
    responses = raw(endpoint, content)

    assert responses.split()[:2] == [b"HTTP/1.1", str(status).encode()]
    assert responses.count(b"HTTP/1.1") == 1
    assert count(store) == 0


def test_response_to_head_has_no_body(endpoint: str) -> None:
    """The response has the headers of an error alone."""
    assert raw(endpoint, b"HEAD /v1/logs HTTP/1.1\r\nHost: x\r\n\r\n").endswith(b"\r\n\r\n")


def test_client_that_stops_in_the_middle_of_a_request_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request stays open for longer."""
    monkeypatch.setattr(server_module, "CLIENT_TIMEOUT_SECONDS", 0.1)
    with HttpServer(lambda request: None) as server:
        port = urlsplit(server.endpoint).port or 0
        with socket.create_connection(("127.0.0.1", port), timeout=IDLE_TIMEOUT_SECONDS / 2) as client:
            client.sendall(head("Content-Length: 5") + b"123")
            assert client.recv(100).startswith(b"HTTP/1.1 408")


def test_response_during_the_end_closes_its_connection() -> None:
    """The client knows that it needs another connection for the next request."""
    has_begun, may_end = threading.Event(), threading.Event()

    def keep(_: OtlpRequest) -> None:
        has_begun.set()
        assert may_end.wait(60)

    with HttpServer(keep) as server:
        connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=60)
        with closing(connection):
            connection.request("POST", "/v1/logs", body(), {"Content-Type": PROTOBUF})
            assert has_begun.wait(60)
            ending = threading.Thread(target=server.close)
            ending.start()
            wait_until(lambda: server.is_closing, timeout_seconds=60)
            may_end.set()
            assert connection.getresponse().getheader("Connection") == "close"
        join(ending)


def test_body_in_chunks_is_accepted(endpoint: str, store: Store) -> None:
    """Chunks may have extensions, and headers may follow them."""
    content = body()
    chunks = b"%x;a=b\r\n%b\r\n%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (3, content[:3], len(content) - 3, content[3:])

    assert raw(endpoint, head("Transfer-Encoding: chunked") + chunks).startswith(b"HTTP/1.1 200")
    assert count(store) == 1


def test_empty_line_before_a_request_is_ignored(endpoint: str, store: Store) -> None:
    """Old clients send one after the body of the request before."""
    request = head(f"Content-Length: {len(body())}") + body()
    responses = raw(endpoint, b"\r\n" + request + b"\r\n" + request)

    assert responses.count(b"HTTP/1.1 200 OK") == 2
    assert count(store) == 2


def test_connection_is_kept_after_an_answer(endpoint: str, store: Store) -> None:
    """Errors that leave nothing unread keep the connection, too."""
    content = body()
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
    with closing(connection):
        for path, sent, status in (("/v1/logs", content, 200), ("/v1/x", content, 404), ("/v1/logs", b"\xff", 400)) * 2:
            connection.request("POST", path, sent, {"Content-Type": PROTOBUF})
            used = connection.sock
            response = connection.getresponse()
            response.read()
            assert (response.status, connection.sock) == (status, used)

    assert count(store) == 2


def test_client_that_waits_for_permission_gets_it(endpoint: str, store: Store) -> None:
    """Some clients send a large body only after `100 Continue`."""
    content = body()
    with socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0), timeout=30) as client:
        client.sendall(head(f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(content)
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_response_arrives_before_a_refused_body_was_sent(endpoint: str) -> None:
    """A client that sends all of a body that is too large still reads the response."""
    size = MAX_REQUEST_BYTES + 1
    with socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0), timeout=30) as client:
        client.sendall(head(f"Content-Length: {size}"))
        for _ in range(size // 65536):
            client.sendall(bytes(65536))
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_error_has_the_encoding_of_the_request(endpoint: str) -> None:
    """An error is a `Status` in JSON or in protobuf, as OTLP says."""
    assert post(endpoint, b"{", Content_Type=JSON)[1:] == (
        JSON,
        b'{"message": "the body is not an OTLP request: Expecting property name enclosed in double quotes: '
        b'line 1 column 2 (char 1)"}',
    )
    status, content_type, content = post(endpoint, b"\xff")
    assert (status, content_type) == (400, PROTOBUF)
    assert Status.FromString(content).message.startswith("the body is not an OTLP request: ")


def test_failure_to_keep_is_answered(tmp_path: Path) -> None:
    """The response names the class of the failure, and nothing of its message."""

    class BrokenStore(Store):
        def add(self, request: OtlpRequest) -> None:
            raise RuntimeError("secret")

    with receiving(BrokenStore(tmp_path / "store.db")) as endpoint:
        status, _, content = post(endpoint, body())

    assert (status, Status.FromString(content).message) == (500, "the request cannot be kept: RuntimeError")


def test_too_many_connections_are_refused_for_now(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The response asks the client to come back."""
    monkeypatch.setattr("heliograph.receiver.server.MAX_CONNECTIONS", 1)
    with receiving(store) as endpoint:
        first = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        with closing(first):
            first.request("POST", "/v1/logs", body(), {"Content-Type": PROTOBUF})
            first.getresponse().read()
            assert raw(endpoint, b"").startswith(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")


def test_idle_connections_do_not_delay_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block ends although clients keep their connections."""
    monkeypatch.setattr("heliograph.receiver.server._Handler.timeout", 2 * LIMIT_SECONDS)
    with ExitStack() as block:
        endpoint = block.enter_context(receiving(store))
        connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
        with closing(connection):
            connection.request("POST", "/v1/logs", body(), {"Content-Type": PROTOBUF})
            connection.getresponse().read()
            result_in_time(block.close)


def test_request_that_is_not_kept_is_asked_for_again() -> None:
    """The status is one that OTLP's clients retry, after the time in the header."""

    def keep(request: OtlpRequest) -> None:
        raise NotKept("busy")

    with HttpServer(keep) as server:
        response = raw(server.endpoint, head("Content-Length: 0", "Connection: close"))

    assert response.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 1\r\n" in response
    assert Status.FromString(response.partition(b"\r\n\r\n")[2]).message == "busy"


def test_many_requests_at_the_same_time_are_all_stored_by_groups(store: Store) -> None:
    """Two clients send single records over kept connections, two others requests of 512."""
    single, group = body(), b"".join([body()] * 512)

    def send(content: bytes, number: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.endpoint).netloc, timeout=120)
        with closing(connection):
            for _ in range(number):
                connection.request("POST", "/v1/logs", content, {"Content-Type": PROTOBUF})
                assert connection.getresponse().read() == b""

    with SharedTransactions(store) as commits, HttpServer(commits.keep) as server:
        threads = [threading.Thread(target=send, args=each) for each in [(single, 300), (group, 5)] * 2]
        for thread in threads:
            thread.start()
        join(*threads)

    assert count(store) == 2 * 300 + 2 * 5 * 512


def test_bodies_beyond_the_memory_are_refused_for_now(store: Store) -> None:
    """The memory is free again before the response to each request, however it ended."""
    content = body()
    chunks = b"%x\r\n%b\r\n" % (len(content), content)
    with HttpServer(store.add, memory=Memory(max_bytes=len(content))) as server:
        for _ in range(3):
            answer = raw(server.endpoint, head("Transfer-Encoding: chunked") + chunks * 2 + b"0\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert post(server.endpoint, content[:-1])[0] == 400
            assert post(server.endpoint, content)[0] == 200

    assert count(store) == 3


def test_decompressed_bodies_beyond_the_memory_are_refused_for_now() -> None:
    """While one request is being kept, another one that is small only in its compressed form is asked for again."""
    large = log_request("app.one", text="x" * 2_000_000).SerializeToString()
    request = head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(large))}") + gzip.compress(large)
    keeping, go_on = threading.Event(), threading.Event()

    def keep(_: OtlpRequest) -> None:
        keeping.set()
        assert go_on.wait(60)

    with HttpServer(keep, memory=Memory(max_bytes=3_000_000)) as server, ThreadPoolExecutor(1) as other:
        first = other.submit(raw, server.endpoint, request)
        assert keeping.wait(60)
        refused = raw(server.endpoint, request)
        go_on.set()

        assert first.result().startswith(b"HTTP/1.1 200 ")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        assert raw(server.endpoint, request).startswith(b"HTTP/1.1 200 ")


def test_client_that_goes_away_disturbs_nobody(endpoint: str, store: Store, capfd: pytest.CaptureFixture[str]) -> None:
    """A client resets the connection in the middle of its request, and nothing is printed."""
    for sent in (b"POST", head("Content-Length: 500") + b"x"):
        with socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close by a reset
            client.sendall(sent)

    assert post(endpoint, body())[0] == 200
    assert count(store) == 1
    assert capfd.readouterr().err == ""
