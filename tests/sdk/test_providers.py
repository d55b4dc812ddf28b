"""The pipeline of a provider ends with its host, and another one takes its place. What is emitted in between is reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from backends import free_port
from heliograph.sdk.export_counts import (
    CountingBatchLogRecordProcessor,
    CountingBatchSpanProcessor,
    counting_exporter,
)
from heliograph.sdk.pipelines import Export, Pipeline
from heliograph.sdk.providers import OURS, CountingLoggerProvider, CountingMeterProvider, CountingTracerProvider, Ours
from otlp_receiver import Receiver
from processes import otlp
from scripts import python

LATE = "was emitted after heliograph was shut down, and is lost"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that keeps what it receives."""
    with Receiver() as receiver:
        yield receiver


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
        exports=tuple(Export(counts=each.counts, destination="there", stop=each.shutdown) for each in exporters),
    )


def test_flush_of_a_log_provider_reports_a_failed_export() -> None:
    """It is True while exports succeed, False once after one that failed, and then True again."""
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


class RecordOnly(sampling.Sampler):
    """Records each span, so that processors get it, and samples none."""

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        return sampling.SamplingResult(sampling.Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "RecordOnly"


@pytest.mark.parametrize("sampler", [sampling.ALWAYS_OFF, RecordOnly()], ids=["always_off", "record_only"])
def test_span_that_is_not_sampled_is_not_missed(sampler: sampling.Sampler) -> None:
    """A span that is not sampled is never exported, so it is not counted as accepted."""
    exporter = counting_exporter(Spans)()
    provider = CountingTracerProvider(shutdown_on_exit=False, sampler=sampler)
    provider.open(pipeline(CountingBatchSpanProcessor, exporter))
    try:
        provider.get_tracer("tests").start_span("one").end()
        assert provider.force_flush()
        assert exporter.counts.start_flush().accepted == 0  # type: ignore[attr-defined]
    finally:
        provider.shutdown()


@pytest.mark.parametrize("provider_class", OURS)
def test_provider_without_a_pipeline_has_nothing_to_deliver(provider_class: type[Ours]) -> None:
    """Its end can be asked for again."""
    provider = provider_class(shutdown_on_exit=False)

    assert provider.end()
    assert provider.force_flush()


def test_late_span_that_is_not_sampled_is_not_missed() -> None:
    """It would not have been exported before the end, either."""
    provider = CountingTracerProvider(sampler=RecordOnly(), shutdown_on_exit=False)

    provider.get_tracer("tests").start_span("late").end()

    assert provider.force_flush()


def test_processor_that_is_added_changes_spans_before_the_outbox(receiver: Receiver, tmp_path: Path) -> None:
    """It may be added after `configure`, and change spans when they have ended: such processors hide personal data."""
    ran = python(
        """
        from opentelemetry import trace
        from opentelemetry.sdk.trace import SpanProcessor
        class Scrubber(SpanProcessor):
            def on_start(self, span, parent_context=None):
                span.set_attribute("started", True)
            def on_end(self, span):
                span._attributes = {**span._attributes, "user.email": "***"}
            def shutdown(self):
                report(shut_down=True)
        host = configure(plugins=[Plugin()])
        provider = trace.get_tracer_provider()
        provider.add_span_processor(Scrubber())
        with trace.get_tracer("tests").start_as_current_span("work", attributes={"user.email": "root@example.com"}):
            pass
        report(flushed=provider.force_flush(60_000))
        provider.shutdown()
        """,
        **otlp(receiver.endpoint, HELIOGRAPH_OUTBOX=str(tmp_path / "outbox")),
    )

    assert ran.reports == [{"flushed": True}, {"shut_down": True}]
    [span] = receiver.spans()
    assert span.attributes == {"user.email": "***", "started": True}


# After the end


def numbers(receiver: Receiver) -> list[int]:
    return sorted(record.attributes["test.tick.n"] for record in receiver.logs())


@pytest.mark.parametrize("outbox", [False, True])
@pytest.mark.parametrize("again", ["with host:", "with configure(plugins=[Plugin()]) as host:"])
def test_host_works_again_after_its_end(receiver: Receiver, tmp_path: Path, again: str, outbox: bool) -> None:
    """The same host is entered again, or another one is configured: logs, spans and metrics arrive as from the first."""
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "outbox")} if outbox else {}
    ran = python(
        f"""
        from opentelemetry import trace
        host = configure(plugins=[Plugin()])
        host.shutdown()
        ended = []
        for n in (1, 2, 3):
            {again}
                with trace.get_tracer("tests").start_as_current_span(f"span {{n}}"):
                    host.track(Tick(n=n))
                ended.append(host.flush())
            ended.append(host.flush())
        report(ended=ended, threads=threading.active_count())
        """,
        **otlp(receiver.endpoint, **variables),
    )

    assert ran.only == {"ended": [True] * 6, "threads": 1}
    assert ran.stderr == ""
    assert numbers(receiver) == [1, 2, 3]
    assert {f"span {n}" for n in (1, 2, 3)} <= {span.name for span in receiver.spans()}
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


@pytest.mark.parametrize("outbox", [False, True])
def test_what_is_emitted_after_the_end_is_reported_once(receiver: Receiver, tmp_path: Path, outbox: bool) -> None:
    """One line says it, one flush is False, and a host that is entered again works."""
    variables = {"HELIOGRAPH_OUTBOX": str(tmp_path / "outbox")} if outbox else {}
    ran = python(
        """
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=0))
        ended = host.shutdown()
        for n in (1, 2, 3):
            host.track(Tick(n=n))
        report(ended=ended, flushed=[host.flush(), host.flush()])
        with host:
            host.track(Tick(n=4))
            report(flushed=host.flush())
        """,
        **otlp(receiver.endpoint, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none", **variables),
    )

    assert ran.reports == [{"ended": True, "flushed": [False, True]}, {"flushed": True}]
    assert ran.stderr.count(LATE) == 1
    assert len(ran.stderr.splitlines()) == 1
    assert numbers(receiver) == [0, 4]


def test_spans_that_end_after_the_end_are_reported(receiver: Receiver) -> None:
    """Those that are not sampled would not have been exported."""
    ran = python(
        """
        from opentelemetry import trace
        host = configure(plugins=[Plugin()])
        tracer = trace.get_tracer("tests")
        span = tracer.start_span("late")
        host.shutdown()
        report(flushed=host.flush())
        span.end()
        report(flushed=host.flush())
        """,
        **otlp(receiver.endpoint),
    )

    assert [each["flushed"] for each in ran.reports] == [True, False]
    assert f"Telemetry (spans) {LATE}" in ran.stderr


def test_event_of_a_late_exit_handler_is_reported(receiver: Receiver) -> None:
    """A handler that was registered before the host runs after its shutdown."""
    ran = python(
        """
        import atexit
        atexit.register(lambda: host.track(Tick(n=1)))
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=0))
        """,
        **otlp(receiver.endpoint, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none"),
    )

    assert numbers(receiver) == [0]
    assert ran.stderr.count(LATE) == 1


def test_program_may_shut_the_providers_down_itself(receiver: Receiver) -> None:
    """All that they hold is delivered, and the host's own shutdown has nothing left to do."""
    ran = python(
        """
        from opentelemetry import metrics, trace
        from opentelemetry._logs import get_logger_provider
        host = configure(plugins=[Plugin()])
        host.track(Tick(n=1))
        for provider in (get_logger_provider(), trace.get_tracer_provider(), metrics.get_meter_provider()):
            provider.shutdown()
        report(ended=host.shutdown())
        """,
        **otlp(receiver.endpoint),
    )

    assert ran.only == {"ended": True}
    assert numbers(receiver) == [1]
    assert "heliograph.events" in {metric.name for metric in receiver.metrics()}


def test_reader_that_holds_a_port_stays() -> None:
    """Prometheus fetches metrics from it, and it cannot be closed."""
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
    """It returns False: whoever flushed before has used up the time, such as an outbox whose server is away."""
    provider = CountingMeterProvider(shutdown_on_exit=False)
    provider.open(Pipeline(parts=(InMemoryMetricReader(),), exports=()))
    provider.get_meter("tests").create_observable_gauge("waiting", [lambda _: []])
    try:
        assert provider.force_flush()
        assert not provider.force_flush(0)
    finally:
        provider.shutdown()
