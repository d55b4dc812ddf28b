"""The declared events and attributes that were seen, with their last times and their violations."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.coverage import CoverageRecorder
from heliograph.schema.read.validation import Violation, ViolationKind
from recorder import Telemetry
from registrar import Registrar
from threads import LIMIT_SECONDS, join


@dataclass
class SeenEvent(Event, namespace="shop", version="1"):
    name = "seen"
    number: int
    note: str | None = None
    user: dict | None = None
    tags: list[str] = field(default_factory=list)


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
NANOS = int(NOW.timestamp()) * 1_000_000_000
SECOND = 1_000_000_000


def seen(seconds: float, **fields: object) -> SeenEvent:
    return SeenEvent(**{"number": 1, **fields}, created=NOW + timedelta(seconds=seconds))  # type: ignore[arg-type]


def test_nothing_was_seen_yet(telemetry: Telemetry) -> None:
    """Every declared event and attribute is listed as unseen."""
    with telemetry.host(Registrar(SeenEvent)) as host:
        [(name, coverage)] = host.schemas.coverage().items()

    assert name == "shop.seen@1"
    assert (coverage.count, coverage.last_unix_nano, coverage.violations) == (0, None, {})
    assert coverage.unseen == ("shop.seen.number", "shop.seen.note", "shop.seen.user", "shop.seen.tags")


def test_attributes_of_events_are_seen(telemetry: Telemetry) -> None:
    """A dict is seen by any of its keys. A field that is always `None` is not seen."""
    with telemetry.host(Registrar(SeenEvent)) as host:
        host.track(seen(0))
        host.track(seen(0.3, user={"id": 1}))
        host.track(seen(5))
        coverage = host.schemas.coverage()["shop.seen@1"]

    assert coverage.count == 3
    assert coverage.last_unix_nano == NANOS + 5 * SECOND
    assert coverage.attributes == {
        "shop.seen.number": NANOS + 5 * SECOND,
        "shop.seen.note": None,
        "shop.seen.user": NANOS + 300_000_000,
        "shop.seen.tags": NANOS + 5 * SECOND,
    }


def test_violations_are_counted_by_kind(telemetry: Telemetry) -> None:
    """The numbers are those of the metric."""
    with telemetry.host(Registrar(SeenEvent)) as host:
        host.track(seen(0, number="one", note=3))
        host.track(seen(0, number=None))
        coverage = host.schemas.coverage()["shop.seen@1"]

    assert coverage.violations == {ViolationKind.DATATYPE_MISMATCH: 2, ViolationKind.REQUIRED_MISSING: 1}
    assert telemetry.counts("heliograph.event.violations") == {
        ("datatype-mismatch", "shop.seen"): 2,
        ("required-missing", "shop.seen"): 1,
    }


def recorder() -> CoverageRecorder:
    return CoverageRecorder(compile_schema(SeenEvent, namespace="app").wire_attributes())


def see(coverage: CoverageRecorder, attributes: dict[str, Any], time_unix_nano: int) -> None:
    """Record an event, as the emitter does."""
    if coverage.count(time_unix_nano):
        coverage.see(attributes, time_unix_nano)


def test_attribute_is_recorded_once_per_window() -> None:
    """The time of an attribute is that of its first event in the last second that had it."""
    coverage = recorder()
    see(coverage, {"shop.seen.number": 1}, NANOS)
    see(coverage, {"shop.seen.number": 1, "shop.seen.note": "x"}, NANOS + SECOND - 1)
    assert coverage.snapshot().attributes["shop.seen.number"] == NANOS
    assert coverage.snapshot().attributes["shop.seen.note"] == NANOS + SECOND - 1
    assert coverage.snapshot().last_unix_nano == NANOS

    see(coverage, {"shop.seen.number": 1}, NANOS + SECOND)
    assert coverage.snapshot().attributes["shop.seen.number"] == NANOS + SECOND
    assert coverage.snapshot().last_unix_nano == NANOS + SECOND


def test_prefix_is_seen_by_its_keys_only() -> None:
    """A name that only begins with the same letters is another attribute."""
    coverage = recorder()
    see(coverage, {"shop.seen.username": "x", "undeclared": 1}, NANOS)
    assert coverage.snapshot().attributes["shop.seen.user"] is None
    see(coverage, {"shop.seen.user": "{}"}, NANOS)
    assert coverage.snapshot().attributes["shop.seen.user"] == NANOS
    assert "undeclared" not in coverage.snapshot().attributes


def test_snapshot_does_not_change() -> None:
    """A snapshot is a copy, which later events do not reach."""
    coverage = recorder()
    before = coverage.snapshot()
    see(coverage, {"shop.seen.number": 1}, NANOS)
    coverage.record_violations([Violation(ViolationKind.DATATYPE_MISMATCH, "number")])

    assert (before.count, dict(before.violations)) == (0, {})
    assert before.attributes["shop.seen.number"] is None


def test_threads_lose_no_event_and_no_violation() -> None:
    """Eight threads record at the same time. Every number is exact, and every attribute is seen."""
    coverage = recorder()
    violation = Violation(ViolationKind.DATATYPE_MISMATCH, "number")
    start = threading.Barrier(8, timeout=LIMIT_SECONDS)
    interval = sys.getswitchinterval()

    def work(thread: int) -> None:
        start.wait()
        for index in range(2_000):
            name = ("shop.seen.number", "shop.seen.note", "shop.seen.user.id", "shop.seen.tags")[index % 4]
            see(coverage, {name: 1}, NANOS + index * SECOND // 10 + thread)
            coverage.record_violations([violation])
            if index % 100 == 0:
                coverage.snapshot()

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        join(*threads)
    finally:
        sys.setswitchinterval(interval)

    snapshot = coverage.snapshot()
    assert snapshot.count == 16_000
    assert snapshot.violations == {ViolationKind.DATATYPE_MISMATCH: 16_000}
    assert snapshot.unseen == ()
