"""What an exporter was given, and what it delivered: so that a flush can tell the truth.

The SDK's `force_flush` answers True also when every export failed, and when the queue dropped half of what came.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence, Sized
from typing import Any, TypeVar

from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from heliograph.fork import after_fork_in_child

E = TypeVar("E")


class Ledger:
    """The counts of one exporter.

    Attributes:
        accepted: How many items were taken to be exported, since the process began.
    """

    def __init__(self) -> None:
        self._restart()
        after_fork_in_child(self._restart)  # what the parent holds, the parent delivers

    def _restart(self) -> None:
        self._lock = threading.Lock()
        self.accepted = 0
        self._settled = 0
        self._failed = False

    def accept(self, count: int = 1) -> None:
        """Items were taken."""
        with self._lock:
            self.accepted += count

    def deliver(self, count: int) -> None:
        """Items were delivered."""
        with self._lock:
            self._settled += count

    def fail(self) -> None:
        """An export failed."""
        with self._lock:
            self._failed = True

    def settle(self, accepted: int) -> bool:
        """Whether the first ``accepted`` items were all delivered, and no export failed since this was asked last.

        Those that were not delivered are written off as lost: they are told once.
        """
        with self._lock:
            lost, failed = accepted - self._settled, self._failed
            self._settled += max(0, lost)
            self._failed = False
            return lost <= 0 and not failed


@functools.cache
def counted(exporter_class: type[E]) -> Callable[..., E]:
    """A subclass of an exporter class, of any signal, that tells its `ledger` what was delivered."""

    def export(self: Any, batch: Any, *args: Any, **kwargs: Any) -> Any:
        result = exporter_class.export(self, batch, *args, **kwargs)  # type: ignore[attr-defined]
        if getattr(result, "name", None) != "SUCCESS":
            self.ledger.fail()
        elif isinstance(batch, Sized):  # spans, log records; metrics come as one snapshot, which no queue can drop
            self.ledger.deliver(len(batch))
        return result

    def make(*args: Any, **kwargs: Any) -> E:
        exporter = cls(*args, **kwargs)
        exporter.ledger = Ledger()
        return exporter  # type: ignore[no-any-return]

    cls: Any = type(exporter_class.__name__, (exporter_class,), {"export": export, "__module__": __name__})
    return make


class CountedBatchSpanProcessor(BatchSpanProcessor):
    """The SDK's batch processor; its exporter's ledger knows each span that it takes."""

    def __init__(self, exporter: SpanExporter, ledger: Ledger) -> None:
        super().__init__(exporter)
        self._ledger = ledger

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that ended, if it is sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._ledger.accept()
        super().on_end(span)


class CountedBatchLogRecordProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor; its exporter's ledger knows each log record that it takes."""

    def __init__(self, exporter: LogRecordExporter, ledger: Ledger) -> None:
        super().__init__(exporter)
        self._ledger = ledger

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take a log record."""
        self._ledger.accept()
        super().on_emit(log_record)


class _HonestFlush:
    """A provider whose `force_flush` says whether what it held was delivered.

    Attributes:
        ledgers: Those of its exporters.
    """

    ledgers: Sequence[Ledger] = ()

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Export what is held; True if all of it was delivered."""
        marks = [(ledger, ledger.accepted) for ledger in self.ledgers]
        flushed: bool = super().force_flush(timeout_millis)  # type: ignore[misc]  # the provider's, which comes after
        delivered = [ledger.settle(mark) for ledger, mark in marks]  # each of them, whatever the first one says
        return all(delivered) and flushed


class HonestTracerProvider(_HonestFlush, TracerProvider):
    """The SDK's tracer provider, with a flush that tells the truth."""


class HonestLoggerProvider(_HonestFlush, LoggerProvider):
    """The SDK's logger provider, with a flush that tells the truth."""


class HonestMeterProvider(_HonestFlush, MeterProvider):
    """The SDK's meter provider, with a flush that tells the truth."""
