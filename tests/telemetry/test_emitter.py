"""An event becomes a log record and a span event, whatever it carries and whoever receives it."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import Logger, LoggerProvider, NoOpLoggerProvider, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.trace import NonRecordingSpan, NoOpTracerProvider, SpanContext, TraceFlags, Tracer, TracerProvider

from heliograph import Event, Host, Settings, Severity, Signal, acting_as, hookimpl
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.emitter import MAX_ATTRIBUTES, Emitter, limit_attributes
from heliograph.telemetry.providers import Providers
from heliograph.version import __version__
from recorder import Telemetry, without_uid


@dataclass
class BanUserEvent(Event, namespace="forum", severity=Severity.WARN, message="{actor[id]} banned {user[username]}"):
    name = "ban-user"
    user: dict


@dataclass
class AnythingEvent(Event):
    name = "anything"
    value: Any = None
    other: Any = field(default="other")


ANYTHING_READER = EventReader(compile_schema(AnythingEvent, namespace="app"))


class Plugin:
    @hookimpl
    def register_events(self) -> list[type]:
        return [BanUserEvent, AnythingEvent]


def only(*signals: Signal) -> Settings:
    return Settings(signals=frozenset(signals))


def nanoseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)) // dt.timedelta(microseconds=1) * 1000


def test_event_is_a_log_record_with_an_event_name(telemetry: Telemetry) -> None:
    """Name, time, severity, body, attributes, scope: the wire, literally."""
    created = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.timezone.utc)
    with telemetry.host(Plugin()) as host:
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


def test_event_inside_a_span_is_also_a_span_event(telemetry: Telemetry) -> None:
    """The same name, time, id and attributes, on the current span; the log record names that span."""
    with telemetry.host(Plugin()) as host, telemetry.tracer.start_as_current_span("request") as span:
        host.track(BanUserEvent(user={"id": 1}))

    [record] = [log.log_record for log in telemetry.logs]
    [event] = telemetry.span_events
    assert (event.name, event.timestamp) == ("forum.ban_user", record.timestamp)
    assert dict(event.attributes or {}) == dict(record.attributes or {})
    assert record.trace_id == span.get_span_context().trace_id
    assert record.span_id == span.get_span_context().span_id


def test_each_event_has_an_id_of_its_own(telemetry: Telemetry) -> None:
    """One id for an event, whichever signals carry it; another for the next."""
    event = AnythingEvent()
    with telemetry.host(Plugin()) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(event)
        host.track(event)

    logged = [(log.log_record.attributes or {})["log.record.uid"] for log in telemetry.logs]
    assert logged == [(event.attributes or {})["log.record.uid"] for event in telemetry.span_events]
    assert len(set(logged)) == 2


def test_log_signal_alone(telemetry: Telemetry) -> None:
    """No span event where only log records were asked for."""
    with telemetry.host(Plugin(), settings=only(Signal.LOG)) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent())

    assert (len(telemetry.logs), telemetry.span_events) == (1, [])


def test_span_event_signal_alone(telemetry: Telemetry) -> None:
    """No log record where only span events were asked for."""
    with telemetry.host(Plugin(), settings=only(Signal.SPAN_EVENT)) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())
        host.track(AnythingEvent())

    assert (telemetry.logs, len(telemetry.span_events), len(telemetry.spans)) == ([], 1, 1)


def test_span_signal_makes_a_span_where_there_is_none(telemetry: Telemetry) -> None:
    """A span without length outside of a span; inside, the span event does."""
    created = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    with telemetry.host(Plugin(), settings=only(Signal.SPAN, Signal.SPAN_EVENT)) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())
        host.track(AnythingEvent(value=3, created=created))

    request, own = telemetry.spans
    assert [event.name for event in request.events] == ["app.anything"]
    assert (own.name, own.start_time, own.end_time) == ("app.anything", nanoseconds(created), nanoseconds(created))
    assert without_uid(own.attributes) == {"app.anything.value": 3, "app.anything.other": "other"}
    assert own.parent is None


def test_span_signal_without_span_events_makes_a_child(telemetry: Telemetry) -> None:
    """Where no span event was asked for, the event is a span below the current one."""
    with telemetry.host(Plugin(), settings=only(Signal.SPAN)) as host:
        with telemetry.tracer.start_as_current_span("request") as request:
            host.track(AnythingEvent())

    own, parent = telemetry.spans
    assert (own.name, parent.events) == ("app.anything", ())
    assert own.parent is not None
    assert own.parent.span_id == request.get_span_context().span_id


def test_span_that_is_not_recording_takes_no_event(telemetry: Telemetry) -> None:
    """An unsampled request has no span event; the log record still names it."""
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0))
    with telemetry.host(Plugin()) as host, trace.use_span(NonRecordingSpan(context)):
        host.track(AnythingEvent())

    assert [(log.log_record.trace_id, log.log_record.span_id) for log in telemetry.logs] == [(1, 2)]
    assert telemetry.spans == []


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
    """To the microsecond, in whichever zone it was told."""
    with telemetry.host(Plugin()) as host:
        host.track(AnythingEvent(created=created))

    assert [log.log_record.timestamp for log in telemetry.logs] == [nanoseconds(created)]
    assert "heliograph.event.created" not in telemetry.events[0][1]


def test_naive_time_is_taken_as_utc(telemetry: Telemetry) -> None:
    """As Datasette's events have it."""
    naive = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
    with telemetry.host(Plugin()) as host:
        host.track(AnythingEvent(created=naive))

    assert [log.log_record.timestamp for log in telemetry.logs] == [nanoseconds(naive.replace(tzinfo=dt.timezone.utc))]


class Lawless(dt.tzinfo):
    def utcoffset(self, _: object) -> dt.timedelta:
        raise RuntimeError

    def tzname(self, _: object) -> str:
        raise RuntimeError

    def dst(self, _: object) -> None:
        return None


class Endless:
    """Its differences are no numbers."""

    def __sub__(self, _: object) -> Endless:
        return self

    __floordiv__ = __mul__ = __sub__


@pytest.mark.parametrize(
    ("created", "shown"),
    [
        (dt.datetime.min, "0001-01-01T00:00:00"),
        (dt.datetime.max, "9999-12-31T23:59:59.999999"),
        (dt.datetime(1969, 12, 31, 23, 59, 59, tzinfo=dt.timezone.utc), "1969-12-31T23:59:59Z"),
        (dt.datetime(2262, 4, 11, 23, 47, 16, 854776, tzinfo=dt.timezone.utc), "2262-04-11T23:47:16.854776Z"),
        (dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-14))), "9999-12-31T23:59:59.999999-14:00"),
        ("yesterday", "yesterday"),
        (None, "null"),
        (1_700_000_000, "1700000000"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        ([1], "[1]"),
        (dt.datetime(2026, 1, 2, tzinfo=Lawless()), "<datetime.datetime>"),
        (Endless(), f"<{__name__}.Endless>"),
    ],
)
def test_time_that_otlp_cannot_carry_is_told_as_text(telemetry: Telemetry, created: Any, shown: str) -> None:
    """The timestamp is that of the call, and nothing is lost or raised."""
    before = time.time_ns()
    with telemetry.host(Plugin()) as host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent(created=created))

    [(_, attributes)] = telemetry.events
    assert attributes["heliograph.event.created"] == shown
    assert before <= (telemetry.logs[0].log_record.timestamp or 0) <= time.time_ns()
    assert len(telemetry.span_events) == 1


# Body, actor


def test_body_is_the_name_as_written(telemetry: Telemetry) -> None:
    """Without a message there is a display string all the same."""
    with telemetry.host(Plugin()) as host:
        host.track(AnythingEvent())

    assert [log.log_record.body for log in telemetry.logs] == ["anything"]


def test_body_has_no_control_characters(telemetry: Telemetry) -> None:
    """A name that a user chose paints no terminal."""
    with telemetry.host(Plugin()) as host:
        host.track(BanUserEvent(user={"username": "a\x1b[31m\nb"}, actor={"id": "r\roo\tt"}))

    assert [log.log_record.body for log in telemetry.logs] == ["r\\roo\\tt banned a\\x1b[31m\\nb"]


def test_body_shows_nothing_of_the_actor_that_may_not_leave(telemetry: Telemetry) -> None:
    """A message is filled from the protected attributes, not from the event."""
    with telemetry.host(Plugin(), settings=Settings(actor=())) as host:
        host.track(BanUserEvent(user={"username": "bot"}, actor={"id": "root"}))

    assert [log.log_record.body for log in telemetry.logs] == ["? banned bot"]
    assert "root" not in telemetry.everything()


def test_ambient_actor_is_on_the_record(telemetry: Telemetry) -> None:
    """By default without the address, and never with what came from a token."""
    actor = {"id": 7, "email": "SECRET", "token": "SECRET", "token_expires": 9, "_r": {"a": ["SECRET"]}}
    with telemetry.host(Plugin()) as host, telemetry.tracer.start_as_current_span("request"), acting_as(actor):
        host.track(AnythingEvent())

    assert {name for name in telemetry.events[0][1] if "app." not in name} == {"user.id"}
    assert "SECRET" not in telemetry.everything()
    assert "token" not in telemetry.everything()


# Bounds


def test_event_has_at_most_a_hundred_attributes_and_loses_none(telemetry: Telemetry) -> None:
    """What is past them is one JSON object; the id is always an attribute of its own."""
    keys = [f"k{index}" for index in range(60)]
    with telemetry.host(Plugin()) as host:
        host.track(AnythingEvent(value=dict.fromkeys(keys, 1), other=dict.fromkeys(keys, 2)))

    [(_, attributes)] = telemetry.events
    assert len(attributes) + 1 == MAX_ATTRIBUTES
    rest = json.loads(attributes.pop("heliograph.event.overflow"))
    assert {**attributes, **rest} == {
        **{f"app.anything.value.{key}": 1 for key in keys},
        **{f"app.anything.other.{key}": 2 for key in keys},
    }


def test_event_with_exactly_a_hundred_attributes_is_left_alone() -> None:
    """The bound itself is within it."""
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
def test_any_event_whatever_is_emitted_and_encoded(value: Any, other: Any, actor: Any) -> None:
    """The real encoders of OTLP take what we make of it: no exception, and not one event lost."""
    telemetry = Telemetry()
    emitter = Emitter(Settings(), Providers(**telemetry.providers), ActorFilter(("*",)))
    with telemetry.tracer.start_as_current_span("request"):
        emitter.emit(ANYTHING_READER, AnythingEvent(value=value, other=other, actor=actor))

    assert encode_logs(telemetry.logs).SerializeToString()
    assert encode_spans(telemetry.spans).SerializeToString()
    [log], [event] = telemetry.logs, telemetry.span_events
    assert dict(log.log_record.attributes or {}) == dict(event.attributes or {})
    assert (log.dropped_attributes, event.attributes.dropped) == (0, 0)  # type: ignore[union-attr]


# An event of an odd shape


def test_event_class_without_actor_and_time_is_emitted(telemetry: Telemetry) -> None:
    """A class of another shape than ours lacks what it lacks, and no more."""

    @dataclass
    class Bare:
        name = "bare"
        size: int = 3

        def properties(self) -> dict[str, object]:
            return {"size": self.size}

    class Bring:
        @hookimpl
        def register_events(self) -> list[type]:
            return [Bare]

    with telemetry.host(Bring()) as host:
        host.track(Bare())  # type: ignore[arg-type]

    assert telemetry.events == [("app.bare", {"app.bare.size": 3, "heliograph.event.created": "null"})]


# Providers


class OneMethodLogger(Logger):
    """What another vendor's logger has: the API's one method."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        super().__init__("vendor")
        self.records = records

    def enabled(self, **said: Any) -> bool:
        return True

    def emit(self, record: Any = None, **said: Any) -> None:
        self.records.append(said)


class VendorLoggerProvider(LoggerProvider):
    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def get_logger(self, name: str, *args: Any, **kwargs: Any) -> Logger:
        return OneMethodLogger(self.records)


class BrokenLoggerProvider(LoggerProvider):
    def get_logger(self, *args: Any, **kwargs: Any) -> Logger:
        raise RuntimeError("no logger today")


class BrokenLogger(Logger):
    def __init__(self) -> None:
        super().__init__("broken")

    def enabled(self, **said: Any) -> bool:
        raise RuntimeError("not even that")

    def emit(self, record: Any = None, **said: Any) -> None:
        raise RuntimeError("disk full")


class BrokenEmitProvider(LoggerProvider):
    def get_logger(self, *args: Any, **kwargs: Any) -> Logger:
        return BrokenLogger()


class BrokenTracerProvider(TracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        raise RuntimeError("no tracer today")


class BrokenSpan(NonRecordingSpan):
    def __init__(self) -> None:
        super().__init__(SpanContext(1, 2, is_remote=False))

    def is_recording(self) -> bool:
        return True

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no event today")


def test_no_provider_is_told_once_for_each_signal(warnings: pytest.LogCaptureFixture) -> None:
    """One warning names the signal and the mend, however many events there are; nothing is raised."""
    with Host(Settings(), plugins=[Plugin()]) as host:
        host.track(AnythingEvent())
        host.track(AnythingEvent())

    log, span_event = [record.getMessage() for record in warnings.records]
    assert log.startswith(
        "No LoggerProvider is set, so events are not emitted as 'log'. Set OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    assert log.endswith("or remove 'log' from HELIOGRAPH_SIGNALS.")
    assert span_event.startswith("No TracerProvider is set, so events are not emitted as 'span_event'.")


def test_traces_alone_are_enough_for_span_events(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """A program with traces only has its span events, and one warning about the logs."""
    host = Host(Settings(), plugins=[Plugin()], tracer_provider=telemetry.tracer_provider)
    with host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent())
        host.track(AnythingEvent())

    assert len(telemetry.span_events) == 2
    assert ["LoggerProvider" in record.getMessage() for record in warnings.records] == [True]


def test_providers_that_do_nothing_on_purpose_are_no_reason_to_warn(warnings: pytest.LogCaptureFixture) -> None:
    """Somebody who switched telemetry off knows it."""
    host = Host(
        Settings(), plugins=[Plugin()], logger_provider=NoOpLoggerProvider(), tracer_provider=NoOpTracerProvider()
    )
    with host:
        host.track(AnythingEvent())

    assert warnings.records == []


def test_another_vendors_provider_needs_the_api_only(telemetry: Telemetry) -> None:
    """Nothing but the public API is called: `get_logger` and `emit`."""
    vendor = VendorLoggerProvider()
    with telemetry.host(Plugin(), logger_provider=vendor) as host:
        host.track(AnythingEvent(value=1))
        assert host.flush()

    [said] = vendor.records
    assert said["event_name"] == "app.anything"
    assert said["body"] == "anything"
    assert said["attributes"]["app.anything.value"] == 1


@pytest.mark.parametrize(
    "provider", [BrokenLoggerProvider(), BrokenEmitProvider()], ids=lambda each: type(each).__name__
)
def test_logger_provider_that_throws_does_nothing_to_the_program(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, provider: LoggerProvider
) -> None:
    """The failure is logged and counted, the other signal goes out."""
    with telemetry.host(Plugin(), logger_provider=provider) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())

    assert len(telemetry.span_events) == 1
    assert [record.getMessage() for record in warnings.records] == [
        "A provider failed to emit an event as 'log': builtins.RuntimeError"
    ]
    assert telemetry.counts("heliograph.emit.failures") == {("builtins.RuntimeError", "log"): 1}
    assert telemetry.counts("heliograph.events") == {("app.anything",): 1}


def test_tracer_provider_that_throws_does_nothing_to_the_program(telemetry: Telemetry) -> None:
    """The log record goes out, the failure is counted under the signal that was asked for."""
    settings = Settings(signals=frozenset(Signal))
    with telemetry.host(Plugin(), settings=settings, tracer_provider=BrokenTracerProvider()) as host:
        host.track(AnythingEvent())
        with trace.use_span(BrokenSpan()):
            host.track(AnythingEvent())

    assert len(telemetry.logs) == 2
    assert sum(telemetry.counts("heliograph.emit.failures").values()) == 2
