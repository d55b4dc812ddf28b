"""The test records: one log record, one span with a span event, and one gauge. Backends store them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs, SeverityNumber
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from heliograph.sdk.exporters import TelemetrySignal
from heliograph.semconv import EVENT_NAME, LOG_RECORD_UID, SCOPE
from heliograph.telemetry.uid import UidGenerator
from heliograph.version import __version__

NAME: Final = "heliograph.doctor.test"
"""The name of the event, of the span and of the metric."""

_BODY: Final = "A test record of `heliograph doctor`"


@dataclass(frozen=True, kw_only=True)
class TestRecord:
    """The ids of the test records of one run. All signals share them.

    Attributes:
        uid: The unique id of the log record and of the span event.
        trace_id: The trace of the span and of the log record, in hexadecimal.
        span_id: The span, in hexadecimal.
        time_unix_nano: The time of all of them. In seconds, it is also the value of the gauge.
        service: The service's name.
        resource: The attributes of the resource.
    """

    __test__ = False

    uid: str
    trace_id: str
    span_id: str
    time_unix_nano: int
    resource: Mapping[str, str]

    @property
    def service(self) -> str:
        """The service's name."""
        return self.resource.get("service.name", "")

    @property
    def seconds(self) -> int:
        """The value of the gauge: the time in whole seconds, which every backend can store exactly."""
        return self.time_unix_nano // 1_000_000_000


def new_test_record(resource: Mapping[str, str]) -> TestRecord:
    """Return new ids, for the current time."""
    now = time.time_ns()
    return TestRecord(
        uid=UidGenerator()(now),
        trace_id=secrets.token_hex(16),
        span_id=secrets.token_hex(8),
        time_unix_nano=now,
        resource=resource,
    )


def encode(signal: TelemetrySignal, record: TestRecord) -> bytes:
    """Return the request with the test record of a signal, as OTLP bytes."""
    return _REQUESTS[signal](record)


def _logs(record: TestRecord) -> bytes:
    log_record = LogRecord(
        time_unix_nano=record.time_unix_nano,
        observed_time_unix_nano=record.time_unix_nano,
        severity_number=SeverityNumber.SEVERITY_NUMBER_INFO,
        body=AnyValue(string_value=_BODY),
        attributes=_pairs({LOG_RECORD_UID: record.uid}),
        trace_id=bytes.fromhex(record.trace_id),
        span_id=bytes.fromhex(record.span_id),
        flags=1,
        event_name=NAME,
    )
    scope_logs = ScopeLogs(scope=_SCOPE, log_records=[log_record])
    resource_logs = ResourceLogs(resource=_resource(record), scope_logs=[scope_logs])
    return ExportLogsServiceRequest(resource_logs=[resource_logs]).SerializeToString()


def _traces(record: TestRecord) -> bytes:
    event = Span.Event(
        name=NAME,
        time_unix_nano=record.time_unix_nano,
        attributes=_pairs({EVENT_NAME: NAME, LOG_RECORD_UID: record.uid}),
    )
    span = Span(
        trace_id=bytes.fromhex(record.trace_id),
        span_id=bytes.fromhex(record.span_id),
        name=NAME,
        kind=Span.SpanKind.SPAN_KIND_INTERNAL,
        start_time_unix_nano=record.time_unix_nano,
        end_time_unix_nano=record.time_unix_nano,
        flags=1,
        events=[event],
    )
    scope_spans = ScopeSpans(scope=_SCOPE, spans=[span])
    resource_spans = ResourceSpans(resource=_resource(record), scope_spans=[scope_spans])
    return ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()


def _metrics(record: TestRecord) -> bytes:
    # The time is the value, not an attribute. With an attribute, each run would create a new series.
    point = NumberDataPoint(time_unix_nano=record.time_unix_nano, as_int=record.seconds)
    metric = Metric(name=NAME, description=_BODY, gauge=Gauge(data_points=[point]))
    scope_metrics = ScopeMetrics(scope=_SCOPE, metrics=[metric])
    resource_metrics = ResourceMetrics(resource=_resource(record), scope_metrics=[scope_metrics])
    return ExportMetricsServiceRequest(resource_metrics=[resource_metrics]).SerializeToString()


def _pairs(attributes: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in attributes.items()]


def _resource(record: TestRecord) -> Resource:
    return Resource(attributes=_pairs(record.resource))


_SCOPE: Final = InstrumentationScope(name=SCOPE, version=__version__)
_REQUESTS: Final[Mapping[TelemetrySignal, Callable[[TestRecord], bytes]]] = {
    TelemetrySignal.LOGS: _logs,
    TelemetrySignal.TRACES: _traces,
    TelemetrySignal.METRICS: _metrics,
}
