"""The signals of OTLP have the names that the protocol gives them."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

from heliograph.receiver.signals import SIGNALS, OtlpSignal

SERVICES = {
    "/v1/logs": logs_service_pb2.DESCRIPTOR.services_by_name["LogsService"],
    "/v1/traces": trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"],
    "/v1/metrics": metrics_service_pb2.DESCRIPTOR.services_by_name["MetricsService"],
}


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.path)
def test_method_takes_the_request_and_returns_the_response(signal: OtlpSignal) -> None:
    """The protocol's own definition of the service says so."""
    [method] = SERVICES[signal.path].methods

    assert signal.grpc_method == f"/{SERVICES[signal.path].full_name}/{method.name}"
    assert signal.request_class.DESCRIPTOR is method.input_type
    assert signal.response_class.DESCRIPTOR is method.output_type
