"""Time: what a server asks for, an outage of an hour on a clock of the test's own, and clocks that jump."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord

from delivery.outboxes import destination, logging_to
from delivery.servers import OK, serving
from faults.matrix import Row
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.encoding.log_records import encode_log_record, log_record_field
from heliograph.delivery.folders import DEAD_LETTERS
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.sender import Outcome, Sender
from heliograph.delivery.transport.open import open_transport


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A journal, and a sender with a clock of the test's own; the server and the disk are real."""

    def __init__(self, directory: Path, endpoint: str) -> None:
        directory.mkdir()
        self.clock = Clock()
        self.acknowledged: list[str] = []
        self.writer = JournalWriter(directory, Header(resource=b""))
        self._reader = JournalReader(directory, is_live=True)
        self._sender = Sender(
            open_transport(destination(endpoint)),
            timeout_seconds=10,
            dead_letters=DeadLetters(directory / DEAD_LETTERS),
            counts=OutboxCounters(),
            clock=self.clock,
        )

    def emit(self, uid: str) -> None:
        record = LogRecord(attributes={"log.record.uid": uid})
        self.writer.append(Scope(scope=b""), log_record_field(encode_log_record(record)))
        self.acknowledged.append(uid)

    def step(self, seconds: float) -> None:
        """Let time go by, and send what can be sent."""
        self.clock.now += seconds
        while self._sender.send_next(self._reader) is Outcome.SENT:
            pass

    def close(self) -> None:
        self._sender.close()
        self.writer.close()
        self._reader.close()


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("asked", ["3", "30", "a date"])
def test_retry_after(tmp_path: Path, record_fault: Callable[..., Row], status: int, asked: str) -> None:
    """Never earlier than the server asked for."""
    seconds = 20.0 if asked == "a date" else float(asked)
    came: list[float] = []

    def answer(number: int, _: Sequence[str]) -> Any:
        came.append(bench.clock.now)
        said = date_in(seconds) if asked == "a date" else asked
        return OK if number else (status, {"Retry-After": said}, b"")

    with serving(answer) as server:
        bench = Bench(tmp_path / "box", server.endpoint)
        for number in range(20):
            bench.emit(f"r{number}")
        for _ in range(200):
            bench.step(0.5)
        bench.close()
        record_fault(f"{status} with Retry-After: {asked}", acknowledged=bench.acknowledged, received=server.accepted)

    assert len(came) == 2
    assert came[1] - came[0] >= seconds - (1.5 if asked == "a date" else 0)  # a date has no fraction of a second


def test_outage_of_an_hour(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """On a simulated clock, with records all along; it is asked about once a minute at most, and all arrives then."""
    with serving(lambda number, records: (503, {}, b"") if bench.clock.now < 1000 + 3600 else OK) as server:
        bench = Bench(tmp_path / "box", server.endpoint)
        for second in range(3600):
            bench.emit(f"r{second}")
            bench.step(1.0)
        refused = len(server.requests)
        for _ in range(200):
            bench.step(1.0)
        bench.close()
        record_fault(
            "an outage of an hour (simulated clock)", acknowledged=bench.acknowledged, received=server.accepted
        )

    assert 60 <= refused <= 240


def test_clock_jumps(tmp_path: Path, record_fault: Callable[..., Row], monkeypatch: pytest.MonkeyPatch) -> None:
    """A day back and a day forth, in the middle of an outage: it goes on by a clock that nobody sets."""
    real, real_ns = time.time, time.time_ns
    with serving(lambda number, records: (503, {}, b"") if number < 2 else OK) as server:
        with logging_to(tmp_path / "box", server.endpoint) as emit:
            acknowledged = []
            for number, days in enumerate((0, 1, -1, 1, 0)):
                monkeypatch.setattr(time, "time", lambda days=days: real() + days * 86400)
                monkeypatch.setattr(time, "time_ns", lambda days=days: real_ns() + days * 86400 * 10**9)
                for each in range(50):
                    acknowledged.append(f"{number}:{each}")
                    emit(acknowledged[-1])
                time.sleep(0.25)
            assert emit.processor.force_flush(30_000)
            emit("after")
            assert emit.processor.force_flush(30_000)
        record_fault("the clock a day back and forth", acknowledged=[*acknowledged, "after"], received=server.accepted)
