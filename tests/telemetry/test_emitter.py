"""An event is emitted as a log record and a span event, whatever it contains and whichever provider is set."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, trace
from opentelemetry._logs import Logger, LoggerProvider, NoOpLoggerProvider, SeverityNumber
from opentelemetry.context import attach, detach
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import NoOpTracerProvider, SpanContext

from heliograph import (
    Attribute,
    Deprecated,
    Event,
    Host,
    OutboxFull,
    Settings,
    Signal,
    acting_as,
)
from heliograph.quarantine.record import InvalidRecord
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.emitter import Emitter
from heliograph.telemetry.limits import MAX_ATTRIBUTES, limit_attributes
from heliograph.telemetry.providers import Providers
from heliograph.version import __version__
from recorder import Telemetry, without_uid
from registrar import Registrar
from telemetry.emitted import PLUGIN, AnythingEvent, BanUserEvent, only

ANYTHING_READER = EventReader(compile_schema(AnythingEvent, namespace="app"))


def nanoseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1) * 1000


def test_event_is_a_log_record_with_an_event_name(telemetry: Telemetry) -> None:
    """Name, time, severity, body, attributes and scope are exactly as documented."""
    created = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
    with telemetry.host(PLUGIN) as host:
        host.track(BanUserEvent(user={"id": 1, "username": "bot"}, actor={"id": "root"}, created=created))

    [log] = telemetry.logs
    record = log.log_record
    assert record.event_name == "forum.ban_user"
    assert record.timestamp == 1_767_323_045_678_901_000
    assert record.severity_number is SeverityNumber.WARN
    assert record.severity_text is None
    assert record.body == "root banned bot"
    assert without_uid(record.attributes) == {
        "user.id": "root",
        "forum.ban_user.user.id": 1,
        "forum.ban_user.user.username": "bot",
    }
    assert (record.trace_id, record.span_id) == (0, 0)
    assert log.instrumentation_scope is not None
    assert (log.instrumentation_scope.name, log.instrumentation_scope.version) == ("heliograph", __version__)
    assert telemetry.spans == []


def test_version_of_the_schema_is_an_attribute(telemetry: Telemetry) -> None:
    """The attribute is omitted if the class declares no version."""

    @dataclass
    class VersionedEvent(Event, version="2"):
        name = "versioned"

    with telemetry.host(PLUGIN, Registrar(VersionedEvent)) as host:
        host.track(VersionedEvent())
        host.track(AnythingEvent(other=None))

    assert telemetry.events == [("app.versioned", {"heliograph.event.version": "2"}), ("app.anything", {})]


def test_each_event_has_an_id_of_its_own(telemetry: Telemetry) -> None:
    """One event has one id in all its signals, and the next event has another."""
    event = AnythingEvent()
    with telemetry.host(PLUGIN) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(event)
        host.track(event)

    logged = [(log.log_record.attributes or {})["log.record.uid"] for log in telemetry.logs]
    assert logged == [(event.attributes or {})["log.record.uid"] for event in telemetry.span_events]
    assert len(set(logged)) == 2


def test_log_signal_only(telemetry: Telemetry) -> None:
    """There is no span event if the setting names log records only."""
    with telemetry.host(PLUGIN, settings=only(Signal.LOG)) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent())

    assert (len(telemetry.logs), telemetry.span_events) == (1, [])


# Time


@pytest.mark.parametrize(
    "created",
    [
        dt.datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=dt.timezone.utc),
        dt.datetime(2026, 1, 2, 3, 4, 5, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5, minutes=-30))),
        dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc),
        dt.datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=dt.timezone.utc),
    ],
)
def test_timestamp_is_exactly_when_the_event_was_created(telemetry: Telemetry, created: dt.datetime) -> None:
    """The timestamp is exact to the microsecond, in any time zone, up to the limits of OTLP."""
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent(created=created))

    assert [log.log_record.timestamp for log in telemetry.logs] == [nanoseconds(created)]
    assert "heliograph.event.created" not in telemetry.events[0][1]


def test_naive_time_is_in_utc(telemetry: Telemetry) -> None:
    """Datasette's own events have such times."""
    naive = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent(created=naive))

    assert [log.log_record.timestamp for log in telemetry.logs] == [nanoseconds(naive.replace(tzinfo=dt.timezone.utc))]


class FailingZone(dt.tzinfo):
    def utcoffset(self, _: object) -> dt.timedelta:
        raise RuntimeError

    def tzname(self, _: object) -> str:
        raise RuntimeError

    def dst(self, _: object) -> None:
        return None


class NoNumber:
    """An object whose differences are not numbers."""

    def __sub__(self, _: object) -> NoNumber:
        return self

    __floordiv__ = __mul__ = __sub__


class Fractional:
    """An object whose difference to the epoch is a fraction, in range, which OTLP cannot represent."""

    def __sub__(self, _: object) -> Fractional:
        return self

    def __floordiv__(self, _: object) -> float:
        return 0.5


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (dt.datetime.min, "0001-01-01T00:00:00"),
        (dt.datetime.max, "9999-12-31T23:59:59.999999"),
        (dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.timezone.utc), "1969-12-31T23:59:59Z"),
        (dt.datetime(2262, 4, 11, 23, 47, 16, 854776, tzinfo=dt.timezone.utc), "2262-04-11T23:47:16.854776Z"),
        (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-14))), "9999-12-31T23:59:59.999999-14:00"),
        ("yesterday", "yesterday"),
        (1_700_000_000, "1700000000"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        ([1], "[1]"),
        (Fractional(), f"<{__name__}.Fractional>"),
        (dt.datetime(2026, 1, 2, tzinfo=FailingZone()), "<datetime.datetime>"),
        (NoNumber(), f"<{__name__}.NoNumber>"),
    ],
)
def test_time_that_otlp_cannot_represent_is_emitted_as_text(telemetry: Telemetry, created: Any, shown: str) -> None:
    """The timestamp is the time of the call."""
    before = time.time_ns()
    with telemetry.host(PLUGIN) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent(created=created))

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.created"] == shown
    assert before <= (telemetry.logs[0].log_record.timestamp or 0) <= time.time_ns()
    assert len(telemetry.span_events) == 1


# Body, actor


def test_body_is_the_name_as_written(telemetry: Telemetry) -> None:
    """An event class without a message has a body too."""
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent())

    assert [log.log_record.body for log in telemetry.logs] == ["anything"]


def test_body_has_no_control_characters(telemetry: Telemetry) -> None:
    """Text that a user chose cannot control a terminal."""
    with telemetry.host(PLUGIN) as host:
        host.track(BanUserEvent(user={"username": "a\x1b[31m\nb"}, actor={"id": "r\roo\tt"}))

    assert [log.log_record.body for log in telemetry.logs] == ["r\\roo\\tt banned a\\x1b[31m\\nb"]


def test_body_contains_no_part_of_the_actor_that_is_not_exported(telemetry: Telemetry) -> None:
    """The message is filled from the protected attributes, not from the event."""
    with telemetry.host(PLUGIN, settings=Settings(actor=())) as host:
        host.track(BanUserEvent(user={"username": "bot"}, actor={"id": "root"}))

    assert [log.log_record.body for log in telemetry.logs] == ["somebody banned bot"]
    assert "root" not in telemetry.everything()


def test_ambient_actor_is_on_the_record(telemetry: Telemetry) -> None:
    """By default its email address is omitted, and never is there a part of its token."""
    actor = {"id": 7, "email": "SECRET", "token": "SECRET", "token_expires": 9, "_r": {"a": ["SECRET"]}}
    with telemetry.host(PLUGIN) as host, telemetry.tracer.start_as_current_span("request"), acting_as(actor):
        host.track(AnythingEvent())

    assert {name for name in telemetry.events[0][1] if "app." not in name} == {"user.id"}
    assert "SECRET" not in telemetry.everything()
    assert "token" not in "".join(log.to_json() for log in telemetry.logs)


# Bounds


def test_event_has_at_most_100_attributes_and_loses_none(telemetry: Telemetry) -> None:
    """Attributes beyond the limit are in one JSON object. The unique id is always an attribute of its own."""
    keys = [f"k{index}" for index in range(60)]
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent(value=dict.fromkeys(keys, 1), other=dict.fromkeys(keys, 2)))

    [(_, attributes)] = telemetry.events
    assert len(attributes) + 1 == MAX_ATTRIBUTES
    rest = json.loads(attributes.pop("heliograph.event.overflow"))
    assert {**attributes, **rest} == {
        **{f"app.anything.value.{key}": 1 for key in keys},
        **{f"app.anything.other.{key}": 2 for key in keys},
    }


@pytest.mark.parametrize(("count", "has_overflow"), [(99, False), (100, True)])
def test_overflow_begins_beyond_100_attributes(telemetry: Telemetry, count: int, has_overflow: bool) -> None:
    """99 properties and the id are exactly 100, which are emitted as they are."""
    values = {f"k{index}": 1 for index in range(50)}, {f"k{index}": 1 for index in range(count - 50)}
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent(value=values[0], other=values[1]))

    [(_, attributes)] = telemetry.events
    assert ("heliograph.event.overflow" in attributes) is has_overflow


def test_limited_attributes_are_exactly_100_with_the_id() -> None:
    """The id is kept although it is the last one, and the rest keeps its order."""
    attributes: dict[str, Any] = {f"k{index}": index for index in range(101)}
    attributes["log.record.uid"] = "u"

    kept = limit_attributes(attributes)

    assert len(kept) == MAX_ATTRIBUTES
    assert kept["log.record.uid"] == "u"
    assert json.loads(str(kept["heliograph.event.overflow"])) == {"k98": 98, "k99": 99, "k100": 100}


ODD_TEXT = st.text(st.characters(categories=None), max_size=20)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT | st.binary(max_size=9) | st.builds(object),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT | st.integers(), inner, max_size=8),
    max_leaves=20,
)


@given(value=ANYTHING, other=ANYTHING, actor=st.none() | st.dictionaries(ODD_TEXT, ANYTHING, max_size=5) | ANYTHING)
def test_any_event_is_emitted_and_encoded(value: Any, other: Any, actor: Any) -> None:
    """The real encoders of OTLP accept any event: no exception, no lost event, no dropped attribute."""
    telemetry = Telemetry()
    emitter = Emitter(Settings(), Providers(**telemetry.providers), ActorFilter(("*",)))
    with telemetry.tracer.start_as_current_span("request"):
        emitter.emit(ANYTHING_READER, AnythingEvent(value=value, other=other, actor=actor))

    assert encode_logs(telemetry.logs).SerializeToString()
    assert encode_spans(telemetry.spans).SerializeToString()
    [log], [event] = telemetry.logs, telemetry.span_events
    assert {**(log.log_record.attributes or {}), "otel.event.name": "app.anything"} == dict(event.attributes or {})
    assert (log.dropped_attributes, event.attributes.dropped) == (0, 0)  # type: ignore[union-attr]


# Events of other shapes


def test_event_class_without_actor_and_time_is_emitted(telemetry: Telemetry) -> None:
    """A class without heliograph's base class may lack both. The time is then the time of the call."""

    @dataclass
    class Bare:
        name = "bare"
        size: int = 3

        def properties(self) -> dict[str, object]:
            return {"size": self.size}

    with telemetry.host(Registrar(Bare)) as host:
        host.track(Bare())  # type: ignore[arg-type]

    assert telemetry.events == [("app.bare", {"app.bare.size": 3})]


def test_event_with_none_as_its_time_has_no_time_as_text(telemetry: Telemetry) -> None:
    """The attribute is absent, as for every other `None`. The timestamp is the time of the call."""
    before = time.time_ns()
    with telemetry.host(PLUGIN) as host:
        host.track(AnythingEvent(created=None))  # type: ignore[arg-type]

    [(_, attributes)] = telemetry.events
    assert "heliograph.event.created" not in attributes
    assert before <= (telemetry.logs[0].log_record.timestamp or 0) <= time.time_ns()


# Providers


class OneMethodLogger(Logger):
    """A logger of another vendor, which has the methods of the API only."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        super().__init__("vendor")
        self.records = records

    def enabled(self, **fields: Any) -> bool:
        return True

    def emit(self, record: Any = None, **fields: Any) -> None:
        self.records.append(fields)


class VendorLoggerProvider(LoggerProvider):
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def get_logger(self, name: str, *args: Any, **kwargs: Any) -> Logger:
        return OneMethodLogger(self.records)


class BrokenLoggerProvider(LoggerProvider):
    def get_logger(self, *args: Any, **kwargs: Any) -> Logger:
        raise RuntimeError("no logger")


class BrokenLogger(Logger):
    def __init__(self) -> None:
        super().__init__("broken")

    def enabled(self, **fields: Any) -> bool:
        raise RuntimeError("failed")

    def emit(self, record: Any = None, **fields: Any) -> None:
        raise RuntimeError("disk full")


class BrokenEmitProvider(LoggerProvider):
    def get_logger(self, *args: Any, **kwargs: Any) -> Logger:
        return BrokenLogger()


def test_missing_provider_is_logged_once_for_each_signal(warnings: pytest.LogCaptureFixture) -> None:
    """One warning names the signal and the ways to fix it, however many events are tracked. Nothing is raised."""
    with Host(Settings(), plugins=[PLUGIN]) as host:
        host.track(AnythingEvent())
        host.track(AnythingEvent())

    log, span_event = [record.getMessage() for record in warnings.records]
    assert log.startswith(
        "No LoggerProvider is set, so events are not emitted as 'log'. Make the host with heliograph.configure()"
    )
    assert log.endswith("remove 'log' from HELIOGRAPH_SIGNALS.")
    assert span_event.startswith("No TracerProvider is set, so events are not emitted as 'span_event'.")


def test_missing_provider_is_intended_where_telemetry_is_disabled(
    warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning would have nothing to fix."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")

    with Host(Settings(), plugins=[PLUGIN]) as host:
        host.track(AnythingEvent())

    assert warnings.records == []


def test_no_op_provider_causes_no_warning(warnings: pytest.LogCaptureFixture) -> None:
    """A provider that does nothing was set on purpose, to switch telemetry off."""
    host = Host(
        Settings(), plugins=[PLUGIN], logger_provider=NoOpLoggerProvider(), tracer_provider=NoOpTracerProvider()
    )
    with host:
        host.track(AnythingEvent())

    assert warnings.records == []


def test_provider_of_another_vendor_needs_the_api_only(telemetry: Telemetry) -> None:
    """Only `get_logger` and `emit` of the public API are called."""
    vendor = VendorLoggerProvider()
    with telemetry.host(PLUGIN, logger_provider=vendor) as host:
        host.track(AnythingEvent(value=1))
        assert host.flush()

    [record] = vendor.records
    assert record["event_name"] == "app.anything"
    assert record["body"] == "anything"
    assert record["attributes"]["app.anything.value"] == 1


@pytest.mark.parametrize(
    "provider", [BrokenLoggerProvider(), BrokenEmitProvider()], ids=lambda each: type(each).__name__
)
def test_logger_provider_that_fails_has_no_effect_on_the_program(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, provider: LoggerProvider
) -> None:
    """The failure is logged and counted, and the other signal is emitted."""
    with telemetry.host(PLUGIN, logger_provider=provider) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())

    assert len(telemetry.span_events) == 1
    assert [record.getMessage() for record in warnings.records] == [
        "A provider failed to emit an event as 'log': RuntimeError"
    ]
    assert telemetry.counts("heliograph.emit.failures") == {("RuntimeError", "log"): 1}
    assert telemetry.counts("heliograph.events") == {("app.anything",): 1}


def test_full_outbox_is_raised_logged_and_counted(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """An outbox raises `OutboxFull` only if the settings are strict. It is the one failure that reaches the program."""

    class FullLogger(BrokenLogger):
        def emit(self, record: Any = None, **fields: Any) -> None:
            raise OutboxFull(Path("outbox"), 1)

    class FullProvider(LoggerProvider):
        def get_logger(self, *args: Any, **kwargs: Any) -> Logger:
            return FullLogger()

    with telemetry.host(PLUGIN, logger_provider=FullProvider()) as host, pytest.raises(OutboxFull):
        host.track(AnythingEvent())

    assert telemetry.counts("heliograph.emit.failures") == {("heliograph.errors.OutboxFull", "log"): 1}
    assert "A provider failed to emit an event as 'log'" in warnings.text


# Renamed events


@dataclass
class OldEvent(Event, deprecated=Deprecated(renamed_to="app.new", emit_both=True)):
    name = "old"
    count: int


def test_renamed_event_is_emitted_under_both_names_with_two_ids(telemetry: Telemetry) -> None:
    """Receivers drop a second record with the same id. Both have the actor, the violations and the time as text."""
    event = OldEvent(count="one", actor={"id": "root"}, created="yesterday")  # type: ignore[arg-type]
    with telemetry.host(Registrar(OldEvent)) as host:
        host.track(event)

    shared = {
        "user.id": "root",
        "heliograph.event.created": "yesterday",
        "heliograph.event.violations": ("datatype-mismatch: count",),
    }
    assert telemetry.events == [
        ("app.old", {"app.old.count": "one", **shared}),
        ("app.new", {"app.new.count": "one", **shared}),
    ]
    first, second = telemetry.logs
    assert first.log_record.timestamp == second.log_record.timestamp
    assert len({(log.log_record.attributes or {})["log.record.uid"] for log in (first, second)}) == 2


# Names that the actor has too


@dataclass
class GreetedEvent(Event):
    name = "greeted"
    user: Annotated[str, Attribute("user.id")]
    by: Annotated[str | None, Attribute("user.name")] = None


@pytest.mark.parametrize(
    ("actor", "expected"),
    [
        ({"id": "root"}, {"user.id": "root"}),
        ({"id": "root", "name": "Root"}, {"user.id": "root", "user.name": "Root"}),
        (None, {}),
    ],
)
def test_property_with_an_attribute_of_the_actor_is_below_the_event(
    telemetry: Telemetry, actor: dict[str, object] | None, expected: dict[str, object]
) -> None:
    """The name of the property does not depend on the keys that the actor has."""
    with telemetry.host(Registrar(GreetedEvent)) as host:
        host.track(GreetedEvent(user="ada", by="bot", actor=actor))

    own = {"app.greeted.user": "ada", "app.greeted.by": "bot"}
    assert telemetry.events == [("app.greeted", {**own, **expected})]


# Replay


def test_replayed_event_has_its_first_id_time_actor_and_span_only(telemetry: Telemetry) -> None:
    """The context in which it is replayed does not belong to it: neither its span nor its baggage."""
    vendor = VendorLoggerProvider()
    emitter = Emitter(Settings(), Providers(**{**telemetry.providers, "logger_provider": vendor}), ActorFilter(("*",)))
    record = InvalidRecord(
        uid="the first id",
        event_name="app.anything",
        version=None,
        event_class="AnythingEvent",
        time_unix_nano=7,
        actor={"user.id": "root"},
        properties={},
        violations=(),
        span=SpanContext(1, 2, is_remote=False),
    )
    token = attach(baggage.set_baggage("request", "of the replay"))
    with telemetry.tracer.start_as_current_span("replay"):
        emitter.replay(ANYTHING_READER, record, {"app.anything.value": 1})
    detach(token)

    [emitted] = vendor.records
    assert emitted["timestamp"] == 7
    assert emitted["attributes"] == {
        "app.anything.value": 1,
        "user.id": "root",
        "log.record.uid": "the first id",
    }
    assert trace.get_current_span(emitted["context"]).get_span_context() == record.span
    assert baggage.get_all(emitted["context"]) == {}
    assert telemetry.span_events == []


def test_renamed_event_without_an_actor(telemetry: Telemetry) -> None:
    """Under both names it has no attributes of an actor."""
    with telemetry.host(Registrar(OldEvent)) as host:
        host.track(OldEvent(count=1))

    assert telemetry.events == [("app.old", {"app.old.count": 1}), ("app.new", {"app.new.count": 1})]
