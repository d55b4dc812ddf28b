"""The receiver accepts OTLP over gRPC, and answers what it does not understand."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from heliograph.receiver import object_count
from heliograph.receiver.contract import NotKept
from heliograph.receiver.grpc_server import GrpcServer
from heliograph.receiver.signals import MAX_REQUEST_BYTES, SIGNALS, OtlpRequest
from receiver.requests import log_request

LOGS, TRACES, METRICS = SIGNALS


class Kept(list[OtlpRequest]):
    """The requests that were kept. If `error` is set, it is raised instead."""

    error: Exception | None = None

    def __call__(self, request: OtlpRequest) -> None:
        if self.error is not None:
            raise self.error
        self.append(request)


@pytest.fixture
def kept() -> Kept:
    """The requests that the server keeps."""
    return Kept()


@pytest.fixture
def channel(kept: Kept) -> Iterator[grpc.Channel]:
    """A channel to a server."""
    options = [("grpc.max_send_message_length", 2 * MAX_REQUEST_BYTES)]
    with GrpcServer(kept) as server, grpc.insecure_channel(server.endpoint, options) as channel:
        yield channel


def call(channel: grpc.Channel, body: bytes, method: str = LOGS.grpc_method, **options: object) -> bytes:
    """Call a method with an encoded message, and return the response."""
    response: bytes = channel.unary_unary(method)(body, timeout=60, **options)
    return response


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system has no SO_REUSEPORT")
def test_no_other_server_shares_the_port(kept: Kept) -> None:
    """Each of two servers with the option SO_REUSEPORT would get some of the requests."""
    with GrpcServer(kept) as server, socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", int(server.endpoint.partition(":")[2])))


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_request_is_kept_before_the_response(channel: grpc.Channel, kept: Kept, compression: grpc.Compression) -> None:
    """The response is an empty OTLP message."""
    request = log_request("app.one")

    assert call(channel, request.SerializeToString(), compression=compression) == b""
    assert ExportLogsServiceResponse.FromString(b"") == ExportLogsServiceResponse()
    assert kept == [request]


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.path)
def test_each_signal_has_a_method(channel: grpc.Channel, kept: Kept, signal: object) -> None:
    """A request without content is kept, too."""
    call(channel, b"", signal.grpc_method)
    assert kept == [signal.request_class()]


def test_large_request_is_accepted(channel: grpc.Channel, kept: Kept) -> None:
    """gRPC's own limit is 4 MiB, ours 64."""
    request = log_request("app.one", body="x" * (MAX_REQUEST_BYTES - 1000))
    call(channel, request.SerializeToString())
    assert kept == [request]


@pytest.mark.parametrize(
    ("code", "body", "method"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, b"\xff", LOGS.grpc_method),
        (grpc.StatusCode.UNIMPLEMENTED, b"", "/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, bytes(MAX_REQUEST_BYTES + 1), LOGS.grpc_method),
    ],
)
def test_other_requests_are_answered(
    channel: grpc.Channel, kept: Kept, code: grpc.StatusCode, body: bytes, method: str
) -> None:
    """The code names the problem, and the connection is kept."""
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, body, method)
    assert raised.value.code() is code

    call(channel, b"")
    assert len(kept) == 1


def test_request_that_is_not_kept_is_asked_for_again(channel: grpc.Channel, kept: Kept) -> None:
    """The details have the delay that OTLP defines."""
    kept.error = NotKept("busy")
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, b"")

    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.UNAVAILABLE, "busy")
    [status] = [value for name, value in raised.value.trailing_metadata() if name == "grpc-status-details-bin"]
    retry = RetryInfo()
    assert Status.FromString(status).details[0].Unpack(retry)
    assert retry.retry_delay.seconds == 1


def test_failure_to_keep_is_answered(channel: grpc.Channel, kept: Kept) -> None:
    """The response names the class of the failure, and nothing of its message."""
    kept.error = RuntimeError("secret")
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, b"")

    assert (raised.value.code(), raised.value.details()) == (
        grpc.StatusCode.INTERNAL,
        "the request cannot be kept: RuntimeError",
    )


def test_port_is_not_shared(kept: Kept) -> None:
    """A second receiver would get a part of the requests."""
    with GrpcServer(kept) as server, pytest.raises(OSError):
        GrpcServer(kept, int(server.endpoint.rpartition(":")[2]))
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError):
        GrpcServer(kept, other.getsockname()[1])


def test_too_many_objects_are_refused(channel: grpc.Channel, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is the one for a message that is too large, without a time to try again."""
    monkeypatch.setattr(object_count, "MAX_OBJECTS", 1)
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, log_request("app.one").SerializeToString())

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert raised.value.details() == "the request has more than 1 objects; send it as several"
    assert "grpc-status-details-bin" not in dict(raised.value.trailing_metadata())
    assert kept == []


def test_a_large_request_of_tiny_records_is_refused(
    channel: grpc.Channel, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The objects of such a request would take gigabytes, so it is not decoded. The limit is lower here: counting takes a while."""
    monkeypatch.setattr(object_count, "MAX_OBJECTS", 1_000_000)
    records = b"\x12\x00" * 30_000_000
    scope = b"\x12" + _varint(len(records)) + records
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, b"\x0a" + _varint(len(scope)) + scope)

    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "send it as several" in raised.value.details()
    assert kept == []


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
