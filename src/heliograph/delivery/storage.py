"""The journal of what one resource's records are: on the disk, and in memory while the disk takes nothing."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from heliograph.delivery.encoding.log_records import encode_resource
from heliograph.delivery.folders import FolderLock, OutboxDirectory
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.memory import MemoryJournal
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalBusy, JournalClosed, JournalWriter, sync_folder
from heliograph.errors import OutboxFull
from heliograph.semconv import SCOPE

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_DISK_PAUSE_SECONDS: Final = 1.0
_FEWEST_SEGMENTS: Final = 2

logger: Final = logging.getLogger(SCOPE)


@dataclass
class ResourceStorage:
    """Takes the records of one resource.

    Attributes:
        header: The resource, encoded.
        outbox: Where the journal is.
        segment_bytes: How large its segments are.
        durable: See `JournalWriter`.
        gave_up: Is told how many records were given up for newer ones; `None`: none ever is.
        memory: What the disk did not take.
    """

    header: Header
    outbox: OutboxDirectory
    segment_bytes: int
    durable: bool
    gave_up: Callable[[int], None] | None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _folder_lock: FolderLock | None = None
    _writer: JournalWriter | None = None
    _reader: JournalReader | None = None
    _failed_at: float | None = None
    _moved: int = 0
    _is_closed: bool = False

    def __post_init__(self) -> None:
        self.memory = MemoryJournal(self.header)

    def append(self, scope: Scope, framed: bytes) -> bool:
        """Keep a record; whether there was room.

        Raises:
            JournalClosed: It was closed.
            OutboxFull: The outbox is as large as it may become.
        """
        if self._failed_at is None or time.monotonic() - self._failed_at > _DISK_PAUSE_SECONDS:
            try:
                (self._writer or self._open()).append(scope, framed)
            except OutboxFull:
                raise
            except JournalBusy:
                return self.memory.append(scope, framed)
            except OSError as error:
                if self._failed_at is None:
                    logger.error("The outbox cannot be written (%s): records are kept in memory.", error)  # noqa: TRY400 — the words are enough
                self._failed_at = time.monotonic()
            else:
                if self._failed_at is not None:
                    self._failed_at = None
                    logger.warning("The outbox can be written again.")
                return True
        return self.memory.append(scope, framed)

    def _open(self) -> JournalWriter:
        with self._lock:
            if self._is_closed:
                raise JournalClosed
            if self._writer is None:
                lock = self.outbox.create_folder()
                if self.durable:
                    sync_folder(self.outbox.directory)
                self._reader = JournalReader(lock.folder, is_live=True)
                self._folder_lock = lock
                self._writer = JournalWriter(
                    lock.folder,
                    self.header,
                    segment_bytes=self.segment_bytes,
                    durable=self.durable,
                    make_room=lambda size: self._make_room(lock.folder, size),
                )
            return self._writer

    def _make_room(self, folder: Path, size: int) -> None:
        while True:
            try:
                return self.outbox.check_room(size)
            except OutboxFull:
                if self.gave_up is None or not self._drop_oldest(folder, self.gave_up):
                    raise

    def _drop_oldest(self, folder: Path, gave_up: Callable[[int], None]) -> bool:
        """Delete the oldest segment, unless it is the only one; a reader that is at it reads it to its end."""
        found = segments(folder)
        if len(found) < _FEWEST_SEGMENTS or self._reader is None:
            return False
        (_, path), (following, _) = found[:2]
        path.unlink(missing_ok=True)
        gave_up(self._reader.give_up_before(following))
        return True

    def sources(self) -> Iterator[JournalReader | MemoryJournal]:
        """Where its records are read from."""
        if self._reader is not None:
            yield self._reader
        if len(self.memory):
            yield self.memory

    def targets(self) -> tuple[int, int]:
        """What was accepted so far: the last sequence on the disk, and in memory."""
        return (0 if self._writer is None else self._writer.last_sequence), self.memory.last_sequence

    def has_sent(self, on_disk: int, in_memory: int) -> bool:
        """Whether all up to these was answered for."""
        sent = on_disk if self._reader is None else self._reader.acknowledged
        return sent >= on_disk and self.memory.acknowledged >= in_memory

    @property
    def accepted(self) -> int:
        """How many records were accepted so far."""
        return sum(self.targets()) - self._moved

    @property
    def waiting(self) -> int:
        """How many records were not answered for."""
        on_disk, in_memory = self.targets()
        acknowledged = on_disk if self._reader is None else self._reader.acknowledged
        return max(0, on_disk - acknowledged) + max(0, in_memory - self.memory.acknowledged)

    def close(self) -> None:
        """End: what is in memory goes to the disk, if it can; a journal of which all was sent is deleted."""
        self.memory.close()
        with contextlib.suppress(OSError):
            while batch := self.memory.read(max_bytes=2**20, max_records=1000):
                for entry in batch.entries:
                    (self._writer or self._open()).append(entry.scope, entry.encoded)
                    self.memory.acknowledge(entry.sequence)
                    self._moved += 1
        if len(self.memory):
            logger.error("%d records are lost: neither the server nor the disk took them.", len(self.memory))
        with self._lock:
            self._is_closed = True
        if self._writer is not None and self._reader is not None and self._folder_lock is not None:
            self._writer.close()
            is_sent = self.has_sent(*self.targets())  # nothing is added any more
            self._reader.close()
            (self._folder_lock.delete_folder if is_sent else self._folder_lock.release)()
            self._folder_lock = None  # its descriptor may be another file's from now on

    def abandon(self) -> None:
        """Let go of the parent's files in the child of a fork."""
        if self._reader is not None:
            self._reader.close()
        if self._writer is not None:
            self._writer.abandon()
        if self._folder_lock is not None:
            self._folder_lock.release()  # the lock is the parent's, and ends with the parent


def header_of(resource: Resource | None) -> Header:
    """What the records of a resource are made under."""
    if resource is None:
        return Header(resource=b"")
    return Header(resource=encode_resource(resource.attributes), schema_url=resource.schema_url or "")
