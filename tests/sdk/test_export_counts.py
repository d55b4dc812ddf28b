"""The counts of an exporter show whether everything it accepted was delivered."""

from __future__ import annotations

import enum
import threading

from heliograph.sdk.export_counts import (
    ExportCounts,
    counting_exporter,
    run_flush,
)
from threads import join


def accept(counts: ExportCounts, count: int) -> None:
    for _ in range(count):
        counts.add_accepted()


def test_all_delivered() -> None:
    """If everything that was accepted was delivered, the flush succeeds; also if nothing was accepted."""
    counts = ExportCounts()
    assert counts.finish_flush(counts.start_flush())

    accept(counts, 3)
    start = counts.start_flush()
    counts.add_delivered(3)

    assert start.accepted == 3
    assert counts.finish_flush(start)


def test_loss_is_reported_once() -> None:
    """Items that were not delivered are counted as lost: the next flush does not report them again."""
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


def test_loss_is_reported_by_each_flush_that_runs() -> None:
    """Of two flushes at the same time, the second does not succeed because the first has reported the loss."""
    counts = ExportCounts()
    accept(counts, 2)
    first, second = counts.start_flush(), counts.start_flush()

    assert not counts.finish_flush(first)
    assert not counts.finish_flush(second)
    assert counts.finish_flush(counts.start_flush())


def test_failure_during_a_flush_is_reported_once() -> None:
    """An export that fails during a flush makes it False, even if no item is missing."""
    counts = ExportCounts()
    start = counts.start_flush()
    counts.add_failure()

    assert not counts.finish_flush(start)
    assert counts.finish_flush(counts.start_flush())


def test_items_accepted_after_the_start_do_not_count() -> None:
    """A flush reports on the items accepted before it started."""
    counts = ExportCounts()
    accept(counts, 2)
    start = counts.start_flush()
    accept(counts, 10)
    counts.add_delivered(2)

    assert counts.finish_flush(start)


def test_items_accepted_and_delivered_during_a_flush_are_no_loss() -> None:
    """More items were delivered at its end than accepted at its start. Later losses are counted all the same."""
    counts = ExportCounts()
    accept(counts, 2)
    start = counts.start_flush()
    accept(counts, 3)
    counts.add_delivered(5)

    assert counts.finish_flush(start)
    accept(counts, 1)
    assert not counts.finish_flush(counts.start_flush())


def test_threads_are_counted() -> None:
    """Threads accept and deliver at the same time, and every item is counted."""
    counts = ExportCounts()

    def work() -> None:
        for _ in range(1000):
            counts.add_accepted()
            counts.add_delivered(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert counts.start_flush().accepted == 4000
    assert counts.finish_flush(counts.start_flush())


def test_signal_handler_may_count_in_the_middle_of_counting() -> None:
    """The handler runs in the thread that holds the lock, so the lock has to be reentrant."""
    counts = ExportCounts()

    with counts._lock:
        counts.add_accepted()
        counts.add_delivered(1)

    assert counts.finish_flush(counts.start_flush())


def test_run_flush_finishes_the_flush_of_every_exporter() -> None:
    """After a flush that failed, the next one succeeds, for each of the exporters."""
    first, second = ExportCounts(), ExportCounts()
    accept(first, 1)
    accept(second, 1)

    assert not run_flush([first, second], lambda: True)
    assert run_flush([first, second], lambda: True)
    assert not run_flush([first, second], lambda: False)


def test_items_delivered_during_the_flush_count() -> None:
    """The flush itself delivers what was accepted before it."""
    counts = ExportCounts()
    accept(counts, 1)

    def flush() -> bool:
        counts.add_delivered(1)
        return True

    assert run_flush([counts], flush)


class Result(enum.Enum):
    SUCCESS = 0
    FAILURE = 1


class Exporter:
    """An exporter of any signal, with a result that the test chooses."""

    def __init__(self, result: object = Result.SUCCESS) -> None:
        self.result = result
        self.exported: list[object] = []

    def export(self, batch: object, timeout_millis: float = 0) -> object:
        self.exported.append(batch)
        return self.result

    def shutdown(self) -> None:
        """Nothing to release."""

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def test_counting_exporter_is_still_that_exporter() -> None:
    """The counting class is a subclass with the same name, and has the same arguments and results."""
    exporter = counting_exporter(Exporter)(result=Result.SUCCESS)

    assert isinstance(exporter, Exporter)
    assert type(exporter).__name__ == "Exporter"
    assert exporter.export([1, 2], timeout_millis=5) is Result.SUCCESS
    assert exporter.exported == [[1, 2]]


def test_counting_exporter_counts_deliveries_and_failures() -> None:
    """A batch that was exported is delivered; an export that failed, or returned nothing, is a failure."""
    exporter = counting_exporter(Exporter)()
    counts: ExportCounts = exporter.counts  # type: ignore[attr-defined]
    accept(counts, 2)
    start = counts.start_flush()
    exporter.export([1, 2])
    assert counts.finish_flush(start)

    for result in (Result.FAILURE, None):
        exporter.result = result
        start = counts.start_flush()
        exporter.export([])
        assert not counts.finish_flush(start)


def test_each_exporter_has_its_own_counts() -> None:
    """Two exporters of one class do not share counts."""
    one, other = counting_exporter(Exporter)(), counting_exporter(Exporter)()

    assert one.counts is not other.counts  # type: ignore[attr-defined]
