"""Counts of what an exporter accepted and delivered, so that a flush can report the truth.

`force_flush` of OpenTelemetry's SDK returns True even if every export failed, or if its queue was full and dropped items. So the
providers that heliograph creates have exporters, processors and a `force_flush` that count:

1. A processor counts each item (a span or a log record) that it accepts.
2. An exporter counts the items of each batch that it delivered, and its failed exports.
3. A flush notes the counts when it starts. When it ends, each item accepted before its start must have been delivered, and
   no export may have failed since.

Metrics are exported as one snapshot, which no queue can drop. For them only failed exports count.

Threads: items are accepted in any thread of the program, delivered in the worker thread of an SDK processor, and flushed in any
thread. Each `ExportCounts` has one lock for its counts. It is reentrant, because a signal handler may emit telemetry while its
thread is counting. A forked child starts at zero: items that the parent held at the fork are delivered by the parent.

Known limit: an item that is missing when a flush ends is counted as lost, although it may still be in a queue or in a request. If
it is delivered later, its delivery may hide the loss of another item.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence, Sized
from typing import Any, NamedTuple, TypeVar

from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from heliograph.runtime.fork import after_fork_in_child

E = TypeVar("E")


class FlushStart(NamedTuple):
    """The counts of an exporter at the start of a flush.

    Attributes:
        accepted: The number of items accepted so far.
        lost: The number of them that earlier flushes found to be lost.
        failures: The number of failed exports so far.
    """

    accepted: int
    lost: int
    failures: int


class ExportCounts:
    """The counts of one exporter: items accepted, delivered and lost, and failed exports."""

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._accepted = self._delivered = self._lost = self._failures = 0

    def add_accepted(self) -> None:
        """Count an item that was accepted for export."""
        with self._lock:
            self._accepted += 1

    def add_delivered(self, count: int) -> None:
        """Count items that were delivered."""
        with self._lock:
            self._delivered += count

    def add_failure(self) -> None:
        """Count a failed export."""
        with self._lock:
            self._failures += 1

    @property
    def missing(self) -> int:
        """The number of items that were accepted and not delivered."""
        with self._lock:
            return max(0, self._accepted - self._delivered)

    @property
    def failures(self) -> int:
        """The number of failed exports."""
        return self._failures

    def start_flush(self) -> FlushStart:
        """Return the counts at the start of a flush, for `finish_flush`."""
        with self._lock:
            return FlushStart(self._accepted, self._lost, self._failures)

    def finish_flush(self, start: FlushStart) -> bool:
        """Return True if all items accepted before the start were delivered, and no export has failed since.

        An item that is missing is counted as lost. So each flush that runs at this moment reports the loss, and no later one.
        """
        with self._lock:
            self._lost += max(0, start.accepted - self._delivered - self._lost)
            return (self._lost, self._failures) == (start.lost, start.failures)


def run_flush(export_counts: Sequence[ExportCounts], flush: Callable[[], bool]) -> bool:
    """Call a function that flushes or shuts down, and return True if it returned True and everything was delivered.

    Args:
        export_counts: The counts of the exporters that are flushed.
        flush: The function.
    """
    started = [(counts, counts.start_flush()) for counts in export_counts]
    is_flushed = flush()
    # A list, so that every exporter's flush is finished; `all` alone would stop at the first that failed.
    delivered = [counts.finish_flush(start) for counts, start in started]
    return is_flushed and all(delivered)


@functools.cache
def counting_exporter(exporter_class: type[E]) -> Callable[..., E]:
    """Return a function that creates an exporter of a subclass which counts, in its attribute `counts`, what it delivers.

    After each failed export it calls its attribute `on_failure`. Its method `stop` ends it at once: what it is given after that counts as a
    failed export, and a second shutdown, by its processor or reader, does nothing. (The SDK would log a warning for each of them.)

    The subclass has the name of its base class, so that the SDK's log messages name the exporter that the user chose. It is
    made at runtime because the exporter classes come from entry points, and those of the three signals have no common base.
    """

    def export(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        if self.is_stopped:
            self.counts.add_failure()
            return None
        result = exporter_class.export(self, batch, *args, **kwargs)  # type: ignore[attr-defined]
        # Each signal has a result enum of its own. Some exporters return nothing after an error.
        if getattr(result, "name", None) != "SUCCESS":
            self.counts.add_failure()
            self.on_failure()
        elif isinstance(batch, Sized):
            # A batch of spans or log records, and not a snapshot of metrics.
            self.counts.add_delivered(len(batch))
        return result

    def stop(self: Any) -> None:
        self.is_stopped = True
        # Replaced in the instance: the class must keep the method of its base, whose parameters the SDK reads to choose its arguments.
        shutdown, self.shutdown = self.shutdown, _do_nothing
        shutdown()

    def create(*args: Any, **kwargs: Any) -> E:
        exporter = subclass(*args, **kwargs)
        exporter.counts = ExportCounts()
        exporter.on_failure = lambda: None
        return exporter  # type: ignore[no-any-return]

    members = {"export": export, "stop": stop, "is_stopped": False, "__module__": __name__}
    subclass: Any = type(exporter_class.__name__, (exporter_class,), members)
    return create


def _do_nothing(*args: object, **kwargs: object) -> None:
    pass


class CountingBatchSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor for spans, which also counts the spans that it accepts."""

    def __init__(self, exporter: SpanExporter, counts: ExportCounts) -> None:
        super().__init__(exporter)
        self._counts = counts

    def on_end(self, span: ReadableSpan) -> None:
        """Accept a span that has ended, if it is sampled. The SDK exports no other."""
        super().on_end(span)
        if span.context is not None and span.context.trace_flags.sampled:
            self._counts.add_accepted()


class CountingBatchLogRecordProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor for log records, which also counts the records that it accepts."""

    def __init__(self, exporter: LogRecordExporter, counts: ExportCounts) -> None:
        super().__init__(exporter)
        self._counts = counts

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Accept a log record."""
        super().on_emit(log_record)
        self._counts.add_accepted()
