"""What a process left that is gone: its folder is sent by whoever holds the lock, and deleted then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.folders import FolderLock, OutboxDirectory
from heliograph.delivery.journal.reader import JournalReader, last_sequence
from heliograph.delivery.sender import Outcome, Sender
from heliograph.semconv import SCOPE

logger: Final = logging.getLogger(SCOPE)


class Orphan:
    """A folder of a process that is gone.

    Args:
        lock: The folder, whose lock is held.

    Attributes:
        reader: Reads what is in it.
        is_sent: Whether all in it was answered for, and it is deleted.
    """

    def __init__(self, lock: FolderLock) -> None:
        self.folder = lock.folder
        self.reader = JournalReader(lock.folder, is_live=False)
        self._folder_lock = lock
        self._last = last_sequence(lock.folder)
        self.is_sent = False

    @property
    def waiting(self) -> int:
        """How many records wait in it."""
        return max(0, self._last - self.reader.acknowledged)

    def drain(self, sender: Sender, after_each: Callable[[], object]) -> bool:
        """Send what is in it, batch by batch, as long as a server takes it; whether it is let go: sent, or unreadable."""
        try:
            while (outcome := sender.send_next(self.reader)) is Outcome.SENT:
                after_each()
        except OSError as error:
            _tell(self.folder, error)
            self.release()
            return True
        if outcome is not Outcome.EMPTY:
            return False
        self.reader.close()
        self._folder_lock.delete_folder()
        self.is_sent = True
        return True

    def release(self) -> None:
        """Leave it to whoever takes it next."""
        self.reader.close()
        self._folder_lock.release()


def adopt(outbox: OutboxDirectory, but: Collection[Path] = ()) -> Iterator[Orphan]:
    """What processes left that are gone, but for these folders."""
    for lock in outbox.lock_orphans():
        if lock.folder in but:
            lock.release()
            continue
        try:
            yield Orphan(lock)
        except OSError as error:
            _tell(lock.folder, error)
            lock.release()


def _tell(folder: Path, error: OSError) -> None:
    logger.error("%s cannot be read, and is left for later: %s", folder, error)
