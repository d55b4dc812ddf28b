"""The test records are valid OTLP, with one id for all signals."""

from __future__ import annotations

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.doctor.records import NAME, encode, new_test_record
from heliograph.otlp import decode_attributes
from heliograph.sdk.exporters import TelemetrySignal

RECORD = new_test_record({"service.name": "shop"})


def test_log_record() -> None:
    """The log record has the name of the event, and is part of the trace."""
    [resource] = ExportLogsServiceRequest.FromString(encode(TelemetrySignal.LOGS, RECORD)).resource_logs
    [log_record] = resource.scope_logs[0].log_records

    assert (
        decode_attributes(resource.resource.attributes) == {"service.name": RECORD.service} == {"service.name": "shop"}
    )
    assert log_record.event_name == NAME
    assert log_record.trace_id.hex() == RECORD.trace_id
    assert decode_attributes(log_record.attributes) == {"log.record.uid": RECORD.uid}


def test_span() -> None:
    """The event of the span has the same unique id as the log record."""
    [resource] = ExportTraceServiceRequest.FromString(encode(TelemetrySignal.TRACES, RECORD)).resource_spans
    [span] = resource.scope_spans[0].spans

    assert (span.name, span.trace_id.hex(), span.span_id.hex()) == (NAME, RECORD.trace_id, RECORD.span_id)
    assert decode_attributes(span.events[0].attributes) == {"otel.event.name": NAME, "log.record.uid": RECORD.uid}


def test_metric() -> None:
    """The metric is a gauge whose value is the time: no run makes a new series."""
    [resource] = ExportMetricsServiceRequest.FromString(encode(TelemetrySignal.METRICS, RECORD)).resource_metrics
    [metric] = resource.scope_metrics[0].metrics
    [point] = metric.gauge.data_points

    assert (metric.name, metric.unit, len(point.attributes)) == (NAME, "", 0)
    assert point.as_int == RECORD.seconds == RECORD.time_unix_nano // 10**9


def test_each_run_has_ids_of_its_own() -> None:
    """An old record is never taken for the new one."""
    other = new_test_record({})

    assert (other.uid, other.trace_id) != (RECORD.uid, RECORD.trace_id)
    assert other.service == ""
