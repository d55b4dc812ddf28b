"""Events are put into the quarantine by a thread, and none is lost on the way."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backends import wait_until
from heliograph.quarantine import queue as queue_module
from heliograph.quarantine.queue import QuarantineQueue
from heliograph.quarantine.spool import Spool
from heliograph.quarantine.store import Quarantine, to_line
from interrupts import call_with_interrupts
from processes import in_child
from quarantine.test_store import RECORD
from threads import no_more_threads, result_in_time

THREAD = "heliograph-quarantine"


@pytest.fixture
def store(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "aside.db")


@pytest.fixture
def queue(store: Quarantine) -> Iterator[QuarantineQueue]:
    queue = QuarantineQueue(store)
    yield queue
    queue.close(60_000)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The quarantine cannot be written, until the patch is undone."""

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Quarantine, "put_rows", fail)
        yield patch


def record(number: int) -> Any:
    return replace(RECORD, uid=str(number))


def uids(store: Quarantine) -> list[str]:
    return [each.record.uid for each in store.find()]


def spools(store: Quarantine) -> list[Path]:
    return list(store.path.parent.glob("*.spool"))


def test_thread_keeps_the_order(store: Quarantine, queue: QuarantineQueue) -> None:
    """The event is found as it was put."""
    for number in range(100):
        queue.put(record(number))

    assert uids(store) == [str(number) for number in range(100)]
    [found] = store.find(ids=[1])
    assert found.record == record(0)


def test_flush_does_not_wait_for_the_thread(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 5)
    assert queue.flush(60_000), "nothing waits"
    queue.put(record(1))

    assert queue.flush(60_000)
    assert spools(store)[0].stat().st_size == 0
    assert uids(store) == ["1"]


def test_close_ends_the_thread_and_deletes_the_file(store: Quarantine, queue: QuarantineQueue) -> None:
    """The next event starts another thread, with another file."""
    for number in range(2):
        queue.put(record(number))
        assert queue.close(60_000)
        assert not [thread for thread in threading.enumerate() if thread.name == THREAD]
        assert spools(store) == []

    assert uids(store) == ["0", "1"]


def test_thread_ends_without_events(store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "_LINGER_SECONDS", 0.01)
    queue.put(record(1))
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == THREAD] or None)

    assert spools(store) == []
    assert uids(store) == ["1"]


def test_threads_lose_nothing(store: Quarantine, queue: QuarantineQueue) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: queue.put(record(number)), range(400)))

    assert sorted(uids(store), key=int) == [str(number) for number in range(400)]


def test_caller_moves_the_events_if_too_many_wait(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file stays below its limit. A single event may be larger."""
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 5)
    monkeypatch.setattr(queue_module, "MAX_BYTES", 3000)
    for number in range(50):
        queue.put(record(number))
        assert sum(path.stat().st_size for path in spools(store)) < 3000
    queue.put(replace(record(50), properties={"text": "x" * 10_000}))
    queue.close(60_000)

    assert uids(store) == [str(number) for number in range(51)]


def test_events_wait_while_the_quarantine_cannot_be_written(
    store: Quarantine, queue: QuarantineQueue, broken: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """Later ones are refused, and so are emitted, until it can be written again."""
    queue.put(record(1))
    assert not queue.flush(60_000)
    with pytest.raises(OSError, match=r"sqlite3\.OperationalError: database or disk is full"):
        queue.put(record(2))
    assert len([each for each in warnings.messages if "cannot be put into the quarantine" in each]) == 1
    assert not queue.close(60_000)
    broken.undo()

    with pytest.raises(OSError, match="cannot be written"):
        queue.put(record(3))
    wait_until(lambda: not queue._failure or None)
    queue.put(record(4))
    assert queue.close(60_000)
    assert uids(store) == ["1", "4"]


def test_too_many_wait_while_the_quarantine_cannot_be_written(
    store: Quarantine, queue: QuarantineQueue, broken: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 5)
    monkeypatch.setattr(queue_module, "MAX_BYTES", 1500)
    with pytest.raises(OSError, match="too many events wait"):
        for number in range(50):
            queue.put(record(number))
    broken.undo()

    assert queue.close(60_000)
    assert uids(store) == [str(number) for number in range(len(uids(store)))]


def test_handler_of_a_signal_is_refused_in_the_middle_of_an_append(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event of the handler is emitted instead. The one that it interrupted is whole."""
    real, refused = Spool.append, []

    def interrupted(spool: Spool, line: bytes) -> None:
        with pytest.raises(BlockingIOError):
            queue.put(record(2))
        refused.append(True)
        real(spool, line)

    monkeypatch.setattr(Spool, "append", interrupted)
    queue.put(record(1))
    assert refused
    assert uids(store) == ["1"]


def test_handler_of_a_signal_is_refused_if_its_thread_moves_what_is_too_much(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 5)
    monkeypatch.setattr(queue_module, "MAX_BYTES", 10)
    real, refused = Quarantine.put_lines, []

    def interrupted(store: Quarantine, lines: list[bytes]) -> None:
        if not refused:
            refused.append(True)
            with pytest.raises(OSError, match="too many"):
                queue.put(record(9))
        real(store, lines)

    monkeypatch.setattr(Quarantine, "put_lines", interrupted)
    queue.put(record(1))
    queue.put(record(2))
    assert refused
    assert queue.close(60_000)
    assert uids(store) == ["1", "2"]


def test_handler_of_a_signal_moves_what_is_too_much_before_its_thread_does(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not wait for its own thread, which has the lock, and has not begun."""
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 5)
    monkeypatch.setattr(queue_module, "MAX_BYTES", 10)

    class Interrupted:
        def __init__(self, lock: Any) -> None:
            self.lock = lock
            self.is_new = True

        def __enter__(self) -> None:
            self.lock.acquire()
            if self.is_new:
                self.is_new = False
                queue.put(record(2))

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    queue.put(record(1))
    monkeypatch.setattr(queue, "_moving", Interrupted(queue._moving))
    result_in_time(lambda: queue.put(record(3)))
    assert queue.close(60_000)
    assert uids(store) == ["1", "2", "3"]


def test_signals_that_raise_at_any_moment_lose_no_event(store: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event that was put without an exception is kept once, and no lock is left behind.

    In a process of its own, because Python itself lists a thread for ever whose start an exception ended at its first step.
    """
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 0.001)
    queue = QuarantineQueue(store)

    def action(number: int) -> Callable[[], object]:
        match number % 20:
            case 9:
                return partial(queue.flush, 60_000)
            case 19:
                return partial(queue.close, 60_000)
            case _:
                return partial(queue.put, record(number))

    def work() -> None:
        queue.put(record(-1))  # a busy disk may be too slow to create a file between two signals
        returned = call_with_interrupts(map(action, range(1000)), moments=150)
        assert queue.close(60_000)
        found = uids(store)
        assert {str(number) for number in range(1000) if returned[number] and number % 10 != 9} <= set(found)
        assert len(found) == len(set(found))
        assert not [each for each in threading.enumerate() if each.name == THREAD and each.is_alive()]

    assert in_child(work) == 0


def test_event_waits_for_another_process_if_no_thread_can_be_started(store: Quarantine, queue: QuarantineQueue) -> None:
    with no_more_threads():
        queue.put(record(1))
    queue.put(record(2))
    assert uids(store) == ["1", "2"]


def test_counts_have_the_events_that_wait(store: Quarantine, queue: QuarantineQueue) -> None:
    """Events of this process, and of one that has died, are counted."""
    orphan = Spool.create(store.path)
    orphan.append(to_line(record(1)))
    orphan.close()
    queue.put(record(2))

    assert store.counts() == {RECORD.event_name: 2}


def test_processes_that_die_lose_nothing(store: Quarantine, queue: QuarantineQueue) -> None:
    """The next process that puts an event, or reads, takes their events. One that was put already is kept once."""

    def work(number: int) -> None:
        queue.put(record(number))
        os.kill(os.getpid(), signal.SIGKILL)

    for number in (1, 2):
        assert in_child(lambda number=number: work(number)) == -signal.SIGKILL
    assert len(spools(store)) == 2
    store.put(record(1))
    queue.put(record(3))
    assert queue.close(60_000)
    wait_until(lambda: not spools(store) or None)

    assert sorted(uids(store)) == ["1", "2", "3"]


def test_child_of_a_fork_has_a_file_of_its_own(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that wait are the parent's, and are put once."""
    monkeypatch.setattr(queue_module, "_COLLECT_SECONDS", 0.5)
    queue.put(record(1))

    def child() -> None:
        assert queue.flush(60_000)
        queue.put(record(2))
        assert queue.close(60_000)

    assert in_child(child) == 0
    queue.put(record(3))
    assert queue.close(60_000)
    assert sorted(uids(store)) == ["1", "2", "3"]


def test_damaged_lines_are_counted(store: Quarantine, warnings: pytest.LogCaptureFixture) -> None:
    """One warning has the number of damaged lines. The other events are kept."""
    spool = Spool.create(store.path)
    spool.append(b"[1, 2\n")
    spool.append(b'["only", "two"]\n')
    spool.append(to_line(record(2)).replace(b"deep", b"d\xffep"))
    queue = QuarantineQueue(store)
    queue.put(record(1))
    line = spools(store)
    assert queue.close(60_000)
    spool.close()

    assert len(line) == 2
    assert uids(store) == ["1"]
    assert warnings.messages == ["Invalid events are damaged, and are not in the quarantine: 3 events."]


def test_system_without_locks_of_files_writes_at_once(
    store: Quarantine, queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "IS_POSSIBLE", False)
    monkeypatch.setattr("heliograph.quarantine.spool.IS_POSSIBLE", False)
    queue.put(record(1))

    assert spools(store) == []
    assert uids(store) == ["1"]


def test_orphans_that_cannot_be_added_wait(
    store: Quarantine, broken: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a dead process stays, and reading goes on without its events."""
    monkeypatch.setattr("heliograph.quarantine.store._MAX_WAIT_SECONDS", 0.05)
    spool = Spool.create(store.path)
    spool.append(b"[]\n")
    spool.close()
    store._file.writing().__enter__().close()
    assert uids(store) == []
    assert len(spools(store)) == 1
    assert warnings.messages == [
        "Events that dead processes have set aside cannot be put into the quarantine: database or disk is full"
    ]


def test_thread_does_not_end_between_an_event_and_its_move(
    queue: QuarantineQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event may come after the last move. The thread, which is about to end, goes on then."""
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_start_thread", lambda: None)
        queue.put(record(1))
        assert not queue._end()
    queue.put(record(2))
    assert queue.flush(60_000)


def test_thread_ends_when_all_is_moved_or_nothing_can_be(
    queue: QuarantineQueue, store: Quarantine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event that comes while the thread is asked to end is moved before."""
    monkeypatch.setattr(queue._thread, "start", lambda: False)
    queue.put(record(1))
    queue._is_ending = True
    assert not queue._exclusively(queue._end)

    queue._failure = "the disk fails"
    assert queue._exclusively(queue._end)
    queue._failure = ""
    assert queue.flush(60_000)
    assert queue._exclusively(queue._end)
    assert uids(store) == [record(1).uid]
