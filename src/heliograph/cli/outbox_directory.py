"""Opens and reads the outbox that a command of ``heliograph outbox`` works on. Nothing in it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.batch import Batch
from heliograph.delivery.journal.order import last_sequence
from heliograph.delivery.journal.reader import JournalReader
from heliograph.errors import OutboxError
from heliograph.settings import Settings

_BATCH_BYTES: Final = 1024 * 1024
_BATCH_RECORDS: Final = 1000

directory_option = click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The outbox. Default: the value of HELIOGRAPH_OUTBOX.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_outbox(directory: Path | None) -> OutboxDirectory:
    """Return the outbox in a directory, or the one that the settings name.

    Raises:
        click.UsageError: No outbox is named, or it does not exist.
        OutboxError: It cannot be used.
    """
    settings = Settings.from_env()
    chosen = directory or settings.outbox
    if chosen is None:
        raise click.UsageError("name the outbox by --directory DIR, or set HELIOGRAPH_OUTBOX")
    if not chosen.is_dir():
        raise click.UsageError(f"{chosen} is not a directory; it is created when a program first uses it as its outbox")
    return OutboxDirectory(chosen, max_bytes=settings.outbox_max_bytes)


def open_reader(folder: Path, *, is_live: bool) -> JournalReader | None:
    """Return a reader that changes no file, or `None` if the folder was deleted meanwhile."""
    try:
        return JournalReader(folder, is_live=is_live, read_only=True)
    except FileNotFoundError:
        return None


def batches(folder: Path, reader: JournalReader, *, max_records: int = _BATCH_RECORDS) -> Iterator[Batch]:
    """Yield the records of a folder. End early if its owner deletes it meanwhile.

    Raises:
        OutboxError: The folder cannot be read.
    """
    try:
        while batch := reader.read(max_bytes=_BATCH_BYTES, max_records=max_records):
            yield batch
    except FileNotFoundError:  # pragma: no cover — another process deletes the folder at this moment
        return
    except OSError as error:
        raise OutboxError(folder, str(error)) from error


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
    def of(cls, box: OutboxDirectory) -> OutboxState:
        """Return the state of an outbox as it is now."""
        folders, stuck, dead_letters = [], [str(each) for each in box.untrusted_entries()], 0
        for folder in box.folders():
            try:
                found = _read_state(box, folder)
            except OutboxError as error:
                stuck.append(str(error))
            else:
                folders += [] if found is None else [found]
        try:
            dead_letters = box.dead_letters.count()
        except OutboxError as error:
            stuck.append(str(error))
        return cls(folders=folders, stuck=stuck, dead_letters=dead_letters, damaged_files=len(box.damaged_files()))

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


def _read_state(box: OutboxDirectory, folder: Path) -> dict[str, Any] | None:
    """Return the state of a folder, or `None` if it was deleted meanwhile.

    Raises:
        OutboxError: The folder cannot be read.
    """
    try:
        reader = JournalReader(folder, is_live=True, read_only=True)
        waiting = max(0, last_sequence(folder) - reader.acknowledged)
        batch = reader.read(max_bytes=1, max_records=1)
        reader.close()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutboxError(folder, f"it cannot be read: {error}") from error
    return {
        "folder": folder.name,
        "held": box.is_locked(folder),
        "waiting": waiting,
        "delivered": reader.acknowledged,
        "oldest_age": 0.0 if batch is None else round(batch.entries[0].age_seconds, 1),
    }
