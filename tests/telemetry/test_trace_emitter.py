"""An event is a span event of the current span, or a span of its own, as the settings say."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, Tracer, TracerProvider

from heliograph import Host, Settings, Signal
from recorder import Telemetry, without_uid
from telemetry.emitted import PLUGIN, AnythingEvent, BanUserEvent, only


def test_event_inside_a_span_is_also_a_span_event(telemetry: Telemetry) -> None:
    """The span event has the same name, time, id and attributes, and its name as one more. The log record has the ids of that span."""
    with telemetry.host(PLUGIN) as host, telemetry.tracer.start_as_current_span("request") as span:
        host.track(BanUserEvent(user={"id": 1}))

    [record] = [log.log_record for log in telemetry.logs]
    [event] = telemetry.span_events
    assert (event.name, event.timestamp) == ("forum.ban_user", record.timestamp)
    assert dict(event.attributes or {}) == {**(record.attributes or {}), "otel.event.name": "forum.ban_user"}
    assert record.trace_id == span.get_span_context().trace_id
    assert record.span_id == span.get_span_context().span_id


class EventToSpanEventBridge(LogRecordProcessor):
    """The bridge, as OpenTelemetry specifies it."""

    def on_emit(self, log_record: Any) -> None:
        record = log_record.log_record
        span = trace.get_current_span(record.context)
        if record.event_name and span.is_recording():
            span.add_event(record.event_name, record.attributes, record.timestamp)

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class OwnBridge(EventToSpanEventBridge):
    """A bridge that a program has changed."""


@pytest.mark.parametrize("bridge", [EventToSpanEventBridge, OwnBridge])
def test_event_is_no_span_event_twice_with_the_bridge_of_opentelemetry(
    telemetry: Telemetry, bridge: type[EventToSpanEventBridge]
) -> None:
    """The bridge makes the span event, so heliograph makes none. A span is only made where none is recording."""
    telemetry.logger_provider.add_log_record_processor(bridge())
    settings = Settings(signals="log,span_event,span")
    with telemetry.host(PLUGIN, settings=settings) as host, telemetry.tracer.start_as_current_span("work"):
        host.track(BanUserEvent(user={"id": 1}))
    [span] = telemetry.spans
    [event] = span.events
    assert (span.name, event.name) == ("work", "forum.ban_user")
    assert event.attributes is not None
    assert event.attributes["log.record.uid"] == telemetry.logs[0].log_record.attributes["log.record.uid"]  # type: ignore[index]


def test_span_event_may_only_refer_to_the_log_record(telemetry: Telemetry) -> None:
    """The span event has the same unique id, and the name for backends that cannot search for names of span events."""
    with (
        telemetry.host(PLUGIN, settings=Settings(span_event="reference")) as host,
        telemetry.tracer.start_as_current_span("request"),
    ):
        host.track(BanUserEvent(user={"id": 1, "username": "bot"}, actor={"id": "root"}))

    [log], [event] = telemetry.logs, telemetry.span_events
    uid = (log.log_record.attributes or {})["log.record.uid"]
    assert (event.name, event.timestamp) == ("forum.ban_user", log.log_record.timestamp)
    assert event.attributes == {"log.record.uid": uid, "otel.event.name": "forum.ban_user"}
    assert (log.log_record.attributes or {})["forum.ban_user.user.id"] == 1


@pytest.mark.parametrize("signals", ["span_event", "log,span_event"])
@pytest.mark.usefixtures("warnings")
def test_span_event_has_everything_if_there_is_no_log_record(telemetry: Telemetry, signals: str) -> None:
    """A reference would lead nowhere: logs are not wanted, or have no provider."""
    settings = Settings(span_event="reference", signals=signals)
    host = Host(settings, plugins=[PLUGIN], tracer_provider=telemetry.tracer_provider)
    with host, telemetry.tracer.start_as_current_span("request"):
        host.track(BanUserEvent(user={"id": 1}))

    [event] = telemetry.span_events
    assert (event.attributes or {})["forum.ban_user.user.id"] == 1


def test_span_event_signal_only(telemetry: Telemetry) -> None:
    """There is no log record if the setting names span events only."""
    with telemetry.host(PLUGIN, settings=only(Signal.SPAN_EVENT)) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())
        host.track(AnythingEvent())

    assert (telemetry.logs, len(telemetry.span_events), len(telemetry.spans)) == ([], 1, 1)


def test_span_signal_makes_a_span_if_no_span_is_recording(telemetry: Telemetry) -> None:
    """Outside any span, the event is a span without duration. Inside a span, it is a span event."""
    created = dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)
    with telemetry.host(PLUGIN, settings=only(Signal.SPAN, Signal.SPAN_EVENT)) as host:
        with telemetry.tracer.start_as_current_span("request"):
            host.track(AnythingEvent())
        host.track(AnythingEvent(value=3, created=created))

    request, own = telemetry.spans
    assert [event.name for event in request.events] == ["app.anything"]
    assert (own.name, own.start_time, own.end_time) == ("app.anything", 1767312000 * 10**9, 1767312000 * 10**9)
    assert without_uid(own.attributes) == {"app.anything.value": 3, "app.anything.other": "other"}
    assert own.parent is None


def test_span_signal_without_span_events_makes_a_child(telemetry: Telemetry) -> None:
    """If the setting does not name span events, the event is a child of the current span."""
    with telemetry.host(PLUGIN, settings=only(Signal.SPAN)) as host:
        with telemetry.tracer.start_as_current_span("request") as request:
            host.track(AnythingEvent())

    own, parent = telemetry.spans
    assert (own.name, parent.events) == ("app.anything", ())
    assert own.parent is not None
    assert own.parent.span_id == request.get_span_context().span_id


def test_span_that_is_not_recording_gets_no_event(telemetry: Telemetry) -> None:
    """An unsampled request has no span event, but the log record has its ids."""
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(0))
    with telemetry.host(PLUGIN) as host, trace.use_span(NonRecordingSpan(context)):
        host.track(AnythingEvent())

    assert [(log.log_record.trace_id, log.log_record.span_id) for log in telemetry.logs] == [(1, 2)]
    assert telemetry.spans == []


class BrokenTracerProvider(TracerProvider):
    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        raise RuntimeError("no tracer")


class BrokenSpan(NonRecordingSpan):
    def __init__(self) -> None:
        super().__init__(SpanContext(1, 2, is_remote=False))

    def is_recording(self) -> bool:
        return True

    def add_event(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("no event")


def test_tracer_provider_suffices_for_span_events(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """A program that sets only a TracerProvider has span events, and one warning about log records."""
    host = Host(Settings(), plugins=[PLUGIN], tracer_provider=telemetry.tracer_provider)
    with host, telemetry.tracer.start_as_current_span("request"):
        host.track(AnythingEvent())
        host.track(AnythingEvent())

    assert len(telemetry.span_events) == 2
    assert ["LoggerProvider" in record.getMessage() for record in warnings.records] == [True]


def test_tracer_provider_that_fails_has_no_effect_on_the_program(telemetry: Telemetry) -> None:
    """The log record is emitted, and the failure is counted for the signal of the settings."""
    settings = Settings(signals=frozenset(Signal))
    with telemetry.host(PLUGIN, settings=settings, tracer_provider=BrokenTracerProvider()) as host:
        host.track(AnythingEvent())
        with trace.use_span(BrokenSpan()):
            host.track(AnythingEvent())

    assert len(telemetry.logs) == 2
    assert telemetry.counts("heliograph.emit.failures") == {("RuntimeError", "span_event"): 2}


def test_failure_of_a_span_is_counted_as_a_span(telemetry: Telemetry) -> None:
    """The settings name spans and no span events."""
    with telemetry.host(PLUGIN, settings=only(Signal.SPAN), tracer_provider=BrokenTracerProvider()) as host:
        host.track(AnythingEvent())

    assert telemetry.counts("heliograph.emit.failures") == {("RuntimeError", "span"): 1}
