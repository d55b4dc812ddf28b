"""Time: `Retry-After`, an outage of an hour on a simulated clock, and a system clock that jumps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from delivery.emitters import each_signal, emitting_to, encoded_span, record_id
from delivery.outboxes import destination, encoded_record
from delivery.servers import OK, Arrived, serving
from faults.matrix import Row
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import DEAD_LETTERS
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.sender import Outcome, Sender
from heliograph.delivery.signals import LOGS, OutboxSignal
from heliograph.delivery.transport.open import open_transport


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class JournalAndSender:
    """A journal, and a sender with a simulated clock. The server and the disk are real."""

    def __init__(self, signal: OutboxSignal, box: Path, server: Arrived) -> None:
        directory = box / f"1-0a1b2c3d{signal.folder_suffix}"
        directory.mkdir(parents=True)
        self._signal = signal
        self.clock = Clock()
        self.acknowledged: list[str] = []
        self.writer = JournalWriter(directory, Header(resource=b"", signal=signal))
        self._reader = JournalReader(directory, is_live=True)
        state = DestinationState(
            open_transport(destination(server.endpoint_of(signal.name), signal=signal.name)),
            timeout_seconds=10,
            dead_letters=DeadLetters(box / DEAD_LETTERS),
            counts=OutboxCounters(),
            clock=self.clock,
            signal=signal,
        )
        self._sender = Sender(state)

    def emit(self, name: str) -> None:
        self.writer.append(Scope(scope=b""), encoded_record(name) if self._signal is LOGS else encoded_span(name))
        self.acknowledged.append(record_id(self._signal, name))

    def step(self, seconds: float) -> None:
        """Advance the clock, and send as much as the server accepts."""
        self.clock.now += seconds
        while self._sender.send_next(self._reader) is Outcome.SENT:
            pass

    def close(self) -> None:
        self._sender.close()
        self.writer.close()
        self._reader.close()


def date_in(seconds: float) -> str:
    return format_datetime(datetime.now(timezone.utc) + timedelta(seconds=seconds), usegmt=True)


@each_signal
@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("asked", ["3", "30", "a date"])
def test_retry_after(
    tmp_path: Path, record_fault: Callable[..., Row], status: int, asked: str, signal: OutboxSignal
) -> None:
    """The request is not repeated before the time that the server named."""
    seconds = 20.0 if asked == "a date" else float(asked)
    request_times: list[float] = []

    def answer(number: int, _: Sequence[str]) -> Any:
        request_times.append(bench.clock.now)
        retry_after = date_in(seconds) if asked == "a date" else asked
        return OK if number else (status, {"Retry-After": retry_after}, b"")

    with serving(answer) as server:
        bench = JournalAndSender(signal, tmp_path / "box", server)
        for number in range(20):
            bench.emit(f"r{number}")
        for _ in range(200):
            bench.step(0.5)
        bench.close()
        fault = f"{status} with Retry-After: {asked}"
        record_fault(fault, acknowledged=bench.acknowledged, received=server.accepted, signal=signal, failures=0)

    assert len(request_times) == 2
    assert request_times[1] - request_times[0] >= seconds - (
        1.5 if asked == "a date" else 0
    )  # a date has no fraction of a second


@each_signal
def test_outage_of_an_hour(tmp_path: Path, record_fault: Callable[..., Row], signal: OutboxSignal) -> None:
    """Records are emitted during an outage. The server gets about one request a minute at most, and all records afterwards."""
    with serving(lambda number, records: (503, {}, b"") if bench.clock.now < 1000 + 3600 else OK) as server:
        bench = JournalAndSender(signal, tmp_path / "box", server)
        for second in range(3600):
            bench.emit(f"r{second}")
            bench.step(1.0)
        refused = len(server.requests)
        for _ in range(200):
            bench.step(1.0)
        bench.close()
        fault = "an outage of an hour (simulated clock)"
        record_fault(fault, acknowledged=bench.acknowledged, received=server.accepted, signal=signal, failures=0)

    assert 60 <= refused <= 240


@each_signal
def test_clock_jumps(
    tmp_path: Path, record_fault: Callable[..., Row], monkeypatch: pytest.MonkeyPatch, signal: OutboxSignal
) -> None:
    """The system clock jumps by a day, forwards and back, during an outage. Pauses do not depend on it."""
    real, real_ns = time.time, time.time_ns
    with serving(lambda number, records: (503, {}, b"") if number < 2 else OK) as server:
        with emitting_to(signal, tmp_path / "box", server.endpoint_of(signal.name)) as emit:
            acknowledged = []
            for number, days in enumerate((0, 1, -1, 1, 0)):
                monkeypatch.setattr(time, "time", lambda days=days: real() + days * 86400)
                monkeypatch.setattr(time, "time_ns", lambda days=days: real_ns() + days * 86400 * 10**9)
                acknowledged += [emit(f"{number}:{each}") for each in range(50)]
                time.sleep(0.25)
            assert emit.processor.force_flush(60_000)
            acknowledged.append(emit("after"))
            assert emit.processor.force_flush(60_000)
        fault = "a clock that jumps by a day"
        record_fault(fault, acknowledged=acknowledged, received=server.accepted, signal=signal)
