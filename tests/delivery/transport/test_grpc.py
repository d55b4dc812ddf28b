"""OTLP over gRPC, to a real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from delivery.outboxes import logging_to
from delivery.servers import uids
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import Action


@contextmanager
def serving(answer: Any) -> Iterator[tuple[str, list[list[str]], list[dict[str, str]]]]:
    """A server whose answer is a response, or the code and the words of a refusal."""
    requests: list[list[str]] = []
    metadata: list[dict[str, str]] = []

    class Service(logs_service_pb2_grpc.LogsServiceServicer):
        def Export(self, request: ExportLogsServiceRequest, context: grpc.ServicerContext) -> Any:  # noqa: N802 — the name of the call
            requests.append(uids(request))
            metadata.append({key: str(value) for key, value in context.invocation_metadata()})
            found = answer(len(requests))
            return context.abort(*found) if isinstance(found, tuple) else found

    server = grpc.server(ThreadPoolExecutor(2))
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", requests, metadata
    finally:
        server.stop(0).wait()


def test_records_arrive_with_their_headers(tmp_path: Path) -> None:
    """Compressed, if that is said."""
    with serving(lambda number: ExportLogsServiceResponse()) as (url, requests, metadata):
        target = Destination(protocol=OtlpProtocol.GRPC, url=url, headers=Headers({"x-team": "a"}), gzip=True)
        with logging_to(tmp_path, "", transport=open_transport(target)) as emit:
            for number in range(100):
                emit(f"r{number}")
            assert emit.processor.force_flush(20_000)

    assert sorted(body for request in requests for body in request) == sorted(f"r{number}" for number in range(100))
    assert metadata[0]["x-team"] == "a"


@pytest.mark.parametrize(
    (("code", "action")),
    [
        (grpc.StatusCode.UNAVAILABLE, Action.RETRY),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Action.SPLIT),
        (grpc.StatusCode.UNAUTHENTICATED, Action.HOLD),
        (grpc.StatusCode.INVALID_ARGUMENT, Action.DEAD_LETTER),
    ],
)
def test_refusal_has_its_verdict(code: grpc.StatusCode, action: Action) -> None:
    """With the server's words."""
    with serving(lambda number: (code, "no such luck")) as (url, _, _):
        transport = open_transport(Destination(protocol=OtlpProtocol.GRPC, url=url))
        verdict = transport.send(b"\x0a\x00", 10)
        transport.close()

    assert verdict.action is action
    assert "no such luck" in verdict.message


def test_partial_success_is_told() -> None:
    """How many were rejected, and why."""
    partial = ExportLogsPartialSuccess(rejected_log_records=3, error_message="bad")
    with serving(lambda number: ExportLogsServiceResponse(partial_success=partial)) as (url, _, _):
        transport = open_transport(Destination(protocol=OtlpProtocol.GRPC, url=url))
        verdict = transport.send(b"\x0a\x00", 10)
        transport.close()

    assert (verdict.action, verdict.rejected) == (Action.PARTIAL, 3)


def test_server_that_is_not_there_is_asked_again(tmp_path: Path) -> None:
    """What was emitted stays on the disk."""
    target = Destination(protocol=OtlpProtocol.GRPC, url="http://127.0.0.1:9", timeout_seconds=0.5)
    processor = OutboxLogRecordProcessor(tmp_path, destination=target)

    assert processor.force_flush(100)  # nothing was emitted
    processor.shutdown(100)
