"""What a process left that is gone: its folder is sent by whoever holds the lock, and deleted then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.folders import Lease, Outbox
from heliograph.delivery.journal.reader import JournalReader, last_sequence
from heliograph.delivery.sender import Outcome, Sender
from heliograph.semconv import SCOPE

logger: Final = logging.getLogger(SCOPE)


class Leftover:
    """A folder of a process that is gone.

    Args:
        lease: The folder, whose lock is held.

    Attributes:
        reader: Reads what is in it.
        is_sent: Whether all in it was answered for, and it is deleted.
    """

    def __init__(self, lease: Lease) -> None:
        self.folder = lease.folder
        self.reader = JournalReader(lease.folder, is_live=False)
        self._lease = lease
        self._last = last_sequence(lease.folder)
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
        self._lease.remove()
        self.is_sent = True
        return True

    def release(self) -> None:
        """Leave it to whoever takes it next."""
        self.reader.close()
        self._lease.release()


def adopt(outbox: Outbox, but: Collection[Path] = ()) -> Iterator[Leftover]:
    """What processes left that are gone, but for these folders."""
    for lease in outbox.adopt():
        if lease.folder in but:
            lease.release()
            continue
        try:
            yield Leftover(lease)
        except OSError as error:
            _tell(lease.folder, error)
            lease.release()


def _tell(folder: Path, error: OSError) -> None:
    logger.error("%s cannot be read, and is left for later: %s", folder, error)
