"""The contract of the journals that records are sent from, on disk and in memory.

One thread uses a source: the one that sends. `tests/delivery/journal/test_sources.py` runs the same tests over both.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from heliograph.delivery.journal.batch import Batch, Entry


class Source(Protocol):
    """A journal that records are sent from: a `JournalReader` (on disk) or a `MemoryJournal`."""

    @property
    def is_own(self) -> bool:
        """True if this process accepted the records."""

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """Return the next records; `None` if there are none. A single record may be larger than `max_bytes`."""

    def acknowledge(self, sequence: int) -> None:
        """Note that no record up to this sequence needs to be sent any more."""

    def rewind(self) -> None:
        """Go back to the first unacknowledged record."""

    def newest(self, known: Collection[int]) -> Entry | None:
        """Return the newest record that is not acknowledged and has none of the known sequences, or `None`."""

    def take_damaged(self) -> int:
        """Return the number of damaged records that were skipped since the last call."""
