"""One sync at a time serves all threads that came before it began; a failure is reported to each of them."""

from __future__ import annotations

import contextlib
import errno
import itertools
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from backends import wait_until
from delivery.journal.disks import Disk
from heliograph.delivery.journal.group_commit import GroupCommit, NotSyncedError, Sync
from interrupts import handler_of
from threads import join, result_in_time


def test_record_is_synced_once() -> None:
    disk = Disk()
    assert disk.commit.wait(disk.append()) is None
    assert disk.commit.wait(1) is None

    assert disk.synced == [1]


def test_threads_that_come_during_a_sync_share_the_next_one() -> None:
    """The current sync may have begun before their records were written."""
    disk = Disk()
    disk.ready.clear()
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(disk.commit.wait, disk.append())
        wait_until(lambda: disk.begun or None)
        others = [pool.submit(disk.commit.wait, disk.append()) for _ in range(7)]
        assert disk.begun == 1
        disk.ready.set()
        assert [each.result() for each in [first, *others]] == [None] * 8

    assert disk.synced == [1, 8]


def test_failure_is_reported_to_all_who_share_the_sync() -> None:
    """No sync follows a failed one: the system takes the pages for written, so that the second would succeed."""
    disk = Disk()
    disk.ready.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(disk.commit.wait, disk.append())
        wait_until(lambda: disk.begun or None)
        others = [pool.submit(disk.commit.wait, disk.append()) for _ in range(3)]
        wait_until(lambda: len(disk.commit._changed._waiters) == 3 or None)
        disk.error = OSError(errno.EIO, "the disk fails")
        disk.ready.set()
        failures = [each.result() for each in [first, *others]]

    assert disk.begun == 2
    assert {type(failure) for failure in failures} == {NotSyncedError}
    assert {str(failure) for failure in failures} == {"[Errno 5] the disk fails"}
    assert len({id(failure) for failure in failures}) == 4, "each thread raises its own"


def test_failure_stays_one_of_its_records_alone() -> None:
    """Records before and after it are synced. Threads may ask late."""
    disk = Disk()
    for error in (None, OSError(errno.EIO, "one"), OSError(errno.EIO, "two"), None):
        disk.error = error
        disk.append()
        disk.append()
        disk.commit.wait(disk.last)
    failures = [disk.commit.wait(sequence) for sequence in range(1, 9)]

    assert [failure is None for failure in failures] == [True, True, False, False, False, False, True, True]
    assert len(disk.commit._failures) == 1, "failures in a row are one"


def test_failures_take_little_memory() -> None:
    disk = Disk()
    for number in range(1000):
        disk.error = OSError(errno.EIO, "the disk fails") if number % 2 else None
        disk.commit.wait(disk.append())

    assert len(disk.commit._failures) <= 64


def test_records_that_are_given_up_are_those_that_wait() -> None:
    """Nobody can sync the waiting records any more. A record that was synced before stays synced."""
    disk = Disk()
    disk.commit.wait(disk.append())
    disk.commit.give_up(1, OSError(errno.EIO, "too late"))
    disk.append()
    disk.append()
    disk.commit.give_up(2, OSError(errno.ENOENT, "the folder is gone"))

    assert disk.commit.wait(1) is None
    assert str(disk.commit.wait(2)) == "[Errno 2] the folder is gone"
    assert disk.commit.wait(3) is None
    assert disk.synced == [1, 3]


def test_interrupted_sync_is_run_again_by_the_next_thread() -> None:
    """Records of an interrupted sync do not count as synced, and nobody waits for the thread that was interrupted."""
    disk = Disk()
    disk.ready.clear()
    disk.error = KeyboardInterrupt()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(disk.commit.wait, disk.append())
        wait_until(lambda: disk.begun or None)
        other = pool.submit(disk.commit.wait, 1)
        wait_until(lambda: disk.commit._changed._waiters or None)
        disk.ready.set()
        with pytest.raises(KeyboardInterrupt):
            first.result()
        with pytest.raises(KeyboardInterrupt):
            other.result()
    disk.error = None

    assert disk.commit.wait(1) is None
    assert (disk.begun, disk.synced) == (3, [1])


def test_handler_of_a_signal_does_not_wait_for_the_sync_that_it_interrupts() -> None:
    disk = Disk()
    begin, waited = disk.begin, []

    def interrupted() -> tuple[int, object]:
        last, sync = begin()
        if not waited:
            waited.append(None)
            waited.append(disk.commit.wait(disk.append()))
        return last, sync

    commit = disk.commit = GroupCommit(interrupted, synced=0)  # type: ignore[arg-type]
    # In a thread, so that a handler that waits for itself is a failure, and not a test without an end.
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(commit.wait(disk.append())), daemon=True)
    thread.start()
    join(thread)

    assert results == [None]
    assert commit.wait(2) is None
    assert disk.synced == [2, 1], "the second record is not synced again"


def test_failure_is_reported_although_the_handler_of_a_signal_has_synced_more_meanwhile() -> None:
    """The system reports a failure once: to the sync that was interrupted, and not to that of the handler."""
    disk = Disk()

    def begin() -> tuple[int, Sync]:
        last = disk.last
        begun.append(last)

        def sync() -> None:
            if last == 1:
                assert commit.wait(disk.append()) is None
                raise OSError(errno.EIO, "the disk fails")

        return last, sync

    begun: list[int] = []
    commit = GroupCommit(begin, synced=0)

    assert isinstance(commit.wait(disk.append()), NotSyncedError)
    assert isinstance(commit.failure_of(1), NotSyncedError)
    assert commit.wait(2) is None
    assert begun == [1, 2], "the record of the handler is not synced again"


@pytest.mark.parametrize("error", [IndexError, RuntimeError])
def test_handler_of_a_signal_may_wake_those_who_wait_while_its_thread_does(error: type[Exception]) -> None:
    """`threading.Condition` finds no thread any more then, and raises: the record is synced all the same."""

    class Interrupted(threading.Condition):
        def notify_all(self) -> None:
            super().notify_all()
            raise error

    commit = GroupCommit(lambda: (1, lambda: None), synced=0)
    commit._changed = Interrupted(commit._lock)

    assert commit.wait(1) is None
    commit.give_up(2, OSError(errno.EIO, "gone"))
    assert isinstance(commit.failure_of(2), NotSyncedError)


def test_handler_of_a_signal_that_raises_keeps_nobody_waiting() -> None:
    """The handler may raise at any step: also when the thread will run the next sync, and has not begun it."""
    sequences = itertools.count(1)
    # No `Disk`: the interrupt could keep the lock of its event.
    commit = GroupCommit(lambda: (next(sequences), lambda: None), synced=0)

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    with handler_of(signal.SIGALRM, interrupt):
        for number in range(200):
            with contextlib.suppress(Interrupted):
                signal.setitimer(signal.ITIMER_REAL, (20 + number % 40) / 1e6)
                for _ in range(1_000):  # an end, should the interrupt come where Python ignores exceptions
                    commit.wait(next(sequences))
    result_in_time(lambda: commit.wait(next(sequences)))
