"""Give up the folder of a running process, after somebody else has deleted, moved or changed it.

If another process can still adopt the folder, it is an orphan from now on, and its records are sent as such. If not, the records of
its older segments are lost.

The last segment is a special case, because its writer has it open: its records can be read although its name is gone. If no other
process could read them by its name, they are returned, and the storage keeps them in memory.

Threads: the worker alone calls these functions. Other threads may append until `give_up` has detached the writer.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.salvage import cut_back, salvage
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.folder_lock import FolderLock

_DELETION_SECONDS: Final = 0.2
"""The time that somebody who deletes a folder has to finish, before its records are kept or counted."""


@dataclass(frozen=True, kw_only=True)
class LostFolder:
    """The records of a folder that was given up.

    Attributes:
        last_sequence: The sequence of the newest record that was written to the folder.
        orphan: The folder, if it has records to send and any process may adopt it.
        kept: The records that no process can read from the folder, but that its writer could still read, in order.
        lost: The number of records that nobody can read.
    """

    last_sequence: int
    orphan: Path | None
    kept: Sequence[Entry]
    lost: int


def is_lost(writer: JournalWriter, lock: FolderLock) -> bool:
    """Return True if somebody else has deleted, moved or changed the folder, its lock file or its last segment."""
    return not lock.is_in_place() or writer.is_lost()


def await_deletion(lock: FolderLock) -> None:
    """Wait a moment if somebody may be deleting the folder file by file.

    A file that is gone before the folder is given up can be kept or counted, and not later.
    """
    if lock.can_be_adopted():
        time.sleep(_DELETION_SECONDS)


def give_up(writer: JournalWriter, reader: JournalReader, lock: FolderLock) -> LostFolder:
    """End the writer of a lost folder, and return what becomes of its records. The caller closes the reader and the lock."""
    segment = writer.detach()
    can_be_adopted = lock.can_be_adopted()
    last = newest = writer.last_sequence
    kept: list[Entry] = []
    if segment is not None:  # pragma: no branch — the disk was full when the first record came
        if not (can_be_adopted and segment.has_name()):  # nobody else could read it
            kept = salvage(segment.path, segment.descriptor, reader.acknowledged)
            newest = kept[-1].sequence if kept else int(segment.path.stem) - 1
        elif not segment.is_whole():
            newest = cut_back(segment.path, segment.descriptor)
        segment.abandon()
    if not can_be_adopted:
        # Nobody reads the folder any more: all records that waited are lost, except those that are kept.
        lost = last + 1 - reader.waiting_from - len(kept)
        return LostFolder(last_sequence=last, orphan=None, kept=kept, lost=max(0, lost))
    # The records before the newest are in older segments, which the folder still has.
    lost = last - max(newest, reader.acknowledged)
    orphan = lock.folder if reader.acknowledged < last else None
    return LostFolder(last_sequence=last, orphan=orphan, kept=kept, lost=max(0, lost))
