"""The telemetry of a test, recorded in memory with the real providers of the SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeAlias

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from heliograph import Host, Settings
from heliograph.runtime.deferred_waits import open_waits

Attributes: TypeAlias = dict[str, Any]

SECRET = "a secret of the tests"
RESOURCE = Resource.create()
"""The resource of all providers: to detect it takes longer than to create them."""


class Telemetry:
    """Providers for a host, and the telemetry that was emitted to them."""

    def __init__(self) -> None:
        self._spans, self._logs, self._reader = (
            InMemorySpanExporter(),
            InMemoryLogRecordExporter(),
            InMemoryMetricReader(),
        )
        self.tracer_provider = TracerProvider(resource=RESOURCE, shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.logger_provider = LoggerProvider(RESOURCE, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        self.meter_provider = MeterProvider([self._reader], RESOURCE, shutdown_on_exit=False)

    @property
    def providers(self) -> dict[str, Any]:
        """The providers, as the keyword arguments of a `Host`."""
        return {
            "tracer_provider": self.tracer_provider,
            "logger_provider": self.logger_provider,
            "meter_provider": self.meter_provider,
        }

    def host(self, *plugins: object, settings: Settings | None = None, **kwargs: Any) -> Host:
        """Return a host whose telemetry is recorded here."""
        return Host(settings or Settings(secret=(SECRET,)), plugins=plugins, **{**self.providers, **kwargs})

    @property
    def tracer(self) -> Tracer:
        """A tracer for spans of the program itself."""
        return self.tracer_provider.get_tracer("tests")

    @property
    def logs(self) -> list[ReadableLogRecord]:
        """The emitted log records, in order."""
        return list(self._logs.get_finished_logs())

    @property
    def events(self) -> list[tuple[str, Attributes]]:
        """The name and attributes of each emitted event, without its unique id."""
        return [(str(log.log_record.event_name), without_uid(log.log_record.attributes)) for log in self.logs]

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that have ended, in order."""
        return list(self._spans.get_finished_spans())

    @property
    def span_events(self) -> list[SpanEvent]:
        """The span events of the spans that have ended, in order."""
        return [event for span in self.spans for event in span.events]

    def metrics(self) -> dict[str, Metric]:
        """Collect the metrics, and return them by name."""
        data = self._reader.get_metrics_data()
        found = (
            []
            if data is None
            else [
                metric
                for resource in data.resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            ]
        )
        assert len({metric.name for metric in found}) == len(found), "one metric was exported twice"
        return {metric.name: metric for metric in found}

    def counts(self, name: str) -> dict[tuple[object, ...], float]:
        """Return the values of a counter, or the counts of a histogram, by the values of its attributes (sorted by name).

        Counters that are still at 0 are omitted; see `zeros`.
        """
        metric = self.metrics().get(name)
        points = [] if metric is None else metric.data.data_points
        return {
            tuple(value for _, value in sorted((point.attributes or {}).items())): getattr(point, "value", None)
            or point.count  # type: ignore[union-attr]
            for point in points
            if getattr(point, "value", None) != 0
        }

    def zeros(self, name: str) -> set[tuple[object, ...]]:
        """Return the values of the attributes (sorted by name) for which a counter is 0."""
        metric = self.metrics().get(name)
        points = [] if metric is None else metric.data.data_points
        return {
            tuple(value for _, value in sorted((point.attributes or {}).items()))
            for point in points
            if point.value == 0  # type: ignore[union-attr]
        }

    def everything(self) -> str:
        """Return all recorded telemetry as one text, to search for values that must not be exported."""
        parts = [span.to_json() for span in self.spans] + [log.to_json() for log in self.logs]
        parts += [metric.to_json() for metric in self.metrics().values()]
        return "\n".join(parts)

    def clear(self) -> None:
        """Forget the spans and log records. Metrics go on."""
        self._spans.clear()
        self._logs.clear()

    def shutdown(self) -> None:
        """Shut the providers down."""
        for provider in (self.tracer_provider, self.logger_provider, self.meter_provider):
            provider.shutdown()


def without_uid(attributes: Mapping[str, Any] | None) -> Attributes:
    """Return the attributes without the unique id of the event, which must be among them."""
    rest = dict(attributes or {})
    assert rest.pop("log.record.uid")
    return rest


class DeferringStore(LogRecordProcessor):
    """Lets its caller await each record, as a durable outbox does.

    Attributes:
        records: For each record that is awaited, an event that a test sets to end the wait.
    """

    def __init__(self) -> None:
        self.records: list[asyncio.Event] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        waits = open_waits()
        if waits is not None:
            self.records.append(asyncio.Event())
            waits.append(self.records[-1].wait)

    def shutdown(self) -> None:
        """Do nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
