"""The objects of a request are limited before they are made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from heliograph.receiver import object_count
from heliograph.receiver.memory import Memory
from heliograph.receiver.object_count import (
    TooManyObjects,
    check_records,
    count_items,
    count_objects,
    count_values,
    decode_protobuf,
)
from heliograph.receiver.signals import SIGNALS, OtlpRequest
from receiver.requests import log_request, span_request, sum_request

LOGS, TRACES, METRICS = SIGNALS
RECORDS = [
    (LOGS, log_request("a", "b", user__id="ada")),
    (TRACES, span_request("s", "x", "y")),
    (METRICS, sum_request("m", 7)),
]


def objects_in(message: Message) -> int:
    """Return the number of messages inside of a message."""
    count = 0
    for field, value in message.ListFields():
        if field.message_type is not None:
            inside = [value] if isinstance(value, Message) else value
            count += len(inside) + sum(map(objects_in, inside))
    return count


def counted(request_class: type[OtlpRequest], body: bytes) -> int:
    return object_count._count(body, request_class.DESCRIPTOR)


def estimated(request_class: type[OtlpRequest], body: bytes) -> int:
    return len(body) - len(body.translate(None, delete=object_count._first_bytes(request_class.DESCRIPTOR)))


@pytest.mark.parametrize(("signal", "request_"), RECORDS, ids=lambda each: getattr(each, "path", ""))
def test_messages_inside_of_messages_are_counted(signal: Any, request_: OtlpRequest) -> None:
    """The encoded bytes are counted; the estimate is never too low."""
    body = request_.SerializeToString()

    assert counted(signal.request_class, body) == objects_in(request_) > 0
    assert estimated(signal.request_class, body) >= objects_in(request_)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_any_bytes_can_be_counted(noise: bytes, place: int) -> None:
    """Both counts are at least the number of objects in whatever can be decoded."""
    body = log_request("a").SerializeToString()
    body = body[:place] + noise + body[place:]
    try:
        decoded = LOGS.request_class.FromString(body)
    except Exception:
        decoded = LOGS.request_class()

    assert counted(LOGS.request_class, body) >= objects_in(decoded)
    assert estimated(LOGS.request_class, body) >= objects_in(decoded)


@pytest.mark.parametrize(
    "body",
    [
        b"\x8a\x00\x00" * 50,  # tags that are longer than they need be
        b"\x0a\x80\x00" * 50,
        b"\x7b" + b"\x0a\x00" * 50,  # inside of a group, which is not OTLP's
        b"\x08\xff\x01" + b"\x0a\x00" * 50,  # behind numbers and fixed sizes
        b"\x0d1234" + b"\x0912345678" + b"\x0a\x00" * 50,
    ],
)
def test_no_way_to_write_an_object_evades_the_limit(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the fifty objects is counted, in whatever form its tag is written."""
    monkeypatch.setattr(object_count, "MAX_OBJECTS", 49)
    with pytest.raises(TooManyObjects, match="more than 49 objects; send it as several"):
        count_objects(LOGS.request_class, body)

    monkeypatch.setattr(object_count, "MAX_OBJECTS", 50)
    assert count_objects(LOGS.request_class, body) == 50


def test_bytes_that_only_look_like_objects_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long text has the bytes of tags, and no objects."""
    body = log_request("app.a", body="\n" * 5000).SerializeToString()
    monkeypatch.setattr(object_count, "MAX_OBJECTS", 10)

    assert count_objects(LOGS.request_class, body) < 10
    assert estimated(LOGS.request_class, body) > 5000


def test_small_requests_are_counted_without_looking_for_objects() -> None:
    """The number is one that is never too low: an object has two bytes at least."""
    for signal, request in RECORDS:
        body = request.SerializeToString()
        assert objects_in(request) <= count_objects(signal.request_class, body) <= len(body) // 2


def test_values_of_json_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The characters inside of texts do not count."""
    monkeypatch.setattr(object_count, "MAX_OBJECTS", 10)

    assert count_values(json.dumps({"a": '{[,"' * 20}).encode()) == 1
    for document in ([{}] * 10, [1] * 12, [[]] * 10):
        with pytest.raises(TooManyObjects, match="more than 10 values"):
            count_values(json.dumps(document).encode())


def test_records_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log records, spans with span events, and data points count. A metric without any counts as one."""
    empty = ExportMetricsServiceRequest()
    empty.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    assert [count_items(request) for _, request in RECORDS] == [2, 3, 1]
    assert count_items(empty) == 1

    monkeypatch.setattr(object_count, "MAX_RECORDS", 1)
    check_records(RECORDS[2][1])
    for signal, request in RECORDS[:2]:
        with (
            Memory().request() as memory,
            pytest.raises(TooManyObjects, match="more than 1 records"),
        ):
            decode_protobuf(signal, request.SerializeToString(), memory)
