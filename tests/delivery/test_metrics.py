"""Counters of an outbox, and the metrics that report them for all outboxes of a process together."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.metrics import NoOpMeter
from opentelemetry.sdk.metrics.export import Gauge, Sum

from delivery.outboxes import logging_to, outbox_with_every_outcome, wait_for
from delivery.servers import serving
from delivery.spans import tracing_to
from heliograph.delivery.metrics import (
    DROPPED_OLDEST,
    MEMORY_FULL,
    OUTBOX_FULL,
    SHUT_DOWN,
    OutboxCounters,
    OutboxMetrics,
)
from heliograph.delivery.signals import LOGS, OutboxSignal
from heliograph.delivery.transport.verdict import DEAD_REASONS, RETRY_REASONS
from heliograph.semconv import (
    OUTBOX_ACCEPTED,
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_DEPTH,
    OUTBOX_OLDEST_AGE,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    OUTBOX_SIGNAL,
    OUTBOX_SIZE,
)
from processes import in_child
from recorder import Telemetry
from threads import join, result_in_time


def points(telemetry: Telemetry) -> dict[str, dict[str, Any]]:
    """Return the outbox's metrics by name, without prefix, and by reason, without the reasons that never occurred."""
    return {
        name.removeprefix("heliograph.outbox."): {
            reason: point.value
            for point in metric.data.data_points
            if not (reason := str((point.attributes or {}).get("heliograph.outbox.reason", ""))) or point.value
        }
        for name, metric in telemetry.metrics().items()
        if name.startswith("heliograph.outbox.")
    }


def test_every_outcome_is_counted(tmp_path: Path, telemetry: Telemetry) -> None:
    """Each outcome has its reason. After shutdown, counters are still reported, and gauges are not."""
    with outbox_with_every_outcome(tmp_path, telemetry.meter_provider):
        found = points(telemetry)
        size = found.pop("size")
    ended = points(telemetry)

    counters = {
        "accepted": {"": 3},
        "delivered": {"": 3},
        "rejected": {"partial_success": 1},
        "retried": {"unavailable": 1},
        "dead": {"too_large": 1},
        "damaged": {"": 1},
    }
    assert found == {**counters, "depth": {"": 0}, "oldest.age": {"": 0}}
    assert size[""] > 0
    assert ended == counters


def test_every_counter_begins_at_zero(tmp_path: Path, telemetry: Telemetry) -> None:
    """Each of its reasons is reported: an alert on an increase would miss the first dead letter of a series that begins with it."""
    with serving() as server, logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider):
        zeros = {name: telemetry.zeros(name) for name in telemetry.metrics() if name != OUTBOX_OLDEST_AGE}

    assert zeros == {
        OUTBOX_ACCEPTED: {("logs",)},
        OUTBOX_DELIVERED: {("logs",)},
        OUTBOX_DAMAGED: {("logs",)},
        OUTBOX_DEPTH: {("logs",)},
        OUTBOX_SIZE: {()},
        OUTBOX_DEAD: {(reason.value, "logs") for reason in DEAD_REASONS},
        OUTBOX_RETRIED: {(reason.value, "logs") for reason in RETRY_REASONS},
        OUTBOX_REJECTED: {
            (reason, "logs") for reason in (OUTBOX_FULL, MEMORY_FULL, SHUT_DOWN, DROPPED_OLDEST, "partial_success")
        },
    }


def test_depth_is_additive(tmp_path: Path, telemetry: Telemetry) -> None:
    """The depth is an up-down counter, because the depths of processes can be added up. The size, of a shared directory, cannot."""
    with serving() as server, logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider):
        metrics = telemetry.metrics()

    assert isinstance(metrics[OUTBOX_DEPTH].data, Sum)
    assert not metrics[OUTBOX_DEPTH].data.is_monotonic
    assert isinstance(metrics[OUTBOX_SIZE].data, Gauge)


def test_waiting_records_are_measured(tmp_path: Path, telemetry: Telemetry) -> None:
    """The records of an orphan are included. Two outboxes are reported together."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        with logging_to(tmp_path / "a", down.endpoint) as emit:
            emit("orphaned")
        with (
            logging_to(tmp_path / "a", down.endpoint, meter_provider=telemetry.meter_provider) as first,
            logging_to(tmp_path / "b", down.endpoint, meter_provider=telemetry.meter_provider) as second,
        ):
            first("one")
            second("two")
            second("three")
            for emit in (first, second):
                assert not emit.processor.force_flush(600)
            wait_for(lambda: points(telemetry)["depth"] == {"": 4})
            found = points(telemetry)

    assert found["accepted"] == {"": 3}
    assert found["depth"] == {"": 4}
    assert 0.5 < found["oldest.age"][""] < 60
    assert found["size"][""] >= 2 * 256 * 1024


def test_child_of_a_fork_counts_its_own(tmp_path: Path, telemetry: Telemetry) -> None:
    """The parent goes on reporting its own counts."""
    with serving() as server, logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider) as emit:
        emit("before")
        assert emit.processor.force_flush(60_000)

        def work() -> None:
            emit("child")
            assert emit.processor.force_flush(60_000)
            assert points(telemetry)["accepted"] == {"": 1}

        assert in_child(work) == 0
        assert points(telemetry)["accepted"] == {"": 1}

    assert sorted(server.accepted) == ["before", "child"]


def test_counts_are_kept_by_reason() -> None:
    """The total is their sum. A reason that did not occur is not listed."""
    counters = OutboxCounters()
    counters.add(OUTBOX_DEAD, reason="bad_data")
    counters.add(OUTBOX_DEAD, 2, reason="too_large")
    counters.add(OUTBOX_DELIVERED, 4)

    assert counters.by_reason(OUTBOX_DEAD) == {"bad_data": 1, "too_large": 2}
    assert counters.total(OUTBOX_DEAD) == 3
    assert counters.by_reason(OUTBOX_DELIVERED) == {"": 4}
    counters.add(OUTBOX_DEAD, 0, reason="refused")
    assert "refused" not in counters.by_reason(OUTBOX_DEAD)


def test_additions_without_a_lock_are_counted_when_somebody_reads() -> None:
    """A thread that holds the lock of the counters, in the middle of an addition, keeps nobody from counting so."""
    counters = OutboxCounters()
    with counters._lock:
        thread = threading.Thread(target=lambda: counters.add_later(OUTBOX_REJECTED, 2, DROPPED_OLDEST), daemon=True)
        thread.start()
        join(thread)
    counters.add(OUTBOX_REJECTED, 1, DROPPED_OLDEST)

    assert counters.by_reason(OUTBOX_REJECTED) == {DROPPED_OLDEST: 3}
    assert counters.total(OUTBOX_REJECTED) == 3


def test_total_can_be_counted_elsewhere() -> None:
    """Setting it twice does not add up."""
    counters = OutboxCounters()
    counters.set_total(OUTBOX_ACCEPTED, 3)
    counters.set_total(OUTBOX_ACCEPTED, 5)

    assert counters.by_reason(OUTBOX_ACCEPTED) == {"": 5}


def test_threads_count_together() -> None:
    """No addition is lost, although another thread counts between the reading and the writing of a number."""

    class SlowCounter(Counter[Any]):
        def __getitem__(self, key: Any) -> int:
            value = super().__getitem__(key)
            time.sleep(0.001)
            return value

    counters = OutboxCounters()
    counters._counts = SlowCounter()
    threads = [
        threading.Thread(target=lambda: [counters.add(OUTBOX_DEAD, reason="bad_data") for _ in range(20)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    join(*threads)

    assert counters.total(OUTBOX_DEAD) == 80


@dataclass
class FakeOutbox:
    """An outbox with these numbers."""

    depth: int
    size: int
    oldest_age_seconds: float
    counts: OutboxCounters = field(default_factory=OutboxCounters)
    signal: OutboxSignal = LOGS
    directory: Path = field(default_factory=lambda: Path(str(next(NUMBERS))))


NUMBERS = itertools.count()


def test_two_outboxes_are_reported_together(telemetry: Telemetry) -> None:
    """Numbers are added, and the greater age is reported."""
    metrics = OutboxMetrics(telemetry.meter_provider.get_meter("tests"))
    metrics.add(FakeOutbox(depth=1, size=10, oldest_age_seconds=5))
    metrics.add(FakeOutbox(depth=2, size=20, oldest_age_seconds=7))

    found = points(telemetry)
    assert (found["depth"], found["size"], found["oldest.age"]) == ({"": 3}, {"": 30}, {"": 7})


def test_signals_are_reported_each_by_itself(tmp_path: Path, telemetry: Telemetry) -> None:
    """Logs and traces have series of their own, and share one directory, whose size counts once."""
    with (
        serving(lambda *_: (503, {}, b"")) as down,
        logging_to(tmp_path, down.endpoint, meter_provider=telemetry.meter_provider) as emit,
        tracing_to(tmp_path, down.traces_endpoint, meter_provider=telemetry.meter_provider) as trace,
    ):
        emit("record")
        for _ in range(3):
            trace("span")
        wait_for(lambda: emit.processor.oldest_age_seconds and trace.processor.oldest_age_seconds)
        metrics = telemetry.metrics()
        size = emit.processor.size

    def values(name: str) -> dict[Any, Any]:
        return {(each.attributes or {}).get(OUTBOX_SIGNAL): each.value for each in metrics[name].data.data_points}

    assert values(OUTBOX_ACCEPTED) == values(OUTBOX_DEPTH) == {"logs": 1, "traces": 3}
    assert values(OUTBOX_SIZE) == {None: size}
    assert set(values(OUTBOX_OLDEST_AGE)) == {"logs", "traces"}
    assert all(0 < age < 60 for age in values(OUTBOX_OLDEST_AGE).values())


def test_nothing_is_reported_without_an_outbox(telemetry: Telemetry) -> None:
    """A forked child has none either, until it makes an outbox of its own."""
    OutboxMetrics(telemetry.meter_provider.get_meter("tests"))

    assert points(telemetry) == {}


def test_lock_is_new_in_the_child_of_a_fork() -> None:
    """Another thread of the parent held it when the process was forked, and does not exist in the child."""
    metrics = OutboxMetrics(NoOpMeter("tests"))
    locked, release = threading.Event(), threading.Event()

    def hold() -> None:
        with metrics._lock:
            locked.set()
            release.wait(60)

    def work() -> None:
        signal.alarm(30)  # a deadlock ends the child
        metrics.add(FakeOutbox(depth=0, size=0, oldest_age_seconds=0))

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert locked.wait(60)
        assert in_child(work) == 0
    finally:
        release.set()
        join(thread)


def test_handler_of_a_signal_may_shut_down_during_a_collection() -> None:
    """The handler interrupts the thread that collects, which holds the lock."""
    metrics = OutboxMetrics(NoOpMeter("tests"))
    outbox = FakeOutbox(depth=0, size=0, oldest_age_seconds=0)
    metrics.add(outbox)

    def interrupted() -> None:
        with metrics._lock:
            metrics.remove(outbox)

    result_in_time(interrupted)
