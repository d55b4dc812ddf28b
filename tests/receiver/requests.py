"""Requests as exporters send them, for tests of the receiver."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

NOON = 1_800_014_400_000_000_000
"""A time, in nanoseconds: 2027-01-15T12:00:00Z."""
TRACE = bytes(range(16))
"""An id of a trace."""


def attributes(**values: str) -> list[KeyValue]:
    """Return attributes with text values. In their names, `__` stands for a dot."""
    return [KeyValue(key=name.replace("__", "."), value=AnyValue(string_value=value)) for name, value in values.items()]


def log_request(*names: str, trace: bytes = b"", body: str = "", **values: str) -> ExportLogsServiceRequest:
    """Return a request with a log record for each name, all with the same attributes."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.extend(attributes(service__name="shop"))
    scope = resource.scope_logs.add()
    for name in names:
        record = scope.log_records.add(event_name=name, time_unix_nano=NOON, trace_id=trace)
        record.body.string_value = body or name
        record.attributes.extend(attributes(**values))
    return request


def span_request(
    name: str, *events: str, uid: str = "", span_id: bytes = b"s" * 8, **values: str
) -> ExportTraceServiceRequest:
    """Return a request with one span, which has an event for each name, with the unique id."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.extend(attributes(service__name="shop"))
    span = resource.scope_spans.add().spans.add(
        name=name, trace_id=TRACE, span_id=span_id, start_time_unix_nano=NOON, end_time_unix_nano=NOON + 10**6
    )
    span.attributes.extend(attributes(**values))
    for event in events:
        added = span.events.add(name=event, time_unix_nano=NOON)
        if uid:
            added.attributes.extend(attributes(log__record__uid=uid, user__id="ada"))
    return request


def sum_request(name: str, value: int, **values: str) -> ExportMetricsServiceRequest:
    """Return a request with one data point of a sum."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name=name)
    metric.sum.data_points.add(time_unix_nano=NOON, as_int=value).attributes.extend(attributes(**values))
    return request
