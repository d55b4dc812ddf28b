"""The real backends of the tests, started on free ports of 127.0.0.1.

`make backends` builds the programs. `Collector` writes everything that arrives to files, and forwards traces to `Jaeger`. Both
return what they hold as small frozen values, decoded from OTLP's JSON encoding. `VictoriaLogs` and `Prometheus` answer queries in
their own languages.
"""

from backends.collector import Collector
from backends.jaeger import Jaeger
from backends.otlp_json import (
    Attributes,
    Json,
    LogRecord,
    Metric,
    MetricPoint,
    Span,
    SpanEvent,
    decode_logs,
    decode_metrics,
    decode_spans,
)
from backends.ports import free_port
from backends.program import REPOSITORY, Backend, BackendError, wait_until
from backends.prometheus import Prometheus, promtool
from backends.victorialogs import VictoriaLogs

__all__ = [
    "REPOSITORY",
    "Attributes",
    "Backend",
    "BackendError",
    "Collector",
    "Jaeger",
    "Json",
    "LogRecord",
    "Metric",
    "MetricPoint",
    "Prometheus",
    "Span",
    "SpanEvent",
    "VictoriaLogs",
    "decode_logs",
    "decode_metrics",
    "decode_spans",
    "free_port",
    "promtool",
    "wait_until",
]
