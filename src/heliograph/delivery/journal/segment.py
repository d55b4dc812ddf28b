"""One segment of a journal: a file that is reserved as a whole, then written frame by frame, and read in windows.

There are two ways to write: through a memory map (`heliograph.delivery.journal.mapped`), and by system calls
(`heliograph.delivery.journal.unmapped`).

Why the file is reserved first (`posix_fallocate`): a full disk is then an `OSError` when the segment is made. Without a
reservation, writing to a map would end in SIGBUS, which kills the process.

Why reading does not use a map: if anyone truncates the file, a map kills the reader with SIGBUS, and `pread` returns less. The
reader of an orphan must survive any file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.frames import (
    ANY_SEQUENCE,
    HEAD_BYTES,
    Frame,
    Header,
    Scope,
    SegmentError,
    SegmentVersionError,
    frame_size,
    load_header,
    load_scope,
    next_frame,
    read_frame,
    read_run,
)
from heliograph.delivery.journal.sync import sync_file
from heliograph.delivery.signals import signal_of_folder
from heliograph.delivery.trust import check_file, delete_file, open_file

SUFFIX: Final = ".journal"
UNKNOWN_FIRST: Final = 10**20
"""Used as the first sequence of a file whose name has none. It is larger than any sequence."""

_NAME: Final = re.compile(r"[0-9]{20}\.journal")

_HEADER_BYTES: Final = 256 * 1024  # read first; almost every resource fits
_MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
_WINDOW_BYTES: Final = 256 * 1024
# The part of a file without a header that is searched for a frame.
_MAX_SEARCH_BYTES: Final = 1024 * 1024
_CLOSED: Final = -1
_CANNOT_RESERVE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def segment_path(folder: Path, first_sequence: int) -> Path:
    """Return the path of the segment whose first sequence is this one."""
    return folder / f"{first_sequence:020d}{SUFFIX}"


def segments(folder: Path, *, with_renamed: bool = False) -> list[tuple[int, Path]]:
    """Return the first sequence and the path of each segment in a folder, the oldest first.

    Args:
        folder: The folder.
        with_renamed: True to include files that somebody has given another name, at the end. Their first sequence is
            unknown, and is given as `UNKNOWN_FIRST`.
    """
    # Not `iterdir`: it costs as much as reading a batch.
    with os.scandir(folder) as entries:
        names = [each.name for each in entries if each.name.endswith(SUFFIX) and each.is_file(follow_symlinks=False)]
    found = [(_first_of(name), folder / name) for name in sorted(names)]
    return [each for each in sorted(found) if each[0] != UNKNOWN_FIRST or with_renamed]


def _first_of(name: str) -> int:
    return int(name[: -len(SUFFIX)]) if _NAME.fullmatch(name) else UNKNOWN_FIRST


class SegmentWriter(ABC):
    """Creates a segment and writes frames to it: a base for the two ways to write.

    `JournalWriter` calls it under its lock, except for `sync`, `has_name` and `is_whole`.

    Args:
        path: The path of the file, which must not exist yet.
        size: The size of the file, which is reserved now.
        header: The encoded header.

    Attributes:
        path: The path of the file.
        descriptor: The open file; a negative number once it is closed.
        room: The number of free bytes.

    Raises:
        OSError: The disk is full, or fails. No file remains.
    """

    def __init__(self, path: Path, size: int, header: bytes) -> None:
        self.path = path
        self.descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, path.parent.parent)
        try:
            os.fchmod(self.descriptor, 0o600)  # exactly this, whatever the umask is
            _reserve(self.descriptor, size)
            self._begin(size, header)
            self._inode = os.fstat(self.descriptor).st_ino
        except BaseException:
            os.close(self.descriptor)
            delete_file(path, path.parent.parent)
            raise
        self._size = size
        self._position = len(header)
        self.room = size - len(header)

    @abstractmethod
    def _begin(self, size: int, header: bytes) -> None:
        """Write the header into the file, which has its size already."""

    @abstractmethod
    def put(self, sequence: int, kind: int, scope_number: int, content: bytes) -> None:
        """Append a frame. There must be room for it.

        The length is written last: a reader, or the next process, sees the whole frame or no frame.
        """

    @abstractmethod
    def ends_blank(self) -> bool:
        """Return True if no frame begins behind the last one that was put completely."""

    def sync(self) -> None:
        """Write the segment to the disk itself. This is called without the writer's lock, so that other threads can append.

        Raises:
            OSError: The disk fails.
        """
        # Another thread, or a signal handler, may close the segment meanwhile.
        with contextlib.suppress(ValueError):  # the descriptor is negative
            try:
                sync_file(self.descriptor)
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise

    def close(self, *, cut: bool) -> None:
        """Close the segment, without a sync.

        Args:
            cut: True to truncate the file to its content, which gives reserved space back.
        """
        if cut:
            # Zeros at the end do no harm.
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self._position)
        os.close(self._take_descriptor())

    def abandon(self) -> None:
        """Close the segment without changing the file: in the child of a fork, where it belongs to the parent, or if it is lost."""
        with contextlib.suppress(OSError):
            os.close(self._take_descriptor())

    def _take_descriptor(self) -> int:
        """Return the descriptor, and forget it: once it is closed, another file may get its number, and `sync` must not touch that."""
        descriptor, self.descriptor = self.descriptor, _CLOSED
        return descriptor

    def has_name(self) -> bool:
        """Return True if the path still names this file, and a reader would trust it.

        Any thread may call this, also for a closed segment.
        """
        try:
            check_file(self.path, self.path.parent.parent)
            return self.path.lstat().st_ino == self._inode
        except OSError:
            return False

    def is_whole(self) -> bool:
        """Return True if nobody has shortened the file. Writing to a map beyond the end of its file kills the process."""
        found = stat_or_none(self.path)
        return found is not None and found.st_size >= self._size


def stat_or_none(path: Path) -> os.stat_result | None:
    """Return the state of a file, or `None` if it is not there or cannot be reached."""
    try:
        return path.lstat()
    except OSError:
        return None


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its size, with blocks on the disk behind all of it."""
    if hasattr(os, "posix_fallocate"):  # pragma: no branch — macOS does not have it
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            # Any other error means that the disk is full, or fails.
            if error.errno not in _CANNOT_RESERVE:
                raise
        else:
            return
    # This file system cannot reserve. Writing zeros does the same everywhere. `ftruncate` does not: it makes a sparse file,
    # whose first write to a full disk is a SIGBUS.
    block = bytes(1024 * 1024)
    for offset in range(0, size, len(block)):
        chunk = block[: size - offset]
        if os.pwrite(descriptor, chunk, offset) != len(chunk):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class SegmentReader:
    """Reads the frames of a segment, in windows, while a writer may append to it. One thread uses it.

    Args:
        first: The segment's first sequence.
        path: The path of the file.
        descriptor: The file, if it is open already. It is closed with the reader.

    Attributes:
        header: The resource that all records belong to. It is empty if the header is damaged.
        version: The version of the format; `None` if the header is damaged.
        scopes: The scopes that were defined so far, by their numbers.
        position: The position of the next frame.

    Raises:
        UntrustedPathError: Somebody else may have prepared the file.
        OSError: The file is not there, cannot be read, or has a later version.
        SegmentError: The file is not a segment: it has neither a header nor, in its first MiB, an undamaged frame.
    """

    def __init__(self, first: int, path: Path, descriptor: int | None = None) -> None:
        self.first = first
        self.path = path
        self.scopes: dict[int, Scope] = {}
        self._descriptor = open_file(path, os.O_RDONLY, path.parent.parent) if descriptor is None else descriptor
        self._window, self._base = b"", 0
        try:
            self.header, self.position, self.version = self._load_header()
        except BaseException:
            os.close(self._descriptor)
            raise

    def _load_header(self) -> tuple[Header, int, int | None]:
        signal = signal_of_folder(self.path.parent)
        try:
            header, position, version = self._read_header()
        except SegmentError:
            if next_frame(self._read(_MAX_SEARCH_BYTES, 0), ANY_SEQUENCE) is None:
                raise
            return Header(resource=b"", signal=signal), 0, None
        if header.signal is not signal:
            raise SegmentVersionError(f"the segment has {header.signal.word}s, but its folder is one of {signal.word}s")
        return header, position, version

    def _read_header(self) -> tuple[Header, int, int]:
        with contextlib.suppress(SegmentError):
            return load_header(self._read(_HEADER_BYTES, 0))
        return load_header(self._read(_MAX_HEADER_BYTES, 0))

    def frames(self) -> Iterator[Frame]:
        """Yield undamaged frames from the position on, and move the position past each before it is yielded."""
        # True if the window was just read at this very position, so that reading it again would not help.
        is_fresh = False
        while True:
            # One at a time: `read_run` may move the position in between.
            while (frame := read_frame(self._window, self.position - self._base)) is not None:
                self.position, is_fresh = self._base + frame[-1], False
                yield frame
            size = 0 if is_fresh else self._next_size()
            if not size:
                return
            self._window, self._base = self._read(max(size, _WINDOW_BYTES), self.position), self.position
            is_fresh = True

    def read_run(self, sequence: int, scope_number: int, *, max_bytes: int, max_records: int) -> list[bytes]:
        """Return the contents of the records at the position that have the next sequences and the same scope, and move behind them.

        It reads only from the window that `frames` has read, and does not access the file.
        """
        contents, end = read_run(
            self._window,
            self.position - self._base,
            sequence,
            scope_number,
            max_bytes=max_bytes,
            max_records=max_records,
        )
        self.position = self._base + end
        return contents

    def define(self, scope_number: int, content: bytes) -> None:
        """Remember a scope, from the content of its frame."""
        # Records whose scope is damaged are still worth sending: `JournalReader` looks for a copy of it.
        with contextlib.suppress(SegmentError):
            self.scopes[scope_number] = load_scope(content)

    def has_ended(self) -> bool:
        """Return True if no frame begins at the position (yet)."""
        return not self._next_size()

    def has_name(self) -> bool:
        """Return True if the path still names this file."""
        found = stat_or_none(self.path)
        return found is not None and found.st_ino == os.fstat(self._descriptor).st_ino

    def _next_size(self) -> int:
        return frame_size(os.pread(self._descriptor, HEAD_BYTES, self.position))

    def rest(self) -> bytes:
        """Return all bytes from the position on."""
        return self._read(os.fstat(self._descriptor).st_size, self.position)

    def _read(self, size: int, position: int) -> bytes:
        """Read at most the size of the file: a damaged length must not reserve gigabytes."""
        return os.pread(self._descriptor, min(size, os.fstat(self._descriptor).st_size), position)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)
