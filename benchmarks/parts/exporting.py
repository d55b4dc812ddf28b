"""Processors that export log records and spans to a server, by the SDK's batches or by outboxes, and providers for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from parts.accepting import COUNTED, COUNTED_SPANS

from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.span_processor import OutboxSpanProcessor
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider, CountingTracerProvider

RESOURCE = Resource({"service.name": "benchmark"})
FLUSH_MILLIS = 60_000
NOTHING = Pipeline(parts=(), exporters=())
"""The pipeline of a provider that exports nothing."""


@dataclass(frozen=True)
class Exports:
    """The processors of both signals.

    Attributes:
        logs: That of log records.
        spans: That of spans.
    """

    logs: LogRecordProcessor
    spans: SpanProcessor

    def flush(self) -> None:
        """Wait until the server has acknowledged everything."""
        assert self.spans.force_flush(FLUSH_MILLIS)
        assert self.logs.force_flush(FLUSH_MILLIS)

    def shutdown(self) -> None:
        """End both."""
        self.spans.shutdown()
        self.logs.shutdown()


@dataclass(frozen=True)
class Providers:
    """The providers of both signals."""

    logs: LoggerProvider
    traces: TracerProvider


def batches(url: str) -> Exports:
    """Return the SDK's batch processors, with its OTLP/HTTP exporters."""
    return Exports(
        BatchLogRecordProcessor(OTLPLogExporter(url + COUNTED)),
        BatchSpanProcessor(OTLPSpanExporter(url + COUNTED_SPANS)),
    )


def outboxes(url: str, directory: Path) -> Exports:
    """Return outboxes of both signals, in one directory."""
    return Exports(
        OutboxLogRecordProcessor(directory, destination=Destination(protocol=OtlpProtocol.HTTP, url=url + COUNTED)),
        OutboxSpanProcessor(directory, destination=Destination(protocol=OtlpProtocol.HTTP, url=url + COUNTED_SPANS)),
    )


def providers_of_sdk(exports: Exports | None) -> Providers:
    """Return providers of the SDK, as a program sets them up by itself."""
    logs = LoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    traces = TracerProvider(resource=RESOURCE, sampler=ALWAYS_ON, shutdown_on_exit=False)
    if exports is not None:
        logs.add_log_record_processor(exports.logs)
        traces.add_span_processor(exports.spans)
    return Providers(logs, traces)


def providers_of_configure(exports: Exports | None) -> Providers:
    """Return providers as `configure()` makes them."""
    logs = CountingLoggerProvider(resource=RESOURCE, shutdown_on_exit=False)
    traces = CountingTracerProvider(resource=RESOURCE, sampler=ALWAYS_ON, shutdown_on_exit=False)
    switch(Providers(logs, traces), exports)
    return Providers(logs, traces)


def switch(providers: Providers, exports: Exports | None) -> None:
    """Let providers as `configure()` makes them export by other processors, or nothing."""
    has_outbox = exports is not None and isinstance(exports.spans, OutboxSpanProcessor)
    open_logs: Callable[[Pipeline], None] = providers.logs.open  # type: ignore[attr-defined]
    open_traces: Callable[[Pipeline], None] = providers.traces.open  # type: ignore[attr-defined]
    open_logs(NOTHING if exports is None else Pipeline(parts=(exports.logs,), exporters=(), has_outbox=has_outbox))
    open_traces(NOTHING if exports is None else Pipeline(parts=(exports.spans,), exporters=(), has_outbox=has_outbox))
