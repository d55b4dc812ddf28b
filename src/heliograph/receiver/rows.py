"""Convert OTLP requests to rows of the receiver's tables. The keys of a row are the columns' names in `receiver.store`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from typing_extensions import assert_never

from heliograph.otlp import decode_attributes, decode_value
from heliograph.receiver.signals import OtlpRequest
from heliograph.semconv import LOG_RECORD_UID, USER_ID
from heliograph.values.text import to_json

ColumnValues: TypeAlias = dict[str, object]
"""The values of one row, by the name of the column."""

Tables: TypeAlias = dict[str, list[ColumnValues]]
"""Rows by the name of their table."""

_LARGEST_INTEGER: Final = 2**63 - 1
"""The largest integer of SQLite. Times and counts of OTLP are unsigned, and may be larger."""


def rows_of(request: OtlpRequest) -> Tables:
    """Return the rows of a request."""
    match request:
        case ExportLogsServiceRequest():
            return {"events": list(log_rows(request))}
        case ExportTraceServiceRequest():
            spans, span_events = [], []
            for span, its_events in span_rows(request):
                spans.append(span)
                span_events += its_events
            return {"spans": spans, "span_events": span_events}
        case ExportMetricsServiceRequest():
            return {"metrics": list(metric_rows(request))}
        case _:
            assert_never(request)


def log_rows(request: ExportLogsServiceRequest) -> Iterator[ColumnValues]:
    """Yield a row of ``events`` for each log record."""
    for resource in request.resource_logs:
        service = _service_name(resource.resource.attributes)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                attributes = decode_attributes(record.attributes)
                yield {
                    "uid": _text(attributes.get(LOG_RECORD_UID)),
                    "event_name": record.event_name,
                    "time_unix_nano": _integer(record.time_unix_nano),
                    "severity_number": record.severity_number,
                    "body": _text(decode_value(record.body)) or "",
                    "user_id": _text(attributes.get(USER_ID)),
                    "trace_id": record.trace_id.hex(),
                    "span_id": record.span_id.hex(),
                    "service": service,
                    "attributes": to_json(attributes),
                }


def span_rows(request: ExportTraceServiceRequest) -> Iterator[tuple[ColumnValues, list[ColumnValues]]]:
    """Yield a row of ``spans`` for each span, together with the rows of ``span_events`` for its events."""
    for resource in request.resource_spans:
        service = _service_name(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                row = {
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent_span_id": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": _enum_name(Span.SpanKind, span.kind).removeprefix("SPAN_KIND_"),
                    "start_unix_nano": _integer(span.start_time_unix_nano),
                    "end_unix_nano": _integer(span.end_time_unix_nano),
                    "status": _enum_name(Status.StatusCode, span.status.code).removeprefix("STATUS_CODE_"),
                    "service": service,
                    "attributes": to_json(decode_attributes(span.attributes)),
                }
                yield row, [_span_event_row(row, event) for event in span.events]


def _span_event_row(span: ColumnValues, event: Span.Event) -> ColumnValues:
    attributes = decode_attributes(event.attributes)
    return {
        "uid": _text(attributes.get(LOG_RECORD_UID)),
        "event_name": event.name,
        "time_unix_nano": _integer(event.time_unix_nano),
        "trace_id": span["trace_id"],
        "span_id": span["span_id"],
        "attributes": to_json(attributes),
    }


def metric_rows(request: ExportMetricsServiceRequest) -> Iterator[ColumnValues]:
    """Yield a row of ``metrics`` for each data point.

    The value of a histogram or summary is the sum of what was recorded. Buckets and quantiles are not stored.
    """
    for resource in request.resource_metrics:
        service = _service_name(resource.resource.attributes)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from _point_rows(metric, service)


def _point_rows(metric: Metric, service: object) -> Iterator[ColumnValues]:
    kind = metric.WhichOneof("data")
    for point in getattr(metric, kind).data_points if kind else ():
        # A point of a histogram or a summary has a count. That of a sum or gauge is a single number.
        has_count = hasattr(point, "count")
        # One of `as_int` and `as_double` is set, and the other reads as 0.
        yield {
            "name": metric.name,
            "unit": metric.unit,
            "attributes": to_json(decode_attributes(point.attributes)),
            "value": point.sum if has_count else point.as_int or point.as_double,
            "count": _integer(point.count) if has_count else None,
            "time_unix_nano": _integer(point.time_unix_nano),
            "service": service,
        }


def _text(value: object) -> str | None:
    """Return a value as text, because senders may use other types than heliograph. `None` stays `None`."""
    return value if value is None or isinstance(value, str) else to_json(value)


def _integer(value: int) -> int:
    return min(value, _LARGEST_INTEGER)


def _enum_name(enum: Any, number: int) -> str:
    """Return the name of a number in an enum of protobuf, or the number, if it is one of a later version of OTLP."""
    return enum.Name(number) if number in enum.values() else str(number)


def _service_name(pairs: Iterable[KeyValue]) -> str | None:
    return _text(decode_attributes(pairs).get("service.name"))
