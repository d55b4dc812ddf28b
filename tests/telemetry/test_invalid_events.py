"""An event that violates its schema is emitted, put into the quarantine or raised, as the setting demands."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from opentelemetry.trace import format_trace_id

from heliograph import Attribute, Event, InvalidEvent, Privacy, Settings, Validation, hookimpl
from heliograph.quarantine.store import Quarantine
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, ViolationKind
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.invalid_events import InvalidEventHandler
from heliograph.telemetry.metrics import Metrics
from heliograph.telemetry.request_context import RequestContext
from heliograph.values.privacy import PrivacyPolicy
from recorder import Telemetry
from registrar import Registrar

SECRET = "c4n4ry"


@dataclass
class OrderEvent(Event, namespace="shop"):
    name = "order"
    number: Annotated[int, msgspec.Meta(ge=1)]
    customer: str
    lines: list[int]


@dataclass
class LargeOrderEvent(OrderEvent):
    pass


class Shop:
    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl
    def register_events(self):
        return [OrderEvent]

    @hookimpl
    def track_event(self, event):
        self.seen.append(event)


GOOD = OrderEvent(number=1, customer="Ada", lines=[1])
BAD = OrderEvent(number=0, customer=None, lines=[1, SECRET])  # type: ignore[arg-type, list-item]
VIOLATIONS = ("constraint-violated: number", "required-missing: customer", "datatype-mismatch: lines[1]")


def settings(validation: str, path: Path | None = None) -> Settings:
    return Settings(secret=("x",), validation=validation, quarantine=path or Path("unused.db"))  # type: ignore[arg-type]


def kinds(telemetry: Telemetry) -> dict[tuple[object, ...], float]:
    return telemetry.counts("heliograph.event.violations")


COUNTED = {
    ("shop.order", "constraint-violated"): 1,
    ("shop.order", "datatype-mismatch"): 1,
    ("shop.order", "required-missing"): 1,
}


def by_event(counts: dict[tuple[object, ...], float]) -> dict[tuple[object, ...], float]:
    return {(name, kind): count for (kind, name), count in counts.items()}


async def track(telemetry: Telemetry, how: str, event: Event, plugin: Shop, with_settings: Settings) -> None:
    async with telemetry.host(plugin, settings=with_settings) as host:
        if how == "track":
            host.track(event)
        else:
            await host.track_event(event)


HOW = pytest.mark.parametrize("how", ["track", "track_event"])


@HOW
@pytest.mark.anyio
async def test_off_emits_the_event_unchecked(telemetry: Telemetry, how: str) -> None:
    """There are no violations, neither in an attribute nor in a metric."""
    await track(telemetry, how, BAD, Shop(), settings("off"))

    [(_, attributes)] = telemetry.events
    assert "heliograph.event.violations" not in attributes
    assert kinds(telemetry) == {}


@HOW
@pytest.mark.anyio
async def test_warn_emits_the_event_with_its_violations(telemetry: Telemetry, how: str) -> None:
    """The log record and the span event have the violations in an attribute, which are counted by kind."""
    plugin = Shop()
    with telemetry.tracer.start_as_current_span("work"):
        await track(telemetry, how, BAD, plugin, settings("warn"))

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.violations"] == VIOLATIONS
    [span_event] = telemetry.span_events
    assert span_event.attributes["heliograph.event.violations"] == VIOLATIONS  # type: ignore[index]
    assert by_event(kinds(telemetry)) == COUNTED
    assert plugin.seen == [BAD]


@HOW
@pytest.mark.anyio
async def test_strict_raises_before_any_hook_is_called(telemetry: Telemetry, how: str) -> None:
    """Nothing is emitted. The exception has the violations, and no value of the event. They are counted."""
    plugin = Shop()
    with pytest.raises(InvalidEvent) as caught:
        await track(telemetry, how, BAD, plugin, settings("strict"))

    assert caught.value.event_class is OrderEvent
    assert caught.value.violations == VIOLATIONS
    assert isinstance(caught.value, ValueError)
    assert SECRET not in str(caught.value)
    assert (telemetry.events, plugin.seen) == ([], [])
    assert by_event(kinds(telemetry)) == COUNTED


@HOW
@pytest.mark.anyio
async def test_quarantine_keeps_the_event(telemetry: Telemetry, how: str, tmp_path: Path) -> None:
    """Nothing is emitted, the file has the whole event, and the hooks of the program are called."""
    plugin, path = Shop(), tmp_path / "aside.db"
    with telemetry.tracer.start_as_current_span("work") as span:
        await track(telemetry, how, BAD, plugin, settings("quarantine", path))

    assert (telemetry.events, telemetry.span_events, plugin.seen) == ([], [], [BAD])
    assert telemetry.counts("heliograph.events") == {}
    assert by_event(kinds(telemetry)) == COUNTED
    with closing(sqlite3.connect(path)) as connection:
        [row] = connection.execute("select event_name, properties, violations, trace_id from quarantine").fetchall()
    assert row == (
        "shop.order",
        f'{{"number":0,"customer":null,"lines":[1,"{SECRET}"]}}',
        '["constraint-violated: number","required-missing: customer","datatype-mismatch: lines[1]"]',
        format_trace_id(span.get_span_context().trace_id),
    )


@pytest.mark.parametrize("validation", ["off", "warn", "quarantine", "strict"])
def test_valid_event_is_emitted_with_every_setting(telemetry: Telemetry, validation: str, tmp_path: Path) -> None:
    """No quarantine file is created."""
    path = tmp_path / "aside.db"
    with telemetry.host(Shop(), settings=settings(validation, path)) as host:
        host.track(GOOD)

    assert telemetry.events == [
        ("shop.order", {"shop.order.number": 1, "shop.order.customer": "Ada", "shop.order.lines": (1,)})
    ]
    assert not path.exists()


def test_unregistered_subclass_is_a_violation(telemetry: Telemetry) -> None:
    """The event would have the name of its ancestor, but its own class was not declared."""
    event = LargeOrderEvent(number=1, customer="Ada", lines=[])
    with telemetry.host(Shop(), settings=settings("strict")) as host, pytest.raises(InvalidEvent) as caught:
        host.track(event)

    assert caught.value.violations == ("unplanned-event",)
    assert caught.value.event_class is LargeOrderEvent


def test_event_that_cannot_be_put_into_the_quarantine_is_emitted(
    telemetry: Telemetry, tmp_path: Path, warnings: pytest.LogCaptureFixture
) -> None:
    """A disk that fails loses no event: it is emitted with its violations, and the log names the problem."""
    folder = tmp_path / "unmounted later"
    folder.mkdir()
    with telemetry.host(Shop(), settings=settings("quarantine", folder / "aside.db")) as host:
        folder.rmdir()
        host.track(BAD)

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.violations"] == VIOLATIONS
    assert "could not be put into the quarantine" in warnings.text


def test_no_log_line_contains_a_value(telemetry: Telemetry, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """No setting of the validation makes a log line quote an event."""
    caplog.set_level(logging.DEBUG)
    for validation in ("off", "warn", "quarantine"):
        with telemetry.host(Shop(), settings=settings(validation, tmp_path / "aside.db")) as host:
            host.track(BAD)

    assert SECRET not in caplog.text


def test_quarantine_keeps_only_what_may_be_exported(telemetry: Telemetry, tmp_path: Path) -> None:
    """The privacy of the event's fields and of the actor's keys holds in the file as well."""

    @dataclass
    class PaymentEvent(Event, namespace="shop"):
        name = "payment"
        amount: int
        card: Annotated[str, Attribute(privacy=Privacy.MASK)]
        pin: Annotated[str, Attribute(privacy=Privacy.DROP)]

    path = tmp_path / "aside.db"
    actor = {"id": "root", "email": SECRET, "token": SECRET}
    with telemetry.host(Registrar(PaymentEvent), settings=settings("quarantine", path)) as host:
        host.track(PaymentEvent(amount="one", card=SECRET, pin=SECRET, actor=actor))  # type: ignore[arg-type]

    with closing(sqlite3.connect(path)) as connection:
        [row] = connection.execute("select actor, properties from quarantine").fetchall()
    assert row == ('{"user.id":"root"}', '{"amount":"one","card":"<masked>"}')


@pytest.mark.parametrize("validation", ["warn", "strict", "quarantine"])
def test_handler_reports_the_event_as_quarantined_only_if_the_settings_name_the_quarantine(
    telemetry: Telemetry, tmp_path: Path, validation: str
) -> None:
    """A quarantine that is passed to the handler is not used under another setting."""
    path = tmp_path / "aside.db"
    metrics = Metrics(telemetry.meter_provider.get_meter("tests"))
    context = RequestContext((), PrivacyPolicy())
    handler = InvalidEventHandler(settings(validation), metrics, ActorFilter(("*",)), context, Quarantine(path))
    reader = EventReader(compile_schema(OrderEvent, namespace="app"))
    violations = [Violation(ViolationKind.REQUIRED_MISSING, "customer")]

    if validation == "strict":
        with pytest.raises(InvalidEvent):
            handler.handle(reader, BAD, "uid", 7, violations)
    else:
        assert handler.handle(reader, BAD, "uid", 7, violations) is (validation == "quarantine")

    assert path.exists() is (validation == "quarantine")
    assert sum(reader.coverage.snapshot().violations.values()) == 1


# The log


@dataclass
class LoggedEvent(Event):
    name = "logged"
    count: Annotated[int, msgspec.Meta(ge=0)]
    size: int


@dataclass
class OtherLoggedEvent(Event):
    name = "other-logged"
    count: int


@pytest.mark.parametrize("validation", [Validation.WARN, Validation.QUARANTINE])
def test_violations_are_logged_once_for_each_class_and_kind(
    telemetry: Telemetry, tmp_path: Path, warnings: pytest.LogCaptureFixture, validation: Validation
) -> None:
    """The line has the path, and never a value."""
    settings = Settings(validation=validation, quarantine=tmp_path / "q.db", secret=("x",))
    with telemetry.host(Registrar(LoggedEvent, OtherLoggedEvent), settings=settings) as host:
        for _ in range(100):
            host.track(LoggedEvent(count="canary", size=1))  # type: ignore[arg-type]
            host.track(LoggedEvent(count=1, size="canary"))  # type: ignore[arg-type]
            host.track(LoggedEvent(count=-1, size=1))
            host.track(OtherLoggedEvent(count="canary"))  # type: ignore[arg-type]

    found = [record.getMessage() for record in warnings.records if "violates" in record.getMessage()]
    end = "It is emitted." if validation is Validation.WARN else "It is put into the quarantine."
    assert [message.partition("LoggedEvent: ")[2] for message in found] == [
        f"datatype-mismatch: count. {end}",
        f"constraint-violated: count. {end}",
        f"datatype-mismatch: count. {end}",
    ]
    assert "An event app.other_logged violates the schema of" in found[2]
    assert "canary" not in warnings.text


@pytest.mark.parametrize("validation", list(Validation))
def test_time_without_a_zone_is_reported_and_emitted(
    telemetry: Telemetry, tmp_path: Path, warnings: pytest.LogCaptureFixture, validation: Validation
) -> None:
    """Such an event is never refused and never put into the quarantine; its time is taken for UTC."""
    settings = Settings(validation=validation, quarantine=tmp_path / "q.db", secret=("x",))
    with telemetry.host(Registrar(LoggedEvent, OtherLoggedEvent), settings=settings) as host:
        for _ in range(3):
            host.track(OtherLoggedEvent(count=1, created=datetime(2026, 1, 2)))

    found = [record.getMessage() for record in warnings.records if "time zone" in record.getMessage()]
    is_reported = validation is not Validation.OFF
    assert len(found) == is_reported
    assert len(telemetry.logs) == 3
    for log in telemetry.logs:
        assert log.log_record.timestamp == 1767312000 * 10**9
        violations = (log.log_record.attributes or {}).get("heliograph.event.violations")
        assert violations == (("constraint-violated: created",) if is_reported else None)
    assert not (tmp_path / "q.db").exists()
    if is_reported:
        assert list(telemetry.counts("heliograph.event.violations").values()) == [3]
