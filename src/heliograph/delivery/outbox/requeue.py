"""Put dead letters back into the outbox, to be sent again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from heliograph.delivery.journal.frames import HEAD_BYTES, dump_header, dump_scope
from heliograph.delivery.journal.writer import SEGMENT_BYTES, JournalWriter
from heliograph.delivery.outbox.dead_letters import DeadLetter
from heliograph.delivery.outbox.folders import OutboxDirectory


def requeue(outbox: OutboxDirectory, letters: Iterable[DeadLetter]) -> None:
    """Move dead letters to new folders of the outbox. The next process that looks for orphans sends them.

    Consecutive dead letters with the same resource go to one folder.

    The records are on the disk before they are deleted from the dead letters. If the machine stops in between, they exist
    twice, and are delivered twice; the other order could lose them.

    Raises:
        OutboxFull: The outbox has no room for all of them within its maximum size. No dead letter was moved.
        OSError: The disk is full or fails. Dead letters that were not moved are still there.
        OutboxError: The dead letters cannot be deleted.
    """
    groups = [list(group) for _, group in itertools.groupby(letters, key=lambda letter: letter.header)]
    if groups:  # else there is nothing to refuse
        outbox.space.check(sum(map(_size_of, groups)))
    for group in groups:
        _move(outbox, group)


def _size_of(letters: Sequence[DeadLetter]) -> int:
    """Return the size of a journal of dead letters that have one header, in bytes, with each scope defined for each record."""
    return len(dump_header(letters[0].header)) + sum(
        2 * HEAD_BYTES + len(dump_scope(each.entry.scope)) + len(each.entry.encoded) for each in letters
    )


def _move(outbox: OutboxDirectory, letters: Sequence[DeadLetter]) -> None:
    lock = outbox.create_folder(letters[0].header.signal)
    try:
        writer = JournalWriter(
            lock.folder,
            letters[0].header,
            durable=True,
            # Not larger: it could be refused although the records fit.
            segment_bytes=min(SEGMENT_BYTES, _size_of(letters)),
            make_room=outbox.space.check,
        )
        try:
            for letter in letters:
                writer.append(letter.entry.scope, letter.entry.encoded)
            writer.commit(writer.last_sequence)
        finally:
            writer.close()
    except BaseException:
        # Otherwise the records in it would be sent, and would exist as dead letters, too.
        lock.delete_folder()
        raise
    lock.release()
    outbox.dead_letters.remove(letter.id for letter in letters)
