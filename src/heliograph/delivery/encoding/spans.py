"""Spans as OTLP messages.

The bytes are those of OpenTelemetry's own encoder, where that one does not fail, except for two things that it omits and the
specification (`opentelemetry/proto/trace/v1/trace.proto`) has:

- the W3C trace flags of a span and of a link, in the lowest eight bits of `flags`;
- the trace state of a link.

A field that cannot be read or written is omitted, and the others are written: a span, an event or a link whose class is the program's own
may raise anything.

Almost all spans are made by the SDK, with fields of the SDK's own classes. Their private fields are read in one function, which takes half of the
time (`_usual_message`). All other spans are encoded field by field. Of them, too, three private fields are read if the span is of the SDK's own
class, because the public properties copy them: `_attributes`, `_events` and `_links`. The properties are read instead if a release of the SDK does not
have the fields, and for spans of any other class, whose properties may hide something on purpose.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, SpanKind, Status, StatusCode

from heliograph.delivery.encoding.any_value import ATTRIBUTE_LEVELS
from heliograph.delivery.encoding.attributes import put_attributes, put_items
from heliograph.delivery.encoding.headers import BoundedCache
from heliograph.delivery.encoding.span_events import EncodedSpanEvent
from heliograph.delivery.encoding.text import text_field
from heliograph.delivery.protobuf import VARINTS, count_field, fixed_field, identifier_field, repeated_field
from heliograph.values.scalars import INT64_MAX

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event
    from opentelemetry.trace import Link

NESTED_LEVELS: Final = ATTRIBUTE_LEVELS - 1
"""The number of messages that may be nested inside the `AnyValue` of an attribute of a span event or a link. They are one message
deeper in a request than the attributes of a span or of a log record."""

_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200
_W3C_FLAGS: Final = 0xFF

# Tags of Span's fields. Some have the length of their value with them, which never changes.
_TRACE_ID: Final = b"\x0a\x10"
_SPAN_ID: Final = b"\x12\x08"
_TRACE_STATE: Final = b"\x1a"
_PARENT_SPAN_ID: Final = b"\x22\x08"
_NAME: Final = b"\x2a"
_KIND: Final = b"\x30"
_START_TIME_UNIX_NANO: Final = 0x39
_END_TIME_UNIX_NANO: Final = 0x41
_ATTRIBUTES: Final = b"\x4a"
_DROPPED_ATTRIBUTES_COUNT: Final = b"\x50"
_EVENTS: Final = b"\x5a"
_DROPPED_EVENTS_COUNT: Final = b"\x60"
_LINKS: Final = b"\x6a"
_DROPPED_LINKS_COUNT: Final = b"\x70"
_STATUS: Final = b"\x7a"
_FLAGS: Final = b"\x85\x01"
# Span.Event
_TIME_UNIX_NANO: Final = 0x09
_EVENT_NAME: Final = b"\x12"
_EVENT_ATTRIBUTES: Final = b"\x1a"
_EVENT_DROPPED_ATTRIBUTES_COUNT: Final = b"\x20"
# Span.Link, whose first three tags are those of Span
_LINK_ATTRIBUTES: Final = b"\x22"
_LINK_DROPPED_ATTRIBUTES_COUNT: Final = b"\x28"
_LINK_FLAGS: Final = b"\x35"
# Status
_MESSAGE: Final = b"\x12"
_CODE: Final = b"\x18"
_UNSET: Final = _STATUS + b"\x00"  # a status that nobody has set

# The objects that contexts and spans have by default.
_NO_TRACE_STATE: Final = INVALID_SPAN_CONTEXT.trace_state
_NO_STATUS: Final = ReadableSpan("", resource=Resource.get_empty()).status
_to_bytes: Final = int.to_bytes
_pack_fixed64: Final = struct.Struct("<BQ").pack
_pack_times: Final = struct.Struct("<BQBQ").pack
_pack_uint32: Final = struct.Struct("<I").pack

_kind_fields: Final = {kind._value_: _KIND + VARINTS[kind._value_ + 1] for kind in SpanKind}
"""By the number, because the hash of a member of an enum is computed in Python. OTLP's numbers are one higher: 0 is an unknown kind."""
_code_fields: Final = {
    code._value_: b"" if code is StatusCode.UNSET else _CODE + VARINTS[code._value_] for code in StatusCode
}
_name_fields: Final = BoundedCache(lambda name: text_field(_NAME, name))
_event_name_fields: Final = BoundedCache(lambda name: text_field(_EVENT_NAME, name))


def encode_span(span: ReadableSpan) -> bytes:
    """Return the `Span` message of a span that has ended, whatever its attributes, events and links are."""
    try:
        return _usual_message(span)
    except Exception:
        # This almost never happens. `contextlib.suppress` would take a tenth of the time of a span.
        return _message(_SPAN_FIELDS, span)


def _usual_message(span: Any) -> bytes:
    """Return the message of a span of the SDK's own class, as the functions of `_SPAN_FIELDS` would make it.

    It is one function that reads private fields, because each call, also that of a property, takes as long as encoding a field. It calls
    those functions for what few spans have.

    Raises:
        Exception: A field is not what the SDK puts there.
    """
    context, parent, name, kind, status = span._context, span._parent, span._name, span._kind, span._status  # noqa: SLF001 — see above
    attributes, events, links = span._attributes, span._events, span._links  # noqa: SLF001
    start, end = span._start_time, span._end_time  # noqa: SLF001
    if (
        type(span) is not ReadableSpan
        or type(context) is not SpanContext
        or not (parent is None or type(parent) is SpanContext)
        or type(kind) is not SpanKind
        or type(attributes) is not BoundedAttributes
        or type(events) is not BoundedList
        or type(links) is not BoundedList
    ):
        raise TypeError("an unusual span")
    trace_id, span_id, _, trace_flags, trace_state, _ = context
    parent_id, is_remote = b"", False
    if parent is not None:
        _, number, is_remote, *_ = parent
        parent_id = _PARENT_SPAN_ID + _to_bytes(number, 8, "big") if number else b""
    has_more = attributes.dropped or events._dq or events.dropped or links._dq or links.dropped  # type: ignore[attr-defined]  # noqa: SLF001
    key_values: list[bytes] = []
    # Nobody changes the attributes of a span that has ended; if someone did, it would be an exception.
    put_items(key_values, attributes._dict.items(), ATTRIBUTE_LEVELS)  # noqa: SLF001
    # At most ten parts: for more, `join` reserves memory to look at them.
    return b"".join(
        (
            _TRACE_ID + _to_bytes(trace_id, 16, "big") + _SPAN_ID + _to_bytes(span_id, 8, "big"),
            b"" if trace_state is _NO_TRACE_STATE else _trace_state(context),
            parent_id,
            # The names of programs may be objects with more than their text, as Datasette's are. What is no text raises an exception.
            _name_fields[name if type(name) is str else str.__str__(name)],
            _kind_fields[kind._value_],
            _pack_times(_START_TIME_UNIX_NANO, start, _END_TIME_UNIX_NANO, end)
            if 0 < start <= INT64_MAX and 0 < end <= INT64_MAX
            else _times(span),
            _ATTRIBUTES + _ATTRIBUTES.join(key_values) if key_values else b"",
            _usual_lists(attributes, events, links) if has_more else b"",
            _UNSET if status is _NO_STATUS else _status(span),
            (_remote_flags if is_remote else _local_flags)[trace_flags & _W3C_FLAGS],
        )
    )


def _usual_lists(attributes: Any, events: Any, links: Any) -> bytes:
    """Return the fields that few spans have: events, links, and the numbers of what was dropped."""
    return b"".join(
        (
            count_field(_DROPPED_ATTRIBUTES_COUNT, attributes.dropped),
            _repeated(_EVENTS, _event, events._dq),  # noqa: SLF001 — as in `_usual_message`
            count_field(_DROPPED_EVENTS_COUNT, events.dropped),
            _repeated(_LINKS, _link, links._dq),  # noqa: SLF001
            count_field(_DROPPED_LINKS_COUNT, links.dropped),
        )
    )


def _message(fields: Iterable[Callable[[Any], bytes]], source: object) -> bytes:
    """Return the message with all fields of a span, an event or a link that can be encoded."""
    try:
        return b"".join([encode(source) for encode in fields])
    except Exception:
        # The class may be a program's own, and its values may have any type.
        return b"".join([_field_or_nothing(encode, source) for encode in fields])


def _field_or_nothing(encode: Callable[[Any], bytes], source: object) -> bytes:
    with contextlib.suppress(Exception):
        return encode(source)
    return b""


def _span_ids(span: ReadableSpan) -> bytes:
    return _ids(span.context)


def _span_trace_state(span: ReadableSpan) -> bytes:
    return _trace_state(span.context)


def _ids(context: SpanContext) -> bytes:
    """Return the ids of a span or a link. An id that is unknown is written as 0, as OpenTelemetry's encoder does."""
    return (identifier_field(_TRACE_ID, context.trace_id, 16) or _TRACE_ID + bytes(16)) + (
        identifier_field(_SPAN_ID, context.span_id, 8) or _SPAN_ID + bytes(8)
    )


def _trace_state(context: SpanContext) -> bytes:
    state = context.trace_state
    return text_field(_TRACE_STATE, state.to_header()) if state else b""


def _parent(span: ReadableSpan) -> bytes:
    parent = span.parent
    return b"" if parent is None else identifier_field(_PARENT_SPAN_ID, parent.span_id, 8)


def _name_and_kind(span: ReadableSpan) -> bytes:
    name, kind = span.name, span.kind
    return (_name_fields[name] if type(name) is str else text_field(_NAME, name)) + (
        # OTLP reads a missing kind as an unknown one.
        _kind_fields[kind._value_] if type(kind) is SpanKind else b""
    )


def _times(span: ReadableSpan) -> bytes:
    start, end = span.start_time, span.end_time
    if type(start) is int and type(end) is int and 0 < start <= INT64_MAX and 0 < end <= INT64_MAX:
        return _pack_times(_START_TIME_UNIX_NANO, start, _END_TIME_UNIX_NANO, end)
    return fixed_field(_pack_fixed64, _START_TIME_UNIX_NANO, start) + fixed_field(
        _pack_fixed64, _END_TIME_UNIX_NANO, end
    )


def _attributes(span: ReadableSpan) -> bytes:
    attributes = _private(span, "_attributes", "attributes")
    return _fields_of_attributes(_ATTRIBUTES, attributes, ATTRIBUTE_LEVELS) + count_field(
        _DROPPED_ATTRIBUTES_COUNT, span.dropped_attributes
    )


def _events(span: ReadableSpan) -> bytes:
    return _repeated(_EVENTS, _event, _private(span, "_events", "events")) + count_field(
        _DROPPED_EVENTS_COUNT, span.dropped_events
    )


def _links(span: ReadableSpan) -> bytes:
    return _repeated(_LINKS, _link, _private(span, "_links", "links")) + count_field(
        _DROPPED_LINKS_COUNT, span.dropped_links
    )


def _status(span: ReadableSpan) -> bytes:
    status: Status | None = span.status
    if status is None:
        return b""
    code = status.status_code
    if code is StatusCode.UNSET and status.description is None:
        return _UNSET
    message = text_field(_MESSAGE, status.description) + (
        _code_fields[code._value_] if type(code) is StatusCode else b""
    )
    return _STATUS + VARINTS[len(message)] + message


def _flags(span: ReadableSpan) -> bytes:
    parent = span.parent
    return _flags_field(_FLAGS, span.context.trace_flags, is_remote=parent is not None and parent.is_remote)


def _event(event: Event) -> bytes:
    try:
        return _event_time_and_name(event) + _event_attributes(event)  # almost always, without a list
    except Exception:
        return _message(_EVENT_FIELDS, event)


def _event_time_and_name(event: Event) -> bytes:
    name = event.name
    return fixed_field(_pack_fixed64, _TIME_UNIX_NANO, event.timestamp) + (
        _event_name_fields[name] if type(name) is str else text_field(_EVENT_NAME, name)
    )


def _event_attributes(event: Event) -> bytes:
    encoded = event.encoded if type(event) is EncodedSpanEvent else None
    if encoded is not None:
        return encoded
    return _fields_of_attributes(_EVENT_ATTRIBUTES, event.attributes, NESTED_LEVELS) + count_field(
        _EVENT_DROPPED_ATTRIBUTES_COUNT, event.dropped_attributes
    )


def _link(link: Link) -> bytes:
    return _message(_LINK_FIELDS, link)


def _link_ids(link: Link) -> bytes:
    return _ids(link.context)


def _link_trace_state(link: Link) -> bytes:
    return _trace_state(link.context)


def _link_attributes(link: Link) -> bytes:
    return _fields_of_attributes(_LINK_ATTRIBUTES, link.attributes, NESTED_LEVELS) + count_field(
        _LINK_DROPPED_ATTRIBUTES_COUNT, link.dropped_attributes
    )


def _link_flags(link: Link) -> bytes:
    return _flags_field(_LINK_FLAGS, link.context.trace_flags, is_remote=link.context.is_remote)


def _flags_field(tag: bytes, trace_flags: int, *, is_remote: bool) -> bytes:
    return tag + _pack_uint32(_HAS_IS_REMOTE | (_IS_REMOTE if is_remote else 0) | trace_flags & _W3C_FLAGS)


_local_flags: Final = [_flags_field(_FLAGS, flags, is_remote=False) for flags in range(_W3C_FLAGS + 1)]
_remote_flags: Final = [_flags_field(_FLAGS, flags, is_remote=True) for flags in range(_W3C_FLAGS + 1)]


_Fields = Sequence[Callable[[Any], bytes]]

# In the order of the fields' numbers, as protobuf's library writes them: so the bytes can be compared.
_SPAN_FIELDS: Final[_Fields] = (
    _span_ids,
    _span_trace_state,
    _parent,
    _name_and_kind,
    _times,
    _attributes,
    _events,
    _links,
    _status,
    _flags,
)
_EVENT_FIELDS: Final[_Fields] = (_event_time_and_name, _event_attributes)
_LINK_FIELDS: Final[_Fields] = (_link_ids, _link_trace_state, _link_attributes, _link_flags)


def _private(span: ReadableSpan, name: str, public_name: str) -> Any:
    """Return a private field of a span of the SDK's own class; of any other span, the public property."""
    found = getattr(span, name, None) if type(span) is ReadableSpan else None
    return getattr(span, public_name) if found is None else found


def _fields_of_attributes(tag: bytes, attributes: Mapping[str, object] | None, levels: int) -> bytes:
    if not attributes:
        return b""
    key_values: list[bytes] = []
    put_attributes(key_values, attributes, levels)
    return repeated_field(tag, key_values)


def _repeated(tag: bytes, encode: Callable[[Any], bytes], sources: Iterable[object] | None) -> bytes:
    """Return the field of each event or link."""
    if not sources:
        return b""
    messages = [encode(source) for source in sources]
    return repeated_field(tag, [VARINTS[len(message)] + message for message in messages])
