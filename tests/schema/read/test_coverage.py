"""What was seen of the declared events and attributes, when last, and with how many violations."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from heliograph import Event, hookimpl
from heliograph.schema.read.validation import ViolationKind
from recorder import Telemetry


@dataclass
class SeenEvent(Event, namespace="shop", version="1"):
    name = "seen"
    number: int
    note: str | None = None
    user: dict | None = None
    tags: list[str] = field(default_factory=list)


class Shop:
    @hookimpl
    def register_events(self):
        return [SeenEvent]


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
NANOS = int(NOW.timestamp()) * 1_000_000_000
SECOND = 1_000_000_000


def seen(seconds: float, **fields: object) -> SeenEvent:
    return SeenEvent(**{"number": 1, **fields}, created=NOW + timedelta(seconds=seconds))  # type: ignore[arg-type]


def test_nothing_was_seen_yet(telemetry: Telemetry) -> None:
    """Every declared event and attribute is there, unseen."""
    with telemetry.host(Shop()) as host:
        [(name, coverage)] = host.schemas.coverage().items()

    assert name == "shop.seen@1"
    assert (coverage.count, coverage.last_unix_nano, coverage.violations) == (0, None, {})
    assert coverage.unseen == ("shop.seen.number", "shop.seen.note", "shop.seen.user", "shop.seen.tags")


def test_attributes_are_seen_when_they_are_there(telemetry: Telemetry) -> None:
    """A dict is seen by any of its keys; what stays `None` is not."""
    with telemetry.host(Shop()) as host:
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
    """As the metric counts them."""
    with telemetry.host(Shop()) as host:
        host.track(seen(0, number="one", note=3))
        host.track(seen(0, number=None))
        coverage = host.schemas.coverage()["shop.seen@1"]

    assert coverage.violations == {ViolationKind.DATATYPE_MISMATCH: 2, ViolationKind.REQUIRED_MISSING: 1}
    assert telemetry.counts("heliograph.event.violations") == {
        ("datatype-mismatch", "shop.seen"): 2,
        ("required-missing", "shop.seen"): 1,
    }
