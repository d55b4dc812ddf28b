"""Span events that have the encoded attributes of their log record: everybody sees them as events of the SDK."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import (
    ConcurrentMultiSpanProcessor,
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.trace import INVALID_SPAN

from heliograph.delivery.encoding.attributes import put_attributes
from heliograph.delivery.encoding.span_events import (
    EncodedSpanEvent,
    add_encoded_event,
    takes_encoded_events,
)
from heliograph.delivery.encoding.spans import encode_span
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingTracerProvider

ATTRIBUTES: Mapping[str, Any] = {"shop.order.id": "A-1", "roles": ("admin", "root"), "log.record.uid": "0199b3c0"}
NAME = "shop.order"
WITH_NAME = {**ATTRIBUTES, "otel.event.name": NAME}
SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(max_size=5), st.none()
)


class Outbox(SpanProcessor):
    """Keeps spans that have ended, as an outbox gets them."""

    has_only_outbox = True

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def provider_of(*parts: SpanProcessor, has_outbox: bool = True, **settings: Any) -> CountingTracerProvider:
    """Return a provider as `configure` makes it."""
    provider = CountingTracerProvider(shutdown_on_exit=False, **settings)
    provider.open(Pipeline(parts=parts or (Outbox(),), exporters=(), has_outbox=has_outbox))
    return provider


def start_span(provider: TracerProvider | None = None) -> Any:
    return (provider or provider_of()).get_tracer("tests").start_span("work", start_time=1)


def key_values_of(attributes: Mapping[str, Any]) -> list[bytes]:
    key_values: list[bytes] = []
    put_attributes(key_values, attributes)
    return key_values


def span_with_event(attributes: Mapping[str, Any] = ATTRIBUTES) -> Any:
    span = start_span()
    add_encoded_event(span, NAME, key_values_of(attributes), 7)
    return span


def encoded(span: Any) -> bytes:
    span.end(9)
    return encode_span(span._readable_span())


def as_before(span: Any, attributes: Mapping[str, Any]) -> bytes:
    """Return the same span, with an event whose attributes the SDK has copied."""
    other = start_span()
    other._context, other._start_time = span._context, span._start_time
    other.add_event(NAME, attributes, 7)
    return encoded(other)


def test_bytes_are_those_of_an_event_of_the_sdk() -> None:
    span = span_with_event()

    assert type(span.events[0]) is EncodedSpanEvent
    assert encoded(span) == as_before(span, WITH_NAME)
    assert span.events[0].encoded is not None  # nothing has made the attributes


@given(st.dictionaries(st.text(min_size=1, max_size=5), SCALARS | st.lists(SCALARS, max_size=3), max_size=6))
def test_attributes_and_bytes_are_the_same_whoever_looks(attributes: dict[str, Any]) -> None:
    span, seen = span_with_event(attributes), span_with_event(attributes)
    copied = BoundedAttributes(attributes={**attributes, "otel.event.name": NAME})

    assert seen.events[0].attributes == copied
    assert [type(value) for value in seen.events[0].attributes.values()] == [type(each) for each in copied.values()]
    assert encoded(span) == as_before(span, copied)
    assert encoded(seen) == as_before(seen, copied)


def test_everybody_sees_an_event_of_the_sdk() -> None:
    """Attributes are made once, and cannot be changed."""
    span = span_with_event()
    [event] = span.events

    assert (event.name, event.timestamp, event.dropped_attributes) == (NAME, 7, 0)
    assert event.attributes == WITH_NAME
    assert event.attributes is event.attributes
    with pytest.raises(TypeError):
        event.attributes["shop.order.id"] = "B"
    assert json.loads(span.to_json())["events"][0]["attributes"]["roles"] == ["admin", "root"]
    assert copy.deepcopy(event).attributes == WITH_NAME


def test_event_that_is_copied_before_anybody_looks() -> None:
    event = copy.deepcopy(span_with_event().events[0])

    assert event.encoded is not None
    assert event.attributes == WITH_NAME


def test_attributes_that_a_program_replaces_are_exported() -> None:
    """The encoded ones are not exported, whether the program has looked at them before or not."""
    hidden = {"shop.order.id": "***"}
    for looks in (False, True):
        span = span_with_event()
        [event] = span.events
        if looks:
            assert event.attributes == WITH_NAME
        event._attributes = BoundedAttributes(attributes=hidden)

        assert event.attributes == hidden
        assert encoded(span) == as_before(span, hidden)


def test_attributes_that_a_program_changes_in_place_are_exported() -> None:
    """A program that uses private fields of the SDK may hide a value until the span ends."""
    span = span_with_event()
    span.events[0].attributes._dict["shop.order.id"] = "***"

    assert encoded(span) == as_before(span, {**WITH_NAME, "shop.order.id": "***"})


def test_replaced_attributes_do_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread reads the attributes of an event while another one replaces them."""
    [event] = span_with_event().events
    hidden = BoundedAttributes(attributes={"shop.order.id": "***"})

    def replace_meanwhile(_: bytes) -> dict[str, Any]:
        event._attributes = hidden
        return {}

    monkeypatch.setattr("heliograph.delivery.encoding.span_events._decode", replace_meanwhile)

    assert event.attributes is hidden
    assert event.encoded is None


def of_the_sdk(*parts: SpanProcessor, **settings: Any) -> TracerProvider:
    """Return a provider as a program makes it by itself."""
    provider = TracerProvider(shutdown_on_exit=False, **settings)
    for part in parts:
        provider.add_span_processor(part)
    return provider


@pytest.mark.parametrize("make", [provider_of, of_the_sdk], ids=["of configure", "of the SDK"])
def test_span_of_an_outbox_takes_encoded_events(make: Any) -> None:
    assert takes_encoded_events(start_span(make(Outbox())))


@pytest.mark.parametrize(
    "provider",
    [
        of_the_sdk(),
        of_the_sdk(SpanProcessor()),
        of_the_sdk(Outbox(), SpanProcessor()),
        of_the_sdk(active_span_processor=ConcurrentMultiSpanProcessor(1)),
        provider_of(has_outbox=False),
        provider_of(Outbox(), Outbox()),
        provider_of(span_limits=SpanLimits(max_event_attributes=100)),
        provider_of(span_limits=SpanLimits(max_attribute_length=900)),
        CountingTracerProvider(shutdown_on_exit=False),
    ],
    ids=[
        "of the SDK",
        "no outbox of the SDK",
        "two of the SDK",
        "in threads",
        "no outbox",
        "two processors",
        "number of attributes",
        "length of texts",
        "ended",
    ],
)
def test_other_spans_take_attributes(provider: TracerProvider) -> None:
    """A span that takes no encoded events gets the event with attributes."""
    span = start_span(provider)

    assert not takes_encoded_events(span)
    add_encoded_event(span, NAME, key_values_of(ATTRIBUTES), 7)
    assert type(span.events[0]) is not EncodedSpanEvent
    assert span.events[0].attributes == WITH_NAME


def test_limits_of_the_sdk_that_drop_nothing() -> None:
    limits = SpanLimits(max_event_attributes=SpanLimits.UNSET, max_attribute_length=SpanLimits.UNSET)
    assert takes_encoded_events(start_span(provider_of(span_limits=limits)))


@pytest.mark.parametrize("make", [provider_of, of_the_sdk], ids=["of configure", "of the SDK"])
def test_processor_that_the_program_adds_looks_at_attributes(make: Any) -> None:
    """A processor that is added while a span is running sees its events with their attributes."""
    provider, seen = make(Outbox()), Outbox()
    span = start_span(provider)
    add_encoded_event(span, NAME, key_values_of(ATTRIBUTES), 7)
    provider.add_span_processor(seen)

    assert not takes_encoded_events(span)
    span.end()
    assert seen.spans[0].events[0].attributes == WITH_NAME


def test_span_that_has_no_class_of_the_sdk() -> None:
    assert not takes_encoded_events(INVALID_SPAN)
    add_encoded_event(INVALID_SPAN, NAME, [], 7)


def test_number_of_events_of_a_span_is_limited() -> None:
    span = start_span(provider_of(span_limits=SpanLimits(max_events=2)))
    for number in range(5):
        add_encoded_event(span, NAME, key_values_of({"number": number}), 7)

    assert [event.attributes["number"] for event in span.events] == [3, 4]
    assert span.dropped_events == 3
