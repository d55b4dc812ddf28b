"""Orphans: folders whose process has died. Any other process that uses the outbox adopts them, sends them, and deletes them.

An orphan is used by one thread: the worker of a processor, or the command ``heliograph outbox drain``. Other threads only read
`Orphan.waiting` and `Orphan.reader.oldest`, for metrics, and may see values that are a batch old. In a forked child,
`Orphan.release` closes the files that were inherited, and nothing else may be called.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment_order import last_sequence
from heliograph.delivery.outbox.folder_lock import FolderLock
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.sending.sender import Outcome, Sender
from heliograph.delivery.signals import OutboxSignal
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

logger: Final = SafeLogger(SCOPE)


class Orphan:
    """A folder of a dead process, which this process has locked.

    Args:
        lock: The lock of the folder.
        on_deleted: Called after a part of the folder was deleted.

    Attributes:
        folder: The folder.
        reader: The reader of its journal.
        is_sent: True if every record in it was acknowledged, and the folder was deleted.
        is_stuck: True if every record in it was acknowledged, and the folder could not be deleted. It must not be adopted again:
            if its cursor could not be written, its records would be sent again and again.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, lock: FolderLock, on_deleted: Callable[[], None] = lambda: None) -> None:
        self.folder = lock.folder
        self.reader = JournalReader(lock.folder, is_live=False, on_deleted=on_deleted)
        self._lock = lock
        self._on_deleted = on_deleted
        self._last_sequence = last_sequence(lock.folder)
        self.is_sent = self.is_stuck = False

    @property
    def waiting(self) -> int:
        """The number of records that are not acknowledged yet."""
        return self.reader.waiting(self._last_sequence)

    def drain(self, sender: Sender, after_each: Callable[[], object], *, is_own: bool = False) -> bool:
        """Send batch after batch, until the server accepts no more or the folder is empty; an empty folder is deleted.

        Args:
            sender: The sender.
            after_each: Called after each batch. The worker sends the records of its own process there, so that a large
                orphan does not delay them.
            is_own: True if this process accepted the records, and gave the folder up.

        Returns:
            True if this process is done with the folder: it was sent and deleted, or it cannot be read or deleted, and was
            unlocked.
        """
        self.reader.is_own = is_own
        try:
            while (outcome := sender.send_next(self.reader)) is Outcome.SENT:
                after_each()
        except OSError as error:
            _log_unreadable(self.folder, error)
            self.release()
            return True
        # Delete only after EMPTY. To ask the sender again if it is ready would not do: a backoff that ends between the two
        # calls would make an unsent folder look like an empty one.
        if outcome is not Outcome.EMPTY:
            return False
        self.reader.close()
        failure = self._lock.delete_folder()
        self.is_sent, self.is_stuck = failure is None, failure is not None
        self._on_deleted()
        if self.is_stuck:
            message = "%s cannot be deleted (%s). What can be read in it was sent. It is passed over from now on."
            logger.error(message, self.folder, failure)
        return True

    def release(self) -> None:
        """Close the files and unlock the folder, for the next process that adopts it."""
        self.reader.close()
        self._lock.release()


def adopt(outbox: OutboxDirectory, signal: OutboxSignal, skip: Collection[Path] = ()) -> Iterator[Orphan]:
    """Lock and yield each orphan of a signal in the outbox.

    Args:
        outbox: The outbox.
        signal: The signal.
        skip: Folders to leave alone, because they were found to be unreadable or unsendable just now.
    """
    for lock in outbox.lock_orphans(signal):
        if lock.folder in skip:
            lock.release()
            continue
        try:
            yield Orphan(lock, outbox.space.note_freed)
        except OSError as error:
            _log_unreadable(lock.folder, error)
            lock.release()


def _log_unreadable(folder: Path, error: OSError) -> None:
    logger.error("%s cannot be read, and will be tried again later: %s", folder, error)
