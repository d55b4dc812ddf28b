"""Servers that fail, each in its own way, over HTTP and over gRPC: no log record and no span of an outbox is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode

from backends import Collector, wait_until
from delivery import loopback
from delivery.emitters import at_once, each_signal, emitting_to, record_id
from delivery.loopback import Reply, Request, Server, relaying
from delivery.outboxes import destination
from delivery.servers import OK, TRICKLES, serving
from faults.matrix import FULL, Row
from heliograph.delivery.sending.refusals import MAX_SUSPECTS
from heliograph.delivery.signals import LOGS, SIGNALS, TRACES, OutboxSignal
from heliograph.delivery.transport.destination import Destination, Headers, OtlpProtocol
from heliograph.values.text import counted

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

# The client cannot know if the request was stored, and repeats it.
UNCLEAR = {
    "a reset after the request was stored",
    "an answer of one byte a second, in the header",
    "an answer of one byte a second, in the body",
    "no answer",
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


def emit_through_a_failure(signal: OutboxSignal, target: Destination, directory: Path, recovery: Recovery) -> list[str]:
    """Emit records to a server that fails at first, and return their ids. `force_flush` reports both states."""
    with emitting_to(signal, directory, destination=target) as emit:
        acknowledged = [emit(f"r{number}") for number in range(300)]
        assert not emit.processor.force_flush(100)
        recovery.allow()
        assert emit.processor.force_flush(60_000)
    return acknowledged


def timeout_of(fault: str) -> float:
    """Return a short time-out where only that ends a request. Elsewhere, the slowness of a busy machine must not be a failure."""
    return 1.0 if fault in UNCLEAR else 30.0


def failures_of(fault: str, requests: Sequence[object]) -> int:
    """Return the number of requests that were repeated although they may have been stored. The last one was accepted."""
    return len(requests) - 1 if fault in UNCLEAR else 0


@pytest.mark.parametrize("fault", HTTP_FAULTS)
def test_http_server_fails_for_a_while(tmp_path: Path, record_fault: RecordFault, fault: str) -> None:
    """All records arrive once the HTTP servers work. Those of both signals fail at the same time, with one outbox."""

    def fail(signal: OutboxSignal) -> None:
        stored: list[str] = []
        recovery = Recovery()

        def answer(number: int, records: list[str]) -> Any:
            if recovery.works(number):
                return OK
            if HTTP_FAULTS[fault] is None:
                stored.extend(records)
            return HTTP_FAULTS[fault]

        with serving(answer) as server:
            target = destination(server.endpoint_of(signal.name), timeout_seconds=timeout_of(fault))
            acknowledged = emit_through_a_failure(signal, target, tmp_path / "box", recovery)
            assert len(server.requests) > 2
        row = record_fault(
            fault,
            acknowledged=acknowledged,
            received=[*stored, *server.accepted],
            signal=signal,
            failures=failures_of(fault, server.requests),
            largest_batch=server.largest_batch,
        )
        assert row.dead == 0

    at_once(fail, SIGNALS)


@pytest.mark.parametrize("fault", GRPC_FAULTS)
def test_grpc_server_fails_for_a_while(tmp_path: Path, record_fault: RecordFault, fault: str) -> None:
    """All records arrive once the gRPC servers work. Those of both signals fail at the same time, with one outbox."""

    def fail(signal: OutboxSignal) -> None:
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
            relayed = Server(server.protocol, reply_to, relay.port)
            target = relayed.destination(signal, timeout_seconds=timeout_of(fault))
            acknowledged = emit_through_a_failure(signal, target, tmp_path / "box", recovery)
            assert len(server.requests) > 2
        row = record_fault(
            row_name(fault, OtlpProtocol.GRPC),
            acknowledged=acknowledged,
            received=[*stored, *server.accepted],
            signal=signal,
            failures=failures_of(fault, server.requests),
            largest_batch=server.largest_batch,
        )
        assert row.dead == 0

    at_once(fail, SIGNALS)


@both_protocols
@each_signal
@pytest.mark.parametrize("count", [1, MAX_SUSPECTS])
def test_server_recovers_after_it_refused_single_records(
    tmp_path: Path, record_fault: RecordFault, signal: OutboxSignal, protocol: OtlpProtocol, count: int
) -> None:
    """A server that called everything invalid accepts the next record, which does not prove that the refused ones are bad."""
    alone: set[str] = set()

    def reply_to(_: int, request: Request) -> Reply:
        if len(alone) == count:
            return Reply.ACCEPT
        alone.update(request.uids if len(request.uids) == 1 else [])
        return Reply.BAD_DATA

    with loopback.serving(protocol, reply_to) as server:
        with emitting_to(signal, tmp_path / "box", destination=server.destination(signal)) as emit:
            acknowledged = [emit(f"r{number}") for number in range(300)]
            assert emit.processor.force_flush(60_000)
        row = record_fault(
            row_name(f"400 until the refusal of {counted(count, 'record')} alone", protocol),
            acknowledged=acknowledged,
            received=server.accepted,
            signal=signal,
        )
    assert (row.dead, row.duplicates) == (0, 0)


@both_protocols
@each_signal
def test_partial_success(
    tmp_path: Path, record_fault: RecordFault, signal: OutboxSignal, protocol: OtlpProtocol
) -> None:
    """A partly accepted request is not repeated: the server has received each record exactly once."""
    with loopback.serving(protocol, loopback.always(Reply.PARTIAL)) as server:
        server.rejected = 499
        with emitting_to(signal, tmp_path / "box", destination=server.destination(signal)) as emit:
            acknowledged = [emit(f"r{number}") for number in range(500)]
            assert not emit.processor.force_flush(20_000)
            assert emit.processor.depth == 0
        row = record_fault(
            row_name("a partial success", protocol),
            acknowledged=acknowledged,
            received=server.accepted,
            signal=signal,
        )
    assert row.duplicates == 0


@both_protocols
def test_key_is_rejected_until_it_is_replaced(
    tmp_path: Path, record_fault: RecordFault, protocol: OtlpProtocol
) -> None:
    """Records wait while the server rejects the key. The next process, which has the new key, sends them."""

    def reply_to(number: int, request: Request) -> Reply:
        return Reply.UNAUTHENTICATED if request.headers["x-key"] == "old" else Reply.ACCEPT

    def replace_key(signal: OutboxSignal) -> None:
        acknowledged = []
        with loopback.serving(protocol, reply_to) as server:
            for key, timeout_millis in (("old", 300), ("new", 30_000)):
                target = server.destination(signal, headers=Headers({"x-key": key}))
                with emitting_to(signal, tmp_path / "box", destination=target) as emit:
                    acknowledged += [emit(f"{key}:{number}") for number in range(200)]
                    assert emit.processor.force_flush(timeout_millis) == (key == "new")
                    emit.processor.shutdown(timeout_millis)
            fault = row_name("401, then a new key", protocol)
            record_fault(fault, acknowledged=acknowledged, received=server.accepted, signal=signal)

    at_once(replace_key, SIGNALS)


@both_protocols
@each_signal
@pytest.mark.parametrize(
    "rejection",
    [
        ("one poisoned record (400)", Reply.BAD_DATA, lambda records, poison: poison in records),
        ("413 above 10 records", Reply.TOO_LARGE, lambda records, poison: len(records) > 10),
        ("413 for one record", Reply.TOO_LARGE, lambda records, poison: poison in records),
    ],
    ids=lambda rejection: rejection[0],
)
def test_requests_are_rejected(
    tmp_path: Path,
    record_fault: RecordFault,
    signal: OutboxSignal,
    protocol: OtlpProtocol,
    rejection: tuple[str, Reply, Callable[[list[str], str], bool]],
) -> None:
    """Rejected requests are split. Only a record that is rejected alone becomes a dead letter."""
    fault, reply, is_rejected = rejection
    poison = record_id(signal, "r77")

    def reply_to(_: int, request: Request) -> Reply:
        return reply if is_rejected(request.uids, poison) else Reply.ACCEPT

    with loopback.serving(protocol, reply_to) as server:
        with emitting_to(signal, tmp_path / "box", destination=server.destination(signal)) as emit:
            acknowledged = [emit(f"r{number}") for number in range(200)]
            assert emit.processor.force_flush(30_000) == (fault == "413 above 10 records")
            assert emit.processor.depth == 0
        row = record_fault(
            row_name(fault, protocol), acknowledged=acknowledged, received=server.accepted, signal=signal
        )
    assert row.dead == int(fault != "413 above 10 records")


TOO_LARGE = [(65, OtlpProtocol.HTTP), (65, OtlpProtocol.GRPC), (5, OtlpProtocol.GRPC)]
# The limit of 64 MiB is the same code for both signals, and takes seconds.
SOME_TOO_LARGE = [(LOGS, *each) for each in TOO_LARGE] + [(TRACES, 5, OtlpProtocol.GRPC)]
ALL_TOO_LARGE = [(signal, *each) for signal in SIGNALS for each in TOO_LARGE]


@pytest.mark.parametrize(
    ("signal", "mebibytes", "protocol"),
    ALL_TOO_LARGE if FULL else SOME_TOO_LARGE,
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_record_is_too_large(
    tmp_path: Path, record_fault: RecordFault, signal: OutboxSignal, mebibytes: int, protocol: OtlpProtocol
) -> None:
    """The record becomes a dead letter, and the others arrive. 64 MiB is our own limit, and 4 MiB the default of gRPC."""
    with loopback.serving(protocol) as server:
        with emitting_to(signal, tmp_path / "box", destination=server.destination(signal)) as emit:
            acknowledged = [emit("before"), emit("huge", size=mebibytes * 2**20), emit("after")]
            assert not emit.processor.force_flush(60_000)
        row = record_fault(
            row_name(f"one record of {mebibytes} MiB", protocol),
            acknowledged=acknowledged,
            received=server.accepted,
            signal=signal,
        )
    assert (row.received, row.dead) == (2, 1)


@both_protocols
@each_signal
def test_collector_is_killed(
    tmp_path: Path, collector: Collector, record_fault: RecordFault, signal: OutboxSignal, protocol: OtlpProtocol
) -> None:
    """A real Collector dies in the middle of sending, and starts again. Records are counted in the files that it writes."""
    service = f"faults-{tmp_path.name}"
    count = 20_000 if FULL else 4000
    http = protocol is OtlpProtocol.HTTP
    url = f"{collector.otlp_http_endpoint}/v1/{signal.name}" if http else collector.otlp_grpc_endpoint
    target = Destination(protocol=protocol, url=url, signal=signal.name)
    acknowledged = []
    with emitting_to(signal, tmp_path / "box", service=service, destination=target) as emit:
        for number in range(count):
            acknowledged.append(emit(f"{service}:{number}"))
            if number % 1000 == 500:
                time.sleep(0.25)  # long enough for the worker to send
            if number % 2000 == 1000:
                collector.kill()
            if number % 2000 == 1900:
                collector.start()
        assert emit.processor.force_flush(60_000)

    def received() -> list[str]:
        return arrived_at(collector, signal, service)

    wait_until(lambda: set(acknowledged) <= set(received()), timeout_seconds=20)
    record_fault(
        row_name("a real Collector, killed and started again", protocol),
        acknowledged=acknowledged,
        received=received(),
        signal=signal,
        failures=count // 2000,
    )


def arrived_at(collector: Collector, signal: OutboxSignal, service: str) -> list[str]:
    """Return the ids of the records of a service."""
    if signal is LOGS:
        logs = [log for log in collector.logs() if log.resource["service.name"] == service]
        return [str(log.attributes.get("log.record.uid")) for log in logs]
    return [span.span_id for span in collector.traces() if span.resource["service.name"] == service]
