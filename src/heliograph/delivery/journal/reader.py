"""Reads what is in a journal, whatever happened to its files."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.batch import Batch, Entry
from heliograph.delivery.journal.cursor import read_cursor, write_cursor
from heliograph.delivery.journal.frames import HEAD_BYTES, SCOPE, Scope, SegmentError, next_frame
from heliograph.delivery.journal.segment import SegmentReader, segments

DAMAGED: Final = "damaged"

_NO_SCOPE: Final = Scope(scope=b"")


class JournalReader:
    """Reads the records of a folder from its cursor on, while a writer may append to it.

    Whatever is in the files, it reads what can be read: damage is passed over to the next whole frame, counted, and the
    bytes are set aside.

    Args:
        folder: The folder.
        is_live: Whether a writer still appends to it: then a segment that ends may go on.
        read_only: Whether no file is touched: for who looks at a folder whose lock another process holds.

    Attributes:
        acknowledged: Up to where nothing needs sending any more.
        damaged: How many records could not be read; of the end of a journal it cannot be known, and counts as one.
        damaged_bytes: How many bytes that was.
        oldest: The record that waits longest, of those that were read.
    """

    def __init__(self, folder: Path, *, is_live: bool, read_only: bool = False) -> None:
        self._folder = folder
        self._is_live = is_live
        self._read_only = read_only
        self._segment: SegmentReader | None = None
        self._finished = 0
        self.acknowledged = read_cursor(folder)
        self._next = self.acknowledged + 1
        # What a process gave up for newer records is no damage, and was counted then.
        self._given_up_before = next((first for first, _ in segments(folder)), 0)
        self._told_damaged = 0
        self._counted_before = 0  # what was counted once is not when it is read again
        self.damaged = 0
        self.damaged_bytes = 0
        self.oldest: Entry | None = None

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """The next records, at least one if there is any: `None` means that all was read that is there now."""
        while (segment := self._segment or self._open_next()) is not None:
            entries = self._entries(segment, max_bytes, max_records)
            if entries:
                self.oldest = self.oldest or entries[0]
                return Batch(header=segment.header, entries=tuple(entries))
            if not self._pass_over(segment):
                return None
        return None

    def _entries(self, segment: SegmentReader, max_bytes: int, max_records: int) -> list[Entry]:
        """The next records up to an end, or to damage."""
        entries: list[Entry] = []
        size = 0
        for sequence, kind, scope_number, content, _ in segment.frames():
            if sequence > self._next:
                self._count_damaged(sequence)
                self._next = sequence
            if kind == SCOPE:
                segment.define(scope_number, content)
            elif sequence == self._next:
                entries.append(Entry(sequence, segment.scopes.get(scope_number, _NO_SCOPE), content))
                self._next = sequence + 1
                size += len(content)
                if size >= max_bytes or len(entries) >= max_records:
                    break
        return entries

    def _pass_over(self, segment: SegmentReader) -> bool:
        """Go on behind what is no frame; whether there is anything."""
        has_ended = segment.has_ended()
        is_over = self._is_over(segment)  # asked before the rest is read: to what is over then nothing is added
        if has_ended and not is_over:
            return False
        rest = segment.rest()
        start = next_frame(rest, range(segment.first, self._next + len(rest) // HEAD_BYTES + 1))
        if start is not None:
            if start:  # else it was just written
                self._set_aside(segment.path, segment.position, rest[:start])
            segment.position += start
            return True
        if rest.strip(b"\0"):
            self._set_aside(segment.path, segment.position, rest)
            if is_over and not has_ended and self._is_last(segment):
                self._count_damaged(self._next + 1)
        if is_over:
            self._finished = segment.first
            self.close()
        return is_over

    def rewind(self) -> None:
        """Begin again after what is acknowledged."""
        self.close()
        self._next = self.acknowledged + 1
        self._finished = 0

    def acknowledge(self, sequence: int) -> None:
        """Note that all up to here needs no sending any more, and delete the segments in which nothing else is.

        Raises:
            OSError: The cursor cannot be written; what was sent would be sent once more after a restart.
        """
        self.acknowledged = max(self.acknowledged, sequence)
        if self.oldest is not None and self.oldest.sequence <= sequence:
            self.oldest = None
        write_cursor(self._folder, self.acknowledged)
        for (_, path), (following, _) in itertools.pairwise(segments(self._folder)):
            if following > self.acknowledged + 1:
                break
            if self._segment is not None and self._segment.path == path:
                self.close()
            path.unlink(missing_ok=True)

    def take_damaged(self) -> int:
        """How many records turned out to be damaged since this was asked last."""
        told, self._told_damaged = self._told_damaged, self.damaged
        return self.damaged - told

    def give_up_before(self, sequence: int) -> int:
        """Do without what is before this sequence; how many records that are."""
        waiting_from = max(self._given_up_before, self.acknowledged + 1)
        self._given_up_before = max(self._given_up_before, sequence)
        return max(0, sequence - waiting_from)

    def close(self) -> None:
        """Let go of the files."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def _open_next(self) -> SegmentReader | None:
        """The segment with the next record; where it is gone, the one after it."""
        found = segments(self._folder)
        begin = max((first for first, _ in found if first <= self._next), default=0)
        for first, path in found:
            if first >= begin and first > self._finished:
                self._segment = self._try_open(first, path, is_last=first == found[-1][0])
                if self._segment is not None:
                    return self._segment
        return None

    def _try_open(self, first: int, path: Path, *, is_last: bool) -> SegmentReader | None:
        try:
            return SegmentReader(first, path)
        except FileNotFoundError:  # deleted meanwhile
            return None
        except SegmentError:
            if not (is_last and self._is_live):  # else it is being made right now
                self._leave_out(first, path, is_last=is_last)
            return None

    def _leave_out(self, first: int, path: Path, *, is_last: bool) -> None:
        """Set a file aside that is no segment; what was in it is known by what comes after it."""
        content = path.read_bytes().rstrip(b"\0")
        if content:  # else it was reserved, and its process died then
            self._set_aside(path, 0, content)
            if is_last:
                self._count_damaged(max(self._next, first) + 1)
        self._finished = first
        if not self._read_only:
            path.unlink(missing_ok=True)

    def _is_over(self, segment: SegmentReader) -> bool:
        """Whether nothing more will come in this segment."""
        return not (self._is_live and self._is_last(segment))

    def _is_last(self, segment: SegmentReader) -> bool:
        return not any(first > segment.first for first, _ in segments(self._folder))

    def _count_damaged(self, before: int) -> None:
        """What was to come before this sequence, and did not, is damaged."""
        self.damaged += max(0, before - max(self._next, self._given_up_before, self._counted_before))
        self._counted_before = max(self._counted_before, before)

    def _set_aside(self, path: Path, offset: int, data: bytes) -> None:
        data = data.rstrip(b"\0")
        self.damaged_bytes += len(data)
        if self._read_only:
            return
        with contextlib.suppress(OSError):  # what cannot be kept is counted all the same
            folder = self._folder / DAMAGED
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / f"{path.stem}-{offset}.bin"
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)


def last_sequence(folder: Path) -> int:
    """The sequence of the newest record of a folder, as far as its last segment can be read; 0 if it has none."""
    for first, path in segments(folder)[-1:]:
        with contextlib.suppress(OSError, SegmentError):
            segment = SegmentReader(first, path)
            try:
                return max((sequence for sequence, *_ in segment.frames()), default=first - 1)
            finally:
                segment.close()
        return first - 1
    return 0
