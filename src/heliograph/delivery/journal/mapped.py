"""A segment that is written through a memory map.

Bytes in a shared map belong to the kernel, so they survive the death of the process exactly as bytes from `write` do, at half the cost,
and without a system call that would release the GIL in the middle of an append.

A map must not be written beyond what is reserved of its file: see `heliograph.delivery.journal.segment`.
"""

from __future__ import annotations

import contextlib
import mmap

from heliograph.delivery.journal.frames import LENGTH_BYTES, dump_frame
from heliograph.delivery.journal.segment import SegmentWriter
from heliograph.delivery.journal.sync import SYNC_COVERS_MAPS


class MappedSegmentWriter(SegmentWriter):
    """A `SegmentWriter` that writes through a memory map."""

    def _begin(self, size: int, header: bytes) -> None:
        self._map = mmap.mmap(self.descriptor, size)
        self._map[: len(header)] = header

    def put(self, sequence: int, kind: int, scope_number: int, content: bytes) -> None:
        """Append a frame, the length last: see `SegmentWriter`."""
        length, rest = dump_frame(sequence, kind, scope_number, content)
        position, mapped = self._position, self._map
        start = position + LENGTH_BYTES
        end = start + len(rest)
        mapped[start:end] = rest
        # Nothing is called from here on: Python would run signal handlers after a call, and one may raise.
        mapped[position:start] = length
        self.room -= end - position
        self._position = end

    def ends_blank(self) -> bool:
        """Return True if no frame begins behind the last one that was put completely."""
        return self._map[self._position : self._position + LENGTH_BYTES] == bytes(LENGTH_BYTES)

    def sync(self) -> None:
        """Write the segment to the disk itself: see `SegmentWriter`."""
        if not SYNC_COVERS_MAPS:
            # Another thread may have closed the segment in the meantime.
            with contextlib.suppress(ValueError):
                self._map.flush()
        super().sync()

    def close(self, *, cut: bool) -> None:
        """Close the segment, without a sync: see `SegmentWriter`."""
        self._map.close()
        super().close(cut=cut)

    def abandon(self) -> None:
        """Close the segment without changing the file: see `SegmentWriter`."""
        self._map.close()
        super().abandon()
