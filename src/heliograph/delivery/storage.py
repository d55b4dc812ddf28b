"""The storage of one resource: a journal on disk, and a journal in memory for as long as the disk accepts nothing.

A request carries records of one resource, so each resource of a process has a storage of its own, in a folder of its own. The
folder is created with the first record: a processor without records creates nothing on the disk.

A record goes to memory in three cases: the disk failed within the last second, it fails now, or a signal handler emits
in the middle of an append of the same thread. Memory is bounded (`MemoryJournal`); what does not fit is not accepted. As soon
as an append to the disk works again, records go there. The worker sends from both journals, and order is kept within each.

**Threads.** Any number of threads, and signal handlers, call `append`. One thread, the worker, calls `sources` and reads
and acknowledges what they return. Threads that flush or read metrics call `last_sequences`, `is_acknowledged`, `accepted` and
`waiting`, which read single integers that only grow. `close` is called by one thread, after the worker has ended.

**Locks.** `_lock` guards two steps, so that no two threads create a folder, and none is created after `close`: from "no folder" to
"folder, reader and writer", and from "open" to "closed". It also guards the step back, if the folder is lost (`recover`). It is an
`RLock`, since a signal handler may come while its own thread holds it: the journal that the handler created is used then.
Between these steps the three fields do not change, and are read without a lock. `_writer` is set last: a thread that sees a writer
also sees the reader and the folder's lock. The journals have locks of their own.
`_failed_at` has no lock: if two threads see a failure at once, the disk is tried, or the failure is logged, once more. A thread that
drops segments for the records of another signal (`drop_oldest`) has no lock either: it reads `_reader` once.

A forked child calls `abandon` and then drops the storage: its files belong to the parent.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.group_commit import NotSyncedError
from heliograph.delivery.journal.memory import MemoryJournal
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalBusy, JournalClosed, JournalWriter
from heliograph.delivery.outbox.folder_lock import FolderLock
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.lost_folders import await_deletion, give_up, is_lost
from heliograph.delivery.trust import delete_file
from heliograph.errors import OutboxFull
from heliograph.runtime.deferred_waits import open_waits
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.values.text import counted

_DISK_PAUSE_SECONDS: Final = 1.0
"""The time after a failure in which the disk is not tried again: a failing disk can take long to fail, at every record."""
_MIN_SEGMENTS: Final = 2
"""The number of segments at which the oldest may be dropped. The last one is being written."""

logger: Final = SafeLogger(SCOPE)
_limited_log: Final = LimitedLog(logger)


class ResourceStorage:
    """Keeps the records of one resource until they are acknowledged.

    Args:
        header: The encoded resource.
        outbox: The outbox, in which it creates its folder.
        segment_bytes: The largest size of a segment.
        durable: True if a record is on the disk itself when `append` returns, and not only in the system's page cache.
        on_dropped: Called with the number of records that were dropped to make room for others.
        may_drop: True to drop the oldest records to make room for newer ones.
        drop_from_other_signals: Called if the outbox is full. It returns True if records of a signal with a smaller share were dropped.
        mapped: True to write through a memory map; False to write by system calls.

    Attributes:
        memory: The records that the disk did not accept.
        orphaned: The folders that were given up with records (`recover`), and that any process may adopt. Replaced as a whole.
    """

    def __init__(
        self,
        *,
        header: Header,
        outbox: OutboxDirectory,
        segment_bytes: int,
        durable: bool,
        on_dropped: Callable[[int], None],
        may_drop: bool = False,
        drop_from_other_signals: Callable[[], bool] = lambda: False,
        mapped: bool = True,
    ) -> None:
        self._header = header
        self._outbox = outbox
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._on_dropped = on_dropped
        self._may_drop = may_drop
        self._drop_from_other_signals = drop_from_other_signals
        self._mapped = mapped
        self.memory = MemoryJournal(header)
        self.orphaned: tuple[Path, ...] = ()
        self._lock = threading.RLock()
        self._folder_lock: FolderLock | None = None
        self._writer: JournalWriter | None = None
        self._reader: JournalReader | None = None
        # When the disk failed; `None` while it works.
        self._failed_at: float | None = None
        # The number of records that were moved from memory to disk, or back.
        self._moved = 0
        # The last sequence of the folders that were lost. The next folder continues after it.
        self._lost_until = 0
        # The last sequence in memory of the records that were kept from a lost folder.
        self._salvaged_until = 0
        # True if the last search found no segment that may be dropped.
        self._has_one_segment = False
        self._is_closed = False

    def append(self, scope: Scope, encoded: bytes) -> bool:
        """Store a record. Return False if neither the disk nor the memory has room for it.

        Raises:
            JournalClosed: The storage was closed.
            OutboxFull: The outbox has reached its maximum size. The record does not go to memory then: the limit is the
                user's, and not the disk's.
        """
        # Read once: another thread sets it to `None` as soon as the disk works again.
        failed_at = self._failed_at
        if failed_at is None or time.monotonic() - failed_at > _DISK_PAUSE_SECONDS:
            try:
                writer = self._writer or self._open()
                sequence = writer.append(scope, encoded)
                if self._durable:
                    _commit(writer, sequence)
            except OutboxFull:
                # This comes before OSError, which it is a subclass of.
                raise
            except JournalBusy:
                return self.memory.append(scope, encoded)
            except JournalClosed:
                if self._is_closed:
                    raise
                # The worker has just found that the folder is lost.
                return self.memory.append(scope, encoded)
            except NotSyncedError as error:
                _report_unsynced(error)
                # Not to memory as well: the record would be sent twice.
                return True
            except OSError as error:
                # Before the line about it: a handler of `logging` that emits would try the disk, and log, again and again.
                has_worked, self._failed_at = self._failed_at is None, time.monotonic()
                if has_worked:
                    # Not `exception`: a traceback would add nothing.
                    message = "The outbox cannot be written (%s): %ss are kept in memory."
                    logger.error(message, error, self._header.signal.word)  # noqa: TRY400
            else:
                if self._failed_at is not None:
                    self._failed_at = None
                    logger.warning("The outbox can be written again.")
                return True
        return self.memory.append(scope, encoded)

    def _open(self) -> JournalWriter:
        """Return the writer. The first call creates the folder.

        Raises:
            JournalClosed: The storage was closed.
            OSError: The disk is full or fails. No folder remains.
        """
        with self._lock:
            if self._is_closed:
                raise JournalClosed
            return self._writer or self._create_journal()

    def _create_journal(self) -> JournalWriter:
        """Create the folder with its reader and writer, and return the writer. The lock is held."""
        lock = self._outbox.create_folder(self._header.signal)
        try:
            reader = JournalReader(
                lock.folder,
                is_live=True,
                on_deleted=self._outbox.space.note_freed,
                on_dropped=self._on_dropped,
                begin_after=self._lost_until,
            )
            writer = JournalWriter(
                lock.folder,
                self._header,
                segment_bytes=self._segment_bytes,
                durable=self._durable,
                make_room=lambda size: self._make_room(lock.folder, size),
                begin_after=self._lost_until,
                mapped=self._mapped,
            )
        except BaseException:
            # Otherwise each attempt would add a folder that stays locked.
            lock.delete_folder()
            raise
        if self._writer is not None:
            # A signal handler has emitted in the meantime, and its journal has a record.
            lock.delete_folder()
            return self._writer
        self._reader, self._folder_lock, self._writer = reader, lock, writer
        return writer

    def _make_room(self, folder: Path, size: int) -> None:
        """Check that a segment fits, and drop old ones until it does, if that is allowed.

        The writer calls this before it creates a segment, with its lock held: only one thread at a time is here.

        Raises:
            OutboxFull: It does not fit.
        """
        while True:
            try:
                self._outbox.space.check(size)
            except OutboxFull:
                if self._drop_from_other_signals():
                    self._outbox.space.note_freed()
                    continue
                # `_has_one_segment` saves listing the folder for each record, while other processes fill the outbox.
                if not self._may_drop or self._has_one_segment:
                    raise
                self._has_one_segment = not self._drop_oldest_segment(folder)
            else:
                # The writer adds another segment now.
                self._has_one_segment = False
                return

    def drop_oldest(self) -> bool:
        """Delete the oldest segment, because records of another signal need its space. Return False if there is none to delete.

        Any thread may call this, while another one drops segments, too: those that are gone are not counted again.
        """
        lock = self._folder_lock
        with contextlib.suppress(OSError):  # the folder is gone
            return lock is not None and self._drop_oldest_segment(lock.folder)
        return False

    def _drop_oldest_segment(self, folder: Path) -> bool:
        """Delete the oldest segment. Return False if it is the one that is being written.

        The worker may be sending records of it right now. They are counted only if no server accepts them.
        """
        # Read once: for the records of another signal, this runs in a thread that holds no lock, while the worker may `recover`.
        reader = self._reader
        found = segments(folder)
        if len(found) < _MIN_SEGMENTS or reader is None:
            return False
        (_, path), (next_sequence, _) = found[:2]
        # Given up before the file is gone: else the worker could find the gap first, and count the records as damaged, too.
        dropped = reader.give_up_before(next_sequence)
        try:
            delete_file(path, folder.parent)
        finally:
            # This is done even if the file could not be deleted, because a second attempt would not count them again.
            if dropped:
                self._on_dropped(dropped)
        self._outbox.space.note_freed()
        return True

    def sources(self) -> Iterator[JournalReader | MemoryJournal]:
        """Yield the journals that may have records to send."""
        reader = self._reader
        if reader is not None:
            yield reader
        if len(self.memory):
            yield self.memory

    def waiting_sources(self) -> list[tuple[JournalReader | MemoryJournal, int]]:
        """Return the journals that may have records to send, each with the sequence of its newest record."""
        on_disk, in_memory = self.last_sequences()
        return [(source, in_memory if source is self.memory else on_disk) for source in self.sources()]

    def last_sequences(self) -> tuple[int, int]:
        """Return the sequences of the newest accepted records: on disk, and in memory."""
        writer = self._writer
        return (self._lost_until if writer is None else writer.last_sequence), self.memory.last_sequence

    def is_acknowledged(self, on_disk: int, in_memory: int) -> bool:
        """Return True if every record up to these sequences was acknowledged."""
        reader = self._reader
        acknowledged = on_disk if reader is None else reader.acknowledged
        # A record that was on the disk, in a folder that is lost, may be in memory now.
        return acknowledged >= on_disk and self.memory.acknowledged >= max(in_memory, self._salvaged_until)

    @property
    def accepted(self) -> int:
        """The number of records that were accepted since the process began."""
        # A record that was moved from memory to disk, or back, has a sequence in both.
        return sum(self.last_sequences()) - self._moved

    @property
    def waiting(self) -> int:
        """The number of accepted records that are not acknowledged yet."""
        on_disk, in_memory = self.last_sequences()
        reader = self._reader
        return (0 if reader is None else reader.waiting(on_disk)) + max(0, in_memory - self.memory.acknowledged)

    def recover(self) -> int:
        """Give a folder up that somebody else has deleted, moved or changed, so that the next record creates another one.

        The worker calls this before it reads. `heliograph.delivery.outbox.lost_folders` has the rules for the records of the folder.

        Returns:
            The number of records that are lost.
        """
        writer, reader, lock = self._writer, self._reader, self._folder_lock
        if writer is None or reader is None or lock is None or not is_lost(writer, lock):
            return 0
        await_deletion(lock)
        with self._lock:
            found = give_up(writer, reader, lock)
            if found.orphan is not None:
                # Before the reader is gone, because its records count as acknowledged then: a flush has to see the orphan.
                self.orphaned = (*(each for each in self.orphaned if os.path.lexists(each)), found.orphan)
            self._lost_until = found.last_sequence
            self.memory.keep(found.kept)
            self._moved += len(found.kept)
            self._salvaged_until = self.memory.last_sequence
            self._writer = self._reader = self._folder_lock = None
        reader.close()
        lock.release()
        logger.error(
            "The folder %s was deleted, moved or changed by somebody else. Lost: %s.",
            lock.folder,
            counted(found.lost, self._header.signal.word),
        )
        return found.lost

    def close(self) -> int:
        """Accept no more records, and move those in memory to the disk, if it accepts them.

        The folder is deleted if everything in it was acknowledged, and unlocked if not: it is an orphan then, which the next
        process adopts. Call this only after the worker has ended, since both use the reader.

        Returns:
            The number of records in memory that the disk did not accept, and that are lost.
        """
        # This comes first, because a record that is added after the loop would be lost.
        self.memory.close()
        # Busy: the caller is a signal handler that interrupted an append of its own thread.
        with contextlib.suppress(OSError, JournalBusy):
            while batch := self.memory.read(max_bytes=2**20, max_records=1000):
                for entry in batch.entries:
                    (self._writer or self._open()).append(entry.scope, entry.encoded)
                    self.memory.acknowledge(entry.sequence)
                    self._moved += 1
        lost = len(self.memory)
        if lost:
            message = "Neither the server nor the disk accepted everything. Lost: %s."
            logger.error(message, counted(lost, self._header.signal.word))
        with self._lock:
            self._is_closed = True
        if self._writer is not None and self._reader is not None and self._folder_lock is not None:
            self._writer.close()
            # After the writer is closed: nothing is added any more.
            is_sent = self.is_acknowledged(*self.last_sequences())
            self._reader.close()
            if is_sent:
                self._folder_lock.delete_folder()
            else:
                self._folder_lock.release()
            # A second `close`, or `abandon` in a later fork, then touches no file.
            self._folder_lock = None
        return lost

    def abandon(self) -> None:
        """Close the inherited files, in a forked child, without changing them: they belong to the parent.

        Closing the lock file does not unlock the folder as long as the parent has it open. Leaving it open would keep the
        folder locked after the parent's death, and no one would send it.
        """
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.abandon()
        if self._folder_lock is not None:
            self._folder_lock.release()


def _commit(writer: JournalWriter, sequence: int) -> None:
    """Wait until a record is on the disk itself, or let an async caller await it.

    Raises:
        NotSyncedError: The disk failed.
    """
    waits = open_waits()
    if waits is None:
        writer.commit(sequence)
    else:
        waits.append(partial(_await_commit, writer.begin_commit(sequence)))


async def _await_commit(commit: Awaitable[NotSyncedError | None]) -> None:
    failure = await commit
    if failure is not None:
        _report_unsynced(failure)


def _report_unsynced(failure: NotSyncedError) -> None:
    _limited_log.log("not synced", "Records of the outbox are written, but a power cut may take them: %s", failure)
