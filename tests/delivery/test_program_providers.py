"""Providers of the SDK that a program makes by itself, with outboxes: events are encoded once, as with the providers of `configure`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import Logger, LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from delivery.outboxes import destination
from delivery.servers import serving, spans_of
from heliograph import Event, Host, Settings, Signal
from heliograph.delivery.logger import OutboxLogger
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.span_processor import OutboxSpanProcessor
from heliograph.otlp import decode_attributes
from heliograph.semconv import SCHEMA_URL, SCOPE
from heliograph.version import __version__


@dataclass
class Shipped(Event):
    name = "shipped"
    number: int
    note: str


class Seen(LogRecordProcessor):
    """Keeps the records that it is given."""

    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        self.records.append(log_record.log_record.attributes)

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


class Redacting(OutboxLogRecordProcessor):
    """An outbox of a program's own class."""

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        log_record.log_record.attributes = {"redacted": True}
        super().on_emit(log_record)


class Program(NamedTuple):
    """A host with providers of the program, and the servers that the two signals go to."""

    host: Host
    logs: LoggerProvider
    traces: TracerProvider
    log_server: Any
    span_server: Any

    @property
    def logger(self) -> Any:
        """The logger that the host uses."""
        return self.logs.get_logger(SCOPE, __version__, SCHEMA_URL)

    def track(self, number: int) -> None:
        with self.traces.get_tracer("tests").start_as_current_span("work"):
            self.host.track(Shipped(number=number, note="fragile"))

    def arrived(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the attributes of the records and of the span events that have arrived."""
        assert self.traces.force_flush(60_000)
        assert self.logs.force_flush(60_000)
        records = [
            decode_attributes(record.attributes)
            for body in self.log_server.raw
            for resource in ExportLogsServiceRequest.FromString(body).resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]
        events = [
            decode_attributes(event.attributes)
            for body in self.span_server.raw
            for span in spans_of(ExportTraceServiceRequest.FromString(body))
            for event in span.events
        ]
        return records, events


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Yield a function that makes a program, whose outbox of log records has the given class."""
    processors: list[Any] = []
    with serving() as log_server, serving() as span_server:

        def make(outbox_class: type[OutboxLogRecordProcessor] = OutboxLogRecordProcessor) -> Program:
            logs, traces = LoggerProvider(shutdown_on_exit=False), TracerProvider(ALWAYS_ON, shutdown_on_exit=False)
            logs_outbox = outbox_class(tmp_path, destination=destination(log_server.endpoint))
            span_outbox = OutboxSpanProcessor(
                tmp_path, destination=destination(span_server.traces_endpoint, signal="traces")
            )
            processors.extend([logs_outbox, span_outbox])
            logs.add_log_record_processor(logs_outbox)
            traces.add_span_processor(span_outbox)
            signals = frozenset({Signal.LOG, Signal.SPAN_EVENT})
            host = Host(Settings(signals=signals), events=[Shipped], logger_provider=logs, tracer_provider=traces)
            return Program(host.__enter__(), logs, traces, log_server, span_server)

        yield make
        for each in processors:
            each.shutdown(timeout_millis=100)


def test_event_is_encoded_once(program: Callable[..., Program], monkeypatch: pytest.MonkeyPatch) -> None:
    """An event never becomes a record of the SDK, and its span event has the attributes of the log record."""
    found = program()
    monkeypatch.setattr(OutboxLogRecordProcessor, "on_emit", None)
    for number in range(3):
        found.track(number)

    records, events = found.arrived()

    assert type(found.logger) is OutboxLogger
    assert [record["app.shipped.number"] for record in records] == [0, 1, 2]
    assert events == [{**record, "otel.event.name": "app.shipped"} for record in records]


def test_processor_that_the_program_adds_gets_each_record(program: Callable[..., Program]) -> None:
    """A processor may be added after the first event. The outbox still gets all events."""
    found, seen = program(), Seen()
    found.track(0)
    found.logs.add_log_record_processor(seen)
    found.track(1)
    found.traces.add_span_processor(SpanProcessor())
    found.track(2)

    records, events = found.arrived()

    assert [record["app.shipped.number"] for record in seen.records] == [1, 2]
    assert [record["app.shipped.number"] for record in records] == [0, 1, 2]
    assert events == [{**record, "otel.event.name": "app.shipped"} for record in records]


def test_outbox_of_another_class_gets_records_of_the_sdk(program: Callable[..., Program]) -> None:
    """A subclass may hide in `on_emit` what is private."""
    found = program(Redacting)
    found.track(0)

    records, _ = found.arrived()

    assert records == [{"redacted": True}]


def test_only_a_logger_of_the_sdk_is_prepared(program: Callable[..., Program]) -> None:
    found = program()
    [outbox] = found.logs._multi_log_record_processor._log_record_processors
    logger = found.logs.get_logger("tests")
    other = object()

    outbox.prepare_logger(other)
    assert type(logger) is Logger
    outbox.prepare_logger(logger)
    assert type(logger) is OutboxLogger
