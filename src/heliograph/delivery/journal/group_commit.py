"""One sync of a journal to the disk itself at a time, shared by all threads that wait.

A sync covers what was appended before it began. So a thread that comes during a sync waits for the next one, which it shares with
all threads that have come by then: the more threads wait, the more records one sync covers. A thread that finds no sync under way
is the *leader*: it runs the next one for the others. No thread exists for this alone.

A failure concerns every record of its sync, whichever thread ran it. It is never hidden by a later success: after a failure, Linux
regards the pages as written, and the next sync of the same pages succeeds.

Threads: any thread calls `GroupCommit.wait`, and so may a signal handler, in the middle of a `wait` of its own thread.
`_lock` guards all writes to the fields, except that the leader ends its own lead without it. It is reentrant because of handlers. It is not
held during a sync, so that other threads can append. A handler may also raise, at any step. So the lock is entered by itself and not
through its condition, whose methods are Python code: a handler could end them before the lock is released.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

Sync: TypeAlias = Callable[[], None]

_MAX_FAILURES: Final = 64
"""The number of failures that are remembered, for threads that have not been woken since. Failures in a row are one."""


class NotSyncedError(OSError):
    """The record is in the journal and will be sent, but the disk could not be flushed: a power cut may lose it."""


class GroupCommit:
    """Waits until records are on the disk itself.

    Args:
        begin: Returns the sequence of the newest record, and a function that writes all records up to it to the disk itself.
        synced: The sequence up to which nothing has to be synced.
    """

    def __init__(self, begin: Callable[[], tuple[int, Sync]], synced: int) -> None:
        self._begin = begin
        self._synced = synced
        self._failures: deque[tuple[range, OSError]] = deque(maxlen=_MAX_FAILURES)
        self._leader: int | None = None
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)

    def wait(self, sequence: int) -> NotSyncedError | None:
        """Return when the sync of everything up to a sequence has ended: `None`, or the error if it failed."""
        me = threading.get_ident()
        try:
            with self._lock:
                # A signal handler may have interrupted this thread's own sync: it must not wait for itself.
                while self._synced < sequence and self._leader not in {None, me}:
                    self._changed.wait()
                must_lead = self._synced < sequence
                if must_lead:
                    self._leader = me
            if must_lead:
                self._lead()
        finally:
            # Also after an interrupt: another thread leads the next sync. The field is set before the lock is taken, because a second
            # interrupt could come in between, and all others would wait for a leader that is gone.
            if self._leader == me:
                self._leader = None
                with self._lock:
                    self._notify()
        return self.failure_of(sequence)

    def _lead(self) -> None:
        first, last = self._synced + 1, 0
        try:
            last, sync = self._begin()
            sync()
        except OSError as error:
            with self._lock:
                self._note(error, first, last)
                self._synced = max(self._synced, last)
        else:
            with self._lock:
                self._synced = max(self._synced, last)

    def give_up(self, last: int, failure: OSError) -> None:
        """Mark everything up to a sequence that is not synced yet as failed, because its files cannot be synced any more."""
        with self._lock:
            if self._synced < last:
                self._note(failure, self._synced + 1, last)
                self._synced = last
                self._notify()

    def _notify(self) -> None:
        """Wake all threads that wait. The lock is held."""
        # Raised if a signal handler does the same in the middle of it: everybody has been woken then. (RuntimeError: Python 3.10.)
        with suppress(IndexError, RuntimeError):
            self._changed.notify_all()

    def _note(self, failure: OSError, first: int, last: int) -> None:
        if self._failures and self._failures[-1][0].stop == first:
            first = self._failures.pop()[0].start
        self._failures.append((range(first, last + 1), failure))

    def failure_of(self, sequence: int) -> NotSyncedError | None:
        """Return the error of the sync that should have covered a record, or `None` if it has not failed."""
        if not self._failures:
            return None
        with self._lock:
            failures = [error for sequences, error in self._failures if sequence in sequences]
        return NotSyncedError(failures[0].errno, failures[0].strerror) if failures else None
