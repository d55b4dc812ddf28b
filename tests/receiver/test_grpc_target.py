"""Calls that are forwarded over gRPC pass unchanged, and the answer is the target's."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from backends import free_port
from heliograph.receiver.grpc_server import GrpcServer
from heliograph.receiver.grpc_target import GrpcTarget
from heliograph.receiver.memory import Memory
from heliograph.receiver.signals import SIGNALS
from heliograph.receiver.target import Target
from receiver.forwarded import BODY, PARTIAL_SUCCESS, Kept
from threads import LIMIT_SECONDS

LOGS = SIGNALS[0].grpc_method


class CallTarget(grpc.GenericRpcHandler):
    """A service that keeps what it gets, and answers what the test says."""

    def __init__(self) -> None:
        self.response = b""
        self.code, self.details = grpc.StatusCode.OK, ""
        self.calls: list[tuple[str, bytes, dict[str, str | bytes]]] = []

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        def answer(body: bytes, context: Any) -> bytes:
            self.calls.append((method, body, dict(context.invocation_metadata())))
            context.set_code(self.code)
            context.set_details(self.details)
            context.set_trailing_metadata([("x-more", "y"), ("grpc-status-details-bin", b"details")])
            return self.response

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture
def service() -> Iterator[tuple[CallTarget, str]]:
    """A target over gRPC, and its URL."""
    target = CallTarget()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[target])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield target, f"http://127.0.0.1:{port}"
    server.stop(0).wait(LIMIT_SECONDS)


@contextmanager
def forwarding_calls(url: str, kept: Kept | None = None, memory: Memory | None = None) -> Iterator[grpc.Channel]:
    """Run a server that forwards to the URL, and yield a channel to it."""
    kept = Kept() if kept is None else kept
    with (
        closing(GrpcTarget(Target.from_url(url))) as target,
        GrpcServer(kept, target=target, missed=kept.missed.append, memory=memory) as server,
    ):
        with grpc.insecure_channel(server.endpoint) as channel:
            yield channel


def test_call_passes_unchanged(service: tuple[CallTarget, str]) -> None:
    """Every byte of the message, unknown fields included, also of methods that we do not know, and the metadata."""
    kept = Kept()
    target, url = service
    target.response = PARTIAL_SUCCESS
    with forwarding_calls(url, kept) as channel:
        for method, body in ((LOGS, BODY), ("/later.Profiles/Export", b"\xff"), (LOGS, b"\xff")):
            response, call = channel.unary_unary(method).with_call(
                body, timeout=60, metadata=[("authorization", "Bearer x")], compression=grpc.Compression.Gzip
            )
            assert response == PARTIAL_SUCCESS
            assert ("x-more", "y") in [tuple(each) for each in call.trailing_metadata()]

    assert [call[:2] for call in target.calls] == [(LOGS, BODY), ("/later.Profiles/Export", b"\xff"), (LOGS, b"\xff")]
    assert {call[2]["authorization"] for call in target.calls} == {"Bearer x"}
    assert [type(error) for error in kept.missed] == [LookupError, DecodeError]
    assert kept == [ExportLogsServiceRequest.FromString(BODY)]


def test_error_of_a_call_is_that_of_the_target(service: tuple[CallTarget, str]) -> None:
    """Code, details and metadata, and with them the time after which to send again."""
    kept = Kept()
    target, url = service
    target.code, target.details = grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down"
    with forwarding_calls(url, kept) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(LOGS)(BODY)  # without a time limit: the receiver has its own

    assert (raised.value.code(), raised.value.details(), kept) == (target.code, "slow down", [])
    assert ("grpc-status-details-bin", b"details") in [tuple(each) for each in raised.value.trailing_metadata()]


def test_accepted_call_that_cannot_be_kept_is_not_asked_for_again(service: tuple[CallTarget, str]) -> None:
    """There is no memory for its objects, or it fails, but the target has accepted it."""
    kept = Kept()
    target, url = service
    memory = Memory(max_objects=1)
    with forwarding_calls(url, kept, memory) as channel, memory.request() as other:
        other.reserve_objects(1)
        channel.unary_unary(LOGS)(BODY, timeout=60)
        other.release()
        kept.error = OSError("no space")
        channel.unary_unary(LOGS)(BODY, timeout=60)

    assert [call[1] for call in target.calls] == [BODY, BODY]
    assert (kept, [str(error) for error in kept.missed]) == ([], ["other requests use all the memory", "no space"])


def test_call_beyond_the_memory_is_not_forwarded(service: tuple[CallTarget, str]) -> None:
    """The client is asked to send the request again."""
    target, url = service
    memory = Memory(max_bytes=len(BODY))
    with forwarding_calls(url, memory=memory) as channel, memory.request() as other:
        other.reserve_bytes(1)
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(LOGS)(BODY, timeout=60)

    assert (raised.value.code(), target.calls) == (grpc.StatusCode.UNAVAILABLE, [])
    assert "grpc-status-details-bin" in dict(raised.value.trailing_metadata())


def test_target_over_grpc_that_is_away() -> None:
    """The client is asked to keep the request, by the code that gRPC has for that; over TLS, too."""
    for scheme in ("http", "https"):
        with forwarding_calls(f"{scheme}://127.0.0.1:{free_port()}") as channel, pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(LOGS)(BODY, timeout=60)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
