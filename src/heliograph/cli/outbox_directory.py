"""Open and read the outbox that a command of ``heliograph outbox`` works on. Nothing in it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from heliograph.delivery.journal.batch import Batch
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.errors import OutboxError
from heliograph.settings import Settings

_BATCH_BYTES: Final = 1024 * 1024
_BATCH_RECORDS: Final = 1000

directory_option = click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The outbox. Default: the value of HELIOGRAPH_OUTBOX.",
)


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


def open_reader(outbox: OutboxDirectory, folder: Path) -> JournalReader | None:
    """Return a reader that changes no file, or `None` if the folder was deleted meanwhile."""
    try:
        # The last record of a running process may be incomplete, because it is being written. This is not damage.
        return JournalReader(folder, is_live=outbox.is_locked(folder), read_only=True)
    except FileNotFoundError:
        return None


def batches(folder: Path, reader: JournalReader) -> Iterator[Batch]:
    """Yield the records of a folder. End early if its owner deletes it meanwhile.

    Raises:
        OutboxError: The folder cannot be read.
    """
    try:
        while batch := reader.read(max_bytes=_BATCH_BYTES, max_records=_BATCH_RECORDS):
            yield batch
    except FileNotFoundError:  # pragma: no cover — another process deletes the folder at this moment
        return
    except OSError as error:
        raise OutboxError(folder, str(error)) from error
