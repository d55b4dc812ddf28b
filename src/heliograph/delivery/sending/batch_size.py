"""The size of batches that a server accepts, found by trying. No I/O.

It shrinks fast and grows slowly, so that a size that was too large for the server is seldom tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heliograph.delivery.journal.batch import Entry

_SMALLEST_GROWTH_BYTES: Final = 64
_GROWTH: Final = 16
"""A success lets batches grow by their size divided by this number."""


class BatchSize:
    """The size of the batches of one sender. One thread uses it: the one that sends.

    Args:
        most_bytes: The size to begin with, which is never exceeded.

    Attributes:
        max_bytes: The largest size of the next batch.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.max_bytes = most_bytes

    def grow(self) -> None:
        """Let batches grow a little, because the server accepted a request."""
        self.max_bytes = min(self._most_bytes, self.max_bytes + max(_SMALLEST_GROWTH_BYTES, self.max_bytes // _GROWTH))

    def shrink(self, refused: Sequence[Entry]) -> None:
        """Halve the size of batches, because the server refused a request with these records."""
        # A batch may be smaller than allowed: then half of its own size counts, not half of the permitted one.
        size = sum(len(entry.encoded) for entry in refused)
        self.max_bytes = max(1, min(self.max_bytes, size) // 2)
