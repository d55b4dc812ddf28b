"""The real Collector and Jaeger of the tests start, receive telemetry, and mask tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode

from backends import BackendError, Collector, Jaeger, LogRecord, Span, program, wait_until

TOKEN = "dstok_abc.def"
NOON = 1_700_000_000_000_000_000


@dataclass(frozen=True, kw_only=True)
class Providers:
    """Providers of the SDK for one service, which export each item at once."""

    service: str
    tracer: TracerProvider
    logger: LoggerProvider
    meter: MeterProvider


@pytest.fixture
def providers(collector: Collector) -> Iterator[Providers]:
    service = f"service-{uuid4()}"
    resource = Resource.create({"service.name": service})
    endpoint = collector.otlp_http_endpoint
    tracer = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracer.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    logger = LoggerProvider(resource=resource, shutdown_on_exit=False)
    logger.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{endpoint}/v1/logs")))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{endpoint}/v1/metrics"))
    meter = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    yield Providers(service=service, tracer=tracer, logger=logger, meter=meter)
    for provider in (tracer, logger, meter):
        provider.shutdown()


def send_span(providers: Providers) -> str:
    """Send a span with an attribute of every kind and a token in every text, and return its trace id."""
    tracer = providers.tracer.get_tracer("backends", "1.2")
    with tracer.start_as_current_span(f"GET /?token={TOKEN}") as span:
        span.set_attribute("note", f"before {TOKEN} after")
        span.set_attribute("list", ["one", TOKEN])
        span.set_attribute("numbers", [1, 2])
        span.set_attribute("heliograph.token.handler", "signed")
        span.add_event("app.ban_user", {"user.id": "7", "note": TOKEN}, timestamp=NOON)
        span.set_status(StatusCode.ERROR, f"cannot take {TOKEN}")
    return format(span.get_span_context().trace_id, "032x")


def assert_is_sent_span(span: Span, providers: Providers) -> None:
    assert span.parent_id is None
    assert span.kind == "INTERNAL"
    assert (span.scope, span.scope_version) == ("backends", "1.2")
    assert span.resource["service.name"] == providers.service
    assert span.end_time_unix_nano >= span.start_time_unix_nano > NOON
    assert span.attributes["numbers"] == [1, 2]
    [event] = span.events
    assert (event.name, event.time_unix_nano) == ("app.ban_user", NOON)
    assert event.attributes["user.id"] == "7"


def assert_is_masked(span: Span) -> None:
    assert TOKEN not in repr(span)
    assert span.name == "GET /?token=****"
    assert span.attributes["note"] == "before **** after"
    assert span.attributes["list"] == '["one","****"]'
    assert span.attributes["heliograph.token.handler"] == "signed"
    assert span.attributes["redaction.masked.count"] == 2
    assert span.events[0].attributes["note"] == "****"
    assert (span.status, span.status_message) == ("ERROR", "cannot take ****")


def test_span_arrives_in_jaeger_with_its_event_and_without_the_token(providers: Providers, jaeger: Jaeger) -> None:
    """Jaeger finds the span by trace id and by service, with the token masked."""
    trace_id = send_span(providers)

    [span] = wait_until(lambda: jaeger.trace(trace_id))

    assert_is_sent_span(span, providers)
    assert_is_masked(span)
    now = datetime.now(timezone.utc)
    assert jaeger.traces(providers.service, now - timedelta(minutes=5), now) == [[span]]
    assert providers.service in jaeger.services()


def test_span_arrives_in_the_collectors_file_without_the_token(providers: Providers, collector: Collector) -> None:
    """The file has the same span, with the token masked."""
    trace_id = send_span(providers)

    [span] = wait_until(lambda: [span for span in collector.traces() if span.trace_id == trace_id])

    assert_is_sent_span(span, providers)
    assert_is_masked(span)
    assert TOKEN.encode() not in collector.raw()


def test_log_record_arrives_with_its_event_name_and_without_the_token(
    providers: Providers, collector: Collector
) -> None:
    """A log record keeps its event name, time, severity and types; body and attributes are masked."""
    with providers.tracer.get_tracer("backends").start_as_current_span("around") as around:
        providers.logger.get_logger("backends", "1.2").emit(
            timestamp=NOON,
            severity_number=SeverityNumber.WARN,
            event_name="app.ban_user",
            body=f"text {TOKEN}",
            attributes={"user.id": "7", "count": 3, "share": 0.5, "deep": {"raw": b"\x00", "note": TOKEN}},
        )

    def mine() -> list[LogRecord]:
        return [record for record in collector.logs() if record.resource["service.name"] == providers.service]

    [record] = wait_until(mine)

    assert record.event_name == "app.ban_user"
    assert record.time_unix_nano == NOON
    assert record.severity_number == 13
    assert record.body == "text ****"
    assert record.attributes["user.id"] == "7"
    assert (record.attributes["count"], record.attributes["share"]) == (3, 0.5)
    assert record.trace_id == format(around.get_span_context().trace_id, "032x")
    assert record.span_id == format(around.get_span_context().span_id, "016x")
    assert (record.scope, record.scope_version) == ("backends", "1.2")
    assert TOKEN.encode() not in collector.raw()


@pytest.mark.parametrize("prefix", ["dstok_", "hgtok_", "dsatok_"])
def test_tokens_of_every_kind_are_masked(providers: Providers, collector: Collector, prefix: str) -> None:
    """A token is masked whatever handler made it: in a body, in an attribute, and in the event's name."""
    token = f"{prefix}0Ab-{uuid4().hex}"
    providers.logger.get_logger("backends").emit(
        event_name=f"app.{token}", body=token, attributes={"note": f"<{token}>"}
    )

    def mine() -> list[LogRecord]:
        return [record for record in collector.logs() if record.resource["service.name"] == providers.service]

    [record] = wait_until(mine)

    assert (record.event_name, record.body, record.attributes["note"]) == ("app.****", "****", "<****>")
    assert token.encode() not in collector.raw()


def test_metrics_arrive(providers: Providers, collector: Collector) -> None:
    """A counter's and a histogram's points can be read back."""
    meter = providers.meter.get_meter("backends", "1.2")
    meter.create_counter("heliograph.events", unit="{event}").add(3, {"name": "ban-user"})
    meter.create_histogram("duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0]).record(0.5)
    assert providers.meter.force_flush()

    metrics = {
        metric.name: metric for metric in collector.metrics() if metric.resource["service.name"] == providers.service
    }

    counter, histogram = metrics["heliograph.events"], metrics["duration"]
    assert (counter.kind, counter.unit) == ("sum", "{event}")
    assert [(point.attributes, point.value) for point in counter.points] == [({"name": "ban-user"}, 3)]
    assert (histogram.kind, histogram.unit) == ("histogram", "s")
    [point] = histogram.points
    assert (point.count, point.sum) == (1, 0.5)
    assert (point.bounds, point.bucket_counts) == ((0.1, 1.0), (0, 1, 0))


def test_unknown_traces_and_services_are_empty_answers(jaeger: Jaeger) -> None:
    """A search in Jaeger that finds nothing returns an empty list, and raises nothing."""
    now = datetime.now(timezone.utc)

    assert jaeger.trace("0123456789abcdef0123456789abcdef") == []
    assert jaeger.traces("nobody", now - timedelta(minutes=5), now) == []


def test_collector_without_jaeger_keeps_its_ports_and_files_over_a_crash(tmp_path: Path) -> None:
    """A Collector that was killed and started again has the records that it had accepted, and the same ports."""
    with Collector(tmp_path) as collector:
        logger = LoggerProvider(shutdown_on_exit=False)
        endpoint = f"{collector.otlp_http_endpoint}/v1/logs"
        logger.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint)))
        logger.get_logger("backends").emit(event_name="app.before")

        collector.kill()
        collector.start()
        logger.get_logger("backends").emit(event_name="app.after")
        logger.shutdown()

        assert [record.event_name for record in collector.logs()] == ["app.before", "app.after"]
    assert collector.log.exists()


def test_backend_that_ends_at_once_shows_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that fails raises the output of the program at once, and does not wait for the timeout."""
    collector = Collector(tmp_path)
    monkeypatch.setattr(collector, "arguments", ("--config", "missing.yaml"))

    with pytest.raises(BackendError, match=r"(?s)otelcol ended with exit code 1;.*missing\.yaml"):
        collector.start()


def test_missing_program_skips_except_in_ci(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the programs were not built, a test is skipped; in CI it fails."""
    monkeypatch.setattr(program, "BIN", tmp_path)

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="make backends"):
        Jaeger(tmp_path).start()

    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="make backends"):
        Jaeger(tmp_path).start()


def test_wait_until_returns_the_first_truthy_value_or_reports_the_last_value() -> None:
    """`wait_until` returns the first truthy value. If there is none in time, its error has the last value."""
    answers = iter([0, 0, 7])

    assert wait_until(lambda: next(answers), interval_seconds=0) == 7
    with pytest.raises(TimeoutError, match="still False"):
        wait_until(lambda: False, timeout_seconds=0)
