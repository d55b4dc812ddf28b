"""Log records as OTLP messages.

All functions are pure, and accept any value: what OTLP has no type for takes a form (the table is in
`heliograph.delivery.encoding`).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from opentelemetry._logs import SeverityNumber

from heliograph.delivery.encoding.any_value import BODY_LEVELS, any_value
from heliograph.delivery.encoding.attributes import put_attributes
from heliograph.delivery.encoding.headers import BoundedCache
from heliograph.delivery.encoding.text import text_field
from heliograph.delivery.protobuf import (
    UINT64_MASK,
    VARINTS,
    count_field,
    fixed_field,
    identifier_field,
    repeated_field,
)
from heliograph.values.scalars import INT64_MAX

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

_INT32_MAX: Final = 2**31 - 1

# Tags of LogRecord's fields. Two have the length of their value with them, which never changes.
_TIME_UNIX_NANO: Final = 0x09
_SEVERITY_NUMBER: Final = b"\x10"
_SEVERITY_TEXT: Final = b"\x1a"
_BODY: Final = b"\x2a"
_ATTRIBUTES: Final = b"\x32"
_DROPPED_ATTRIBUTES_COUNT: Final = b"\x38"
_FLAGS: Final = 0x45
_TRACE_ID: Final = b"\x4a\x10"
_SPAN_ID: Final = b"\x52\x08"
_OBSERVED_TIME_UNIX_NANO: Final = 0x59
_EVENT_NAME: Final = b"\x62"

_pack_fixed32: Final = struct.Struct("<BI").pack
_pack_fixed64: Final = struct.Struct("<BQ").pack


def encode_log_record(record: LogRecord, dropped_attributes_count: int = 0) -> bytes:
    """Return the `LogRecord` message of a record, whatever its body and attributes are.

    Args:
        record: A record of the OpenTelemetry API, such as the SDK's `ReadWriteLogRecord.log_record`.
        dropped_attributes_count: The number of attributes that the SDK dropped (`ReadWriteLogRecord.dropped_attributes`).
    """
    attributes: list[bytes] = []
    if record.attributes is not None:
        put_attributes(attributes, record.attributes)
    return encode_fields(
        record.timestamp,
        record.severity_number,
        record.severity_text,
        record.body,
        attributes,
        encode_trace(record.trace_id, record.span_id, record.trace_flags),
        record.observed_timestamp,
        record.event_name,
        dropped_attributes_count,
    )


def encode_fields(  # noqa: PLR0917 — the fields of a log record; keywords would cost as much as two of them
    timestamp: int | None,
    severity_number: object,
    severity_text: str | None,
    body: object,
    attributes: Sequence[bytes],
    trace: bytes,
    observed_timestamp: int | None,
    event_name: str | None,
    dropped_attributes_count: int = 0,
) -> bytes:
    """Return the `LogRecord` message with these fields.

    Args:
        timestamp: The time in nanoseconds.
        severity_number: A member of `SeverityNumber`. Anything else is omitted.
        severity_text: The severity's name.
        body: Any value.
        attributes: The attributes, from `put_attributes`.
        trace: The fields of the span, from `encode_trace`.
        observed_timestamp: The time in nanoseconds.
        event_name: The event's name.
        dropped_attributes_count: The number of attributes that the SDK dropped.
    """
    name = _event_name_fields[event_name] if type(event_name) is str else encode_event_name(event_name)
    if dropped_attributes_count:
        trace = count_field(_DROPPED_ATTRIBUTES_COUNT, dropped_attributes_count) + trace
    return join_fields(
        timestamp, encode_content(severity_number, severity_text, body), attributes, trace, observed_timestamp, name
    )


def join_fields(  # noqa: PLR0917 — as for `encode_fields`
    timestamp: int | None,
    content: bytes,
    attributes: Sequence[bytes],
    trace: bytes,
    observed_timestamp: int | None,
    event_name: bytes,
) -> bytes:
    """Return the `LogRecord` message with these fields, some of which are encoded already.

    Args:
        timestamp: The time in nanoseconds.
        content: The severity and the body, from `encode_content`.
        attributes: The attributes, from `put_attributes`.
        trace: The fields of the span, from `encode_trace`.
        observed_timestamp: The time in nanoseconds.
        event_name: The event's name, from `encode_event_name`.
    """
    # Almost all times are like these, and a call for each would cost as much as all fields.
    if (
        type(timestamp) is int
        and type(observed_timestamp) is int
        and 0 < timestamp <= INT64_MAX
        and 0 < observed_timestamp <= INT64_MAX
    ):
        time = _pack_fixed64(_TIME_UNIX_NANO, timestamp)
        observed_time = _pack_fixed64(_OBSERVED_TIME_UNIX_NANO, observed_timestamp)
    else:
        time = fixed_field(_pack_fixed64, _TIME_UNIX_NANO, timestamp)
        observed_time = fixed_field(_pack_fixed64, _OBSERVED_TIME_UNIX_NANO, observed_timestamp)
    # Fields are in the order of their numbers, as protobuf's library writes them: so the bytes can be compared.
    return b"".join((time, content, repeated_field(_ATTRIBUTES, attributes), trace, observed_time, event_name))


def encode_content(severity_number: object, severity_text: str | None, body: object) -> bytes:
    """Return the fields of a log record for its severity and its body."""
    message = any_value(body, BODY_LEVELS)
    severity = (
        _severity_fields[severity_number._value_]
        if type(severity_number) is SeverityNumber
        else _severity_field(severity_number)
    )
    text = b"" if severity_text is None else text_field(_SEVERITY_TEXT, severity_text)
    return b"".join((severity, text, _BODY, VARINTS[len(message)], message))


def encode_trace(trace_id: int, span_id: int, trace_flags: int) -> bytes:
    """Return the fields of a log record that name its span. They are empty if there is none."""
    if not (trace_id or span_id or trace_flags):
        return b""
    return b"".join(
        (
            fixed_field(_pack_fixed32, _FLAGS, trace_flags),
            identifier_field(_TRACE_ID, trace_id, 16),
            identifier_field(_SPAN_ID, span_id, 8),
        )
    )


def _severity_field(severity: object) -> bytes:
    # An enum's `value` is a property, five times as slow.
    number = getattr(severity, "_value_", 0)
    if type(number) is int and number and -_INT32_MAX <= number <= _INT32_MAX:
        return _SEVERITY_NUMBER + VARINTS[number & UINT64_MASK]
    return b""


_severity_fields: Final = {each._value_: _severity_field(each) for each in SeverityNumber}
"""By the number, because the hash of a member of an enum is computed in Python."""


def encode_event_name(name: object) -> bytes:
    """Return the field of a log record for the name of its event."""
    return text_field(_EVENT_NAME, name)


_event_name_fields: Final = BoundedCache(encode_event_name)
