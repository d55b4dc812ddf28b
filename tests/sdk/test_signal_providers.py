"""The providers report each export that failed, and keep what has to stay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from backends import free_port
from heliograph.sdk.export_counts import (
    CountingBatchLogRecordProcessor,
    CountingBatchSpanProcessor,
    counting_exporter,
)
from heliograph.sdk.pipelines import ExporterHandle, PeriodicReader, Pipeline
from heliograph.sdk.signal_providers import CountingLoggerProvider, CountingMeterProvider, CountingTracerProvider
from scripts import python


class Logs(LogRecordExporter):
    def __init__(self) -> None:
        self.result = LogRecordExportResult.SUCCESS

    def export(self, batch: Sequence[object]) -> LogRecordExportResult:
        return self.result

    def force_flush(self, timeout_millis: int = 10_000) -> bool:
        return True

    def shutdown(self) -> None:
        pass


def pipeline(processor: Callable[..., object], *exporters: Any) -> Pipeline:
    """Return a pipeline with a batch processor for each exporter."""
    return Pipeline(
        parts=tuple(processor(exporter, exporter.counts) for exporter in exporters),
        exporters=tuple(
            ExporterHandle(counts=each.counts, destination="there", stop=each.shutdown) for each in exporters
        ),
    )


def test_flush_of_a_log_provider_reports_a_failed_export() -> None:
    """A flush is True while exports succeed, False once after one that failed, and then True again."""
    exporter = counting_exporter(Logs)()
    provider = CountingLoggerProvider(shutdown_on_exit=False)
    provider.open(pipeline(CountingBatchLogRecordProcessor, exporter))
    logger = provider.get_logger("tests")
    try:
        assert provider.force_flush()
        logger.emit(LogRecord(body="one"))
        assert provider.force_flush()
        exporter.result = LogRecordExportResult.FAILURE
        logger.emit(LogRecord(body="two"))
        assert not provider.force_flush()
        exporter.result = LogRecordExportResult.SUCCESS
        logger.emit(LogRecord(body="three"))
        assert provider.force_flush()
    finally:
        provider.shutdown()


class Spans(SpanExporter):
    def __init__(self) -> None:
        self.result = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[object]) -> SpanExportResult:
        return self.result


def test_flush_of_a_tracer_provider_reports_on_every_exporter() -> None:
    """With one good and one bad exporter, the flush is False, once."""
    good, bad = counting_exporter(Spans)(), counting_exporter(Spans)()
    provider = CountingTracerProvider(shutdown_on_exit=False)
    provider.open(pipeline(CountingBatchSpanProcessor, good, bad))
    try:
        bad.result = SpanExportResult.FAILURE
        provider.get_tracer("tests").start_span("one").end()
        assert not provider.force_flush()
        assert provider.force_flush()
    finally:
        provider.shutdown()


def test_reader_that_holds_a_port_stays() -> None:
    """Prometheus fetches metrics from the reader, which cannot be closed."""
    ran = python(
        """
        host = configure(plugins=[Plugin()])
        with host:
            host.track(Tick(n=1))
        with host:
            host.track(Tick(n=2))
        """,
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="prometheus",
        OTEL_EXPORTER_PROMETHEUS_PORT=str(free_port()),
        OTEL_LOGS_EXPORTER="none",
    )

    assert ran.stderr == ""


def test_flush_without_time_for_metrics_is_no_error() -> None:
    """The flush returns False: an outbox whose server is down, for example, may have used up the time before."""
    provider = CountingMeterProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=(InMemoryMetricReader(),), exporters=()))
    provider.get_meter("tests").create_observable_gauge("waiting", [lambda _: []])
    try:
        assert provider.force_flush()
        assert not provider.force_flush(0)
    finally:
        provider.shutdown()


def test_exporter_that_fails_at_its_end_keeps_no_reader(warnings: pytest.LogCaptureFixture) -> None:
    """The other readers export for the last time, and all of them are removed from the provider."""

    class Exporter(ConsoleMetricExporter):
        def __init__(self, error: Exception | None = None) -> None:
            super().__init__()
            self.error = error
            self.exports = 0

        def export(self, *_: Any, **__: Any) -> MetricExportResult:
            self.exports += 1
            return MetricExportResult.SUCCESS

        def shutdown(self, *_: Any, **__: Any) -> None:
            if self.error is not None:
                raise self.error

    exporters = [Exporter(OSError("broken")), Exporter()]
    provider = CountingMeterProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=tuple(map(PeriodicReader, exporters)), exporters=()))
    counter = provider.get_meter("tests").create_counter("ticks")
    counter.add(1)

    assert provider.end() is False

    assert [each.exports for each in exporters] == [1, 1]
    assert warnings.messages == ["A part of the pipeline failed to shut down."]
    reader = InMemoryMetricReader()
    provider.open(Pipeline(parts=(reader,), exporters=()))
    counter.add(1)
    assert reader.get_metrics_data() is not None
    assert provider.end()
