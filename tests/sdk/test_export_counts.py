"""The ledger of an exporter says whether what was taken was delivered."""

from __future__ import annotations

import enum
import threading
from collections.abc import Sequence

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from heliograph.sdk.export_counts import (
    CountedBatchLogRecordProcessor,
    CountedBatchSpanProcessor,
    HonestLoggerProvider,
    HonestTracerProvider,
    Ledger,
    counted,
)


def accept(ledger: Ledger, count: int) -> None:
    for _ in range(count):
        ledger.accept()


def test_all_delivered() -> None:
    """What was accepted and delivered is settled; with nothing accepted there is nothing to miss."""
    ledger = Ledger()
    assert ledger.settle(ledger.mark())

    accept(ledger, 3)
    mark = ledger.mark()
    ledger.deliver(3)

    assert mark.accepted == 3
    assert ledger.settle(mark)


def test_loss_is_told_once() -> None:
    """What was not delivered is written off: the next flush does not tell it again."""
    ledger = Ledger()
    accept(ledger, 5)
    ledger.deliver(3)

    assert not ledger.settle(ledger.mark())
    assert ledger.settle(ledger.mark())
    accept(ledger, 1)
    assert not ledger.settle(ledger.mark())
    accept(ledger, 1)
    ledger.deliver(1)
    assert ledger.settle(ledger.mark())


def test_loss_is_told_by_each_flush_that_was_under_way() -> None:
    """Of two flushes at the same time, the second does not say that all is well because the first has told the loss."""
    ledger = Ledger()
    accept(ledger, 2)
    first, second = ledger.mark(), ledger.mark()

    assert not ledger.settle(first)
    assert not ledger.settle(second)
    assert ledger.settle(ledger.mark())


def test_failure_during_a_flush_is_told_once() -> None:
    """An export that fails while a flush is under way makes its answer False, also where no item is missing."""
    ledger = Ledger()
    mark = ledger.mark()
    ledger.fail()

    assert not ledger.settle(mark)
    assert ledger.settle(ledger.mark())


def test_what_is_accepted_after_the_mark_does_not_count() -> None:
    """A flush answers for what came before it."""
    ledger = Ledger()
    accept(ledger, 2)
    mark = ledger.mark()
    accept(ledger, 10)
    ledger.deliver(2)

    assert ledger.settle(mark)


def test_threads_are_counted() -> None:
    """Many threads accept and deliver, and every item is counted."""
    ledger = Ledger()

    def work() -> None:
        for _ in range(1000):
            ledger.accept()
            ledger.deliver(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ledger.mark().accepted == 4000
    assert ledger.settle(ledger.mark())


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
    """The counted class is a subclass by the same name, gives the same answer, and takes the same arguments."""
    exporter = counted(Exporter)(answer=Answer.SUCCESS)

    assert isinstance(exporter, Exporter)
    assert type(exporter).__name__ == "Exporter"
    assert exporter.export([1, 2], timeout_millis=5) is Answer.SUCCESS
    assert exporter.exported == [[1, 2]]


def test_counted_exporter_tells_its_ledger() -> None:
    """A batch that was exported is delivered; one that failed, or was answered with nothing, is a failure."""
    exporter = counted(Exporter)()
    ledger: Ledger = exporter.ledger  # type: ignore[attr-defined]
    accept(ledger, 2)
    mark = ledger.mark()
    exporter.export([1, 2])
    assert ledger.settle(mark)

    for answer in (Answer.FAILURE, None):
        exporter.answer = answer
        mark = ledger.mark()
        exporter.export([])
        assert not ledger.settle(mark)


def test_each_exporter_has_a_ledger_of_its_own() -> None:
    """Two exporters of one class do not count each other's."""
    one, other = counted(Exporter)(), counted(Exporter)()

    assert one.ledger is not other.ledger  # type: ignore[attr-defined]


class LogExporter(Exporter):
    def __init__(self) -> None:
        super().__init__(LogRecordExportResult.SUCCESS)


def test_log_provider_tells_the_truth() -> None:
    """Its flush is True while exports succeed, False once for one that failed, and True again."""
    exporter = counted(LogExporter)()
    provider = HonestLoggerProvider(shutdown_on_exit=False)
    provider.ledgers = [exporter.ledger]  # type: ignore[attr-defined]
    provider.add_log_record_processor(CountedBatchLogRecordProcessor(exporter, exporter.ledger))  # type: ignore[arg-type,attr-defined]
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
    good, bad = counted(Spans)(), counted(Spans)()
    provider = HonestTracerProvider(shutdown_on_exit=False)
    provider.ledgers = [good.ledger, bad.ledger]  # type: ignore[attr-defined]
    for exporter in (good, bad):
        provider.add_span_processor(CountedBatchSpanProcessor(exporter, exporter.ledger))  # type: ignore[attr-defined]
    try:
        bad.answer = SpanExportResult.FAILURE
        provider.get_tracer("tests").start_span("one").end()
        assert not provider.force_flush()
        assert provider.force_flush()
    finally:
        provider.shutdown()


def test_what_is_not_sampled_is_not_missed() -> None:
    """A span that is not sampled is never exported, and nobody waits for it."""
    exporter = counted(Spans)()
    provider = HonestTracerProvider(shutdown_on_exit=False, sampler=sampling.ALWAYS_OFF)
    provider.ledgers = [exporter.ledger]  # type: ignore[attr-defined]
    provider.add_span_processor(CountedBatchSpanProcessor(exporter, exporter.ledger))  # type: ignore[attr-defined]
    try:
        provider.get_tracer("tests").start_span("one").end()
        assert provider.force_flush()
        assert exporter.ledger.mark().accepted == 0  # type: ignore[attr-defined]
    finally:
        provider.shutdown()
