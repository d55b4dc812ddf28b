"""The provider of each signal: the SDK's providers of spans, log records and metrics, with pipelines that can end and be replaced.

`heliograph.sdk.counting_provider` has their common base, and the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from heliograph.delivery.logger import make_outbox_logger
from heliograph.sdk.counting_provider import CountingProvider
from heliograph.sdk.pipelines import Pipeline
from heliograph.sdk.processors import LogRecordProcessors, SpanProcessors
from heliograph.telemetry.otel_api import Logger


class CountingTracerProvider(CountingProvider, TracerProvider):
    """The SDK's tracer provider, with a pipeline that can be replaced."""

    kind = "spans"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._processors = SpanProcessors(self)
        super().__init__(*args, active_span_processor=self._processors, **kwargs)

    def note_pipeline(self) -> None:
        """Note that there is another pipeline, or none."""
        self._processors.note_pipeline()


class CountingLoggerProvider(CountingProvider, LoggerProvider):
    """The SDK's logger provider, with a pipeline that can be replaced.

    Its loggers encode records straight into the outbox of the pipeline, if no other processor gets them.
    """

    kind = "log records"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._processors = LogRecordProcessors(self)
        super().__init__(*args, multi_log_record_processor=self._processors, **kwargs)

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Logger:
        """Return a logger: see `opentelemetry.sdk._logs.LoggerProvider.get_logger`."""
        logger = super().get_logger(name, version, schema_url, attributes)
        make_outbox_logger(logger, self._processors)
        return logger

    def note_pipeline(self) -> None:
        """Note that there is another pipeline, or none."""
        self._processors.note_pipeline()


class CountingMeterProvider(CountingProvider, MeterProvider):
    """The SDK's meter provider, with a pipeline that can be replaced. Without one, measurements are not exported.

    Attributes:
        kept: The readers that stay when a pipeline ends.
    """

    kind = "metrics"
    kept: tuple[Any, ...] = ()

    def open(self, pipeline: Pipeline) -> None:
        """Export through the readers of a pipeline from now on."""
        super().open(pipeline)
        for reader in (*pipeline.parts, *pipeline.kept):
            if reader not in self.kept:
                self.add_metric_reader(reader)
                # The SDK does the same with its first readers.
                getattr(reader, "_set_meter_provider", lambda _: None)(self)
        self.kept = tuple(dict.fromkeys([*self.kept, *pipeline.kept]))

    def shutdown(self, timeout_millis: float = 30_000) -> None:  # noqa: ARG002 — the readers have their own
        """End the pipeline: the program shuts the provider down itself."""
        self.end()

    def _flush(self, timeout_millis: float) -> bool:
        # The SDK's own flush knows only the readers that the provider was made with.
        return self.flush_pipeline(timeout_millis)

    def _end_part(self, part: Any) -> bool:
        # This comes before it is removed, because the reader exports for the last time.
        has_ended = super()._end_part(part)
        self.remove_metric_reader(part)
        return has_ended
