"""Append records to the journal of one folder.

Any thread may call `JournalWriter.append`, and so may a signal handler, in the middle of an `append` of its own thread.
`_lock` guards the current segment, the full ones that are not synced yet, the scopes, the next segment's size and `last_sequence`. It
is held for the few microseconds of one append, and while a new segment is reserved. It is reentrant, because a signal handler
runs on a thread that may hold it.

Nothing is synced under this lock, so a thread that appends never waits for the disk: a durable journal keeps full segments open until
the next sync. Who waits for a sync, and who runs it, is up to `heliograph.delivery.journal.group_commit`, which has a lock of its own.
No thread takes that lock and then, while it holds it, this one.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.awaited_commits import AwaitedCommits
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
from heliograph.delivery.journal.group_commit import GroupCommit, NotSyncedError, Sync
from heliograph.delivery.journal.mapped import MappedSegmentWriter
from heliograph.delivery.journal.segment import SegmentWriter, segment_path
from heliograph.delivery.journal.sync import sync_folder
from heliograph.delivery.journal.unmapped import UnmappedSegmentWriter
from heliograph.delivery.trust import delete_file
from heliograph.errors import OutboxFull

SEGMENT_BYTES: Final = 16 * 1024 * 1024
"""The size that segments grow to by default."""

_FIRST_SEGMENT_BYTES: Final = 256 * 1024
_STRETCH_BYTES: Final = 64 * 1024
"""The bytes of a segment after which scopes are defined again."""


class JournalClosed(Exception):
    """The journal is closed and accepts no more records."""


class JournalBusy(Exception):
    """The calling thread is already in the middle of an `append`, which a signal handler interrupted.

    The handler cannot wait for it, and must not write into a half-written frame.
    """


class JournalWriter:
    """Appends records to the segments of a folder.

    Args:
        folder: The folder, which exists and whose lock this process holds.
        header: The resource that all records belong to.
        segment_bytes: The size that segments grow to. The first is small, because many processes reserve one and write little;
            each next is twice as large. A larger record gets a segment of its own.
        durable: True if `commit` will be called for each record. Full segments stay open until a sync has covered them.
        make_room: Called before a segment is made, with its size in bytes. It raises `OSError` if there is no room.
        begin_after: The sequence before the first one, in a folder that replaces a lost one.
        mapped: True to write through a memory map; False to write by system calls.

    Attributes:
        last_sequence: The sequence of the newest record; before the first, the one that it began after.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = False,
        make_room: Callable[[int], None] | None = None,
        begin_after: int = 0,
        mapped: bool = True,
    ) -> None:
        self._folder = folder
        self._header = dump_header(header)
        self._segment_bytes = segment_bytes
        self._first_bytes = self._next_bytes = min(segment_bytes, _FIRST_SEGMENT_BYTES)
        self._durable = durable
        self._segment_type = MappedSegmentWriter if mapped else UnmappedSegmentWriter
        self._make_room = make_room
        self._lock = threading.RLock()
        self._is_appending = False
        self._segment: SegmentWriter | None = None
        # Full segments that are not synced yet; the number of segments so far; and how many of their names are synced.
        self._full: list[SegmentWriter] = []
        self._names = self._synced_names = 0
        # The number of each scope, in all segments; the scopes that are defined in the current stretch (the part of a segment after
        # which scopes are defined again); and the free bytes of the segment at which the stretch ends.
        self._numbers: dict[Scope, int] = {}
        self._scopes: dict[Scope, int] = {}
        self._stretch_end = 0
        self._is_closed = False
        self.last_sequence = begin_after
        self._commits = GroupCommit(self._begin_sync, synced=begin_after)
        self._awaited = AwaitedCommits(self._commits)

    def append(self, scope: Scope, encoded: bytes) -> int:
        """Append a record. When it returns, the record survives the death of the process.

        Args:
            scope: The scope that the record belongs to.
            encoded: The record, from `entry_field`.

        Returns:
            The record's sequence.

        Raises:
            JournalBusy: The caller is a signal handler that interrupted this method.
            JournalClosed: The journal was closed.
            OSError: The disk is full, or fails. No part of the record is in the journal.
        """
        # Most threads wait here and not at the lock: each that is woken there would hold it while it waits for the GIL, and the
        # others behind it (a convoy). This way a thread gives the GIL away until nobody appends.
        while self._is_appending:
            # Only this thread can have begun it, then. `threading.Condition` relies on the same method.
            if self._lock._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001
                raise JournalBusy
            time.sleep(0)
        # A `with` statement, because an interrupt between `acquire` and `try` would keep the lock for ever.
        with self._lock:
            try:
                self._is_appending = True
                sequence = self.last_sequence + 1
                segment, number = self._segment, self._scopes.get(scope)
                size = HEAD_BYTES + len(encoded)
                if segment is None or number is None or segment.room - self._stretch_end < size:
                    segment, number = self._prepare(sequence, scope, size)
                room = segment.room
                # Before the write: in the other order, an interrupt between the two would give one sequence to two records, and
                # a reader would skip the second.
                self.last_sequence = sequence
                try:
                    segment.put(sequence, RECORD, number, encoded)
                except BaseException:
                    # A signal handler raised. One that has closed the journal has closed the segment, too.
                    if not self._is_closed and segment.room == room and segment.ends_blank():
                        # Otherwise the record would be missing: a gap means damage.
                        self.last_sequence -= 1
                    raise
            finally:
                self._is_appending = False
        return sequence

    def commit(self, sequence: int) -> None:
        """Return when everything up to a sequence is on the disk itself, so that it survives a power cut.

        Raises:
            NotSyncedError: The records are in the journal and will be sent, but the disk failed.
        """
        failure = self._commits.wait(sequence)
        if failure is not None:
            raise failure

    def begin_commit(self, sequence: int) -> Awaitable[NotSyncedError | None]:
        """Begin the same commit, for an event loop to await. The result is `None`, or the error if the disk failed."""
        return self._awaited.begin(sequence)

    def _begin_sync(self) -> tuple[int, Sync]:
        """Return the newest sequence, and a function that syncs everything up to it, which is called without the lock."""
        # The sequence is read before the sync, which covers only what was written before it began.
        with self._lock:
            full, current = tuple(self._full), self._segment
            return self.last_sequence, partial(self._sync, full, current, self._names)

    def _sync(self, full: Sequence[SegmentWriter], current: SegmentWriter | None, names: int) -> None:
        failure = None
        try:
            for each in full if current is None else (*full, current):
                each.sync()
            self._sync_names(names)
        except OSError as error:
            # After an interrupt this does not run: the next thread syncs these segments.
            failure = error
        self._close_full(full)
        if failure is not None:
            raise failure

    def _sync_names(self, names: int) -> None:
        """Write the names of new segments to the disk itself. Otherwise a power cut could remove a segment, although its content is synced."""
        if names > self._synced_names:
            if not self._synced_names:  # the folder is new, too
                sync_folder(self._folder.parent)
            sync_folder(self._folder)
            self._synced_names = max(names, self._synced_names)

    def _close_full(self, full: Sequence[SegmentWriter]) -> None:
        with self._lock:
            for each in full:
                # A signal handler may have synced and closed it in the meantime.
                if each in self._full:
                    self._full.remove(each)
                    each.close(cut=self._is_closed)

    def _prepare(self, sequence: int, scope: Scope, size: int) -> tuple[SegmentWriter, int]:
        """Define a scope in a segment that has room for a record. Return the segment, and the number of the scope in it.

        Args:
            sequence: The sequence that the record will have.
            scope: The record's scope.
            size: The size of the record's frame.
        """
        if self._is_closed:
            raise JournalClosed
        segment, definition = self._segment, dump_scope(scope)
        needed = HEAD_BYTES + len(definition) + size
        has_no_number = scope not in self._numbers and len(self._numbers) == MAX_SCOPES
        if segment is None or segment.room < needed or has_no_number:
            segment = self._roll(sequence, needed)
            if has_no_number:
                # Only now: if no segment could be made, the old one goes on, and none of its numbers may be given again.
                self._numbers = {}
        elif segment.room - self._stretch_end < size:
            self._begin_stretch(segment)
        # The scope is not defined here yet: otherwise `append` would not have called this, or a new segment or stretch has just begun.
        number = self._numbers.setdefault(scope, len(self._numbers))
        segment.put(sequence, SCOPE, number, definition)
        # This comes after the write, because records must not use a scope whose frame failed.
        self._scopes[scope] = number
        return segment, number

    def _begin_stretch(self, segment: SegmentWriter) -> None:
        """Begin a part of the segment that defines its scopes again, so that a damaged definition has copies."""
        self._scopes = {}
        self._stretch_end = max(0, segment.room - _STRETCH_BYTES)

    def _roll(self, sequence: int, needed: int) -> SegmentWriter:
        """Make the segment that begins with a sequence the current one, with room for at least `needed` bytes of frames."""
        least = len(self._header) + needed
        old = self._segment
        self._names += 1
        try:
            segment = self._new_segment(sequence, max(self._next_bytes, least), max(self._first_bytes, least))
            # Before the segment is used: records must not use a scope that only the old one defines.
            self._begin_stretch(segment)
            self._segment = segment
        except (FileExistsError, JournalClosed, OutboxFull):
            # The file is not ours, or none was created: there is nothing to delete.
            raise
        except BaseException:
            # A signal handler raised.
            if self._segment is old:  # pragma: no branch — a signal at the very moment after the new one is used
                # Otherwise the file would exist without being used: the next attempt to create it would fail, and the worker would take the
                # old segment for a finished one, and delete it.
                delete_file(segment_path(self._folder, sequence), self._folder.parent)
            raise
        if old is not None:
            # Not truncated: a full segment has little free space, and is deleted soon.
            if self._durable:
                self._full.append(old)
            else:
                old.close(cut=False)
        return segment

    def _new_segment(self, sequence: int, wanted: int, smallest: int) -> SegmentWriter:
        """Return a new segment of the wanted size or, to use the last space, of the smallest if the wanted one does not fit."""
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
        # Checked again: a signal handler may have closed the journal in the meantime, or forked. No reader expects the file then.
        if self._is_closed:
            raise JournalClosed
        return self._segment_type(segment_path(self._folder, sequence), size, self._header)

    def close(self) -> None:
        """Accept no more records, and truncate the last segment to its content. If durable, all of it is synced before."""
        with self._lock:
            self._is_closed = True
            if self._segment is not None:
                self._full.append(self._segment)
                self._segment = None
        if self._durable:
            # `commit` reports a failure of it to the threads that appended.
            self._commits.wait(self.last_sequence)
        self._close_full(tuple(self._full))
        self._awaited.close()

    def is_lost(self) -> bool:
        """Return True if the current segment was deleted, moved or shortened by somebody else. Any thread may call this."""
        segment = self._segment
        if segment is None or (segment.has_name() and segment.is_whole()):
            return False
        # If they differ, a thread has rolled in the meantime, and the worker may have deleted the finished segment.
        return segment is self._segment

    def detach(self) -> SegmentWriter | None:
        """Accept no more records, and return the current segment, which the caller closes. What is not synced counts as failed."""
        with self._lock:
            self._is_closed = True
            segment, self._segment = self._segment, None
            if self._durable:
                # Without this, the next sync would succeed, because it has no segment to sync.
                self._commits.give_up(self.last_sequence, OSError(errno.ESTALE, "its folder is lost"))
            full, self._full = self._full, []
            for each in full:
                each.abandon()
        self._awaited.end()
        return segment

    def abandon(self) -> None:
        """Accept no more records, and close the files without changing them, in the child of a fork, where they belong to the parent.

        A signal handler may have forked in the middle of an `append` of its own thread: in the child, that must not go on in the parent's
        folder. The locks are replaced: a thread of the parent may have held them at the fork, and does not exist in the child.
        """
        self._is_closed = True
        self._lock, self._is_appending = threading.RLock(), False
        self._commits = GroupCommit(self._begin_sync, synced=self.last_sequence)
        self._awaited = AwaitedCommits(self._commits)
        full, self._full = self._full, []
        segment, self._segment = self._segment, None
        for each in full if segment is None else (*full, segment):
            each.abandon()
