"""The counts of an exporter says whether what was taken was delivered."""

from __future__ import annotations

import enum
import threading
from collections.abc import Sequence

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from heliograph.sdk.export_counts import (
    CountingBatchLogRecordProcessor,
    CountingBatchSpanProcessor,
    CountingLoggerProvider,
    CountingTracerProvider,
    ExportCounts,
    counting_exporter,
)


def accept(counts: ExportCounts, count: int) -> None:
    for _ in range(count):
        counts.add_accepted()


def test_all_delivered() -> None:
    """What was accepted and delivered is settled; with nothing accepted there is nothing to miss."""
    counts = ExportCounts()
    assert counts.finish_flush(counts.start_flush())

    accept(counts, 3)
    mark = counts.start_flush()
    counts.add_delivered(3)

    assert mark.accepted == 3
    assert counts.finish_flush(mark)


def test_loss_is_told_once() -> None:
    """What was not delivered is written off: the next flush does not tell it again."""
    counts = ExportCounts()
    accept(counts, 5)
    counts.add_delivered(3)

    assert not counts.finish_flush(counts.start_flush())
    assert counts.finish_flush(counts.start_flush())
    accept(counts, 1)
    assert not counts.finish_flush(counts.start_flush())
    accept(counts, 1)
    counts.add_delivered(1)
    assert counts.finish_flush(counts.start_flush())


def test_loss_is_told_by_each_flush_that_was_under_way() -> None:
    """Of two flushes at the same time, the second does not say that all is well because the first has told the loss."""
    counts = ExportCounts()
    accept(counts, 2)
    first, second = counts.start_flush(), counts.start_flush()

    assert not counts.finish_flush(first)
    assert not counts.finish_flush(second)
    assert counts.finish_flush(counts.start_flush())


def test_failure_during_a_flush_is_told_once() -> None:
    """An export that fails while a flush is under way makes its answer False, also where no item is missing."""
    counts = ExportCounts()
    mark = counts.start_flush()
    counts.add_failure()

    assert not counts.finish_flush(mark)
    assert counts.finish_flush(counts.start_flush())


def test_what_is_accepted_after_the_mark_does_not_count() -> None:
    """A flush answers for what came before it."""
    counts = ExportCounts()
    accept(counts, 2)
    mark = counts.start_flush()
    accept(counts, 10)
    counts.add_delivered(2)

    assert counts.finish_flush(mark)


def test_threads_are_counted() -> None:
    """Many threads accept and deliver, and every item is counted."""
    counts = ExportCounts()

    def work() -> None:
        for _ in range(1000):
            counts.add_accepted()
            counts.add_delivered(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts.start_flush().accepted == 4000
    assert counts.finish_flush(counts.start_flush())


class Answer(enum.Enum):
    SUCCESS = 0
    FAILURE = 1


class Exporter:
    """An exporter of any signal, which answers as it is told."""

    def __init__(self, answer: object = Answer.SUCCESS) -> None:
        self.answer = answer
        self.exported: list[object] = []

    def export(self, batch: object, timeout_millis: float = 0) -> object:
        self.exported.append(batch)
        return self.answer

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def test_counted_exporter_is_still_that_exporter() -> None:
    """The counting class is a subclass by the same name, gives the same answer, and takes the same arguments."""
    exporter = counting_exporter(Exporter)(answer=Answer.SUCCESS)

    assert isinstance(exporter, Exporter)
    assert type(exporter).__name__ == "Exporter"
    assert exporter.export([1, 2], timeout_millis=5) is Answer.SUCCESS
    assert exporter.exported == [[1, 2]]


def test_counted_exporter_tells_its_ledger() -> None:
    """A batch that was exported is delivered; one that failed, or was answered with nothing, is a failure."""
    exporter = counting_exporter(Exporter)()
    counts: ExportCounts = exporter.counts  # type: ignore[attr-defined]
    accept(counts, 2)
    mark = counts.start_flush()
    exporter.export([1, 2])
    assert counts.finish_flush(mark)

    for answer in (Answer.FAILURE, None):
        exporter.answer = answer
        mark = counts.start_flush()
        exporter.export([])
        assert not counts.finish_flush(mark)


def test_each_exporter_has_a_ledger_of_its_own() -> None:
    """Two exporters of one class do not count each other's."""
    one, other = counting_exporter(Exporter)(), counting_exporter(Exporter)()

    assert one.counts is not other.counts  # type: ignore[attr-defined]


class LogExporter(Exporter):
    def __init__(self) -> None:
        super().__init__(LogRecordExportResult.SUCCESS)


def test_log_provider_tells_the_truth() -> None:
    """Its flush is True while exports succeed, False once for one that failed, and True again."""
    exporter = counting_exporter(LogExporter)()
    provider = CountingLoggerProvider(shutdown_on_exit=False)
    provider.export_counts = [exporter.counts]  # type: ignore[attr-defined]
    provider.add_log_record_processor(CountingBatchLogRecordProcessor(exporter, exporter.counts))  # type: ignore[arg-type,attr-defined]
    logger = provider.get_logger("tests")
    try:
        assert provider.force_flush()
        logger.emit(LogRecord(body="one"))
        assert provider.force_flush()
        exporter.answer = LogRecordExportResult.FAILURE
        logger.emit(LogRecord(body="two"))
        assert not provider.force_flush()
        exporter.answer = LogRecordExportResult.SUCCESS
        logger.emit(LogRecord(body="three"))
        assert provider.force_flush()
    finally:
        provider.shutdown()


class Spans(SpanExporter):
    def __init__(self) -> None:
        self.answer = SpanExportResult.SUCCESS

    def export(self, spans: Sequence[object]) -> SpanExportResult:
        return self.answer


def test_tracer_provider_asks_every_exporter() -> None:
    """With one good exporter and one bad the flush is False, once."""
    good, bad = counting_exporter(Spans)(), counting_exporter(Spans)()
    provider = CountingTracerProvider(shutdown_on_exit=False)
    provider.export_counts = [good.counts, bad.counts]  # type: ignore[attr-defined]
    for exporter in (good, bad):
        provider.add_span_processor(CountingBatchSpanProcessor(exporter, exporter.counts))  # type: ignore[attr-defined]
    try:
        bad.answer = SpanExportResult.FAILURE
        provider.get_tracer("tests").start_span("one").end()
        assert not provider.force_flush()
        assert provider.force_flush()
    finally:
        provider.shutdown()


def test_what_is_not_sampled_is_not_missed() -> None:
    """A span that is not sampled is never exported, and nobody waits for it."""
    exporter = counting_exporter(Spans)()
    provider = CountingTracerProvider(shutdown_on_exit=False, sampler=sampling.ALWAYS_OFF)
    provider.export_counts = [exporter.counts]  # type: ignore[attr-defined]
    provider.add_span_processor(CountingBatchSpanProcessor(exporter, exporter.counts))  # type: ignore[attr-defined]
    try:
        provider.get_tracer("tests").start_span("one").end()
        assert provider.force_flush()
        assert exporter.counts.start_flush().accepted == 0  # type: ignore[attr-defined]
    finally:
        provider.shutdown()
