"""A journal in memory, for the records that are accepted while the disk cannot be written."""

from __future__ import annotations

import collections
import itertools
import threading
from collections.abc import Collection, Iterable
from typing import Final

from heliograph.delivery.journal.batch import Batch, Entries, Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalClosed

MAX_BYTES: Final = 64 * 1024 * 1024
"""The largest size in bytes of the records of one resource, of which each signal has its share. More records are not accepted."""


class MemoryJournal:
    """Records in order, written as to a `JournalWriter`, and read and acknowledged as from a `JournalReader`.

    Threads that emit records append while the worker reads and acknowledges. One lock guards all fields; it is reentrant,
    because a signal handler may append while its own thread does.

    Args:
        header: The resource that all records belong to.

    Attributes:
        is_own: Always True: records in memory are this process's own.
        last_sequence: The sequence of the newest record that was accepted; 0 before the first.
        acknowledged: The sequence up to which all records are acknowledged.
    """

    is_own = True

    def __init__(self, header: Header) -> None:
        self._header = header
        self._lock = threading.RLock()
        self._entries: collections.deque[Entry] = collections.deque()
        self._bytes = 0
        self._max_bytes = MAX_BYTES * header.signal.share
        self._is_closed = False
        self.last_sequence = 0
        self.acknowledged = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest(self) -> Entry | None:
        """The record that has waited longest; `None` if none waits."""
        with self._lock:
            return self._entries[0] if self._entries else None

    def append(self, scope: Scope, encoded: bytes) -> bool:
        """Keep a record. Return False if there was no room for it.

        Raises:
            JournalClosed: The journal was closed.
        """
        with self._lock:
            if self._is_closed:
                raise JournalClosed
            if self._bytes + len(encoded) > self._max_bytes:
                return False
            self.last_sequence += 1
            self._bytes += len(encoded)
            self._entries.append(Entry(sequence=self.last_sequence, scope=scope, encoded=encoded))
            return True

    def keep(self, entries: Iterable[Entry]) -> None:
        """Add records that were accepted before, also beyond the limit, because they are stored nowhere else any more."""
        with self._lock:
            for entry in entries:
                self.last_sequence += 1
                self._bytes += len(entry.encoded)
                self._entries.append(entry._replace(sequence=self.last_sequence))

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """Return the oldest records that are not acknowledged: at least one, or `None` if there is none."""
        with self._lock:
            entries = list(itertools.islice(self._entries, max_records))
        sizes = itertools.accumulate(len(entry.encoded) for entry in entries)
        fitting = [entry for entry, size in zip(entries, sizes) if size <= max_bytes] or entries[:1]
        return Batch(header=self._header, entries=Entries.of(fitting)) if fitting else None

    def newest(self, known: Collection[int]) -> Entry | None:
        """Return the newest record, but none with one of the known sequences; `None` if there is no other."""
        with self._lock:
            return next((entry for entry in reversed(self._entries) if entry.sequence not in known), None)

    def acknowledge(self, sequence: int) -> None:
        """Remove all records up to a sequence."""
        with self._lock:
            self.acknowledged = max(self.acknowledged, sequence)
            while self._entries and self._entries[0].sequence <= sequence:
                self._bytes -= len(self._entries.popleft().encoded)

    def take_damaged(self) -> int:
        """Return 0: records in memory do not get damaged."""
        return 0

    def close(self) -> None:
        """Accept no more records."""
        with self._lock:
            self._is_closed = True

    def rewind(self) -> None:
        """Do nothing: `read` always begins after the last acknowledged record."""
