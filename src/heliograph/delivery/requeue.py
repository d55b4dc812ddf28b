"""Puts dead letters back into the outbox, to be sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from heliograph.delivery.dead_letters import DeadLetter
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.writer import JournalWriter


def requeue(box: OutboxDirectory, letters: Iterable[DeadLetter]) -> None:
    """Move dead letters to new folders of the outbox, one for each resource in a row. The next process that looks sends them.

    The records are on the disk before they are deleted from the dead letters. If the machine stops in between, they exist
    twice, and are delivered twice; the other order could lose them.

    Raises:
        OSError: The disk is full or fails. Dead letters that were not moved are still there.
        OutboxError: The dead letters cannot be deleted.
    """
    for _, group in itertools.groupby(letters, key=lambda letter: letter.header):
        _move(box, list(group))


def _move(box: OutboxDirectory, letters: list[DeadLetter]) -> None:
    lock = box.create_folder(letters[0].header.signal)
    writer = JournalWriter(lock.folder, letters[0].header, durable=True)
    for letter in letters:
        writer.append(letter.entry.scope, letter.entry.encoded)
    writer.commit(writer.last_sequence)
    writer.close()
    lock.release()
    box.dead_letters.remove(letter.id for letter in letters)
