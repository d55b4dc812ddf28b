"""The processors of a provider that heliograph sets: those that the program has added, and then the pipeline of the moment.

A processor of the program may change spans or records before they are exported.

Threads: see `heliograph.sdk.counting_provider`. `has_only_outbox` and `only_outbox` are replaced as a whole, and read once for each span
or record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord, SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, SynchronousMultiSpanProcessor

from heliograph.runtime.deadline import Deadline
from heliograph.sdk.counting_provider import CountingProvider

if TYPE_CHECKING:
    from heliograph.delivery.processor import OutboxLogRecordProcessor


class _WithPipeline:
    """Ends and flushes the processors that the program has added, and then the pipeline: a base beside that of the SDK."""

    def __init__(self, provider: CountingProvider) -> None:
        super().__init__()
        self._provider = provider

    def shutdown(self) -> None:
        """End the added processors and the pipeline: the program shuts the provider down itself."""
        try:
            super().shutdown()  # type: ignore[misc]  # of the SDK's class, next in the MRO
        finally:
            self._provider.end()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the added processors and the pipeline."""
        deadline = Deadline(timeout_millis)
        try:
            is_flushed: bool = super().force_flush(timeout_millis)  # type: ignore[misc]  # as in `shutdown`
        finally:
            # A processor of the program that raises must not keep the outbox from delivering.
            is_delivered = self._provider.flush_pipeline(int(deadline.remaining()))
        return is_flushed and is_delivered


class SpanProcessors(_WithPipeline, SynchronousMultiSpanProcessor):
    """The processors that the program has added, and then the pipeline: a processor may change spans before they are exported.

    Attributes:
        has_only_outbox: True if spans go to the outbox of the pipeline, and nowhere else.
    """

    has_only_outbox = False

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor."""
        super().add_span_processor(span_processor)
        self.note_pipeline()

    def note_pipeline(self) -> None:
        """Note that the pipeline or the processors have changed."""
        with self._provider.lock:
            self.has_only_outbox = not self._span_processors and self._provider.only_outbox is not None

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


class LogRecordProcessors(_WithPipeline, SynchronousMultiLogRecordProcessor):
    """The processors that the program has added, and then the pipeline: a processor may change records before they are exported.

    Attributes:
        only_outbox: The outbox of the pipeline if nothing else gets the records, else `None`.
    """

    only_outbox: OutboxLogRecordProcessor | None = None

    def add_log_record_processor(self, log_record_processor: LogRecordProcessor) -> None:
        """Add a processor."""
        super().add_log_record_processor(log_record_processor)
        self.note_pipeline()

    def note_pipeline(self) -> None:
        """Note that the pipeline or the processors have changed."""
        with self._provider.lock:
            self.only_outbox = None if self._log_record_processors else self._provider.only_outbox

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
