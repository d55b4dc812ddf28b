"""Limit the number of objects that a request is decoded to: an empty message has two bytes, but needs a hundred in memory.

The objects are the messages inside of messages. They are counted in the encoded bytes, before anything is decoded. An exact count takes
longer than decoding. So two estimates come first, which are never too low and run at the speed of C. Only if both exceed the limit,
the objects are counted exactly. `receiver.memory` limits the objects of all requests in progress together.

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import assert_never

from heliograph.receiver.memory import RequestMemory
from heliograph.receiver.signals import MAX_OBJECTS, OtlpRequest, OtlpSignal

MAX_RECORDS: Final = 500_000
"""The largest number of log records, of spans and span events, or of data points: each becomes a row."""

_SMALLEST_OBJECT_BYTES: Final = 2
_JSON_TEXT: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LAST_SHIFT: Final = 63
"""The number of bits before the tenth byte of a number, which is the last that a number may have."""

_CONTINUED: Final = 0x80
"""The bit of a byte in a number that says that another byte follows."""
_VARINT: Final = 0
_BYTES: Final = 2
"""The wire type of messages, and of texts."""
_GROUPS: Final = frozenset({3, 4})
"""The wire types of the start and the end of a group. OTLP has no groups: a field in one is counted as a field of the message around it."""
_FIXED: Final = {1: 8, 5: 4}
"""The sizes of the wire types with a fixed size."""


class TooManyObjects(Exception):
    """A request would become too many objects. The message says what to do."""


def decode_protobuf(signal: OtlpSignal, body: bytes, memory: RequestMemory) -> OtlpRequest:
    """Return a decoded request.

    Args:
        signal: The signal of the request.
        body: The encoded request.
        memory: Reserves the memory for the objects, before they are created.

    Raises:
        DecodeError: The body is not such a request.
        TooManyObjects: The request has too many objects or records.
        NotKept: Other requests use all the memory.
    """
    memory.reserve_objects(count_objects(signal.request_class, body))
    request = signal.request_class.FromString(body)
    check_records(request)
    return request


def count_objects(request_class: type[OtlpRequest], body: bytes) -> int:
    """Return the number of objects of a request in protobuf, before it is decoded, or a larger number.

    Raises:
        TooManyObjects: There are more than `MAX_OBJECTS`.
    """
    descriptor = request_class.DESCRIPTOR
    starts = len(body) - len(body.translate(None, delete=_first_bytes(descriptor)))
    count = min(starts, len(body) // _SMALLEST_OBJECT_BYTES)
    if count > MAX_OBJECTS and (count := _count(body, descriptor)) > MAX_OBJECTS:
        raise TooManyObjects(_message(MAX_OBJECTS, "objects"))
    return count


def count_values(body: bytes) -> int:
    """Return the number of values of a request in JSON, before it is parsed, or a larger number.

    Raises:
        TooManyObjects: There are more than `MAX_OBJECTS`.
    """
    count = _separators(body)
    if count > MAX_OBJECTS and (count := _separators(_JSON_TEXT.sub(b"", body))) > MAX_OBJECTS:
        raise TooManyObjects(_message(MAX_OBJECTS, "values"))
    return count


def check_records(request: OtlpRequest) -> None:
    """Check a decoded request, before it becomes rows.

    Raises:
        TooManyObjects: There are more than `MAX_RECORDS`.
    """
    if count_items(request) > MAX_RECORDS:
        raise TooManyObjects(_message(MAX_RECORDS, "records"))


def count_items(request: OtlpRequest) -> int:
    """Return the number of log records, of spans and their events, or of data points. A metric without data counts as one."""
    match request:
        case ExportLogsServiceRequest():
            return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)
        case ExportTraceServiceRequest():
            scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
            return sum(len(scope.spans) + sum(len(span.events) for span in scope.spans) for scope in scopes)
        case ExportMetricsServiceRequest():
            scopes_of_metrics = [scope for resource in request.resource_metrics for scope in resource.scope_metrics]
            return sum(_points(metric) for scope in scopes_of_metrics for metric in scope.metrics)
        case _:
            assert_never(request)


def _points(metric: Any) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 1


def _message(limit: int, what: str) -> str:
    return f"the request has more than {limit:,} {what}; send it as several"


def _separators(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[") + body.count(b",")


@cache
def _messages_in(descriptor: Any) -> dict[int, Any]:
    """Return the fields of a message that are messages, as descriptors by number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}


@cache
def _first_bytes(descriptor: Any) -> bytes:
    """Return the bytes that an object inside of a message can begin with: the first byte of its tag.

    A tag below 128 is one byte, but may be written with more bytes than it needs. Then the first of them has the bit `_CONTINUED`.
    """
    found, waiting = set(), [descriptor]
    while waiting:
        for number, message in _messages_in(waiting.pop()).items():
            if (number, message) not in found:
                found.add((number, message))
                waiting.append(message)
    tags = {number << 3 | _BYTES for number, _ in found}
    return bytes({tag for tag in tags if tag < _CONTINUED} | {tag & 0x7F | _CONTINUED for tag in tags})


def _count(body: bytes, descriptor: Any) -> int:
    """Return the number of objects, or `MAX_OBJECTS` + 1 if there are more.

    If the bytes are not valid protobuf, return the number of objects before the first invalid byte.
    """
    count, waiting = 0, [(0, len(body), _messages_in(descriptor))]
    try:
        while waiting and count <= MAX_OBJECTS:
            at, end, messages = waiting.pop()
            while at < end and count <= MAX_OBJECTS:
                # Almost every tag and length is one byte. It is read here, because a call for each would take too long.
                tag, at = (body[at], at + 1) if body[at] < _CONTINUED else _varint(body, at)
                kind = tag & 7
                if kind == _BYTES:
                    length, at = (body[at], at + 1) if body[at] < _CONTINUED else _varint(body, at)
                    if (message := messages.get(tag >> 3)) is not None:
                        count += 1
                        if length:
                            waiting.append((at, at + length, _messages_in(message)))
                    at += length
                elif kind in _FIXED:
                    at += _FIXED[kind]
                elif kind == _VARINT:
                    _, at = _varint(body, at)
                elif kind not in _GROUPS:
                    return count
    except IndexError:
        # The bytes end in the middle of a number.
        pass
    return count


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at an offset, and the offset after it."""
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < _CONTINUED or shift >= _LAST_SHIFT:
            return number, at
        shift += 7
