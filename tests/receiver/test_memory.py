"""The memory of all requests in progress is limited, by whatever protocol they came."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import grpc
import pytest

from heliograph.otlp import to_json_document
from heliograph.receiver.contract import NotKept
from heliograph.receiver.grpc_server import GrpcServer
from heliograph.receiver.http_body import JSON, PROTOBUF
from heliograph.receiver.memory import MAX_ALL_BYTES, MAX_ALL_OBJECTS, Memory
from heliograph.receiver.server import HttpServer
from heliograph.receiver.signals import MAX_OBJECTS, MAX_REQUEST_BYTES, SIGNALS, OtlpRequest
from receiver.requests import log_request

REQUEST = log_request("app.one", user__id="ada")
BODY = REQUEST.SerializeToString()
LOGS = SIGNALS[0].grpc_method


def test_largest_request_has_room_beside_others() -> None:
    """Room is kept for a body, the decompressed one, and its objects. Else small requests could keep a large one away for ever."""
    with Memory().request() as small, Memory().request() as large:
        small.reserve_bytes(MAX_ALL_BYTES - 2 * MAX_REQUEST_BYTES)
        small.reserve_objects(MAX_ALL_OBJECTS - MAX_OBJECTS)
        large.reserve_bytes(MAX_REQUEST_BYTES)
        large.reserve_bytes(MAX_REQUEST_BYTES)
        large.reserve_objects(MAX_OBJECTS)


@pytest.mark.parametrize("limits", [{"max_bytes": 10}, {"max_objects": 10}])
def test_memory_of_a_request_is_released_at_its_end(limits: dict[str, int]) -> None:
    """A request that ends by an exception releases its memory, too."""
    memory = Memory(**limits)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), memory.request() as request:
            request.reserve_bytes(6)
            request.reserve_objects(6)
            with pytest.raises(NotKept, match="other requests use all the memory"), memory.request() as other:
                other.reserve_bytes(5)
                other.reserve_objects(5)
            raise ZeroDivisionError


class Kept:
    """Keeps requests. The first one is being kept until the test permits its end."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.requests: list[OtlpRequest] = []

    def __call__(self, request: OtlpRequest) -> None:
        is_first, _ = not self.begun.is_set(), self.begun.set()
        if is_first:
            assert self.may_end.wait(60)
        self.requests.append(request)


@contextmanager
def receiving(kept: Kept, memory: Memory) -> Iterator[tuple[str, grpc.Channel]]:
    """Run both servers with one memory, and yield the endpoint of HTTP and a channel of gRPC."""
    with HttpServer(kept, memory=memory) as http, GrpcServer(kept, memory=memory) as calls:
        with grpc.insecure_channel(calls.endpoint) as channel:
            yield http.endpoint, channel


def post(endpoint: str, body: bytes, content_type: str = PROTOBUF) -> http.client.HTTPResponse:
    """Send a request, and return the response, read to its end."""
    with closing(http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)) as connection:
        connection.request("POST", "/v1/logs", body, {"Content-Type": content_type})
        response = connection.getresponse()
        response.read()
        return response


def call(channel: grpc.Channel, body: bytes) -> grpc.StatusCode:
    """Call a method, and return the code of the answer."""
    try:
        channel.unary_unary(LOGS)(body, timeout=60)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@pytest.mark.parametrize("limits", [{"max_bytes": len(BODY)}, {"max_objects": 6}])
@pytest.mark.parametrize("first", ["http", "grpc"])
def test_requests_beyond_the_memory_are_asked_for_again(first: str, limits: dict[str, int]) -> None:
    """While one request is in progress, others of both protocols and encodings are. They are accepted as soon as it has ended."""
    kept = Kept()
    document = json.dumps(to_json_document(REQUEST)).encode()
    with receiving(kept, Memory(**limits)) as (endpoint, channel), ThreadPoolExecutor(1) as thread:
        sent = thread.submit(post, endpoint, BODY) if first == "http" else thread.submit(call, channel, BODY)
        assert kept.begun.wait(60)
        answers = [post(endpoint, BODY), post(endpoint, document, JSON)]
        code = call(channel, BODY)
        kept.may_end.set()
        sent.result()

        assert [(answer.status, answer.headers["Retry-After"]) for answer in answers] == [(503, "1")] * 2
        assert code is grpc.StatusCode.UNAVAILABLE
        assert kept.requests == [REQUEST]
        assert (post(endpoint, BODY).status, call(channel, BODY)) == (200, grpc.StatusCode.OK)
        assert post(endpoint, document, JSON).status == 200
