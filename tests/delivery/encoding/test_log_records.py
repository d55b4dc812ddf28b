"""Log records as OTLP bytes: compared with OpenTelemetry's own encoder, and never failing where that one does."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as Message
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from heliograph.delivery.encoding.headers import MAX_CACHED_KEYS
from heliograph.delivery.encoding.log_records import _event_name_fields, encode_log_record
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field, join_request
from profiles import examples

texts = st.text(max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=9)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
)
attributes = st.dictionaries(texts, values, max_size=8)
ODD: st.SearchStrategy[Any] = st.recursive(
    scalars
    | st.integers()
    | st.floats()
    | st.text(st.characters(categories=None), max_size=9)
    | st.builds(object)
    | st.builds(lambda: 1j)
    | st.binary(max_size=4).map(bytearray),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(st.integers(), max_size=3)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=12,
)


def record(body: Any, attributes: Mapping[str, Any] | None, **kwargs: Any) -> LogRecord:
    return LogRecord(context=Context(), body=body, attributes=attributes, **kwargs)


def decoded(message: bytes) -> Message:
    found = Message()
    found.ParseFromString(message)
    return found


@settings(max_examples=examples(200))
@given(
    body=values,
    attributes=attributes,
    resource=st.dictionaries(texts, scalars.filter(lambda value: value is not None), max_size=3),
    scope=st.tuples(texts, st.none() | texts, st.none() | texts),
    numbers=st.tuples(st.integers(0, 2**63), st.integers(0, 2**63), st.sampled_from(SeverityNumber), st.integers(0, 3)),
    texts_or_none=st.tuples(st.none() | texts, st.none() | texts),
)
def test_messages_are_those_of_the_sdk(  # noqa: PLR0917 — one of each is drawn
    body: Any, attributes: Any, resource: Any, scope: Any, numbers: Any, texts_or_none: Any
) -> None:
    """Resource, scope, and a record with every type of value: nested, empty, unusual."""
    one = record(
        body,
        attributes,
        timestamp=numbers[0],
        observed_timestamp=numbers[1],
        severity_number=numbers[2],
        severity_text=texts_or_none[0],
        event_name=texts_or_none[1],
    )
    one.trace_id, one.span_id, one.trace_flags = numbers[0], numbers[1] & (2**64 - 1), numbers[3]
    full = ReadableLogRecord(
        log_record=one,
        resource=Resource(resource, "https://schema/1"),
        instrumentation_scope=InstrumentationScope(scope[0], scope[1], scope[2]),
    )
    theirs = encode_logs([full])

    ours = join_request(
        encode_resource(full.resource.attributes),
        "https://schema/1",
        [(encode_scope(scope[0], scope[1]), scope[2] or "", [entry_field(encode_log_record(one))])],
    )

    found = ExportLogsServiceRequest()
    found.ParseFromString(ours)
    assert found == theirs


@settings(max_examples=examples(300))
@given(ODD, st.dictionaries(st.text(st.characters(categories=None), max_size=5), ODD, max_size=5))
def test_record_with_any_values_is_a_message(body: Any, attributes: Any) -> None:
    """A receiver can read the record, also if the SDK's encoder fails."""
    found = decoded(encode_log_record(record(body, attributes)))

    assert len(found.attributes) == len(attributes)


def test_lone_surrogates_and_large_integers_are_text() -> None:
    """Only these values take another form; those beside them do not change."""
    found = decoded(encode_log_record(record("\udc80", {"\ud800": 2**70, "ok": 1, "low": -(2**63)})))

    assert found.body.string_value == "\\udc80"
    assert {pair.key: pair.value.string_value or pair.value.int_value for pair in found.attributes} == {
        "\\ud800": str(2**70),
        "ok": 1,
        "low": -(2**63),
    }


@pytest.mark.parametrize("depth", [10, 31, 32, 40, 47, 48, 49, 200, 5000])
def test_deep_values_can_be_read(depth: int) -> None:
    """Protobuf's parsers, which allow a hundred nested messages, accept such values."""
    lists: Any = []
    maps: Any = {}
    for _ in range(depth):
        lists, maps = [lists], {"a": maps}

    message = encode_log_record(record(lists, {"lists": lists, "maps": maps}))
    whole = join_request(encode_resource({}), "", [(encode_scope("s"), "", [entry_field(message)])])

    found = ExportLogsServiceRequest()
    found.ParseFromString(whole)
    assert len(found.resource_logs[0].scope_logs[0].log_records[0].attributes) == 2


def test_value_inside_itself_ends() -> None:
    """A cycle and a huge value are cut, and the cut is marked."""
    cycle: list[Any] = []
    cycle.append(cycle)

    found = decoded(encode_log_record(record(cycle, {"huge": [0] * (2**20 + 10)})))

    assert found.body.array_value.values[0].string_value == "<cycle>"
    assert found.attributes[0].value.array_value.values[-1].string_value == "<too large>"


class Broken(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError

    def copy(self) -> Any:
        raise RuntimeError


def test_code_of_a_value_may_raise_anything() -> None:
    """The record is encoded all the same."""
    assert decoded(encode_log_record(record(Broken(a=1), {"broken": Broken(a=1)}))).attributes[0].key == "broken"
    assert decoded(encode_log_record(record("body", Broken(a=1)))).body.string_value == "body"


def test_numbers_out_of_range_are_omitted() -> None:
    """OTLP reads an omitted number as unknown."""
    one = record("body", {}, timestamp=2**64, observed_timestamp=-1)
    one.trace_id, one.span_id = 2**128, -1

    found = decoded(encode_log_record(one, dropped_attributes_count=2**40))

    assert (found.time_unix_nano, found.observed_time_unix_nano, found.trace_id, found.span_id) == (0, 0, b"", b"")
    assert found.dropped_attributes_count == 2**32 - 1


@given(
    body=st.none() | texts,
    attributes=st.none() | st.dictionaries(texts, texts | st.integers(0, 9), max_size=3),
    dropped=st.integers(0, 3),
    context=st.booleans(),
)
def test_bytes_are_those_of_the_sdk(body: Any, attributes: Any, dropped: int, context: bool) -> None:
    """Byte by byte: fields come in the order of their numbers, and those that have their default value are omitted."""
    one = record(body, attributes, timestamp=1, observed_timestamp=2, severity_number=SeverityNumber.INFO)
    if context:
        one.trace_id, one.span_id, one.trace_flags = 1, 2, 1
    full = ReadableLogRecord(log_record=one, resource=Resource({}))
    [theirs] = encode_logs([full]).resource_logs[0].scope_logs[0].log_records
    theirs.dropped_attributes_count = dropped

    assert encode_log_record(one, dropped) == theirs.SerializeToString()


def test_number_of_dropped_attributes_is_omitted_if_it_is_0() -> None:
    assert b"\x38\x00" not in encode_log_record(LogRecord(body="x", attributes={}))
    assert b"\x38\x01" in encode_log_record(LogRecord(body="x", attributes={}), 1)


def test_cache_of_event_names_is_bounded() -> None:
    """Names of events come from the program, but any program may log with names of its own."""
    for number in range(3 * MAX_CACHED_KEYS):
        assert decoded(encode_log_record(record("x", {}, event_name=f"event.{number}"))).event_name == f"event.{number}"
        assert len(_event_name_fields) <= MAX_CACHED_KEYS


def test_severity_is_written_as_its_number() -> None:
    one = record("x", {})
    one.severity_number = SeverityNumber.WARN2

    assert decoded(encode_log_record(one)).severity_number == 14


@pytest.mark.parametrize("number", [None, 2**31, -(2**31), 1.5, "9", object()])
def test_severity_that_is_not_a_small_integer_is_omitted(number: Any) -> None:
    one = record("x", {})
    one.severity_number = SimpleNamespace(_value_=number)  # type: ignore[assignment]

    assert decoded(encode_log_record(one)).severity_number == 0
