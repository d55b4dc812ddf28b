"""One segment of a journal: a file that is reserved as a whole, mapped and written to, or read in windows.

What is in a mapped file survives the death of the process as what was written does, costs half of it, and holds no lock
while other threads wait. Reserving it first (`posix_fallocate`) is what makes a full disk an error then, and not a SIGBUS
later.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import (
    HEAD_BYTES,
    Frame,
    Header,
    Scope,
    SegmentError,
    dump_frame,
    frame_size,
    load_header,
    load_scope,
    read_frames,
)

SUFFIX: Final = ".journal"

_HEADER_BYTES: Final = 256 * 1024
_MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
_WINDOW_BYTES: Final = 256 * 1024
_LENGTH_BYTES: Final = 4
_NOT_RESERVABLE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def segment_path(folder: Path, first_sequence: int) -> Path:
    """The segment that begins with this sequence."""
    return folder / f"{first_sequence:020d}{SUFFIX}"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a folder by their first sequence, the oldest first."""
    stems = (name[: -len(SUFFIX)] for name in os.listdir(folder) if name.endswith(SUFFIX))  # noqa: PTH208 — a batch's cost
    return [(first, segment_path(folder, first)) for first in sorted(int(stem) for stem in stems if stem.isdecimal())]


class SegmentWriter:
    """A new segment.

    Args:
        path: Where; nothing is there yet.
        size: How large it is, from now on.
        header: What it begins with.

    Attributes:
        room: How many bytes are free.

    Raises:
        OSError: The disk is full, or fails; nothing is there then.
    """

    def __init__(self, path: Path, size: int, header: bytes) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(self._descriptor, 0o600)
            _reserve(self._descriptor, size)
            self._map = mmap.mmap(self._descriptor, size)
        except BaseException:
            os.close(self._descriptor)
            path.unlink()
            raise
        self._map[: len(header)] = header
        self._position = len(header)
        self.room = size - len(header)

    def put(self, sequence: int, kind: int, scope_number: int, content: bytes) -> None:
        """Write a frame, its length last."""
        length, rest = dump_frame(sequence, kind, scope_number, content)
        start = self._position + _LENGTH_BYTES
        end = start + len(rest)
        self._map[start:end] = rest
        self._map[self._position : start] = length
        self._position = end
        self.room -= _LENGTH_BYTES + len(rest)

    def sync(self) -> None:
        """Bring it onto the disk."""
        with contextlib.suppress(ValueError):  # it was closed meanwhile, and synced by that
            self._map.flush()

    def close(self, *, sync: bool, cut: bool) -> None:
        """Let go of it, and cut it to what is in it."""
        if sync:
            self._map.flush()
        self._map.close()
        if cut:
            with contextlib.suppress(OSError):  # zeros at its end do no harm
                os.ftruncate(self._descriptor, self._position)
        os.close(self._descriptor)

    def abandon(self) -> None:
        """Let go of it."""
        self._map.close()
        with contextlib.suppress(OSError):
            os.close(self._descriptor)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in _NOT_RESERVABLE:
                raise
        else:
            return
    # Zeros that are really written reserve the space, too, on every file system.
    block = bytes(1024 * 1024)
    for offset in range(0, size, len(block)):
        chunk = block[: size - offset]
        if os.pwrite(descriptor, chunk, offset) != len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SegmentReader:
    """A segment that is being read: in windows, since a mapped file that somebody cuts kills who reads it.

    Args:
        first: Its first sequence.
        path: Where it is.

    Attributes:
        header: What its records were made under.
        scopes: The scopes that were defined so far, by their numbers.
        position: Where the next frame begins.

    Raises:
        OSError: It is not there, or cannot be read, or is of a later version.
        SegmentError: It is none.
    """

    def __init__(self, first: int, path: Path) -> None:
        self.first = first
        self.path = path
        self.scopes: dict[int, Scope] = {}
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._window, self._base = b"", 0
        try:
            self.header, self.position = self._load_header()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _load_header(self) -> tuple[Header, int]:
        with contextlib.suppress(SegmentError):
            return load_header(self._read(_HEADER_BYTES, 0))
        return load_header(self._read(_MAX_HEADER_BYTES, 0))

    def frames(self) -> Iterator[Frame]:
        """The undamaged frames from the position on, which goes along with them."""
        is_fresh = False
        while True:
            for frame in read_frames(self._window, self.position - self._base):
                self.position, is_fresh = self._base + frame[-1], False
                yield frame
            size = 0 if is_fresh else self._next_size()
            if not size:
                return
            self._window, self._base = self._read(max(size, _WINDOW_BYTES), self.position), self.position
            is_fresh = True

    def define(self, scope_number: int, content: bytes) -> None:
        """Take note of a scope, by the content of its frame."""
        with contextlib.suppress(SegmentError):
            self.scopes[scope_number] = load_scope(content)

    def has_ended(self) -> bool:
        """Whether nothing is at the position (yet)."""
        return not self._next_size()

    def _next_size(self) -> int:
        return frame_size(os.pread(self._descriptor, HEAD_BYTES, self.position))

    def rest(self) -> bytes:
        """All from the position on."""
        return self._read(os.fstat(self._descriptor).st_size, self.position)

    def _read(self, size: int, position: int) -> bytes:
        return os.pread(self._descriptor, min(size, os.fstat(self._descriptor).st_size), position)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)
