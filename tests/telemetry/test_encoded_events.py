"""An event that goes straight to an outbox is encoded without attributes, and its record is the same as with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from opentelemetry.context import Context, attach, detach
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message
from opentelemetry.sdk._logs import LogRecordLimits
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, set_span_in_context

from delivery.recording_outbox import RecordingOutbox, direct, of_the_sdk
from heliograph import Event, OutboxFull, Settings, Signal
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingTracerProvider
from heliograph.telemetry import encoded_events
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.emitter import Emitter
from heliograph.telemetry.observers import observers
from heliograph.telemetry.providers import Providers

LOG = Settings(signals=frozenset({Signal.LOG}), actor=("*",))
UID = "0199b3c0-5a5e-7c3a-8a51-9d2e6f6f0f4b"


@dataclass
class Shipped(Event, version="2"):
    name = "shipped"
    number: int
    note: str | None = None
    tags: list[str] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)


@dataclass
class WithMessage(Event, message="{number} shipped"):
    name = "with-message"
    number: int


def reader_of(cls: type = Shipped) -> EventReader:
    return EventReader(compile_schema(cls, namespace="app"))


def emitter_of(provider: Any, settings: Settings = LOG) -> Emitter:
    providers = Providers(
        logger_provider=provider, tracer_provider=TracerProvider(), meter_provider=MeterProvider(shutdown_on_exit=False)
    )
    return Emitter(settings, providers, ActorFilter(settings.actor), new_uid=lambda _: UID)


def record(emitter: Emitter, outbox: RecordingOutbox, event: Any, reader: EventReader | None = None) -> Message:
    """Emit an event twice, the second time after the emitter has found its logger. Return the second record."""
    for _ in range(2):
        emitter.emit(reader or reader_of(type(event)), event)
    first, message = outbox.decoded()[-2:]
    first.observed_time_unix_nano = message.observed_time_unix_nano = 0
    assert first == message
    return message


def is_encoded(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return a list that gets True for each event that is encoded, and False for any other."""
    seen: list[bool] = []
    encode = encoded_events.EncodedEvents.encode

    def noted(*args: Any) -> Any:
        found = encode(*args)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(encoded_events.EncodedEvents, "encode", noted)
    return seen


@pytest.mark.parametrize(
    "event",
    [
        Shipped(1),
        Shipped(1, "fragile", ["a", "b"], {"a": 1, "b": {"c": [1]}}, actor={"id": "root", "roles": ["a"], "x": 1}),
        Shipped("x", 3, ["\udc80", 1], {"": 1}),  # type: ignore[arg-type,list-item]
        Shipped(2**70, "\udc80", actor={"token_id": "t", "token": "dstok", "": 1}),
        Shipped(1, more={str(number): number for number in range(70)}, actor={str(number): 1 for number in range(70)}),
        Shipped(1, actor=object()),  # type: ignore[arg-type]
        Shipped(1, created="today"),  # type: ignore[arg-type]
        WithMessage(3),
    ],
)
def test_record_is_the_same(event: Any) -> None:
    """Any event, with any actor and time, gives the record that the SDK's way gives."""
    (provider, outbox), (sdk, sdk_outbox) = direct(), of_the_sdk()
    emitters = emitter_of(provider), emitter_of(sdk)
    for emitter in emitters:
        emitter._clock = lambda: 7
    assert record(emitters[0], outbox, event) == record(emitters[1], sdk_outbox, event)


def test_common_event_needs_no_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first event finds the logger, and has attributes; so has one that overflows."""
    seen = is_encoded(monkeypatch)
    provider, _ = direct()
    emitter, reader = emitter_of(provider), reader_of()
    for event in (Shipped(1), Shipped(1), Shipped(1, more={"": 1}), Shipped(1)):
        emitter.emit(reader, event)
    assert seen == [False, True, False, True]


def test_invalid_event_is_encoded_with_its_violations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Violations are found while the event is encoded, and described once."""
    seen = is_encoded(monkeypatch)
    provider, outbox = direct()
    message = record(emitter_of(provider), outbox, Shipped("x", more={"": 1}))  # type: ignore[arg-type]
    [violations] = [each for each in message.attributes if each.key == "heliograph.event.violations"]
    assert len(violations.value.array_value.values) == 1
    provider, outbox = direct()
    message = record(emitter_of(provider), outbox, Shipped("x"))  # type: ignore[arg-type]
    assert [each.key for each in message.attributes].count("heliograph.event.violations") == 1
    assert seen == [False, False, False, True]


def test_recording_span_and_observer_need_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes are made if one of the two is there, and not otherwise."""
    seen = is_encoded(monkeypatch)
    provider, _ = direct()
    emitter, reader = emitter_of(provider, Settings()), reader_of()
    emitter.emit(reader, Shipped(1))
    emitter.emit(reader, Shipped(1))
    with TracerProvider().get_tracer("tests").start_as_current_span("work") as span:
        emitter.emit(reader, Shipped(1))
        assert span.events[0].attributes["app.shipped.number"] == 1  # type: ignore[attr-defined]
    shown: list[Any] = []

    class Observer:
        replaces_providers = False

        def on_event(self, source: object, event: Any) -> None:
            shown.append(event.attributes)

    observer: Any = Observer()
    observers.append(observer)
    try:
        emitter.emit(reader, Shipped(1))
    finally:
        observers.remove(observer)
    assert shown[0]["app.shipped.number"] == 1
    assert seen == [False, True, False, False]


def recording(outbox: Any = None, **settings: Any) -> CountingTracerProvider:
    """Return a provider as `configure` makes it, whose spans go to an outbox."""
    provider = CountingTracerProvider(shutdown_on_exit=False, **settings)
    provider.open(Pipeline(parts=(outbox or SpanProcessor(),), exporters=(), has_outbox=True))
    return provider


def event_in_span(settings: Settings, tracers: TracerProvider, event: Any) -> tuple[Message, dict[str, Any], str]:
    """Return the log record of an event in a span, the attributes of its span event, and the name of the class of that event."""
    provider, outbox = direct()
    emitter, reader = emitter_of(provider, settings), reader_of(type(event))
    emitter.emit(reader, event)
    with tracers.get_tracer("tests").start_as_current_span("work") as span:
        emitter.emit(reader, event)
    message = outbox.decoded()[-1]
    message.observed_time_unix_nano = 0
    message.trace_id = message.span_id = b""
    [span_event] = span.events  # type: ignore[attr-defined]
    return message, dict(span_event.attributes), type(span_event).__name__


@pytest.mark.parametrize(
    "event",
    [
        Shipped(7, actor={"id": "root", "roles": ["a", "b"]}),
        Shipped(7, "fragile", ["a", "b"]),
        Shipped(7, more={"a": 1, "b": [1, 2]}),
        Shipped("x"),  # type: ignore[arg-type]
        Shipped(7, "\ud800"),
        Shipped(7, more={str(number): number for number in range(97)}),
        Shipped(7, more={str(number): number for number in range(120)}),
    ],
    ids=["actor", "texts", "dict", "invalid", "surrogates", "many", "overflow"],
)
def test_span_event_is_the_same(event: Any) -> None:
    """The span event shares the bytes of the log record if its span goes to an outbox alone."""
    settings = Settings(actor=("*",))
    shared, copied = (event_in_span(settings, each, event) for each in (recording(), TracerProvider()))
    assert shared[:2] == copied[:2]
    assert (list(shared[1]), copied[2]) == (list(copied[1]), "Event")


def test_common_event_in_a_span_needs_no_attributes() -> None:
    assert event_in_span(Settings(), recording(), Shipped(1))[2] == "EncodedSpanEvent"


def test_reference_in_a_span_needs_no_attributes() -> None:
    message, attributes, kind = event_in_span(Settings(span_event="reference"), recording(), Shipped(1))
    assert attributes == {"log.record.uid": UID, "otel.event.name": "app.shipped"}
    assert (len(message.attributes), kind) == (4, "Event")


def test_span_event_of_a_record_that_fails_is_whole() -> None:
    provider, outbox = direct()
    emitter, reader = emitter_of(provider, Settings()), reader_of()
    emitter.emit(reader, Shipped(1))

    def fail(*_: object) -> None:
        raise ValueError("broken")

    outbox.append = fail  # type: ignore[method-assign]
    with recording().get_tracer("tests").start_as_current_span("work") as span:
        emitter.emit(reader, Shipped(1))
    [event] = span.events  # type: ignore[attr-defined]
    assert event.attributes["log.record.uid"] == UID
    assert event.attributes["app.shipped.number"] == 1


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (LogRecordLimits(max_log_record_attributes=4), [False, True]),
        (LogRecordLimits(max_log_record_attributes=3), [False, True]),
        (LogRecordLimits(max_log_record_attribute_length=9), [False, False]),
        (LogRecordLimits(max_log_record_attribute_length=90), [False, False]),
    ],
)
def test_limits_of_the_sdk(monkeypatch: pytest.MonkeyPatch, limits: LogRecordLimits, expected: list[bool]) -> None:
    """An event beyond the limit of attributes has its overflow; a limit of lengths applies to each text."""
    seen = is_encoded(monkeypatch)
    (provider, outbox), (sdk, sdk_outbox) = direct(limits), of_the_sdk(limits)
    event = Shipped(1, "fragile, very fragile", actor={"id": "root"})
    assert record(emitter_of(provider), outbox, event) == record(emitter_of(sdk), sdk_outbox, event)
    assert seen[:2] == expected


def test_pipeline_that_ends_meanwhile() -> None:
    """The event goes to the one that is there when it is emitted, with attributes if that is no outbox."""
    provider, outbox = direct()
    emitter, reader = emitter_of(provider), reader_of()
    emitter.emit(reader, Shipped(1))
    others: list[Any] = []

    class Actor(dict[str, Any]):
        def items(self) -> Any:
            provider.open(Pipeline(parts=(other,), exporters=()))
            return super().items()

    class Other(RecordingOutbox):
        def on_emit(self, log_record: Any) -> None:
            others.append(log_record.log_record)

    other = Other()
    emitter.emit(reader, Shipped(7, actor=Actor(id="root")))
    assert others[0].attributes["app.shipped.number"] == 7
    assert others[0].attributes["user.id"] == "root"
    assert len(outbox.messages) == 1


def test_failures_of_the_outbox() -> None:
    """A full outbox raises, if it is strict; everything else is logged and counted."""
    provider, outbox = direct()
    emitter, reader = emitter_of(provider), reader_of()
    emitter.emit(reader, Shipped(1))

    def fail(*_: object) -> None:
        raise errors.pop()

    errors: list[BaseException] = [OutboxFull(Path("outbox"), 2**20), ValueError("broken")]
    outbox.append = fail  # type: ignore[method-assign]
    emitter.emit(reader, Shipped(1))
    with pytest.raises(OutboxFull):
        emitter.emit(reader, Shipped(1))
    counts = emitter._metrics.emit_failures._counters
    assert {key[2] for key in counts if key[:2] == ("log", None)} == {"ValueError", "heliograph.errors.OutboxFull"}


def test_attributes_are_recorded_as_seen() -> None:
    """The attributes of encoded events are recorded as soon as one has them."""
    provider, _ = direct()
    emitter, reader = emitter_of(provider), reader_of()
    for event in (Shipped(1), Shipped(1), Shipped(1, more={"a": 1}), Shipped(1, "x" * 300, ["x" * 200])):
        emitter.emit(reader, event)
    coverage = reader.coverage.snapshot()
    assert (coverage.count, coverage.unseen) == (4, ())


def test_classes_are_forgotten_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may make ever new ones."""
    monkeypatch.setattr(encoded_events, "_MAX_CLASSES", 3)
    provider, outbox = direct()
    emitter = emitter_of(provider)
    for _ in range(9):
        emitter.emit(reader_of(), Shipped(1))
    assert len(outbox.messages) == 9
    assert len(emitter._encoded_events._classes) <= 3


def test_trace_of_the_context() -> None:
    """A record has the ids of a span that does not record."""
    from delivery.test_logger import in_span

    provider, outbox = direct()
    emitter, reader = emitter_of(provider, Settings()), reader_of()
    token = attach(in_span())
    try:
        for _ in range(2):
            emitter.emit(reader, Shipped(1))
    finally:
        detach(token)
    assert {each.trace_id for each in outbox.decoded()} == {(0xABC).to_bytes(16, "big")}
    assert Context() == {}


class BrokenSpan(NonRecordingSpan):
    """A span of a program's own class."""

    def is_recording(self) -> bool:
        raise ValueError("broken")


def test_span_that_fails_costs_only_the_span_event() -> None:
    """The log record of the event is emitted."""
    provider, outbox = direct()
    emitter, reader = emitter_of(provider, Settings()), reader_of()
    token = attach(set_span_in_context(BrokenSpan(INVALID_SPAN_CONTEXT), Context()))
    try:
        for _ in range(2):
            emitter.emit(reader, Shipped(1))
    finally:
        detach(token)
    assert len(outbox.messages) == 2


def test_logger_that_has_every_attribute_gets_attributes() -> None:
    """A mock of a test is no logger that takes bytes."""
    provider = mock.MagicMock()
    emitter, reader = emitter_of(provider), reader_of()
    for _ in range(2):
        emitter.emit(reader, Shipped(7))
    calls = provider.get_logger.return_value.emit.call_args_list
    assert [call.kwargs["attributes"]["app.shipped.number"] for call in calls] == [7, 7]
