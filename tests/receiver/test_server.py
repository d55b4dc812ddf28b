"""The receiver accepts OTLP over HTTP, and rejects requests that it does not understand."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from heliograph.receiver.server import MAX_REQUEST_BYTES, PROTOBUF, receiving
from heliograph.receiver.store import Store


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
    """Other machines cannot reach it."""
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
    """Each signal has its own path."""
    assert post(endpoint, b"", path)[0] == 200


@pytest.mark.parametrize(
    ("status", "path", "content", "headers"),
    [
        (404, "/v1/nothing", body(), {}),
        (404, "/", body(), {}),
        (415, "/v1/logs", b"{}", {"Content_Type": "application/json"}),
        (400, "/v1/logs", b"\xff garbage", {}),
        (400, "/v1/logs", b"not gzip", {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:-6], {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:12] + b"\xff" * 20, {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", gzip.compress(body())[:10] + b"\xff" * 20, {"Content_Encoding": "gzip"}),
        (400, "/v1/logs", b"", {"Content_Length": str(MAX_REQUEST_BYTES + 1)}),
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
    for thread in threads:
        thread.join()

    assert count(store) == 50


def test_request_that_is_being_stored_is_finished_before_the_block_ends(tmp_path: Path) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class SlowStore(Store):
        def add_logs(self, request: ExportLogsServiceRequest) -> None:
            begun.set()
            may_end.wait()
            super().add_logs(request)

    store = SlowStore(tmp_path / "store.db")
    with receiving(store) as endpoint:
        client = threading.Thread(target=post, args=(endpoint, body()))
        client.start()
        assert begun.wait(10)
        threading.Timer(0.2, may_end.set).start()

    assert count(store) == 1
    client.join()


def test_silent_client_is_disconnected(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block ends although the client never sends its request."""
    monkeypatch.setattr("heliograph.receiver.server._Handler.timeout", 0.2)
    with receiving(store) as endpoint:
        client = socket.create_connection(("127.0.0.1", urlsplit(endpoint).port or 0))
        last_resort = threading.Timer(60, client.shutdown, [socket.SHUT_RDWR])
        last_resort.start()

    assert not last_resort.finished.is_set()
    last_resort.cancel()
    client.close()


def test_port_is_closed_after_the_block(store: Store) -> None:
    """A client cannot connect any more."""
    with receiving(store) as endpoint:
        pass

    with pytest.raises(ConnectionRefusedError):
        post(endpoint, body())
    assert "heliograph-receiver" not in [thread.name for thread in threading.enumerate()]
