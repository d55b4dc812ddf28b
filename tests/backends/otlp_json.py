"""Telemetry as small frozen values, decoded from OTLP's JSON encoding."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

AnyValue: TypeAlias = "str | bool | int | float | bytes | list[AnyValue] | dict[str, AnyValue] | None"
Attributes: TypeAlias = dict[str, AnyValue]
Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class SpanEvent:
    """An event of a span."""

    name: str
    time_unix_nano: int
    attributes: Attributes


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span. Ids are lower-case hex; `parent_id` of a root is None; `status` is UNSET, OK or ERROR; a link is a trace and a span."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    status: str
    status_message: str
    scope: str
    scope_version: str
    resource: Attributes
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class LogRecord:
    """A log record. `trace_id` and `span_id` are None outside a span; `event_name` is empty for a plain log."""

    event_name: str
    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    severity_text: str
    body: AnyValue
    attributes: Attributes
    trace_id: str | None
    span_id: str | None
    scope: str
    scope_version: str
    resource: Attributes


@dataclass(frozen=True, kw_only=True)
class MetricPoint:
    """A point of a metric: a sum or a gauge has a `value`, a histogram has the four fields after it."""

    attributes: Attributes
    time_unix_nano: int
    value: int | float | None
    count: int | None
    sum: float | None
    bounds: tuple[float, ...]
    bucket_counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of one export; `kind` is the name in OTLP: sum, gauge, histogram, exponentialHistogram, summary."""

    name: str
    unit: str
    description: str
    kind: str
    points: tuple[MetricPoint, ...]
    scope: str
    scope_version: str
    resource: Attributes


# 64-bit integers are strings in OTLP's JSON encoding, and a field with its default value is omitted.

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_METRIC_KINDS = ("sum", "gauge", "histogram", "exponentialHistogram", "summary")


def decode_spans(request: Json) -> Iterator[Span]:
    """Yield the spans of one `ExportTraceServiceRequest`."""
    for span, common in _walk(request, "resourceSpans", "scopeSpans", "spans"):
        status = span.get("status", {})
        yield Span(
            trace_id=span["traceId"],
            span_id=span["spanId"],
            parent_id=span.get("parentSpanId") or None,
            name=span.get("name", ""),
            kind=_KINDS[span.get("kind", 0)],
            start_time_unix_nano=int(span.get("startTimeUnixNano", 0)),
            end_time_unix_nano=int(span.get("endTimeUnixNano", 0)),
            attributes=_attributes(span),
            events=tuple(map(_span_event, span.get("events", ()))),
            status=_STATUSES[status.get("code", 0)],
            status_message=status.get("message", ""),
            links=tuple((link["traceId"], link["spanId"]) for link in span.get("links", ())),
            **common,
        )


def decode_logs(request: Json) -> Iterator[LogRecord]:
    """Yield the log records of one `ExportLogsServiceRequest`."""
    for record, common in _walk(request, "resourceLogs", "scopeLogs", "logRecords"):
        yield LogRecord(
            event_name=record.get("eventName", ""),
            time_unix_nano=int(record.get("timeUnixNano", 0)),
            observed_time_unix_nano=int(record.get("observedTimeUnixNano", 0)),
            severity_number=record.get("severityNumber", 0),
            severity_text=record.get("severityText", ""),
            body=_value(record.get("body", {})),
            attributes=_attributes(record),
            trace_id=record.get("traceId") or None,
            span_id=record.get("spanId") or None,
            **common,
        )


def decode_metrics(request: Json) -> Iterator[Metric]:
    """Yield the metrics of one `ExportMetricsServiceRequest`."""
    for metric, common in _walk(request, "resourceMetrics", "scopeMetrics", "metrics"):
        kind = next(name for name in _METRIC_KINDS if name in metric)
        yield Metric(
            name=metric["name"],
            unit=metric.get("unit", ""),
            description=metric.get("description", ""),
            kind=kind,
            points=tuple(map(_metric_point, metric[kind].get("dataPoints", ()))),
            **common,
        )


def _walk(request: Json, per_resource: str, per_scope: str, items: str) -> Iterator[tuple[Json, Json]]:
    """Yield each item of a request, with the resource and the scope that it shares with other items."""
    for of_resource in request.get(per_resource, ()):
        resource = _attributes(of_resource.get("resource", {}))
        for of_scope in of_resource.get(per_scope, ()):
            scope = of_scope.get("scope", {})
            names = {"scope": scope.get("name", ""), "scope_version": scope.get("version", "")}
            for item in of_scope.get(items, ()):
                yield item, {**names, "resource": resource}


def _span_event(event: Json) -> SpanEvent:
    return SpanEvent(
        name=event.get("name", ""),
        time_unix_nano=int(event.get("timeUnixNano", 0)),
        attributes=_attributes(event),
    )


def _metric_point(point: Json) -> MetricPoint:
    return MetricPoint(
        attributes=_attributes(point),
        time_unix_nano=int(point.get("timeUnixNano", 0)),
        value=int(point["asInt"]) if "asInt" in point else point.get("asDouble"),
        count=int(point["count"]) if "count" in point else None,
        sum=point.get("sum"),
        bounds=tuple(point.get("explicitBounds", ())),
        bucket_counts=tuple(map(int, point.get("bucketCounts", ()))),
    )


JAEGERS_OWN = "@jaeger@"
"""Prefixes of the attributes that Jaeger adds itself, such as warnings about an incomplete trace."""


def _attributes(holder: Json) -> Attributes:
    pairs = holder.get("attributes", ())
    return {pair["key"]: _value(pair.get("value", {})) for pair in pairs if not pair["key"].startswith(JAEGERS_OWN)}


def _value(value: Json) -> AnyValue:
    if not value:
        return None
    [(kind, content)] = value.items()
    return _VALUES[kind](content)


_VALUES: Mapping[str, Callable[[Any], AnyValue]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,
    "doubleValue": float,
    "bytesValue": base64.b64decode,
    "arrayValue": lambda array: [_value(item) for item in array.get("values", ())],
    "kvlistValue": lambda pairs: {pair["key"]: _value(pair["value"]) for pair in pairs.get("values", ())},
}
