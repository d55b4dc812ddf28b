"""OTLP over gRPC, beyond the contract of all transports: the limits and targets of gRPC, and an outbox that uses it."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from backends import free_port
from delivery.loopback import SERVICE, Reply, always, serving
from delivery.outboxes import logging_to
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.delivery.transport.grpc import GrpcTransport
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from threads import LIMIT_SECONDS


def send(destination: Destination, body: bytes = b"\x0a\x00") -> Verdict:
    transport = GrpcTransport(destination)
    try:
        return transport.send(body, 30)
    finally:
        transport.close()


def to(url: str, **options: Any) -> Destination:
    return Destination(protocol=OtlpProtocol.GRPC, url=url, **options)


def test_records_of_an_outbox_arrive_compressed_with_their_headers(tmp_path: Path) -> None:
    """Each record arrives once."""
    with serving(OtlpProtocol.GRPC) as server:
        destination = server.destination(headers=Headers({"x-team": "a"}), gzip=True)
        with logging_to(tmp_path, "", transport=open_transport(destination)) as emit:
            for number in range(100):
                emit(f"r{number}")
            assert emit.processor.force_flush(20_000)

    assert sorted(server.accepted) == sorted(f"r{number}" for number in range(100))
    assert server.requests[0].headers["x-team"] == "a"


def test_outbox_keeps_its_records_while_no_server_listens(tmp_path: Path) -> None:
    """A flush returns False, and the next outbox sends the records."""
    missing = to(f"http://127.0.0.1:{free_port()}", timeout_seconds=0.5)
    with logging_to(tmp_path, "", destination=missing) as emit:
        assert emit.processor.force_flush(100)  # nothing was emitted yet
        emit("one")
        assert not emit.processor.force_flush(100)
    with serving(OtlpProtocol.GRPC) as server:
        processor = OutboxLogRecordProcessor(tmp_path, destination=server.destination())
        processor.shutdown(20_000)

    assert server.accepted == ["one"]


def test_request_above_the_limit_of_a_server_is_split() -> None:
    """gRPC's own default is 4 MiB, and its error is that of throttling, without a `RetryInfo`."""
    with serving(OtlpProtocol.GRPC) as server:
        verdict = send(server.destination(), b"\x0a" + bytes(5 * 2**20))

    assert (verdict.action, verdict.reason) == (Action.SPLIT, Reason.TOO_LARGE)
    assert server.requests == []


@pytest.mark.parametrize("prefix", ["", "dns:///", "ipv4:"])
def test_target_that_is_no_url_is_used_as_it_is(prefix: str) -> None:
    """A target without a scheme uses TLS, unless the destination is marked as insecure."""
    with serving(OtlpProtocol.GRPC) as server:
        target = f"{prefix}127.0.0.1:{server.port}"

        assert send(to(target, insecure=True)).action is Action.DELIVERED
        assert send(to(target)).reason is Reason.TLS


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6() and "CI" not in os.environ, reason="this machine has no IPv6 address")
def test_ipv6_address_in_a_url() -> None:
    """gRPC needs the brackets around an address, which a URL has, too."""
    handler = grpc.method_handlers_generic_handler(
        SERVICE, {"Export": grpc.unary_unary_rpc_method_handler(lambda body, context: b"")}
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=(handler,))
    port = server.add_insecure_port("[::1]:0")
    server.start()
    try:
        assert send(to(f"http://[::1]:{port}")).action is Action.DELIVERED
    finally:
        server.stop(0).wait(LIMIT_SECONDS)


@pytest.mark.parametrize("key", ["grpc-status-details-bin", "google.rpc.retryinfo-bin", None])
def test_retry_info_is_found_in_either_place(key: str | None) -> None:
    """The delay is in the details of the status, or a trailer of its own. Without it, nothing says when to come back."""
    retry_info = RetryInfo(retry_delay={"seconds": 3, "nanos": 500_000_000})
    status = Status()
    status.details.add().Pack(retry_info)
    trailers = {"grpc-status-details-bin": status, "google.rpc.retryinfo-bin": retry_info}

    def throttle(body: bytes, context: grpc.ServicerContext) -> bytes:
        if key is not None:
            context.set_trailing_metadata((("x-other", "1"), (key, trailers[key].SerializeToString())))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "slow down")
        raise AssertionError("abort raises")

    handler = grpc.method_handlers_generic_handler(SERVICE, {"Export": grpc.unary_unary_rpc_method_handler(throttle)})
    server = grpc.server(ThreadPoolExecutor(1), handlers=(handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        verdict = send(to(f"http://127.0.0.1:{port}"))
    finally:
        server.stop(0).wait(LIMIT_SECONDS)

    if key is None:
        assert (verdict.action, verdict.retry_after_seconds) == (Action.HOLD, None)
    else:
        assert (verdict.action, verdict.reason, verdict.retry_after_seconds) == (Action.RETRY, Reason.THROTTLED, 3.5)


def test_channel_is_kept_after_a_failure_of_the_request() -> None:
    """Only a failed connection needs a new channel; a handshake for each rejected record would be a waste."""
    with serving(OtlpProtocol.GRPC, always(Reply.BAD_DATA)) as server:
        transport = GrpcTransport(server.destination())
        for _ in range(3):
            transport.send(b"\x0a\x00", 30)
        transport.close()

    assert len({request.peer for request in server.requests}) == 1
