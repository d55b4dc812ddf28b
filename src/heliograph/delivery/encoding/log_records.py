"""Log records, resources and scopes as OTLP bytes, and requests that are joined from stored bytes: pure, and total.

The bytes are those of OpenTelemetry's own encoder (`opentelemetry.exporter.otlp.proto.common`), wherever that one does not
fail. Where it does, and a whole batch is lost by it, the value alone takes a form of its own:

======================================  ===============================================================================
value                                   form
======================================  ===============================================================================
text with lone surrogates               with their escapes (`heliograph.values.text.text`)
an `int` beyond 64 bits                 text (`heliograph.values.forms.integer`)
anything else that OTLP has no type for  its documented form (`heliograph.values.forms.plain`)
a key that is no text                   the text of that form, or its JSON
a value inside itself                   ``<cycle>``
nested deeper than receivers read       ``<too deep>``: protobuf's parsers take 100 messages inside of each other, which
                                        leaves an attribute 47 lists or 31 maps, and a body one more
more than 1,048,576 values inside one   the first of them, and ``<too large>``
a time, an id, flags out of their range  left out, which OTLP reads as unknown
======================================  ===============================================================================

Written by hand, since building protobuf's objects costs ten times as much.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, Union

from heliograph.delivery.encoding.any_value import ATTRIBUTE_LEVELS, BODY_LEVELS, any_value
from heliograph.delivery.encoding.attributes import Known, attribute_fields, put_attributes
from heliograph.delivery.encoding.protobuf import (
    UINT64_MASK,
    VARINTS,
    fixed,
    identifier,
    text_field,
)

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

Buffer: TypeAlias = Union[bytes, memoryview]

_UINT32_MAX: Final = 2**32 - 1
_INT32_MAX: Final = 2**31 - 1

_pack_fixed32: Final = struct.Struct("<BI").pack
_pack_fixed64: Final = struct.Struct("<BQ").pack


def encode_log_record(record: LogRecord, dropped_attributes_count: int = 0) -> bytes:
    """The `LogRecord` message, whatever the record's body and attributes are.

    Args:
        record: Of the API, or what the SDK's `ReadWriteLogRecord.log_record` is.
        dropped_attributes_count: What the SDK's `ReadWriteLogRecord.dropped_attributes` says.
    """
    body, event_name = any_value(record.body, BODY_LEVELS), record.event_name
    parts = [
        fixed(_pack_fixed64, 0x09, record.timestamp),
        _severity(record.severity_number),
        b"" if record.severity_text is None else text_field(b"\x1a", record.severity_text),
        b"\x2a",
        VARINTS[len(body)],
        body,
    ]
    if record.attributes is not None:
        put_attributes(parts, record.attributes)
    if dropped_attributes_count > 0:
        parts += b"\x38", VARINTS[min(dropped_attributes_count, _UINT32_MAX)]
    if record.trace_id or record.span_id or record.trace_flags:
        parts += (
            fixed(_pack_fixed32, 0x45, record.trace_flags),
            identifier(b"\x4a\x10", record.trace_id, 16),
            identifier(b"\x52\x08", record.span_id, 8),
        )
    parts += (
        fixed(_pack_fixed64, 0x59, record.observed_timestamp),
        _event_names[event_name] if type(event_name) is str else _event_name(event_name),
    )
    return b"".join(parts)


def encode_resource(attributes: Mapping[str, object] | None) -> bytes:
    """The `Resource` message."""
    return b"".join(attribute_fields(b"\x0a", attributes, BODY_LEVELS))


def encode_scope(name: str, version: str | None = None, attributes: Mapping[str, object] | None = None) -> bytes:
    """The `InstrumentationScope` message."""
    fields = attribute_fields(b"\x1a", attributes, ATTRIBUTE_LEVELS)
    return b"".join((text_field(b"\x0a", name), text_field(b"\x12", version), *fields))


def frame_record(message: bytes) -> bytes:
    """An encoded log record as the field of `ScopeLogs` that `request` joins."""
    return b"\x12" + VARINTS[len(message)] + message


def request(
    resource: Buffer, resource_schema_url: str, groups: Iterable[tuple[Buffer, str, Sequence[Buffer]]]
) -> bytes:
    """The `ExportLogsServiceRequest` message, joined from bytes that were encoded before.

    Args:
        resource: What `encode_resource` gave.
        resource_schema_url: May be empty.
        groups: For each scope what `encode_scope` gave, its schema URL, and its records from `frame_record`.
    """
    parts: list[Buffer] = [b"\x0a", VARINTS[len(resource)], resource]
    for group in groups:
        parts += _scope_logs(*group)
    parts.append(text_field(b"\x1a", resource_schema_url))
    return b"".join((b"\x0a", VARINTS[sum(map(len, parts))], *parts))


def _scope_logs(scope: Buffer, schema_url: str, records: Sequence[Buffer]) -> list[Buffer]:
    content = [b"\x0a", VARINTS[len(scope)], scope, *records, text_field(b"\x1a", schema_url)]
    return [b"\x12", VARINTS[sum(map(len, content))], *content]


def _severity(severity: object) -> bytes:
    number = getattr(severity, "_value_", 0)  # five times as fast as `value`
    if type(number) is int and number and -_INT32_MAX <= number <= _INT32_MAX:
        return b"\x10" + VARINTS[number & UINT64_MASK]
    return b""


def _event_name(name: object) -> bytes:
    return text_field(b"\x62", name)


_event_names: Final = Known(_event_name)
