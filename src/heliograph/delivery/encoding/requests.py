"""Resources, scopes, and requests that are joined from encoded entries: log records or spans.

The requests of both signals have the same shape and the same numbers of fields:

==============================  ===============================  ==================
ExportLogsServiceRequest        ExportTraceServiceRequest        number
==============================  ===============================  ==================
resource_logs                   resource_spans                   1
resource_logs.resource          resource_spans.resource          1
resource_logs.scope_logs        resource_spans.scope_spans       2
resource_logs.schema_url        resource_spans.schema_url        3
scope_logs.scope                scope_spans.scope                1
scope_logs.log_records          scope_spans.spans                2
scope_logs.schema_url           scope_spans.schema_url           3
==============================  ===============================  ==================

So one function joins both. All functions are pure, and accept any value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias, Union

from heliograph.delivery.encoding.any_value import ATTRIBUTE_LEVELS, BODY_LEVELS
from heliograph.delivery.encoding.attributes import attribute_fields
from heliograph.delivery.encoding.text import text_field
from heliograph.delivery.protobuf import VARINTS, FieldHeads

Buffer: TypeAlias = Union[bytes, memoryview]

ENTRY_HEADS: Final = FieldHeads(b"\x12")
"""The bytes that make an encoded log record or span an entry (`entry_field`), by its length."""

# Resource
_RESOURCE_ATTRIBUTES: Final = b"\x0a"
# InstrumentationScope
_NAME: Final = b"\x0a"
_VERSION: Final = b"\x12"
_SCOPE_ATTRIBUTES: Final = b"\x1a"
# The request, and the messages in it (see the table)
_OF_RESOURCE: Final = b"\x0a"
_RESOURCE: Final = b"\x0a"
_OF_SCOPE: Final = b"\x12"
_SCOPE: Final = b"\x0a"
_SCHEMA_URL: Final = b"\x1a"


def encode_resource(attributes: Mapping[str, object] | None) -> bytes:
    """Return the `Resource` message."""
    return b"".join(attribute_fields(_RESOURCE_ATTRIBUTES, attributes, BODY_LEVELS))


def encode_scope(name: str, version: str | None = None, attributes: Mapping[str, object] | None = None) -> bytes:
    """Return the `InstrumentationScope` message."""
    fields = attribute_fields(_SCOPE_ATTRIBUTES, attributes, ATTRIBUTE_LEVELS)
    return b"".join((text_field(_NAME, name), text_field(_VERSION, version), *fields))


def entry_field(message: bytes) -> bytes:
    """Return an encoded log record as a field of `ScopeLogs`, or a span as one of `ScopeSpans`, ready for `join_request`.

    Journals store entries in this form, so that a request is only joined, and no entry is copied or encoded twice.
    """
    return ENTRY_HEADS[len(message)] + message


def join_request(
    resource: Buffer, resource_schema_url: str, groups: Iterable[tuple[Buffer, str, Sequence[Buffer]]]
) -> bytes:
    """Return the `ExportLogsServiceRequest` or `ExportTraceServiceRequest` of entries that are encoded already.

    Args:
        resource: The resource of all entries, from `encode_resource`.
        resource_schema_url: The resource's schema URL; may be empty.
        groups: For each scope its message from `encode_scope`, its schema URL, and its entries from `entry_field`.
    """
    parts: list[Buffer] = [_RESOURCE, VARINTS[len(resource)], resource]
    size = sum(map(len, parts))
    for scope, schema_url, entries in groups:
        head, tail = (_SCOPE, VARINTS[len(scope)], scope), text_field(_SCHEMA_URL, schema_url)
        content_size = sum(map(len, head)) + sum(map(len, entries)) + len(tail)
        size += len(_OF_SCOPE) + len(VARINTS[content_size]) + content_size
        parts += _OF_SCOPE, VARINTS[content_size], *head
        parts += entries
        parts.append(tail)
    end = text_field(_SCHEMA_URL, resource_schema_url)
    return b"".join((_OF_RESOURCE, VARINTS[size + len(end)], *parts, end))
