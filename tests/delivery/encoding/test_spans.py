"""Spans as OTLP bytes: compared with OpenTelemetry's own encoder, and never failing where that one does."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from delivery.ended_spans import ended, message_of_the_sdk, record_exception, request_of_the_sdk
from heliograph.delivery.encoding.headers import MAX_CACHED_KEYS
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field, join_request
from heliograph.delivery.encoding.spans import _SPAN_FIELDS, _message, _name_fields, _usual_message, encode_span
from heliograph.otlp import decode_attributes

TEXTS = st.text(max_size=20) | st.sampled_from(["x" * 130, "y" * 20_000])
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS | st.binary(max_size=9)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ATTRIBUTES = st.none() | st.dictionaries(st.text(max_size=5), VALUES, max_size=6)
STATES = st.sampled_from([TraceState(), TraceState([("a", "b")]), TraceState([("k", "v"), ("t@v", "1")])])
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(0), TraceFlags(1), TraceFlags(3)]),
    STATES,
)
TIMES = st.none() | st.sampled_from([0, 1]) | st.integers(0, 2**63)
LINKS = st.builds(Link, CONTEXTS | st.just(SpanContext(0, 0, True, trace_state=TraceState([("a", "b")]))), ATTRIBUTES)
EVENTS = st.tuples(TEXTS, ATTRIBUTES, TIMES)
LIMITS = [
    SpanLimits(),
    SpanLimits(max_events=3, max_links=2, max_attributes=4),
    SpanLimits(max_attribute_length=5),
    SpanLimits(max_span_attributes=0, max_event_attributes=1),
]
STATUSES = st.sampled_from(
    [
        None,
        Status(StatusCode.OK),
        Status(StatusCode.ERROR),
        Status(StatusCode.ERROR, ""),
        Status(StatusCode.ERROR, "bad é"),
    ]
)


def decoded(span: ReadableSpan) -> Message:
    return Message.FromString(encode_span(span))


@given(
    limits=st.sampled_from(LIMITS),
    parent=st.none() | CONTEXTS,
    name=TEXTS,
    kind=st.sampled_from(SpanKind),
    attributes=ATTRIBUTES,
    events=st.lists(EVENTS, max_size=5),
    links=st.lists(LINKS, max_size=3),
    times=st.tuples(TIMES, TIMES),
    status=STATUSES,
    is_failed=st.booleans(),
)
def test_bytes_are_those_of_the_sdk(  # noqa: PLR0917 — one of each is drawn
    limits: SpanLimits,
    parent: SpanContext | None,
    name: str,
    kind: SpanKind,
    attributes: Any,
    events: list[Any],
    links: list[Link],
    times: Any,
    status: Status | None,
    is_failed: bool,
) -> None:
    """Spans are equal byte by byte, with limits that drop and cut, with exceptions and with remote parents."""

    def change(span: Span) -> None:
        for event in events:
            span.add_event(*event)
        for link in links[1:]:
            span.add_link(link.context, link.attributes)
        if is_failed:
            record_exception(span)
        if status is not None:
            span.set_status(status)
        span.set_attribute("later", 1)

    context = Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())
    span = ended(
        change,
        limits,
        name=name,
        context=context,
        kind=kind,
        attributes=attributes,
        links=links[:1],
        start_time=times[0],
        end_time=times[1],
    )

    assert encode_span(span) == message_of_the_sdk(span).SerializeToString()


@pytest.mark.parametrize("number", [0, 1, 3, 127, 128, 129])
def test_many_events_and_links(number: int) -> None:
    """The SDK keeps 128 of each, and counts the others."""

    def change(span: Span) -> None:
        for at in range(number):
            span.add_event(f"event {at}", {"number": at, "list": ["a", str(at)]}, at + 1)
            span.add_link(SpanContext(at + 1, at + 1, at % 2 == 0, TraceFlags(at % 2)), {"number": at})

    span = ended(change)

    assert encode_span(span) == message_of_the_sdk(span).SerializeToString()
    assert decoded(span).dropped_events_count == max(0, number - 128)


class Name(str):
    """A name that is an object with more than its text, as those of Datasette are."""

    __slots__ = ("brief",)

    def __str__(self) -> str:
        return "shown differently"


USUAL: Mapping[str, Mapping[str, Any]] = {
    "nothing": {},
    "attributes": {"attributes": {"text": "x", "number": 2**40, "list": [1, 2]}},
    "parent": {"context": set_span_in_context(NonRecordingSpan(SpanContext(1, 2, False, TraceFlags(1))), Context())},
    "remote parent with a state": {
        "context": set_span_in_context(
            NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(1), TraceState([("a", "b")]))), Context()
        )
    },
    "link": {"links": [Link(SpanContext(3, 4, True))]},
    "names of another class": {"name": Name("db.query"), "attributes": {Name("db.system"): "sqlite"}},
}


@pytest.mark.parametrize("usual", USUAL.values(), ids=USUAL)
@pytest.mark.parametrize("change", [lambda _: None, record_exception], ids=["ended", "failed"])
def test_usual_span_is_encoded_in_one_step(usual: Mapping[str, Any], change: Any) -> None:
    """The bytes are those of the general way, field by field."""
    span = ended(change, **usual)

    assert _usual_message(span) == _message(_SPAN_FIELDS, span) == message_of_the_sdk(span).SerializeToString()


def test_request_is_that_of_the_sdk() -> None:
    """Resource, scopes and their schema URLs have the numbers of fields that those of log records have."""
    span = ended(record_exception, attributes={"a": "b"})
    scope: InstrumentationScope = span.instrumentation_scope

    ours = join_request(
        encode_resource(span.resource.attributes),
        span.resource.schema_url,
        [
            (
                encode_scope(scope.name, scope.version, scope.attributes),
                scope.schema_url or "",
                [entry_field(encode_span(span))],
            )
        ],
    )

    assert ExportTraceServiceRequest.FromString(ours) == request_of_the_sdk(span)


def test_trace_flags_are_written_although_the_sdk_omits_them() -> None:
    """`Span.flags`: "Bits 0-7 (8 least significant bits) are the trace flags as defined in W3C Trace Context"."""
    remote = SpanContext(1, 2, True, TraceFlags(1))
    link = Link(SpanContext(3, 4, False, TraceFlags(3)))
    span = ended(context=set_span_in_context(NonRecordingSpan(remote), Context()), links=[link])

    [theirs] = encode_spans([span]).resource_spans[0].scope_spans[0].spans
    found = decoded(span)

    assert (theirs.flags, found.flags) == (0x300, 0x300 | span.context.trace_flags)
    assert span.context.trace_flags.sampled
    assert (theirs.links[0].flags, found.links[0].flags) == (0x100, 0x103)


def test_trace_state_of_a_link_is_written_although_the_sdk_omits_it() -> None:
    """OTLP has a field for it: `Span.Link.trace_state`, "The trace_state associated with the link"."""
    span = ended(links=[Link(SpanContext(3, 4, True, trace_state=TraceState([("a", "b"), ("c", "d")])))])

    [theirs] = encode_spans([span]).resource_spans[0].scope_spans[0].spans

    assert (theirs.links[0].trace_state, decoded(span).links[0].trace_state) == ("", "a=b,c=d")


ODD: Mapping[str, Mapping[str, Any]] = {
    "surrogate in a value": {"attributes": {"a": "\ud800"}},
    "surrogate in the name": {"name": "\ud800"},
    "large integer": {"attributes": {"a": 2**70}},
    "time before 1970": {"start_time": -1},
    "time out of range": {"start_time": 2**64},
    "time as a float": {"start_time": 1e18},
    "time as text": {"start_time": "now"},
    "time that is no number": {"start_time": float("nan")},
    "infinite time": {"start_time": float("inf")},
    "name in bytes": {"name": b"\xff\xfe"},
    "name of a megabyte": {"name": "x" * 2**20},
    "name with a surrogate": {"name": "\ud800"},
    "no name": {"name": None},
    "number as name": {"name": 3},
    "no kind": {"kind": None},
    "number as kind": {"kind": 3},
    "kind without hash": {"kind": []},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_odd_values_are_no_exceptions(odd: Mapping[str, Any]) -> None:
    """The rest of the span is as it was."""
    found = decoded(ended(lambda span: span.add_event("event"), **{"attributes": {"b": "c"}, **odd}))

    assert len(found.trace_id) == 16
    assert len(found.attributes) == 1
    assert [event.name for event in found.events] == ["event"]
    assert found.flags & 0x101 == 0x101


def test_odd_values_have_their_forms() -> None:
    span = ended(attributes={"text": "\udc80", "large": 2**70}, name=3, kind=3, start_time=-1)

    found = decoded(span)

    assert decode_attributes(found.attributes) == {"text": "\\udc80", "large": str(2**70)}
    assert (found.name, found.kind, found.start_time_unix_nano) == ("3", Message.SPAN_KIND_UNSPECIFIED, 0)


class Raising:
    """An object whose properties raise."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


PARTS: Mapping[str, Any] = {
    "context": SpanContext(1, 2, False, TraceFlags(1)),
    "parent": SpanContext(1, 3, True),
    "name": "x",
    "kind": SpanKind.SERVER,
    "start_time": 1,
    "end_time": 2,
    "attributes": {"a": 1},
    "dropped_attributes": 0,
    "events": [SimpleNamespace(name="e", timestamp=1, attributes={"a": 1}, dropped_attributes=0)],
    "dropped_events": 0,
    "links": [Link(SpanContext(3, 4, False))],
    "dropped_links": 0,
    "status": Status(StatusCode.OK),
}


@pytest.mark.parametrize("missing", PARTS)
def test_part_that_raises_is_omitted(missing: str) -> None:
    """A program may have a class of spans of its own."""
    whole = Message.FromString(encode_span(SimpleNamespace(**PARTS)))  # type: ignore[arg-type]
    broken = SimpleNamespace(**{name: part for name, part in PARTS.items() if name != missing})

    found = Message.FromString(encode_span(broken))  # type: ignore[arg-type]

    differing = {
        field.name for field in Message.DESCRIPTOR.fields if getattr(whole, field.name) != getattr(found, field.name)
    }
    related = {
        "context": {"trace_id", "span_id", "flags"},
        "parent": {"parent_span_id", "flags"},
        "name": {"name", "kind"},
        "kind": {"name", "kind"},
        "start_time": {"start_time_unix_nano", "end_time_unix_nano"},
        "end_time": {"start_time_unix_nano", "end_time_unix_nano"},
    }
    assert differing <= related.get(missing, {missing.removeprefix("dropped_")})


def test_event_that_raises_does_not_take_others_with_it() -> None:
    good = SimpleNamespace(name="good", timestamp=1, attributes=None, dropped_attributes=0)
    bad = SimpleNamespace(name="bad", timestamp=2, attributes=Raising(), dropped_attributes=0)
    span = SimpleNamespace(**{**PARTS, "events": [good, bad, Raising(), good]})

    found = Message.FromString(encode_span(span))  # type: ignore[arg-type]

    assert [event.name for event in found.events] == ["good", "bad", "", "good"]


@pytest.mark.parametrize(
    "context",
    [
        None,
        SimpleNamespace(trace_id="1", span_id=None, trace_state=None, trace_flags=None, is_remote=None),
        SimpleNamespace(trace_id=-1, span_id=2**64, trace_state="a=b", trace_flags=2**40, is_remote=1),
        Raising(),
    ],
    ids=["none", "wrong types", "out of range", "raising"],
)
def test_odd_contexts_are_no_exceptions(context: Any) -> None:
    span = SimpleNamespace(
        **{**PARTS, "context": context, "parent": context, "links": [SimpleNamespace(context=context)]}
    )

    found = Message.FromString(encode_span(span))  # type: ignore[arg-type]

    assert (found.name, len(found.links)) == ("x", 1)


def test_span_without_status_has_none() -> None:
    found = Message.FromString(encode_span(ReadableSpan("x", status=None)))  # type: ignore[arg-type]

    assert not found.HasField("status")


def test_status_of_no_known_code_is_unset() -> None:
    status = SimpleNamespace(status_code=7, description="words")
    span = SimpleNamespace(**{**PARTS, "status": status})

    found = Message.FromString(encode_span(span))  # type: ignore[arg-type]

    assert (found.status.code, found.status.message) == (0, "words")


class Redacted(ReadableSpan):
    """A span that shows less than it has."""

    @property
    def attributes(self) -> Any:
        return {"password": "***"}

    @property
    def events(self) -> Any:
        return ()


def test_span_of_another_class_is_read_as_it_shows_itself() -> None:
    """A processor may hide what is private, and hand on a span of its own class."""
    span = ended(lambda span: span.add_event("private"), attributes={"password": "secret"})
    redacted = Redacted("x", span.context, attributes=span._attributes, events=span._events)

    found = decoded(redacted)

    assert (decode_attributes(found.attributes), list(found.events)) == ({"password": "***"}, [])


@pytest.mark.parametrize(("maps", "lists"), [(0, 46), (0, 47), (0, 48), (31, 0), (31, 1), (29, 4), (32, 0), (0, 3000)])
def test_deep_values_can_be_read(maps: int, lists: int) -> None:
    """The deepest attribute of a span is one message too deep for an event or a link. Receivers reject the whole request."""
    value: Any = 1
    for _ in range(lists):
        value = [value]
    for _ in range(maps):
        value = {"a": value}
    event = SimpleNamespace(name="e", timestamp=1, attributes={"deep": value}, dropped_attributes=0)
    link = SimpleNamespace(context=PARTS["context"], attributes={"deep": value}, dropped_attributes=0)
    span = SimpleNamespace(**{**PARTS, "attributes": {"deep": value}, "events": [event], "links": [link]})

    whole = join_request(b"", "", [(b"", "", [entry_field(encode_span(span))])])  # type: ignore[arg-type]

    [found] = ExportTraceServiceRequest.FromString(whole).resource_spans[0].scope_spans[0].spans
    assert found.attributes[0].key == found.events[0].attributes[0].key == found.links[0].attributes[0].key == "deep"


def test_cache_of_names_is_bounded() -> None:
    """A program may put ids into the names of its spans."""
    for number in range(3 * MAX_CACHED_KEYS):
        assert decoded(ReadableSpan(f"GET /{number}", PARTS["context"])).name == f"GET /{number}"
        assert len(_name_fields) <= MAX_CACHED_KEYS
