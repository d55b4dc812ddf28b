"""The SDK's providers, with pipelines that can end and be replaced, and a flush that reports losses.

OpenTelemetry lets a process set each global provider only once, and a provider of the SDK that was shut down drops all that it is given.
So the providers that heliograph sets are never shut down. Each has a *pipeline*: the processors or readers, and their
exporters. It ends with the last host that uses it, and a new one is opened when a host is entered or configured later.

While a provider has no pipeline, it counts what it is given. The first of it is logged, and the next flush returns False.

Threads: telemetry is emitted in any thread, and by signal handlers, while another thread opens or ends a pipeline. `parts` and
`pipeline` are replaced as a whole, and read once for each item: it goes to the pipeline that was there, which exports all that it holds
before it ends. `users` is changed by the threads that configure and shut down hosts, with `_users_lock`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordProcessor,
    ReadWriteLogRecord,
    SynchronousMultiLogRecordProcessor,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, SynchronousMultiSpanProcessor, TracerProvider

from heliograph.delivery.logger import encode_directly
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.sdk.export_counts import ExportCounts, run_flush
from heliograph.sdk.pipelines import Pipeline
from heliograph.semconv import SCOPE
from heliograph.telemetry.otel_api import Logger

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxLogRecordProcessor

logger: Final = SafeLogger(SCOPE)


class _CountingProvider:
    """A base for the SDK's providers.

    Attributes:
        kind: The name of the telemetry in messages.
        parts: The parts of the pipeline; `None` while there is none.
        pipeline: The pipeline.
        users: The number of hosts that use it. With the last of them, the pipeline ends.
    """

    kind = "telemetry"
    parts: tuple[Any, ...] | None = None
    pipeline: Pipeline | None = None
    users = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._late = ExportCounts()  # accepted, and never delivered
        self._late_log = LimitedLog(logger)
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        self._users_lock = threading.RLock()

    def open(self, pipeline: Pipeline) -> None:
        """Export by a pipeline from now on."""
        self.pipeline = pipeline
        self.parts = pipeline.parts

    def add_user(self) -> None:
        """Count a host that uses the provider."""
        with self._users_lock:
            self.users += 1

    def remove_user(self) -> bool:
        """Count a host that has ended. Return True if no other host uses the provider."""
        with self._users_lock:
            self.users -= 1
            return self.users <= 0

    def end(self) -> bool:
        """Deliver what the pipeline holds, and end it. Return True if everything was delivered."""
        pipeline, self.parts, self.pipeline = self.pipeline, None, None
        self._late_log = LimitedLog(logger)
        if pipeline is None:
            return True
        return run_flush([export.counts for export in pipeline.all_exports], lambda: self._end(pipeline))

    def _end(self, pipeline: Pipeline) -> bool:
        for part in pipeline.all_parts:
            part.shutdown()
        return True

    def add_late(self) -> None:
        """Count an item that was emitted while there is no pipeline, and log the first one."""
        self._late.add_accepted()
        self._late_log.log(
            "late",
            "Telemetry (%s) was emitted after heliograph was shut down, and is lost. Enter the host again, or shut it down later.",
            self.kind,
            level=logging.WARNING,
        )

    @property
    def export_counts(self) -> Sequence[ExportCounts]:
        """The counts of the exporters, and of what was emitted without one."""
        pipeline = self.pipeline
        return [self._late, *(export.counts for export in (() if pipeline is None else pipeline.all_exports))]

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Export everything that the provider holds. Return True if all of it was delivered."""
        return run_flush(self.export_counts, lambda: self._flush(timeout_millis))

    def _flush(self, timeout_millis: float) -> bool:
        flush: Callable[[float], bool] = super().force_flush  # type: ignore[misc]  # of the provider class, next in the MRO
        return flush(timeout_millis)


class CountingTracerProvider(_CountingProvider, TracerProvider):
    """The SDK's tracer provider, with a pipeline that can be replaced."""

    kind = "spans"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._processors = _SpanProcessors(self)
        super().__init__(*args, active_span_processor=self._processors, **kwargs)

    def open(self, pipeline: Pipeline) -> None:
        """Export by a pipeline from now on."""
        super().open(pipeline)
        self._processors.note_pipeline()

    def end(self) -> bool:
        """Deliver what the pipeline holds, and end it. Return True if everything was delivered."""
        self._processors.only_outbox = False
        return super().end()


class CountingLoggerProvider(_CountingProvider, LoggerProvider):
    """The SDK's logger provider, with a pipeline that can be replaced.

    Its loggers encode records straight into the outbox of the pipeline, if no other processor gets them.

    Attributes:
        only_outbox: The outbox of the pipeline if nothing else gets the records, else `None`.
    """

    kind = "log records"
    only_outbox: OutboxLogRecordProcessor | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._processors = _LogRecordProcessors(self)
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
        encode_directly(logger, self)
        return logger

    def note_processors(self) -> None:
        """Note that the processors have changed."""
        pipeline = self.pipeline
        if pipeline is not None and pipeline.has_outbox and len(pipeline.parts) == 1 and not self._processors.are_added:
            self.only_outbox = pipeline.parts[0]
        else:
            self.only_outbox = None

    def open(self, pipeline: Pipeline) -> None:
        """Export by a pipeline from now on."""
        super().open(pipeline)
        self.note_processors()

    def end(self) -> bool:
        """Deliver what the pipeline holds, and end it. Return True if everything was delivered."""
        self.only_outbox = None
        return super().end()


class CountingMeterProvider(_CountingProvider, MeterProvider):
    """The SDK's meter provider, with a pipeline that can be replaced. Without one, measurements are not exported.

    Attributes:
        kept: The readers that stay when a pipeline ends.
    """

    kind = "metrics"
    kept: tuple[Any, ...] = ()

    def open(self, pipeline: Pipeline) -> None:
        """Export by the readers of a pipeline from now on."""
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
        try:
            return _flush(self.parts, timeout_millis)
        except MetricsTimeoutError:
            # An outbox whose server is away has used up the time. This is no defect, and needs no traceback.
            return False

    def _end(self, pipeline: Pipeline) -> bool:
        for reader in pipeline.parts:
            # This comes before it is removed, because the reader exports for the last time.
            reader.shutdown()
            self.remove_metric_reader(reader)
        return True


def _flush(parts: tuple[Any, ...] | None, timeout_millis: float) -> bool:
    # A list, so that every part is flushed; `all` alone would stop at the first that failed.
    results = [part.force_flush(timeout_millis) is not False for part in parts or ()]
    return all(results)


class _CurrentPipeline:
    """Flushes and ends the pipeline that a provider has at that moment."""

    def __init__(self, provider: _CountingProvider) -> None:
        self._provider = provider

    def shutdown(self) -> None:
        """End the pipeline: the program shuts the provider down itself."""
        self._provider.end()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the pipeline."""
        pipeline = self._provider.pipeline
        return pipeline is None or _flush(pipeline.all_parts, timeout_millis)


class _SpanProcessors(SynchronousMultiSpanProcessor):
    """The processors that the program has added, and then the pipeline: a processor may change spans before they are exported.

    Attributes:
        only_outbox: True if spans go to the outbox of the pipeline, and nowhere else.
    """

    only_outbox = False

    def __init__(self, provider: CountingTracerProvider) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._provider = provider
        self._pipeline = _CurrentPipeline(provider)

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor."""
        super().add_span_processor(span_processor)
        self.note_pipeline()

    def note_pipeline(self) -> None:
        """Note that the pipeline or the processors have changed."""
        pipeline = self._provider.pipeline
        self.only_outbox = (
            pipeline is not None and pipeline.has_outbox and len(pipeline.parts) == 1 and not self._span_processors
        )

    # The processors are called here and not by the methods of the base class, whose calls would take a tenth of the time of a span.
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Hand over a span that begins."""
        for processor in self._span_processors:
            processor.on_start(span, parent_context=parent_context)
        for part in self._provider.parts or ():
            part.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand over a span that has ended."""
        for processor in self._span_processors:
            processor.on_end(span)
        parts = self._provider.parts
        if parts is None:
            if span.context is not None and span.context.trace_flags.sampled:
                self._provider.add_late()
            return
        for part in parts:
            part.on_end(span)

    def shutdown(self) -> None:
        """End the added processors and the pipeline: the program shuts the provider down itself."""
        super().shutdown()
        self._pipeline.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the added processors and the pipeline."""
        deadline = Deadline(timeout_millis)
        is_flushed = super().force_flush(timeout_millis)
        return self._pipeline.force_flush(int(deadline.remaining())) and is_flushed


class _LogRecordProcessors(SynchronousMultiLogRecordProcessor):
    """The processors that the program has added, and then the pipeline: a processor may change records before they are exported.

    Attributes:
        are_added: True if the program has added one.
    """

    are_added = False

    def __init__(self, provider: CountingLoggerProvider) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._provider = provider
        self._pipeline = _CurrentPipeline(provider)

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Add a processor."""
        super().add_log_record_processor(log_record_processor)
        self.are_added = True
        self._provider.note_processors()

    def enabled(self, **_: Any) -> bool:
        """Return True: what is emitted without a pipeline is counted."""
        return True

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Hand over a log record."""
        super().on_emit(log_record)
        parts = self._provider.parts
        if parts is None:
            self._provider.add_late()
            return
        for part in parts:
            part.on_emit(log_record)

    def shutdown(self) -> None:
        """End the added processors and the pipeline: the program shuts the provider down itself."""
        super().shutdown()
        self._pipeline.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the added processors and the pipeline."""
        deadline = Deadline(timeout_millis)
        is_flushed = super().force_flush(timeout_millis)
        return self._pipeline.force_flush(int(deadline.remaining())) and is_flushed


OURS: Final = (CountingTracerProvider, CountingLoggerProvider, CountingMeterProvider)
"""The classes of providers that heliograph creates."""
Ours: TypeAlias = "CountingTracerProvider | CountingLoggerProvider | CountingMeterProvider"
