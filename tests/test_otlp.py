"""OTLP's JSON, which is protobuf's but for the ids."""

from __future__ import annotations

import json

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from heliograph.otlp import to_json_line, without_ids


def a_request(record: LogRecord) -> ExportLogsServiceRequest:
    return ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record])])])


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8), st.text())
def test_ids_are_hexadecimal_and_all_else_is_protobufs(trace_id: bytes, span_id: bytes, name: str) -> None:
    """On one line; without the ids protobuf reads it again."""
    request = a_request(LogRecord(trace_id=trace_id, span_id=span_id, event_name=name, severity_number=9))

    line = to_json_line(request)

    [record] = json.loads(line)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert "\n" not in line
    assert (record["traceId"], record["spanId"], record["severityNumber"]) == (trace_id.hex(), span_id.hex(), 9)
    again = json_format.ParseDict(without_ids(json.loads(line)), ExportLogsServiceRequest())
    assert again == a_request(LogRecord(event_name=name, severity_number=9))
