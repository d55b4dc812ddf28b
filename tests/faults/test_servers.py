"""Servers that fail, each in its own way, over HTTP and over gRPC: no record of an outbox is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from opentelemetry._logs import LogRecord

from backends import Collector, wait_until
from delivery import loopback
from delivery.loopback import Reply, Request, Server, relaying
from delivery.outboxes import destination, logging_to
from delivery.servers import OK, TRICKLES, serving
from faults.matrix import FULL, Row
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol

RecordFault = Callable[..., Row]

REDIRECT = (302, {"Location": "http://127.0.0.1:9/v1/logs"}, b"")
HTML = (200, {"Content-Type": "text/html"}, b"<html>sign in</html>")
# All that are registered, and some that proxies and content delivery networks use. 413 is about single records, below.
STATUSES = sorted({*range(300, 600)} & {*HTTPStatus} - {302, 413} | {444, 499, 520, 525, 530, 599})
SOME_STATUSES = [400, 404, 409, 422, 429, 500, 503, 504, 507]
HTTP_FAULTS: dict[str, Any] = {
    **{f"{status}": (status, {}, b"") for status in (STATUSES if FULL else SOME_STATUSES)},
    "302": REDIRECT,
    "200 with a page of HTML": HTML,
    "a reset after the request was stored": None,
    "an answer of one byte a second, in the header": TRICKLES["header"],
    "an answer of one byte a second, in the body": TRICKLES["body"],
}
SOME_CODES = [StatusCode.INTERNAL, StatusCode.UNKNOWN, StatusCode.RESOURCE_EXHAUSTED, StatusCode.INVALID_ARGUMENT]
CODES = [code for code in StatusCode if code is not StatusCode.OK] if FULL else SOME_CODES
GRPC_FAULTS: dict[str, Any] = {
    **{code.name: code for code in CODES},
    "UNAVAILABLE": Reply.UNAVAILABLE,
    "UNAVAILABLE with a RetryInfo": Reply.UNAVAILABLE_FOR_A_WHILE,
    "RESOURCE_EXHAUSTED with a RetryInfo": Reply.THROTTLED,
    "OK with a page of HTML": Reply.GARBAGE,
    "OK with 5 MiB": Reply.HUGE,
    "no answer": Reply.SILENCE,
    "a reset after the request was stored": None,
}

both_protocols = pytest.mark.parametrize("protocol", list(OtlpProtocol), ids=lambda protocol: protocol.name)


def row_name(fault: str, protocol: OtlpProtocol) -> str:
    return fault if protocol is OtlpProtocol.HTTP else f"{fault}, over gRPC"


class Recovery:
    """Decides when a server works: from its third request on, and not before the test says so."""

    def __init__(self) -> None:
        self._may_work = threading.Event()

    def allow(self) -> None:
        self._may_work.set()

    def works(self, number: int) -> bool:
        return number >= 2 and self._may_work.is_set()


def emit_through_a_failure(target: Destination, directory: Path, recovery: Recovery) -> list[str]:
    """Emit records to a server that fails at first, and return their unique ids. `force_flush` reports both states."""
    uids = [f"r{number}" for number in range(300)]
    with logging_to(directory, "", destination=target) as emit:
        for uid in uids:
            emit(uid)
        assert not emit.processor.force_flush(100)
        recovery.allow()
        assert emit.processor.force_flush(60_000)
    return uids


@pytest.mark.parametrize("fault", HTTP_FAULTS)
def test_http_server_fails_for_a_while(tmp_path: Path, record_fault: RecordFault, fault: str) -> None:
    """All records arrive once the HTTP server works."""
    stored: list[str] = []
    recovery = Recovery()

    def answer(number: int, records: list[str]) -> Any:
        if recovery.works(number):
            return OK
        if HTTP_FAULTS[fault] is None:
            stored.extend(records)
        return HTTP_FAULTS[fault]

    with serving(answer) as server:
        target = destination(server.endpoint, timeout_seconds=1.0)
        acknowledged = emit_through_a_failure(target, tmp_path / "box", recovery)
        assert len(server.requests) > 2
        row = record_fault(fault, acknowledged=acknowledged, received=[*stored, *server.accepted])
    assert row.dead == 0


@pytest.mark.parametrize("fault", GRPC_FAULTS)
def test_grpc_server_fails_for_a_while(tmp_path: Path, record_fault: RecordFault, fault: str) -> None:
    """All records arrive once the gRPC server works."""
    stored: list[str] = []
    recovery = Recovery()

    def reply_to(number: int, request: Request) -> Reply | StatusCode:
        if recovery.works(number):
            return Reply.ACCEPT
        reply = GRPC_FAULTS[fault]
        if reply is None:
            stored.extend(request.uids)
            relay.cut()
        return reply or Reply.SILENCE

    with loopback.serving(OtlpProtocol.GRPC, reply_to) as server, relaying(server.port) as relay:
        server.retry_after_seconds = 1
        target = Server(server.protocol, reply_to, relay.port).destination(timeout_seconds=1.0)
        acknowledged = emit_through_a_failure(target, tmp_path / "box", recovery)
        assert len(server.requests) > 2
        row = record_fault(
            row_name(fault, OtlpProtocol.GRPC), acknowledged=acknowledged, received=[*stored, *server.accepted]
        )
    assert row.dead == 0


@both_protocols
def test_partial_success(tmp_path: Path, record_fault: RecordFault, protocol: OtlpProtocol) -> None:
    """A partly accepted request is not repeated: the server has received each record exactly once."""
    with loopback.serving(protocol, loopback.always(Reply.PARTIAL)) as server:
        server.rejected = 499
        with logging_to(tmp_path / "box", "", destination=server.destination()) as emit:
            for number in range(500):
                emit(f"r{number}")
            assert not emit.processor.force_flush(20_000)
            assert emit.processor.depth == 0
        row = record_fault(
            row_name("a partial success", protocol),
            acknowledged=[f"r{number}" for number in range(500)],
            received=server.accepted,
        )
    assert row.duplicates == 0


@both_protocols
def test_key_is_rejected_until_it_is_replaced(
    tmp_path: Path, record_fault: RecordFault, protocol: OtlpProtocol
) -> None:
    """Records wait while the server rejects the key. The next process, which has the new key, sends them."""

    def reply_to(number: int, request: Request) -> Reply:
        return Reply.UNAUTHENTICATED if request.headers["x-key"] == "old" else Reply.ACCEPT

    with loopback.serving(protocol, reply_to) as server:
        for key, timeout_millis in (("old", 1000), ("new", 30_000)):
            target = server.destination(headers=Headers({"x-key": key}))
            with logging_to(tmp_path / "box", "", destination=target) as emit:
                for number in range(200):
                    emit(f"{key}:{number}")
                assert emit.processor.force_flush(timeout_millis) == (key == "new")
                emit.processor.shutdown()
        acknowledged = [f"{key}:{number}" for key in ("old", "new") for number in range(200)]
        record_fault(row_name("401, then a new key", protocol), acknowledged=acknowledged, received=server.accepted)


@both_protocols
@pytest.mark.parametrize(
    "rejection",
    [
        ("one poisoned record (400)", Reply.BAD_DATA, lambda records: "r77" in records),
        ("413 above 10 records", Reply.TOO_LARGE, lambda records: len(records) > 10),
        ("413 for one record", Reply.TOO_LARGE, lambda records: "r77" in records),
    ],
    ids=lambda rejection: rejection[0],
)
def test_requests_are_rejected(
    tmp_path: Path,
    record_fault: RecordFault,
    protocol: OtlpProtocol,
    rejection: tuple[str, Reply, Callable[[list[str]], bool]],
) -> None:
    """Rejected requests are split. Only a record that is rejected alone becomes a dead letter."""
    fault, reply, is_rejected = rejection
    with loopback.serving(protocol, lambda _, request: reply if is_rejected(request.uids) else Reply.ACCEPT) as server:
        with logging_to(tmp_path / "box", "", destination=server.destination()) as emit:
            for number in range(200):
                emit(f"r{number}")
            assert emit.processor.force_flush(30_000) == (fault == "413 above 10 records")
            assert emit.processor.depth == 0
        row = record_fault(
            row_name(fault, protocol),
            acknowledged=[f"r{number}" for number in range(200)],
            received=server.accepted,
        )
    assert row.dead == int(fault != "413 above 10 records")


@pytest.mark.parametrize(
    ("mebibytes", "protocol"), [(65, OtlpProtocol.HTTP), (65, OtlpProtocol.GRPC), (5, OtlpProtocol.GRPC)]
)
def test_record_is_too_large(tmp_path: Path, record_fault: RecordFault, mebibytes: int, protocol: OtlpProtocol) -> None:
    """The record becomes a dead letter, and the others arrive. 64 MiB is our own limit, and 4 MiB the default of gRPC."""
    with loopback.serving(protocol) as server:
        with logging_to(tmp_path / "box", "", destination=server.destination()) as emit:
            emit("before")
            emit.logger.emit(LogRecord(body="x" * mebibytes * 2**20, attributes={"log.record.uid": "huge"}))
            emit("after")
            assert not emit.processor.force_flush(60_000)
        row = record_fault(
            row_name(f"one record of {mebibytes} MiB", protocol),
            acknowledged=["before", "huge", "after"],
            received=server.accepted,
        )
    assert (row.received, row.dead) == (2, 1)


@both_protocols
def test_collector_is_killed(
    tmp_path: Path, collector: Collector, record_fault: RecordFault, protocol: OtlpProtocol
) -> None:
    """A real Collector dies in the middle of sending, and starts again. Records are counted in the files that it writes."""
    service = f"faults-{tmp_path.name}"
    acknowledged = [f"{service}:{number}" for number in range(20_000 if FULL else 4000)]
    http = protocol is OtlpProtocol.HTTP
    url = f"{collector.otlp_http_endpoint}/v1/logs" if http else collector.otlp_grpc_endpoint
    target = Destination(protocol=protocol, url=url)
    with logging_to(tmp_path / "box", "", service=service, destination=target) as emit:
        for number, uid in enumerate(acknowledged):
            emit(uid)
            if number % 1000 == 500:
                time.sleep(0.25)  # long enough for the worker to send
            if number % 2000 == 1000:
                collector.kill()
            if number % 2000 == 1900:
                collector.start()
        assert emit.processor.force_flush(60_000)

    def received() -> list[str]:
        return [
            str(log.attributes.get("log.record.uid"))
            for log in collector.logs()
            if log.resource["service.name"] == service
        ]

    wait_until(lambda: set(acknowledged) <= set(received()), timeout_seconds=20)
    fault = row_name("a real Collector, killed and started again", protocol)
    record_fault(fault, acknowledged=acknowledged, received=received())
