"""Servers that fail: each in its own way, for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord

from backends import Collector, wait_until
from delivery.outboxes import destination, logging_to
from delivery.servers import OK, TRICKLES, serving
from faults.matrix import FULL, Row
from heliograph.delivery.transport.destination import Headers

REDIRECT = (302, {"Location": "http://127.0.0.1:9/v1/logs"}, b"")
HTML = (200, {"Content-Type": "text/html"}, b"<html>sign in</html>")
FAULTS: dict[str, Any] = {
    "503": (503, {}, b""),
    "429": (429, {}, b""),
    "504": (504, {}, b""),
    "302": REDIRECT,
    "200 with a page of HTML": HTML,
    "404": (404, {}, b""),
    "a reset after the request was stored": None,
    "an answer of one byte a second, in the header": TRICKLES["header"],
    "an answer of one byte a second, in the body": TRICKLES["body"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_server_fails_for_a_while(tmp_path: Path, record_fault: Callable[..., Row], fault: str) -> None:
    """Its first two answers are wrong; `force_flush` says so within its time."""
    acknowledged = [f"r{number}" for number in range(300)]
    stored: list[str] = []

    def answer(number: int, records: list[str]) -> Any:
        if number >= 2:
            return OK
        if FAULTS[fault] is None:
            stored.extend(records)
        return FAULTS[fault]

    with serving(answer) as server:
        target = destination(server.endpoint, timeout_seconds=1.0)
        with logging_to(tmp_path / "box", "", destination=target) as emit:
            for uid in acknowledged:
                emit(uid)
            assert not emit.processor.force_flush(100)
            assert emit.processor.force_flush(30_000)
        assert len(server.requests) > 2
        record_fault(fault, acknowledged=acknowledged, received=[*stored, *server.accepted])


def test_partial_success(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """Never sent again: the server has seen each of them, and was asked once."""
    body = b"\x0a\x09\x08\xf3\x03\x12\x04nope"
    with serving(lambda number, records: (200, {"Content-Type": "application/x-protobuf"}, body)) as server:
        with logging_to(tmp_path / "box", server.endpoint) as emit:
            for number in range(500):
                emit(f"r{number}")
            assert emit.processor.force_flush(20_000)
        row = record_fault(
            "a partial success", acknowledged=[f"r{number}" for number in range(500)], received=server.accepted
        )
    assert row.duplicates == 0


def test_key_that_is_refused_until_there_is_a_new_one(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """401 parks the destination; the next process, which has the new key, sends what waits."""
    with serving(lambda number, records: (401, {}, b"") if server.headers[-1]["x-key"] == "old" else OK) as server:
        for key in ("old", "new"):
            target = destination(server.endpoint, headers=Headers({"x-key": key}))
            with logging_to(tmp_path / "box", "", destination=target) as emit:
                for number in range(200):
                    emit(f"{key}:{number}")
                assert emit.processor.force_flush(1000) == (key == "new")
                emit.processor.shutdown()
        acknowledged = [f"{key}:{number}" for key in ("old", "new") for number in range(200)]
        record_fault("401, then a new key", acknowledged=acknowledged, received=server.accepted)


@pytest.mark.parametrize(
    ("fault", "status", "is_refused"),
    [
        ("one poisoned record (400)", 400, lambda records: "r77" in records),
        ("413 above 10 records", 413, lambda records: len(records) > 10),
        ("413 for one record", 413, lambda records: "r77" in records),
    ],
)
def test_requests_that_are_refused(
    tmp_path: Path, record_fault: Callable[..., Row], fault: str, status: int, is_refused: Callable[[list[str]], bool]
) -> None:
    """They are split; one that is refused alone is dead, and no other."""
    with serving(lambda number, records: (status, {}, b"") if is_refused(records) else OK) as server:
        with logging_to(tmp_path / "box", server.endpoint) as emit:
            for number in range(200):
                emit(f"r{number}")
            assert emit.processor.force_flush(30_000)
        row = record_fault(fault, acknowledged=[f"r{number}" for number in range(200)], received=server.accepted)
    assert row.dead == int(fault != "413 above 10 records")


def test_record_of_65_mib(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """More than a request may have: it is dead, and its neighbours arrive."""
    with serving() as server, logging_to(tmp_path / "box", server.endpoint) as emit:
        emit("before")
        emit.logger.emit(LogRecord(body="x" * 65 * 2**20, attributes={"log.record.uid": "huge"}))
        emit("after")
        assert emit.processor.force_flush(60_000)
        row = record_fault("one record of 65 MiB", acknowledged=["before", "huge", "after"], received=server.accepted)
    assert (row.received, row.dead) == (2, 1)


def test_collector_is_killed(tmp_path: Path, collector: Collector, record_fault: Callable[..., Row]) -> None:
    """A real one, in the middle of sending, and started again; counted in the files that it writes."""
    service = f"faults-{tmp_path.name}"
    acknowledged = [f"{service}:{number}" for number in range(20_000 if FULL else 4000)]
    with logging_to(tmp_path / "box", f"{collector.otlp_http_endpoint}/v1/logs", service=service) as emit:
        for number, uid in enumerate(acknowledged):
            emit(uid)
            if number % 1000 == 500:
                time.sleep(0.25)  # it is sending now
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
    record_fault("a real Collector, killed and started again", acknowledged=acknowledged, received=received())
