"""An outbox has the metrics that OpenTelemetry's SDK has of its own processors and exporters, if the environment asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from delivery.outboxes import logging_to, outbox_with_every_outcome, wait_for
from delivery.servers import serving
from delivery.spans import tracing_to
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.self_observation import SelfObservation
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.verdict import Verdict
from heliograph.semconv import OUTBOX_REJECTED
from recorder import Telemetry

PREFIX = "otel.sdk."


@pytest.fixture(autouse=True)
def enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment asks for these metrics."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")


def points(telemetry: Telemetry, kind: str = "log") -> Iterator[tuple[str, str, float, dict[str, Any]]]:
    """Yield name, unit, value and attributes of each point of the SDK's metrics of processors and exporters of log records or spans."""
    for name, metric in telemetry.metrics().items():
        if f"r.{kind}." in name and name.startswith(PREFIX):
            for point in metric.data.data_points:
                yield name.removeprefix(PREFIX), metric.unit, point.value, dict(point.attributes or {})  # type: ignore[union-attr]


def names_units_and_keys(telemetry: Telemetry, kind: str = "log") -> set[tuple[str, str, frozenset[str]]]:
    return {(name, unit, frozenset(attributes)) for name, unit, _, attributes in points(telemetry, kind)}


def test_metrics_are_those_of_the_sdk(tmp_path: Path, telemetry: Telemetry) -> None:
    """Names, units and attributes are the same as with the SDK's batch processor and its OTLP exporter.

    Its queue has a capacity in records; that of an outbox is in bytes.
    """
    of_the_sdk = Telemetry()
    with serving() as server:
        exporter = OTLPLogExporter(endpoint=server.endpoint, meter_provider=of_the_sdk.meter_provider)
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter, meter_provider=of_the_sdk.meter_provider))
        provider.get_logger("tests").emit(body="a")
        provider.force_flush()
        with logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider) as emit:
            emit("a")
            assert emit.processor.force_flush(60_000)
            found = names_units_and_keys(telemetry)
        expected = names_units_and_keys(of_the_sdk)
        provider.shutdown()
    of_the_sdk.shutdown()

    units = {"{log}": "{log_record}"}  # the unit that the conventions have for the queue, which the SDK has not
    assert found == {
        (name, units.get(unit, unit), keys) for name, unit, keys in expected if not name.endswith("queue.capacity")
    }


def test_metrics_of_spans_are_those_of_the_sdk(tmp_path: Path, telemetry: Telemetry) -> None:
    """The SDK's own exporter and processor of spans have the same names and attributes, except for the capacity of a queue."""
    of_the_sdk = Telemetry()
    with serving() as server:
        exporter = OTLPSpanExporter(endpoint=server.traces_endpoint, meter_provider=of_the_sdk.meter_provider)
        provider = TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, meter_provider=of_the_sdk.meter_provider))
        provider.get_tracer("tests").start_span("a").end()
        provider.force_flush()
        with tracing_to(tmp_path, server.traces_endpoint, meter_provider=telemetry.meter_provider) as trace:
            trace("a")
            assert trace.processor.force_flush(60_000)
            found = names_units_and_keys(telemetry, "span")
            types = {attributes["otel.component.type"] for *_, attributes in points(telemetry, "span")}
        expected = names_units_and_keys(of_the_sdk, "span")
        provider.shutdown()
    of_the_sdk.shutdown()

    assert {(name, keys) for name, _, keys in found} == {
        (name, keys) for name, _, keys in expected if not name.endswith("queue.capacity")
    }
    assert types == {"otlp_http_span_exporter", "heliograph.delivery.span_processor.OutboxSpanProcessor"}


def test_every_outcome_is_counted(tmp_path: Path, telemetry: Telemetry) -> None:
    """A record that the server rejects is processed, and its export has failed. Nothing is in flight at the end."""
    with outbox_with_every_outcome(tmp_path, telemetry.meter_provider):
        counted = {(name, attributes.get("error.type")): value for name, _, value, attributes in points(telemetry)}

    assert counted == {
        ("processor.log.processed", None): 5,
        ("exporter.log.exported", None): 3,
        ("exporter.log.exported", "rejected"): 1,
        ("exporter.log.exported", "too_large"): 1,
        ("exporter.log.inflight", None): 0,
        ("processor.log.queue.size", None): 0,
    }


@pytest.mark.parametrize(("reason", "error"), [("outbox_full", "queue_full"), ("shut_down", "already_shutdown")])
def test_record_that_the_outbox_does_not_accept_is_dropped_by_the_processor(
    telemetry: Telemetry, reason: str, error: str
) -> None:
    """The words are those of the SDK's processor."""
    destination = Destination(protocol=OtlpProtocol.HTTP, url="http://collector:4318/v1/logs")
    observation = SelfObservation(destination, lambda: 7, telemetry.meter_provider, OutboxLogRecordProcessor)

    observation.counted(OUTBOX_REJECTED, 2, reason)

    counted = {name: (value, attributes.get("error.type")) for name, _, value, attributes in points(telemetry)}
    assert counted == {"processor.log.processed": (2, error), "processor.log.queue.size": (7, None)}


@pytest.mark.parametrize(
    ("protocol", "url", "server"),
    [
        (OtlpProtocol.HTTP, "https://collector/v1/logs", ("otlp_http_log_exporter", "collector", 443)),
        (OtlpProtocol.GRPC, "http://collector:4317", ("otlp_grpc_log_exporter", "collector", 4317)),
        (OtlpProtocol.GRPC, "unix:/run/otlp.sock", ("otlp_grpc_log_exporter", None, None)),
    ],
)
def test_server_is_named(
    telemetry: Telemetry, protocol: OtlpProtocol, url: str, server: tuple[str, str | None, int | None]
) -> None:
    """The metrics name the host and the port, as far as the endpoint has them: a Unix socket has neither."""
    destination = Destination(protocol=protocol, url=url)
    SelfObservation(destination, lambda: 0, telemetry.meter_provider, OutboxLogRecordProcessor).in_flight(1)

    [attributes] = [attributes for name, *_, attributes in points(telemetry) if name == "exporter.log.inflight"]
    names = ("otel.component.type", "server.address", "server.port")
    assert tuple(attributes.get(name) for name in names) == server


@pytest.mark.parametrize("value", ["", "false", "1"])
def test_metrics_are_absent_unless_the_environment_asks_for_them(
    tmp_path: Path, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """The variable is the SDK's, and so is the rule for its values."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", value)

    with serving() as server, logging_to(tmp_path, server.endpoint, meter_provider=telemetry.meter_provider) as emit:
        emit("a")
        assert emit.processor.force_flush(60_000)
        assert list(points(telemetry)) == []


def durations(telemetry: Telemetry) -> dict[str | None, int]:
    """Return the number of requests whose time was recorded, by the type of their error."""
    metric = telemetry.metrics()["otel.sdk.exporter.operation.duration"]
    assert metric.unit == "s"
    found: dict[str | None, int] = {}
    for point in metric.data.data_points:
        attributes = dict(point.attributes or {})
        error = attributes.pop("error.type", None)
        assert attributes.keys() == {"otel.component.type", "otel.component.name", "server.address", "server.port"}
        assert point.sum > 0  # type: ignore[union-attr]
        found[error and str(error)] = point.count  # type: ignore[union-attr]
    return found


def test_the_time_of_each_request_is_recorded(tmp_path: Path, telemetry: Telemetry) -> None:
    """With the cause, if the server did not accept all of it. The conventions call a partial success `rejected`."""
    with outbox_with_every_outcome(tmp_path, telemetry.meter_provider):
        counted = durations(telemetry)

    assert counted.keys() == {None, "rejected", "too_large", "unavailable"}


def test_the_time_of_a_request_that_cannot_be_made_is_recorded(tmp_path: Path, telemetry: Telemetry) -> None:
    """A transport that raises has a defect, which counts as `internal`."""

    class Broken:
        usual_limit_bytes = 2**20

        def send(self, body: bytes, timeout_seconds: float) -> Verdict:
            raise ValueError("defect")

        def close(self) -> None:
            pass

    with logging_to(
        tmp_path, "http://127.0.0.1:4318", transport=Broken(), meter_provider=telemetry.meter_provider
    ) as emit:
        emit("a")
        wait_for(lambda: "otel.sdk.exporter.operation.duration" in telemetry.metrics())
        assert durations(telemetry).keys() == {"internal"}
