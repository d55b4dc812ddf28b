"""The receiver speaks OTLP over HTTP, and refuses what it does not understand."""

from __future__ import annotations

import gzip
import http.client
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
def store(tmp_path: Path) -> Iterator[Store]:
    """Where it is kept."""
    with closing(Store(tmp_path / "store.db")) as store:
        yield store


@pytest.fixture
def endpoint(store: Store) -> Iterator[str]:
    """Where to send it."""
    with receiving(store) as endpoint:
        yield endpoint


def body(name: str = "app.one") -> bytes:
    """A request with one log record."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    return request.SerializeToString()


def post(endpoint: str, content: bytes, path: str = "/v1/logs", **headers: str) -> tuple[int, str | None, bytes]:
    """Status, content type and body of the answer."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=10)
    sent = {"Content-Type": PROTOBUF, **{name.replace("_", "-"): value for name, value in headers.items()}}
    with closing(connection):
        connection.request("POST", path, content, sent)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read()


def count(store: Store) -> int:
    """How many log records were kept."""
    found: int = store.rows("select count(*) from events")[0][0]
    return found


def test_it_listens_on_the_loopback(endpoint: str) -> None:
    """Nobody else reaches it."""
    assert urlsplit(endpoint).hostname == "127.0.0.1"


@pytest.mark.parametrize("content_type", [PROTOBUF, f"{PROTOBUF}; charset=utf-8"])
def test_logs_are_kept(endpoint: str, store: Store, content_type: str) -> None:
    """The answer is 200 with an empty OTLP response, and the record is there when it comes."""
    status, answered, content = post(endpoint, body(), Content_Type=content_type)

    assert (status, answered) == (200, PROTOBUF)
    assert ExportLogsServiceResponse.FromString(content) == ExportLogsServiceResponse()
    assert count(store) == 1


def test_gzip(endpoint: str, store: Store) -> None:
    """A compressed request is understood."""
    assert post(endpoint, gzip.compress(body()), Content_Encoding="gzip")[0] == 200
    assert count(store) == 1


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_an_empty_request_is_fine(endpoint: str, path: str) -> None:
    """Every signal has its path; a request without anything in it is a good one."""
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
        (400, "/v1/logs", b"", {"Content_Length": str(MAX_REQUEST_BYTES + 1)}),
        (400, "/v1/logs", b"", {"Content_Length": "-1"}),
        (400, "/v1/logs", b"", {"Content_Length": "many"}),
    ],
)
def test_what_is_not_understood_is_refused(
    endpoint: str, store: Store, *, status: int, path: str, content: bytes, headers: dict[str, str]
) -> None:
    """The status says what is wrong, nothing is kept, and the next request is served."""
    assert post(endpoint, content, path, **headers)[0] == status
    assert count(store) == 0
    assert post(endpoint, body())[0] == 200


def test_requests_at_the_same_time(endpoint: str, store: Store) -> None:
    """Many clients at once lose nothing."""
    threads = [threading.Thread(target=lambda: [post(endpoint, body()) for _ in range(10)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count(store) == 50


def test_after_the_block_nobody_listens(store: Store) -> None:
    """The port is closed, and the thread has ended."""
    with receiving(store) as endpoint:
        pass

    with pytest.raises(ConnectionRefusedError):
        post(endpoint, body())
