"""A journal in memory: where records go while the disk takes none."""

from __future__ import annotations

import collections
import itertools
import threading
from typing import Final

from heliograph.delivery.journal.batch import Batch, Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalClosed

MAX_BYTES: Final = 64 * 1024 * 1024
"""How much is kept; what comes then is not accepted."""


class MemoryJournal:
    """Records in order, read and acknowledged as those of a `JournalReader` are.

    Args:
        header: What the records were made under.

    Attributes:
        last_sequence: That of the newest record that was taken.
        acknowledged: Up to where no record needs sending any more.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self._lock = threading.RLock()
        self._entries: collections.deque[Entry] = collections.deque()
        self._bytes = 0
        self._is_closed = False
        self.last_sequence = 0
        self.acknowledged = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def oldest(self) -> Entry | None:
        """The record that waits longest."""
        with self._lock:
            return self._entries[0] if self._entries else None

    def append(self, scope: Scope, encoded: bytes) -> bool:
        """Keep a record; whether there was room.

        Raises:
            JournalClosed: It was closed.
        """
        with self._lock:
            if self._is_closed:
                raise JournalClosed
            if self._bytes + len(encoded) > MAX_BYTES:
                return False
            self.last_sequence += 1
            self._bytes += len(encoded)
            self._entries.append(Entry(sequence=self.last_sequence, scope=scope, encoded=encoded))
            return True

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """The oldest records that were not acknowledged."""
        with self._lock:
            entries = list(itertools.islice(self._entries, max_records))
        sizes = itertools.accumulate(len(entry.encoded) for entry in entries)
        fitting = [entry for entry, size in zip(entries, sizes) if size <= max_bytes] or entries[:1]
        return Batch(header=self._header, entries=tuple(fitting)) if fitting else None

    def acknowledge(self, sequence: int) -> None:
        """Let go of all up to here."""
        with self._lock:
            self.acknowledged = max(self.acknowledged, sequence)
            while self._entries and self._entries[0].sequence <= sequence:
                self._bytes -= len(self._entries.popleft().encoded)

    def take_damaged(self) -> int:
        """Nothing in memory is damaged."""
        return 0

    def close(self) -> None:
        """Take no more."""
        with self._lock:
            self._is_closed = True

    def rewind(self) -> None:
        """Nothing is read but what is not acknowledged."""
