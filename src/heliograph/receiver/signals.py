"""The three signals of OTLP: their paths and methods, and the classes of their messages.

Source: OTLP specification 1.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

OtlpRequest: TypeAlias = ExportLogsServiceRequest | ExportTraceServiceRequest | ExportMetricsServiceRequest
"""A decoded request of one of the signals."""

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
"""The largest request that is received, before and after decompression."""
MAX_OBJECTS: Final = 8_000_000
"""The largest number of objects of a request. They need about a gigabyte. 64 MiB of usual log records have about four million."""


@dataclass(frozen=True, kw_only=True)
class OtlpSignal:
    """A signal of OTLP.

    Attributes:
        path: The path of its requests over HTTP.
        grpc_method: The full name of its method over gRPC.
        request_class: The class of its requests.
        response_class: The class of its responses.
    """

    path: str
    grpc_method: str
    request_class: type[OtlpRequest]
    response_class: type[Message]


SIGNALS: Final = (
    OtlpSignal(
        path="/v1/logs",
        grpc_method="/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        request_class=ExportLogsServiceRequest,
        response_class=ExportLogsServiceResponse,
    ),
    OtlpSignal(
        path="/v1/traces",
        grpc_method="/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        request_class=ExportTraceServiceRequest,
        response_class=ExportTraceServiceResponse,
    ),
    OtlpSignal(
        path="/v1/metrics",
        grpc_method="/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        request_class=ExportMetricsServiceRequest,
        response_class=ExportMetricsServiceResponse,
    ),
)
"""All signals that are received."""
