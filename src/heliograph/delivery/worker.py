"""The worker: the background thread that sends the records of this process, and those of processes that have died.

Each `Worker` has one thread, and that thread alone calls the sender's `send_next`, the readers of journals, and the methods of
orphans. So none of them needs a lock against a second reader, requests go out one at a time, and each journal is sent in order.

Other threads meet the worker in four places:

- They call `wake`, which rings a `Bell`. Any thread may do it at any time, and so may a signal handler in the middle of
  a `wake` of its own thread.
- They call `wait_for` and `wait_for_orphans`, and wait at a condition that the worker notifies after each batch and each round.
  The condition guards no data. It only makes sure that a notification between "not done yet" and "wait" is not missed.
- They read `orphans`, for metrics. The worker never changes the list in place: it puts a new list there. A flush calls `has_to_send`, which
  reads a set that only grows.
- `close` sets `Sender.closed`, cancels the request under way, and joins the thread. The files of journals may be touched by
  others only if it returns True.

In a forked child the thread does not exist. The processor calls `abandon` there, and makes a new `Worker`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from opentelemetry.context import attach, set_value

from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.sending.orphans import Orphan, adopt
from heliograph.delivery.sending.sender import Outcome, Sender
from heliograph.delivery.storage import ResourceStorage
from heliograph.runtime.bell import Bell
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.otel_api import SUPPRESS_INSTRUMENTATION

MAX_OPEN_ORPHANS: Final = 16
"""The number of orphans that are open at once. Each holds two files, and the system limits the number of files of a program."""

_POLL_SECONDS: Final = 0.2
"""The longest time that a record waits for the worker after a quiet time, if nothing wakes it."""
_LINGER_SECONDS: Final = 1.0
"""The longest time that a record waits after a round in which records were sent, since more of them will come.

A round of few records costs as much as encoding a hundred, so steady traffic makes one request a second, as the SDK's batch processor
does by default.
"""
_ADOPT_SECONDS: Final = 10.0
"""The time between two searches for orphans, while there are few of them."""
_MIN_JOIN_SECONDS: Final = 1.0
"""The shortest time that `close` waits for the thread. A cancelled request ends at once, but its thread has to be scheduled."""
_CHECK_SECONDS: Final = 5.0
"""The longest pause, however long the server has asked to wait: the folder is checked after it (`ResourceStorage.recover`)."""
_ERROR_PAUSE_SECONDS: Final = 1.0
"""The pause after an unexpected error, so that a disk that fails does not fill the log."""

logger: Final = SafeLogger(SCOPE)


class Worker:
    """Starts a thread that sends until `close` is called.

    Args:
        outbox: The outbox, in which it looks for orphans.
        sender: The sender. Only this worker's thread may send with it.
        storages: Returns the storages of this process. It is called from the thread, before each round.
        report: Called from the thread, in each round: logs what threads that emit could not, because they held a lock.

    Attributes:
        orphans: The orphans that are being sent. Replaced as a whole by the thread, never changed in place.
    """

    def __init__(
        self,
        outbox: OutboxDirectory,
        sender: Sender,
        storages: Callable[[], Iterable[ResourceStorage]],
        report: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._sender = sender
        self._storages = storages
        self._report = report
        self._bell = Bell()
        self._progress = threading.Condition()
        self.orphans: list[Orphan] = []
        # True until a search found fewer orphans than may be open. `wait_for_orphans` reads it from other threads.
        self._may_have_more_orphans = True
        self._unreadable: set[Path] = set()
        self._stuck: set[Path] = set()
        self._log = LimitedLog(logger)
        self._adopt_at = 0.0
        self._sent_storages_at = float("-inf")
        self._has_sent = False
        self._thread = threading.Thread(target=self._run, name="heliograph-outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Make the thread look for records now, and not only at its next poll."""
        self._bell.ring()

    def wait_for(self, is_done: Callable[[], bool], deadline: Deadline) -> bool:
        """Wait until `is_done` returns True. Return False if the deadline passes first.

        Args:
            is_done: Called at once, and then after each batch, with the condition held: it must be quick.
            deadline: The latest time to return.
        """
        with self._progress:
            while not is_done():
                if not deadline.remaining():
                    return False
                self._progress.wait(deadline.remaining() / 1000)
        return True

    def wait_for_orphans(self, deadline: Deadline) -> None:
        """Wait until all orphans are sent, the server accepts no more, or the deadline passes."""
        self.wait_for(
            lambda: not (self.orphans or self._may_have_more_orphans) or not self._sender.is_ready(),
            deadline,
        )

    def has_to_send(self, folder: Path) -> bool:
        """Return True if the folder of an orphan may still have records to send. One that was sent and cannot be deleted has none."""
        return folder not in self._stuck and os.path.lexists(folder)

    def close(self, deadline: Deadline) -> bool:
        """Cancel the request under way, and end the thread.

        Returns:
            True if the thread has ended. If not, it may still read a journal, and no one else may close its files.
        """
        self._sender.close()
        self.wake()
        self._thread.join(max(_MIN_JOIN_SECONDS, deadline.remaining() / 1000))
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Close the inherited files of orphans, in a forked child. The parent keeps their locks, and sends them."""
        for orphan in self.orphans:
            orphan.release()

    def _run(self) -> None:
        # Else an instrumented HTTP or gRPC client would make a span of each request. The span would be sent by a request, and so on.
        attach(set_value(SUPPRESS_INSTRUMENTATION, True))
        while not self._sender.closed.is_set():
            with self._logged_errors():
                self._report()
                if time.monotonic() >= self._adopt_at:
                    # Set before the search: one that fails must not be tried first in each round, before own records.
                    self._adopt_at = time.monotonic() + _ADOPT_SECONDS
                    self._unreadable.clear()
                    self._adopt_some()
                self._send_storages()
                self._send_orphans()
                # All open orphans were sent, and there may be more: continue now, and not in ten seconds.
                while self._may_have_more_orphans and not self.orphans:
                    self._adopt_some()
                    self._send_orphans()
            self._notify_progress()
            # Checked again: the ring of `close` may have ended the wait between two batches of an orphan.
            if not self._sender.closed.is_set():
                pause = _LINGER_SECONDS if self._has_sent else _POLL_SECONDS
                self._bell.wait(max(pause, min(self._sender.waiting_seconds(), _CHECK_SECONDS)))
        orphans, self.orphans = self.orphans, []
        for orphan in orphans:
            orphan.release()

    @contextlib.contextmanager
    def _logged_errors(self) -> Iterator[None]:
        """Log an unexpected error and pause. The thread must survive it, since nothing would be sent without the thread."""
        try:
            yield
        except Exception as error:
            message = "%ss of the outbox could not be sent (%s); they will be tried again."
            word = self._sender.signal.word.capitalize()
            self._log.log(type(error).__name__, message, word, error, error=error)
            self._sender.closed.wait(_ERROR_PAUSE_SECONDS)

    def _adopt_some(self) -> None:
        """Adopt orphans, until as many are open as may be."""
        try:
            for orphan in itertools.islice(
                adopt(self._outbox, self._sender.signal, self._unreadable | self._stuck),
                MAX_OPEN_ORPHANS - len(self.orphans),
            ):
                # One at a time: if the search fails, those that it has locked must not be forgotten.
                self.orphans = [*self.orphans, orphan]
        finally:
            self._may_have_more_orphans = len(self.orphans) == MAX_OPEN_ORPHANS

    def _send_orphans(self) -> None:
        for orphan in self.orphans:
            # One orphan that cannot be sent does not stop the others.
            with self._logged_errors():
                # Asked in each round: a folder may have been adopted before it was given up.
                is_own = any(orphan.folder in storage.orphaned for storage in self._storages())
                if orphan.drain(self._sender, self._send_storages_if_due, is_own=is_own):
                    self._forget(orphan)

    def _forget(self, orphan: Orphan) -> None:
        """Forget an orphan that was sent, or cannot be."""
        if orphan.is_stuck:
            self._stuck.add(orphan.folder)
        elif not orphan.is_sent:
            # Not adopted again before the next search: else sixteen unreadable folders would keep all others waiting for
            # ever.
            self._unreadable.add(orphan.folder)
        self.orphans = [each for each in self.orphans if each is not orphan]

    def _send_storages_if_due(self) -> None:
        """Between two batches of an orphan, send the records of this process as often as without an orphan."""
        if self._bell.wait(0) or time.monotonic() - self._sent_storages_at >= _POLL_SECONDS:
            self._send_storages()

    def _send_storages(self) -> None:
        """Send what waits in the storages of this process, as long as the server accepts it.

        Records that come meanwhile wait for the next round. If they were sent at once, then under steady traffic each request
        would carry only the few records that came during the one before, and cost more than they do.
        """
        self._sent_storages_at = time.monotonic()
        self._has_sent = False
        for storage in self._storages():
            self._recover(storage)
            for source, last_sequence in storage.waiting_sources():
                # One journal that cannot be read does not stop the others.
                with self._logged_errors():
                    while source.acknowledged < last_sequence and self._sender.send_next(source) is Outcome.SENT:
                        self._has_sent = True
                        self._notify_progress()

    def _recover(self, storage: ResourceStorage) -> None:
        """Check that the folder of a storage is still in the outbox, and count what is lost if it is not."""
        with self._logged_errors():
            before = storage.orphaned
            lost = storage.recover()
            if lost:
                self._sender.count_lost(lost)
            if storage.orphaned is not before:
                # The next round looks for orphans again, because a flush may wait for it.
                self._adopt_at = 0.0

    def _notify_progress(self) -> None:
        with self._progress:
            self._progress.notify_all()
