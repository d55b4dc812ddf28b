"""Read the state of an outbox for people: records that wait, folders that cannot be read, dead letters, and damaged bytes.

Reading changes nothing.

Processes may work in the outbox meanwhile: a folder may disappear at any moment, because its owner has sent all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment_order import last_sequence
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import signal_of_folder
from heliograph.errors import OutboxError


@dataclass(frozen=True, kw_only=True)
class OutboxState:
    """The state of an outbox.

    Attributes:
        folders: The folders that can be read, with the records that wait in each.
        stuck: A sentence for each folder or file that cannot be read, or must not be trusted.
        dead_letters: The number of dead letters.
        damaged_files: The number of files with bytes that could not be read.
    """

    folders: list[dict[str, Any]]
    stuck: list[str]
    dead_letters: int
    damaged_files: int

    @classmethod
    def of(cls, outbox: OutboxDirectory) -> OutboxState:
        """Return the state of an outbox as it is now."""
        folders, stuck, dead_letters = [], [str(each) for each in outbox.untrusted_paths()], 0
        for folder in outbox.folders():
            try:
                found = _read_state(outbox, folder)
            except OutboxError as error:
                stuck.append(str(error))
            else:
                folders += [] if found is None else [found]
        try:
            dead_letters = outbox.dead_letters.count()
        except OutboxError as error:
            stuck.append(str(error))
        return cls(folders=folders, stuck=stuck, dead_letters=dead_letters, damaged_files=len(outbox.damaged_files()))

    @property
    def waiting(self) -> int:
        """The number of records that wait."""
        return sum(each["waiting"] for each in self.folders)

    @property
    def is_clean(self) -> bool:
        """True if nothing waits, is stuck, is dead or was damaged."""
        return not (self.waiting or self.stuck or self.dead_letters or self.damaged_files)

    def totals(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {"waiting": self.waiting, "dead_letters": self.dead_letters, "damaged_files": self.damaged_files}


def _read_state(outbox: OutboxDirectory, folder: Path) -> dict[str, Any] | None:
    """Return the state of a folder, or `None` if it was deleted meanwhile.

    Raises:
        OutboxError: The folder cannot be read.
    """
    try:
        is_held = outbox.is_locked(folder)
        reader = JournalReader(folder, is_live=is_held, read_only=True)
        waiting = reader.waiting(last_sequence(folder))
        batch = reader.read(max_bytes=1, max_records=1)
        reader.close()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutboxError(folder, f"it cannot be read: {error}") from error
    return {
        "folder": folder.name,
        "signal": signal_of_folder(folder).name,
        "held": is_held,
        "waiting": waiting,
        "delivered": reader.acknowledged,
        "oldest_age": 0.0 if batch is None else round(batch.entries[0].age_seconds(batch.header.signal), 1),
    }
