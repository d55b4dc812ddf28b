"""OTLP's messages as Python values and as JSON, which is protobuf's JSON except for ids and enums."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from heliograph.delivery.encoding.any_value import BODY_LEVELS, any_value
from heliograph.otlp import decode_attributes, decode_value, to_json_document, to_json_line, without_ids


def request_with(record: LogRecord) -> ExportLogsServiceRequest:
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.text())
def test_ids_are_hexadecimal_and_the_rest_is_the_json_of_protobuf(trace_id: bytes, span_id: bytes, name: str) -> None:
    """A request is one line. Without the ids, protobuf's library reads it again."""
    request = request_with(LogRecord(trace_id=trace_id, span_id=span_id, event_name=name, severity_number=9))

    line = to_json_line(request)

    [record] = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert "\n" not in line
    assert (record["traceId"], record["spanId"], record["severityNumber"]) == (trace_id.hex(), span_id.hex(), 9)
    again = json_format.ParseDict(without_ids(json.loads(line)), ExportLogsServiceRequest())
    assert again == request_with(LogRecord(event_name=name, severity_number=9))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_value_is_read_as_it_was_encoded(value: object) -> None:
    assert decode_value(AnyValue.FromString(any_value(value, BODY_LEVELS))) == value


def test_bytes_are_base64() -> None:
    """Bytes are base64 text, because JSON has no bytes."""
    assert decode_value(AnyValue(bytes_value=b"\x00\xff")) == "AP8="


def test_falsy_values_are_not_none() -> None:
    """Only an `AnyValue` without a value is None: an empty text, 0 and False are not."""
    pairs = [
        KeyValue(key="zero", value=AnyValue(int_value=0)),
        KeyValue(key="false", value=AnyValue(bool_value=False)),
        KeyValue(key="empty", value=AnyValue(string_value="")),
        KeyValue(key="none", value=AnyValue()),
    ]

    assert decode_attributes(pairs) == {"zero": 0, "false": False, "empty": "", "none": None}


def test_only_ids_of_the_message_are_changed() -> None:
    """An attribute may have the same name, and 64-bit integers are texts, as in protobuf's JSON."""
    attribute = KeyValue(key="traceId", value=AnyValue(string_value="traceId"))
    document = to_json_document(LogRecord(span_id=b"\x01" * 8, time_unix_nano=5, attributes=[attribute]))

    assert document == {
        "timeUnixNano": "5",
        "spanId": "01" * 8,
        "attributes": [{"key": "traceId", "value": {"stringValue": "traceId"}}],
    }
    assert without_ids({"links": [{"spanId": "01"}], "parentSpanId": None}) == {
        "links": [{"spanId": ""}],
        "parentSpanId": None,
    }
    with pytest.raises(ValueError, match="the parentSpanId of a record is not a text"):
        without_ids({"links": [{"parentSpanId": ["01"]}]})
