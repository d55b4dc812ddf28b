"""Read the journal of one folder, whatever happened to its files.

A `JournalReader` belongs to one thread: the worker of the process that writes the journal, or the thread that owns an orphan.
Two things happen on other threads meanwhile:

- metrics and `force_flush` read `acknowledged` and `oldest`, without a lock, because each is replaced by one assignment, and
  `acknowledged` only grows;
- a thread that appends calls `give_up_before`, before it deletes the oldest segment to make room. `_reading` guards the sequences
  from which records are read, sent and given up (`_next`, `_read_until`, `_given_up_before`, `_given_up`), so that each record is either
  read or given up. The reader holds it while it reads the records of a batch, and never while it logs. It is reentrant: the handler of
  a signal may emit a log record, which gives up spans, in the middle of a `give_up_before` of its own thread.

The writer appends to the last segment while this module reads it. A frame's length is written last, so a frame is there as a
whole or not at all, and the frames of a segment are complete as soon as the next segment exists.

How a batch is read:

1. Open the segment that holds the next sequence, or the first one after it if that one is gone.
2. Read its frames, in order, up to the limits of the batch. Frames below the next sequence were read before and are skipped.
   A frame above it means that records are missing: they are counted as damaged, unless they were given up.
3. Where no frame follows, there is an end or damage. After damage, go on at the next frame whose checksum is right.
4. A segment is finished when nothing can be appended to it any more: a next one exists, or the writer is gone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.batch import LOST_SCOPE, Batch, Entries, Entry
from heliograph.delivery.journal.cursor import read_cursor, write_cursor
from heliograph.delivery.journal.damage import Damage
from heliograph.delivery.journal.frames import HEAD_BYTES, SCOPE, Header, Scope, SegmentError, count_records, next_frame
from heliograph.delivery.journal.segment import SegmentReader, segments
from heliograph.delivery.journal.segment_order import first_sequences_by_content, last_sequence
from heliograph.delivery.journal.undamaged_copies import find_header, find_scope
from heliograph.delivery.trust import UntrustedPathError, delete_file, open_file
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE as SCOPE_NAME

logger: Final = SafeLogger(SCOPE_NAME)


class JournalReader:
    """Reads the records of a folder from its cursor on, while a writer may append to it.

    Damage never ends the reading: it goes on at the next undamaged frame. The records between are counted, and the bytes are
    saved (`damage`).

    Args:
        folder: The folder.
        is_live: True if a writer still appends to the folder. Then the end of the last segment is not the end of the journal.
        read_only: True if no file may be changed, to look at a folder whose lock another process holds.
        on_deleted: Called after a segment was deleted.
        on_dropped: Called with the number of records that were given up while they were sent, if no server accepted them.
        begin_after: The sequence before the first one, in a folder that replaces a lost one.

    Attributes:
        is_own: True if this process accepted the records.
        acknowledged: The sequence up to which all records are acknowledged.
        oldest: The record that has waited longest, of those that were read; `None` if none waits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        is_live: bool,
        read_only: bool = False,
        on_deleted: Callable[[], None] = lambda: None,
        on_dropped: Callable[[int], None] | None = None,
        begin_after: int = 0,
    ) -> None:
        self._folder = folder
        self._is_live = self.is_own = is_live
        self._read_only = read_only
        self._on_deleted = on_deleted
        self._on_dropped = on_dropped
        self._reading = threading.RLock()
        self._segment: SegmentReader | None = None
        # The header of a segment that was open, in case the headers of the next ones are damaged.
        self._header: Header | None = None
        # The first sequence of the last segment that was read to its end.
        self._finished = 0
        # The first sequences of segments that are not trusted, and were reported.
        self._passed_over: set[int] = set()
        # Copies of damaged scopes, by the first sequence of their segment and their number.
        self._found_scopes: dict[tuple[int, int], Scope] = {}
        self._firsts = {} if is_live else first_sequences_by_content(folder)
        found = self._segments()
        self.acknowledged = self._read_acknowledged(found, begin_after)
        # The sequence to read next, and the one after the last that `read` has returned. Giving up records moves only the first.
        self._next = self._read_until = self.acknowledged + 1
        # Ranges of records that were given up after they were read.
        self._given_up: list[tuple[int, int]] = []
        # Records before the oldest segment were acknowledged, or given up and counted by another reader: not damaged.
        self._given_up_before = next((first for first, _ in found), 0)
        self._damage = Damage(folder, read_only=read_only)
        self.oldest: Entry | None = None

    def _read_acknowledged(self, found: Sequence[tuple[int, Path]], begin_after: int) -> int:
        """Return the sequence up to which all records are acknowledged, by the cursor. A cursor that cannot be right is ignored."""
        acknowledged = max(begin_after, read_cursor(self._folder))
        # A folder with a cursor and no segment is half-deleted: everything in it was sent before its process was killed.
        if found and not self._is_live and acknowledged and last_sequence(self._folder) < acknowledged:
            message = "The cursor of %s is beyond its newest record: its records are sent, perhaps again."
            logger.error(message, self._folder)
            return 0
        return acknowledged

    @property
    def damaged(self) -> int:
        """The number of records that could not be read, or whose scope could not.

        At the end of a journal it is estimated from the lengths of the frames, as at least one.
        """
        return self._damage.records

    @property
    def damaged_bytes(self) -> int:
        """The number of damaged bytes."""
        return self._damage.size_bytes

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """Return the next records, at least one, or `None` if there is nothing more to read yet.

        Raises:
            OSError: A file cannot be read, or has a later version. Records may have been skipped: call `rewind` before the
                next `read`.
        """
        while (segment := self._segment or self._open_next()) is not None:
            with self._reading:
                entries = self._entries(segment, max_bytes, max_records)
                self._read_until = max(self._read_until, self._next if entries else 0)
            if entries:
                self.oldest = self.oldest or entries[0]
                return Batch(header=segment.header, entries=entries)
            if not self._skip_damage(segment):
                return None
        return None

    def _segments(self) -> list[tuple[int, Path]]:
        """Return the first sequence and the path of each segment, in the order of the records in them."""
        found = segments(self._folder, with_renamed=not self._is_live)
        return sorted((self._firsts.get(path, first), path) for first, path in found) if self._firsts else found

    def _entries(self, segment: SegmentReader, max_bytes: int, max_records: int) -> Entries:
        """Return the next records of a segment, up to the limits of the batch, the end or damage."""
        entries = Entries()
        size = 0
        for sequence, kind, scope_number, content, _ in segment.frames():
            if sequence > self._next:
                self._count_damaged(sequence)
                self._next = sequence
            # Scopes before the first record that is wanted are read too, because that record may use them.
            if kind == SCOPE:
                segment.define(scope_number, content)
            elif sequence == self._next:
                scope, contents = self._scope_of(segment, scope_number, sequence), [content]
                size += len(content)
                # Each record without a scope is counted.
                if scope is not LOST_SCOPE:
                    rest = max_records - len(entries) - 1
                    contents += segment.read_run(
                        sequence + 1, scope_number, max_bytes=max_bytes - size, max_records=rest
                    )
                    size = sum(map(len, contents), size - len(content))
                entries.extend(sequence, scope, contents)
                self._next = sequence + len(contents)
                if size >= max_bytes or len(entries) >= max_records:
                    break
        return entries

    def _scope_of(self, segment: SegmentReader, number: int, sequence: int) -> Scope:
        """Return the scope of a record. A record whose scope is lost is counted as damaged, although it is read."""
        scope = segment.scopes.get(number)
        if scope is None:
            place = segment.first, number
            # The scope is kept, because a rewind opens the segment again.
            if place not in self._found_scopes:
                self._found_scopes[place] = find_scope(self._folder, segment, number) or LOST_SCOPE
            scope = segment.scopes[number] = self._found_scopes[place]
        if scope is LOST_SCOPE:
            self._damage.count(sequence, sequence + 1)
        return scope

    def _skip_damage(self, segment: SegmentReader) -> bool:
        """Move on to the next frame or segment, from a position where no frame is. Return False if there is none yet."""
        has_ended = segment.has_ended()
        # Before the rest is read: if the segment is finished now, then nothing is added to it between the two.
        is_finished = self._is_finished(segment)
        if has_ended and not segment.has_name():
            # The segment was deleted to make room. Or its creation was interrupted and undone, and another file gets its name.
            self.close()
            return True
        if has_ended and not is_finished:
            return False
        rest = segment.rest()
        if self._skip_to_frame(segment, rest):
            return True
        if rest.strip(b"\0"):
            self._skip_rest(segment, rest, has_ended=has_ended, is_end=is_finished and self._is_last(segment))
        if is_finished:
            self._finished = segment.first
            self.close()
        return is_finished

    def _skip_to_frame(self, segment: SegmentReader, rest: bytes) -> bool:
        """Move on to the next undamaged frame of a segment, and save the bytes before it. Return False if there is none."""
        start = next_frame(rest, range(segment.first, max(self._next, segment.first) + len(rest) // HEAD_BYTES + 1))
        if start is None:
            return False
        # At 0, the frame has been written since we looked.
        if start:
            self._damage.save(segment.path, segment.position, rest[:start])
        segment.position += start
        return True

    def _skip_rest(self, segment: SegmentReader, rest: bytes, *, has_ended: bool, is_end: bool) -> None:
        """Save and count the bytes at the end of a segment, which has no frame any more.

        Args:
            segment: The segment.
            rest: The bytes from its position on.
            has_ended: True if no length of a frame is at their beginning.
            is_end: True if they are the end of the journal, too.
        """
        # A frame without a length at the end of the journal is no damage: the process was killed, and its `append` never
        # returned.
        if not (is_end and has_ended):
            self._damage.save(segment.path, segment.position, rest)
        # Records that are missing inside the journal are counted at the next frame, by its sequence. At the end of the
        # journal there is none.
        if is_end and not has_ended:
            self._count_damaged(self._next + max(1, count_records(rest)))

    def newest(self, known: Collection[int]) -> Entry | None:
        """Return the newest record that is not acknowledged and not known by its sequence; `None` if there is no other.

        It is read beside the batches, whose position does not change.
        """
        for first, path in reversed(self._segments()):
            with contextlib.suppress(OSError, SegmentError), contextlib.closing(SegmentReader(first, path)) as segment:
                entry = self._newest_of(segment, known)
                if entry is not None:
                    return entry
            if first <= self.acknowledged:
                break
        return None

    def _newest_of(self, segment: SegmentReader, known: Collection[int]) -> Entry | None:
        newest = None
        for sequence, kind, scope_number, content, _ in segment.frames():
            if kind == SCOPE:
                segment.define(scope_number, content)
            elif sequence > self.acknowledged and sequence not in known:
                newest = Entry(sequence, segment.scopes.get(scope_number, LOST_SCOPE), content)
        return newest

    def rewind(self) -> None:
        """Read on from the first record that is not acknowledged, so that records whose request failed come again."""
        with self._reading:
            self._next = self._read_until = self.acknowledged + 1
            dropped = sum(max(0, end - max(start, self._next)) for start, end in self._given_up)
            self._given_up.clear()
        if dropped and self._on_dropped is not None:
            self._on_dropped(dropped)
        self._finished = 0
        # Last: if it raises, the reader is rewound all the same.
        self.close()

    def acknowledge(self, sequence: int) -> None:
        """Mark all records up to a sequence as acknowledged, and delete the segments that hold no others.

        The last segment stays: the writer appends to it, and the owner of an orphan deletes the folder as a whole.

        Raises:
            OSError: The cursor cannot be written, so that the records would be sent once more after a restart; or a segment cannot be
                deleted. `acknowledged` has grown all the same.
        """
        self.acknowledged = max(self.acknowledged, sequence)
        if self.oldest is not None and self.oldest.sequence <= sequence:
            self.oldest = None
        # The cursor first: after a kill between the two, fewer records are sent once more than in the other order.
        write_cursor(self._folder, self.acknowledged)
        for (_, path), (following, _) in itertools.pairwise(self._segments()):
            if following > self.acknowledged + 1:
                break
            if self._segment is not None and self._segment.path == path:
                self.close()
            # A file that is not trusted was passed over when it was read, and is not deleted.
            with contextlib.suppress(UntrustedPathError):
                delete_file(path, self._folder.parent)
            self._on_deleted()

    def take_damaged(self) -> int:
        """Return the number of records that were found damaged since the last call."""
        return self._damage.take()

    def give_up_before(self, sequence: int) -> int:
        """Do not count records before a sequence as damaged: their segment is deleted to make room for newer ones.

        This is called by a thread that appends, not by the reader's own.

        Returns:
            The number of records that were given up: those before the sequence that were not read yet. Those that are being sent may
            be accepted. If they are not, `rewind` counts them.
        """
        with self._reading:
            unread_from = max(self.waiting_from, self._read_until)
            being_sent = [*self._given_up, (self.waiting_from, min(self._read_until, sequence))]
            self._given_up = [(start, end) for start, end in being_sent if end > max(start, self.acknowledged + 1)]
            self._given_up_before = max(self._given_up_before, sequence)
            self._next = max(self._next, sequence)
            return max(0, sequence - unread_from)

    @property
    def waiting_from(self) -> int:
        """The first sequence that was neither acknowledged nor given up."""
        return max(self._given_up_before, self.acknowledged + 1)

    def waiting(self, last_sequence: int) -> int:
        """Return the number of records that wait, without those that were dropped to make room.

        Args:
            last_sequence: The sequence of the newest record.
        """
        return max(0, last_sequence + 1 - self.waiting_from)

    def close(self) -> None:
        """Close the open segment, if there is one. The next `read` opens it again."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _open_next(self) -> SegmentReader | None:
        """Open the segment with the next sequence or, if it is gone, the first one after it. Return `None` if there is none."""
        found = self._segments()
        begin = max((first for first, _ in found if first <= self._next), default=0)
        for first, path in found:
            if first >= begin and first > self._finished:
                self._segment = self._try_open(first, path, is_last=first == found[-1][0])
                if self._segment is not None:
                    return self._segment
        return None

    def _try_open(self, first: int, path: Path, *, is_last: bool) -> SegmentReader | None:
        try:
            segment = SegmentReader(first, path)
        except FileNotFoundError:
            # A thread that appends deleted it to make room.
            return None
        except UntrustedPathError as error:
            self._pass_over(first, error)
            return None
        except SegmentError:
            # The last file of a living writer may be one that it is making right now, whose header is not written yet.
            if not (is_last and self._is_live):
                self._discard(first, path, is_last=is_last)
            return None
        if segment.version is None:
            segment.header = self._header or find_header(self._folder) or segment.header
        else:
            self._header = segment.header
        return segment

    def _pass_over(self, first: int, error: UntrustedPathError) -> None:
        """Report a segment that somebody else may have prepared. It is reported once, although it is found again in each pass."""
        if first not in self._passed_over:
            self._passed_over.add(first)
            logger.error("A file in the outbox is passed over: %s", error)

    def _discard(self, first: int, path: Path, *, is_last: bool) -> None:
        """Save and delete a file that is not a segment.

        Its records are counted at the next frame, by the sequence of that frame. If no segment follows, their number is unknown, and one
        is counted.
        """
        with os.fdopen(open_file(path, os.O_RDONLY, self._folder.parent), "rb") as file:
            content = file.read().rstrip(b"\0")
        # If it is empty, the process died after it reserved the file.
        if content:
            self._damage.save(path, 0, content)
            if is_last:
                self._count_damaged(max(self._next, first) + 1)
        self._finished = first
        if not self._read_only:
            delete_file(path, self._folder.parent)

    def _is_finished(self, segment: SegmentReader) -> bool:
        """Return True if nothing can be appended to a segment any more."""
        return not (self._is_live and self._is_last(segment))

    def _is_last(self, segment: SegmentReader) -> bool:
        return not any(first > segment.first for first, _ in self._segments())

    def _count_damaged(self, before: int) -> None:
        """Count the records from the next sequence up to this one, without those that were given up."""
        self._damage.count(max(self._next, self._given_up_before), before)
