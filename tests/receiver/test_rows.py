"""OTLP requests become rows of the receiver's tables."""

from __future__ import annotations

import base64
import json
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from heliograph.cli.tail_lines import json_line, text_line
from heliograph.otlp import decode_attributes, decode_value
from heliograph.receiver.arrivals import arrivals
from heliograph.receiver.rows import log_rows, metric_rows, rows_of, span_rows


def text(key: str, value: str) -> KeyValue:
    """Return an attribute with a text value."""
    return KeyValue(key=key, value=AnyValue(string_value=value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (AnyValue(string_value=""), ""),
        (AnyValue(bool_value=False), False),
        (AnyValue(int_value=-(2**63)), -(2**63)),
        (AnyValue(double_value=0.5), 0.5),
        (AnyValue(bytes_value=b"\x00\xff"), base64.b64encode(b"\x00\xff").decode()),
        (AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1), AnyValue()])), [1, None]),
        (AnyValue(kvlist_value=KeyValueList(values=[text("a", "b")])), {"a": "b"}),
        (AnyValue(), None),
    ],
)
def test_values(value: AnyValue, expected: object) -> None:
    """Each kind of value becomes a Python value. An empty one becomes None."""
    assert decode_value(value) == expected
    assert decode_attributes([KeyValue(key="k", value=value)]) == {"k": expected}


def test_log_row() -> None:
    """Service, unique id and user have columns of their own. All attributes are there as JSON."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.append(text("service.name", "shop"))
    record = resource.scope_logs.add().log_records.add(event_name="app.sold", time_unix_nano=7, severity_number=9)
    record.body.string_value = "sold"
    record.trace_id, record.span_id = b"\x01" * 16, b"\x02" * 8
    record.attributes.extend([text("log.record.uid", "u1"), text("user.id", "ada")])

    [row] = log_rows(request)

    assert json.loads(str(row.pop("attributes"))) == {"log.record.uid": "u1", "user.id": "ada"}
    assert row == {
        "uid": "u1",
        "event_name": "app.sold",
        "time_unix_nano": 7,
        "severity_number": 9,
        "body": "sold",
        "user_id": "ada",
        "trace_id": "01" * 16,
        "span_id": "02" * 8,
        "service": "shop",
    }


def test_log_row_without_our_attributes() -> None:
    """Missing values are None or empty, and a structured body is JSON."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.kvlist_value.values.append(text("a", "b"))

    [row] = log_rows(request)

    assert (row["uid"], row["event_name"], row["user_id"], row["service"]) == (None, "", None, None)
    assert json.loads(str(row["body"])) == {"a": "b"}


def test_span_rows() -> None:
    """A span has one row, and one for each of its events. Kind and status are names."""
    request = ExportTraceServiceRequest()
    span = (
        request.resource_spans.add()
        .scope_spans.add()
        .spans.add(
            trace_id=b"\x01" * 16,
            span_id=b"\x02" * 8,
            name="GET /",
            kind=2,
            start_time_unix_nano=1,
            end_time_unix_nano=3,
        )
    )
    span.status.code = 2
    event = span.events.add(name="app.sold", time_unix_nano=2)
    event.attributes.append(text("log.record.uid", "u1"))

    [(row, events)] = span_rows(request)

    assert (row["name"], row["kind"], row["status"], row["parent_span_id"]) == ("GET /", "SERVER", "ERROR", "")
    assert [(each["uid"], each["event_name"], each["span_id"]) for each in events] == [("u1", "app.sold", "02" * 8)]


def test_metric_rows() -> None:
    """The row of a sum has its value; the row of a histogram or summary has its sum and its count."""
    request = ExportMetricsServiceRequest()
    scope = request.resource_metrics.add().scope_metrics.add()
    number = scope.metrics.add(name="n").sum.data_points
    number.add(as_int=3)
    number.add(as_double=0.5)
    number.add(as_int=0)
    scope.metrics.add(name="h").histogram.data_points.add(count=2, sum=0.3, bucket_counts=[2])
    scope.metrics.add(name="e").exponential_histogram.data_points.add(count=3, sum=0.4)
    scope.metrics.add(name="s").summary.data_points.add(count=4, sum=0.5)
    scope.metrics.add(name="empty")

    rows = list(metric_rows(request))

    assert [(row["name"], row["value"], row["count"]) for row in rows] == [
        ("n", 3, None),
        ("n", 0.5, None),
        ("n", 0, None),
        ("h", 0.3, 2),
        ("e", 0.4, 3),
        ("s", 0.5, 4),
    ]


def test_odd_values_have_rows() -> None:
    """Numbers beyond SQLite's, enums of later versions, and texts of other types can be stored."""
    logs = ExportLogsServiceRequest()
    resource = logs.resource_logs.add()
    resource.resource.attributes.append(KeyValue(key="service.name", value=AnyValue(kvlist_value=KeyValueList())))
    record = resource.scope_logs.add().log_records.add(time_unix_nano=2**64 - 1)
    record.attributes.append(KeyValue(key="user.id", value=AnyValue(int_value=7)))
    record.attributes.append(KeyValue(key="log.record.uid", value=AnyValue(bool_value=True)))
    traces = ExportTraceServiceRequest()
    span = traces.resource_spans.add().scope_spans.add().spans.add(kind=99, start_time_unix_nano=2**64 - 1)
    span.status.code = -5
    metrics = ExportMetricsServiceRequest()
    metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="h").histogram.data_points.add(count=2**64 - 1)

    [event] = rows_of(logs)["events"]
    [span_row] = rows_of(traces)["spans"]
    [point] = rows_of(metrics)["metrics"]

    assert (event["time_unix_nano"], event["user_id"], event["uid"], event["service"]) == (2**63 - 1, "7", "true", "{}")
    assert (span_row["kind"], span_row["status"], span_row["start_unix_nano"]) == ("99", "-5", 2**63 - 1)
    assert point["count"] == 2**63 - 1


def any_values() -> st.SearchStrategy[AnyValue]:
    """Return values of every kind, nested."""
    texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
    plain = st.one_of(
        st.just(AnyValue()),
        st.builds(AnyValue, string_value=texts),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1)),
        st.builds(AnyValue, double_value=st.floats()),
        st.builds(AnyValue, bytes_value=st.binary()),
    )
    pairs = st.lists(st.builds(KeyValue, key=texts, value=plain), max_size=3)
    return st.one_of(
        plain,
        st.builds(lambda values: AnyValue(array_value=ArrayValue(values=values)), st.lists(plain, max_size=3)),
        st.builds(lambda values: AnyValue(kvlist_value=KeyValueList(values=values)), pairs),
    )


@given(
    names=st.lists(st.sampled_from(["log.record.uid", "user.id", "user.hash", "service.name", "heliograph.token.id"])),
    values=st.lists(any_values(), min_size=5, max_size=5),
    number=st.integers(0, 2**64 - 1),
    enum=st.integers(-(2**31), 2**31 - 1),
    identifier=st.binary(max_size=40),
)
def test_any_telemetry_can_be_stored_and_shown(
    names: list[str], values: list[AnyValue], number: int, enum: int, identifier: bytes
) -> None:
    """A sender chooses the types, numbers and ids of all that is read here."""
    pairs = [KeyValue(key=name, value=value) for name, value in zip(names, values)]
    logs = ExportLogsServiceRequest()
    resource = logs.resource_logs.add()
    resource.resource.attributes.extend(pairs)
    record = resource.scope_logs.add().log_records.add(event_name="a.b", time_unix_nano=number, trace_id=identifier)
    record.body.CopyFrom(values[0])
    record.attributes.extend(pairs)
    traces = ExportTraceServiceRequest()
    spans = traces.resource_spans.add()
    spans.resource.attributes.extend(pairs)
    span = spans.scope_spans.add().spans.add(name="token.verify", kind=enum, span_id=identifier)
    span.status.code, span.end_time_unix_nano = enum, number
    span.attributes.extend(pairs)
    span.events.add(name="a.b", time_unix_nano=number).attributes.extend(pairs)
    with closing(sqlite3.connect(":memory:")) as connection:
        for request in (logs, traces):
            for rows in rows_of(request).values():
                for row in rows:
                    connection.execute(f"select {', '.join('?' * len(row))}", tuple(row.values()))
            for arrival in arrivals(request):
                assert text_line(arrival)
                assert json.loads(json_line(arrival))["name"] == arrival.name
