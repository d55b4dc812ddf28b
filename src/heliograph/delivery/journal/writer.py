"""One process's journal: records are appended to segments, which are deleted once all in them is acknowledged.

A folder has ``<first sequence>.journal`` for each segment, ``cursor`` with the last acknowledged sequence, and ``damaged/``
with bytes that could not be read. Folders are 0700 and files 0600, whatever the umask.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import (
    HEAD_BYTES,
    MAX_SCOPES,
    RECORD,
    SCOPE,
    Header,
    Scope,
    dump_header,
    dump_scope,
)
from heliograph.delivery.journal.segment import SegmentWriter, segment_path

SEGMENT_BYTES: Final = 16 * 1024 * 1024

_FIRST_SEGMENT_BYTES: Final = 256 * 1024


class JournalClosed(Exception):
    """A journal that takes no more records."""


class JournalBusy(Exception):
    """A journal in which this very thread is in the middle of a record: the handler of a signal has one, too."""


class JournalWriter:
    """Appends records to the segments of a folder.

    Args:
        folder: The folder, which has to be there, and to be this writer's alone.
        header: What the records are made under.
        segment_bytes: How large a segment becomes: the first is small, since many processes reserve one and write little,
            and each next is twice as large; a larger record has one of its own.
        durable: Whether `append` returns only after the record is on the disk (one `msync`, shared by those who wait).
        make_room: Is asked before a segment of that many bytes is made; raises `OSError` if there is no room.

    Attributes:
        last_sequence: That of the newest record.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = False,
        make_room: Callable[[int], None] | None = None,
    ) -> None:
        self._folder = folder
        self._header = dump_header(header)
        self._segment_bytes = segment_bytes
        self._first_bytes = self._next_bytes = min(segment_bytes, _FIRST_SEGMENT_BYTES)
        self._durable = durable
        self._make_room = make_room
        self._lock = threading.RLock()
        self._is_appending = False
        self._flushed = threading.Condition()
        self._segment: SegmentWriter | None = None
        self._scopes: dict[Scope, int] = {}
        self._synced = 0
        self._flusher: int | None = None
        self._is_closed = False
        self.last_sequence = 0

    def append(self, scope: Scope, encoded: bytes) -> int:
        """Put a record into the journal; when it returns, the record survives the death of the process.

        Returns:
            Its sequence.

        Raises:
            JournalBusy: It was called by what interrupted it.
            JournalClosed: It was closed.
            OSError: The disk is full, or fails; the record is not there then, not even a part of it.
        """
        while not self._lock.acquire(blocking=False):  # a lock that is waited for becomes a convoy behind the GIL
            time.sleep(0)
        if self._is_appending:
            self._lock.release()
            raise JournalBusy
        self._is_appending = True
        try:
            sequence = self.last_sequence + 1
            segment, number = self._segment, self._scopes.get(scope)
            if segment is None or number is None or segment.room < HEAD_BYTES + len(encoded):
                segment, number = self._prepare(sequence, scope, HEAD_BYTES + len(encoded))
            self.last_sequence = sequence  # first: whatever interrupts this, a sequence is never given twice
            segment.put(sequence, RECORD, number, encoded)
        finally:
            self._is_appending = False
            self._lock.release()
        if self._durable:
            self._sync(sequence)
        return sequence

    def _prepare(self, sequence: int, scope: Scope, size: int) -> tuple[SegmentWriter, int]:
        """The segment that the record goes to, which has room for it, and the number of its scope there."""
        if self._is_closed:
            raise JournalClosed
        segment, definition = self._segment, dump_scope(scope)
        needed = HEAD_BYTES + len(definition) + size
        if segment is None or segment.room < needed or len(self._scopes) == MAX_SCOPES:
            segment = self._roll(sequence, needed)
        number = self._scopes.get(scope)
        if number is None:
            number = len(self._scopes)
            segment.put(sequence, SCOPE, number, definition)
            self._scopes[scope] = number
        return segment, number

    def _roll(self, sequence: int, needed: int) -> SegmentWriter:
        least = len(self._header) + needed
        segment = self._new_segment(sequence, max(self._next_bytes, least), max(self._first_bytes, least))
        old, self._segment = self._segment, segment
        self._scopes = {}
        if old is not None:
            old.close(sync=self._durable, cut=False)
        if self._durable:
            sync_folder(self._folder)
        return segment

    def _new_segment(self, sequence: int, wanted: int, smallest: int) -> SegmentWriter:
        """Of the size that is wanted, or, where there is no room for it, as small as the first was."""
        try:
            segment = self._reserved(sequence, wanted)
        except OSError:
            if wanted <= smallest:
                raise
            self._next_bytes = self._first_bytes
            return self._reserved(sequence, smallest)
        self._next_bytes = min(self._segment_bytes, 2 * self._next_bytes)
        return segment

    def _reserved(self, sequence: int, size: int) -> SegmentWriter:
        if self._make_room is not None:
            self._make_room(size)
        return SegmentWriter(segment_path(self._folder, sequence), size, self._header)

    def _sync(self, sequence: int) -> None:
        """Wait until the record is on the disk: whoever finds no flush under way makes one, for all who wait by then."""
        with self._flushed:
            while self._synced < sequence and self._flusher not in {None, threading.get_ident()}:
                self._flushed.wait()
            if self._synced >= sequence:
                return
            self._flusher = threading.get_ident()
        synced = 0
        try:
            with self._lock:
                segment, last = self._segment, self.last_sequence
            if segment is not None:
                segment.sync()
            synced = last
        finally:
            with self._flushed:
                self._synced, self._flusher = max(self._synced, synced), None
                self._flushed.notify_all()

    def close(self) -> None:
        """End; the last segment is cut to what is in it."""
        with self._lock:
            self._is_closed = True
            segment, self._segment = self._segment, None
            if segment is not None:
                segment.close(sync=self._durable, cut=True)

    def abandon(self) -> None:
        """Let go of the files without touching them: in the child of a fork they are the parent's."""
        self._lock, self._flushed = threading.RLock(), threading.Condition()
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.abandon()


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
