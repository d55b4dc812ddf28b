"""What an exporter was given, and what it delivered: so that a flush can tell the truth.

The SDK's `force_flush` answers True also when every export failed, and when the queue dropped half of what came.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence, Sized
from typing import Any, NamedTuple, TypeVar

from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from heliograph.runtime.fork import after_fork_in_child

E = TypeVar("E")


class FlushStart(NamedTuple):
    """How a counts stood at some moment.

    Attributes:
        accepted: How many items were taken so far.
        lost: How many of them were written off.
        failures: How many exports failed.
    """

    accepted: int
    lost: int
    failures: int


class ExportCounts:
    """The counts of one exporter."""

    def __init__(self) -> None:
        self._restart()
        after_fork_in_child(self._restart)  # what the parent holds, the parent delivers

    def _restart(self) -> None:
        self._lock = threading.RLock()  # the handler of a signal may emit, too
        self._accepted = self._delivered = self._lost = self._failures = 0

    def add_accepted(self) -> None:
        """An item was taken to be exported."""
        with self._lock:
            self._accepted += 1

    def add_delivered(self, count: int) -> None:
        """Items were delivered."""
        with self._lock:
            self._delivered += count

    def add_failure(self) -> None:
        """An export failed."""
        with self._lock:
            self._failures += 1

    def start_flush(self) -> FlushStart:
        """How things stand, when a flush begins."""
        with self._lock:
            return FlushStart(self._accepted, self._lost, self._failures)

    def finish_flush(self, mark: FlushStart) -> bool:
        """Whether all that was taken before the mark was delivered, and no export failed since.

        To be asked when the flush has ended: what was not delivered by then is written off, and so told by each flush
        that was under way, and by no later one.
        """
        with self._lock:
            self._lost += max(0, mark.accepted - self._delivered - self._lost)
            return (self._lost, self._failures) == (mark.lost, mark.failures)


def run_flush(export_counts: Sequence[ExportCounts], action: Callable[[], bool]) -> bool:
    """Whether the action says yes, and by its end all was delivered that had been taken before it."""
    marks = [(counts, counts.start_flush()) for counts in export_counts]
    is_done = action()
    delivered = [counts.finish_flush(mark) for counts, mark in marks]  # each of them, whatever the first one says
    return all(delivered) and is_done


@functools.cache
def counting_exporter(exporter_class: type[E]) -> Callable[..., E]:
    """A subclass of an exporter class, of any signal, that tells its `counts` what was delivered."""

    def export(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        result = exporter_class.export(self, batch, *args, **kwargs)  # type: ignore[attr-defined]
        if getattr(result, "name", None) != "SUCCESS":
            self.counts.add_failure()
        elif isinstance(batch, Sized):  # spans, log records; metrics come as one snapshot, which no queue can drop
            self.counts.add_delivered(len(batch))
        return result

    def make(*args: Any, **kwargs: Any) -> E:
        exporter = cls(*args, **kwargs)
        exporter.counts = ExportCounts()
        return exporter  # type: ignore[no-any-return]

    cls: Any = type(exporter_class.__name__, (exporter_class,), {"export": export, "__module__": __name__})
    return make


class CountingBatchSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor; its exporter's counts knows each span that it takes."""

    def __init__(self, exporter: SpanExporter, counts: ExportCounts) -> None:
        super().__init__(exporter)
        self._counts = counts

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that ended, if it is sampled."""
        super().on_end(span)
        if span.context is not None and span.context.trace_flags.sampled:
            self._counts.add_accepted()


class CountingBatchLogRecordProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor; its exporter's counts knows each log record that it takes."""

    def __init__(self, exporter: LogRecordExporter, counts: ExportCounts) -> None:
        super().__init__(exporter)
        self._counts = counts

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a log record."""
        super().on_emit(log_record)
        self._counts.add_accepted()


class _CountingProvider:
    """A provider whose `force_flush` says whether what it held was delivered.

    Attributes:
        export_counts: Those of its exporters.
        is_shut_down: Whether it takes nothing any more.
    """

    export_counts: Sequence[ExportCounts] = ()
    is_shut_down = False

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Export what is held; True if all of it was delivered."""
        flush: Callable[[float], bool] = super().force_flush  # type: ignore[misc]  # the provider's, which comes after
        return run_flush(self.export_counts, lambda: flush(timeout_millis))


class CountingTracerProvider(_CountingProvider, TracerProvider):
    """The SDK's tracer provider, with a flush that tells the truth."""


class CountingLoggerProvider(_CountingProvider, LoggerProvider):
    """The SDK's logger provider, with a flush that tells the truth."""


class CountingMeterProvider(_CountingProvider, MeterProvider):
    """The SDK's meter provider, with a flush that tells the truth."""
