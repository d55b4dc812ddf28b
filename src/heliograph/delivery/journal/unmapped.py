"""A segment that is written by system calls, without a memory map.

This costs two to three times as much as a map. But where reserved space cannot always be written, writing to a map can kill the process
(SIGBUS), while a system call fails with an error.
"""

from __future__ import annotations

import os

from heliograph.delivery.journal.frames import LENGTH_BYTES, dump_frame
from heliograph.delivery.journal.segment import SegmentWriter


class UnmappedSegmentWriter(SegmentWriter):
    """A `SegmentWriter` that writes with ``pwrite``. A frame that does not fit on the disk is an `OSError`."""

    def _begin(self, size: int, header: bytes) -> None:  # noqa: ARG002 — the file has its size
        _write(self.descriptor, header, 0)

    def put(self, sequence: int, kind: int, scope_number: int, content: bytes) -> None:
        """Append a frame, the length last, as `SegmentWriter` does. If this raises, no part of it can be seen, or all of it is there."""
        length, rest = dump_frame(sequence, kind, scope_number, content)
        end = self._position + LENGTH_BYTES + len(rest)
        _write(self.descriptor, rest, self._position + LENGTH_BYTES)
        try:
            _write(self.descriptor, length, self._position)
            self._go_on_at(end)
        except BaseException:
            # A signal handler raised, perhaps after the write: the next frame must not overwrite this one.
            if not self.ends_blank():
                self._go_on_at(end)
            raise

    def _go_on_at(self, position: int) -> None:
        self._position, self.room = position, self._size - position

    def ends_blank(self) -> bool:
        """Return True if no frame begins behind the last one that was put completely."""
        return not any(os.pread(self.descriptor, LENGTH_BYTES, self._position))


def _write(descriptor: int, data: bytes, position: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, position)
        data, position = data[written:], position + written
