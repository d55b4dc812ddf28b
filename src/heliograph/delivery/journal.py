"""One process's journal: segments that are appended to, read, and deleted once all in them is acknowledged.

A folder has ``<first sequence>.journal`` for each segment, ``cursor`` with the last acknowledged sequence, and ``damaged/``
with bytes that could not be read. Folders are 0700 and files 0600, whatever the umask.

A segment is reserved as a whole before it is used (`posix_fallocate`), and mapped: what is in a mapped file survives the
death of the process as what was written does, costs half of it, and holds no lock while other threads wait. Reserving it
first is what makes a full disk an error then, and not a SIGBUS later.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

from heliograph.delivery.frames import (
    FRAME,
    MAX_SCOPES,
    PAYLOAD,
    RECORD,
    SCOPE,
    Frame,
    Header,
    Scope,
    SegmentError,
    dump_header,
    dump_scope,
    frame_length,
    frame_size,
    frame_tail,
    load_header,
    load_scope,
    next_frame,
    read_frame,
)

SEGMENT_BYTES: Final = 16 * 1024 * 1024
SUFFIX: Final = ".journal"

_FEWEST_SEGMENTS: Final = 2
_HEADER_BYTES: Final = 256 * 1024
_MAX_HEADER_BYTES: Final = 64 * 1024 * 1024
_WINDOW_BYTES: Final = 256 * 1024
_CURSOR: Final = struct.Struct("<8sHQI")
_CURSOR_MAGIC: Final = b"HELIOCUR"
_CURSOR_VERSION: Final = 1
_NOT_RESERVABLE: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class Entry(NamedTuple):
    """One record of a journal.

    Attributes:
        sequence: Its sequence.
        scope: The scope that it was made under.
        framed: The record, as the field of a request that it will be.
    """

    sequence: int
    scope: Scope
    framed: bytes


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one segment, in order.

    Attributes:
        header: What they were made under.
        entries: The records, at least one.
        damaged: How many records before the last of them could not be read.
    """

    header: Header
    entries: tuple[Entry, ...]
    damaged: int = 0

    @property
    def last(self) -> int:
        """The sequence of the last of them."""
        return self.entries[-1].sequence


class JournalWriter:
    """Appends records to the segments of a folder.

    Args:
        folder: The folder, which has to be there, and to be this writer's alone.
        header: What the records are made under.
        segment_bytes: How large a segment is; a larger record has one of its own.
        durable: Whether `append` returns only after the record is on the disk (one `fdatasync`, shared by those who wait).
        make_room: Is asked before a segment of that many bytes is made; raises `OSError` if there is no room.
    """

    def __init__(
        self,
        folder: Path,
        header: Header,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        durable: bool = False,
        make_room: Callable[[int], None] | None = None,
    ) -> None:
        self._folder = folder
        self._header = dump_header(header)
        self._segment_bytes = segment_bytes
        self._durable = durable
        self._make_room = make_room
        self._lock = threading.Lock()
        self._sync_lock = threading.Lock()
        self._segment: _Segment | None = None
        self._scopes: dict[Scope, int] = {}
        self._synced = 0
        self.last_sequence = 0

    def append(self, scope: Scope, framed: bytes) -> int:
        """Put a record into the journal; when it returns, the record survives the death of the process.

        Returns:
            Its sequence.

        Raises:
            OSError: The disk is full, or fails; the record is not there then, not even a part of it.
        """
        while not self._lock.acquire(blocking=False):  # a lock that is waited for becomes a convoy behind the GIL
            time.sleep(0)
        try:
            sequence = self.last_sequence + 1
            self._put(sequence, scope, framed)
            self.last_sequence = sequence
        finally:
            self._lock.release()
        if self._durable:
            self._sync(sequence)
        return sequence

    def _put(self, sequence: int, scope: Scope, framed: bytes) -> None:
        segment = self._segment
        number = self._scopes.get(scope)
        needed = 2 * FRAME.size + PAYLOAD.size + len(framed)
        if segment is None or number is None or segment.room < needed:
            needed += FRAME.size + len(dump_scope(0, scope))
            if segment is None or segment.room < needed or len(self._scopes) == MAX_SCOPES:
                segment = self._roll(sequence, needed)
            number = self._scopes.get(scope)
            if number is None:
                number = len(self._scopes)
                segment.put(sequence, dump_scope(number, scope))
                self._scopes[scope] = number
        segment.put(sequence, PAYLOAD.pack(RECORD, number) + framed)

    def _roll(self, sequence: int, needed: int) -> _Segment:
        size = max(self._segment_bytes, len(self._header) + needed + FRAME.size)
        if self._make_room is not None:
            self._make_room(size)
        segment = _Segment(self._folder / f"{sequence:020d}{SUFFIX}", size, self._header)
        old, self._segment = self._segment, segment
        self._scopes = {}
        if old is not None:
            old.close(sync=self._durable, cut=False)
        if self._durable:
            sync_folder(self._folder)
        return segment

    def _sync(self, sequence: int) -> None:
        with self._sync_lock:
            if self._synced >= sequence:
                return
            with self._lock:
                segment, last = self._segment, self.last_sequence
            if segment is not None:
                segment.sync()
            self._synced = last

    def close(self) -> None:
        """End; the last segment is cut to what is in it."""
        with self._lock:
            segment, self._segment = self._segment, None
            if segment is not None:
                segment.close(sync=self._durable, cut=True)

    def abandon(self) -> None:
        """Let go of the files without touching them: in the child of a fork they are the parent's."""
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.abandon()


class _Segment:
    """A segment that is written to, mapped."""

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
        self._size = size
        self._map[: len(header)] = header
        self._position = len(header)

    @property
    def room(self) -> int:
        """How many bytes are free."""
        return self._size - self._position

    def put(self, sequence: int, payload: bytes) -> None:
        """Write a frame, its length last."""
        start = self._position + 4
        end = self._position + FRAME.size + len(payload)
        self._map[start:end] = frame_tail(sequence, payload)
        self._map[self._position : start] = frame_length(payload)
        self._position = end

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


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder onto the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments(folder: Path) -> list[tuple[int, Path]]:
    """The segments of a folder by their first sequence, the oldest first."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(ValueError):
            found.append((int(path.stem), path))
    return sorted(found)


def drop_oldest_segment(folder: Path) -> int:
    """Delete the oldest segment, unless it is the only one.

    Returns:
        How many records that were not acknowledged were in it; a reader that is at it reads it to its end.
    """
    found = segments(folder)
    if len(found) < _FEWEST_SEGMENTS:
        return 0
    (first, path), (following, _) = found[:2]
    path.unlink(missing_ok=True)
    return max(1, following - max(first, read_cursor(folder) + 1))


def read_cursor(folder: Path) -> int:
    """The last acknowledged sequence; 0 where nothing is known of it: then all is sent again, and nothing is lost."""
    try:
        data = (folder / "cursor").read_bytes()
        magic, version, sequence, checksum = _CURSOR.unpack(data)
    except (OSError, struct.error):
        return 0
    is_ours = magic == _CURSOR_MAGIC and version == _CURSOR_VERSION and crc32(data[:-4]) == checksum
    return int(sequence) if is_ours else 0


def write_cursor(folder: Path, sequence: int, *, durable: bool = False) -> None:
    """Replace the cursor as a whole.

    Raises:
        OSError: It cannot be written; the one before is there still.
    """
    head = _CURSOR.pack(_CURSOR_MAGIC, _CURSOR_VERSION, sequence, 0)[:-4]
    draft = folder / "cursor.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, head + struct.pack("<I", crc32(head)))
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(folder / "cursor")


class _Open:
    """A segment that is being read: in windows, since a mapped file that somebody cuts kills who reads it."""

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

    def frame(self) -> Frame | None:
        """The whole frame at the position, if there is one."""
        frame = read_frame(self._window, self.position - self._base)
        if frame is None:
            size = frame_size(os.pread(self._descriptor, FRAME.size, self.position))
            if size:
                self._window, self._base = self._read(max(size, _WINDOW_BYTES), self.position), self.position
                frame = read_frame(self._window, 0)
        return frame

    def end_of(self, frame: Frame) -> int:
        """Where the frame that was just read ends in the segment."""
        return self._base + frame.end

    def has_ended(self) -> bool:
        """Whether nothing is at the position (yet)."""
        return not frame_size(os.pread(self._descriptor, FRAME.size, self.position))

    def rest(self) -> bytes:
        """All from the position on."""
        return self._read(os.fstat(self._descriptor).st_size, self.position)

    def _read(self, size: int, position: int) -> bytes:
        return os.pread(self._descriptor, min(size, os.fstat(self._descriptor).st_size), position)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


class JournalReader:
    """Reads the records of a folder from its cursor on, while a writer may append to it.

    Whatever is in the files, it reads what can be read: damage is passed over to the next whole frame, counted, and the
    bytes are set aside.

    Args:
        folder: The folder.
        is_live: Whether a writer of this process still appends to it: then a segment that ends may go on.
    """

    def __init__(self, folder: Path, *, is_live: bool) -> None:
        self._folder = folder
        self._open: _Open | None = None
        self.is_live = is_live
        self.acknowledged = read_cursor(folder)
        self._next = self.acknowledged + 1
        self.damaged = 0
        self._finished = 0

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """The next records, at least one if there is any: `None` means that all was read that is there now."""
        entries: list[Entry] = []
        damaged, size = self.damaged, 0
        while True:
            current = self._open or self._open_next()
            if current is None:
                return None
            for frame in self._frames(current):
                if frame.kind == RECORD and frame.sequence >= self._next:
                    scope = current.scopes.get(frame.scope_number) or Scope(scope=b"")
                    framed = frame.content
                    entries.append(Entry(frame.sequence, scope, framed))
                    self._next = frame.sequence + 1
                    size += len(framed)
                    if size >= max_bytes or len(entries) >= max_records:
                        break
            if entries:
                return Batch(header=current.header, entries=tuple(entries), damaged=self.damaged - damaged)
            if not self._is_over(current):
                return None
            self._finished = current.first
            self._close()

    def rewind(self) -> None:
        """Begin again after what is acknowledged."""
        self._close()
        self._next = self.acknowledged + 1
        self._finished = 0

    def acknowledge(self, sequence: int, *, durable: bool = False) -> None:
        """Note that all up to here needs no sending any more, and delete the segments in which nothing else is.

        Raises:
            OSError: The cursor cannot be written; what was sent would be sent once more after a restart.
        """
        self.acknowledged = max(self.acknowledged, sequence)
        write_cursor(self._folder, self.acknowledged, durable=durable)
        found = segments(self._folder)
        for (_, path), (following, _) in itertools.pairwise(found):
            if following > self.acknowledged + 1:
                break
            if self._open is not None and self._open.path == path:
                self._close()
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files."""
        self._close()

    def _close(self) -> None:
        current, self._open = self._open, None
        if current is not None:
            current.close()

    def _open_next(self) -> _Open | None:
        """The segment with the next record; where it is gone, the one after it."""
        found = segments(self._folder)
        begin = max((first for first, _ in found if first <= self._next), default=0)
        for first, path in found:
            if first >= begin and first > self._finished:
                self._open = self._try_open(first, path, is_last=first == found[-1][0])
                if self._open is not None:
                    return self._open
        return None

    def _try_open(self, first: int, path: Path, *, is_last: bool) -> _Open | None:
        try:
            return _Open(first, path)
        except FileNotFoundError:  # deleted meanwhile
            return None
        except SegmentError:
            if not (is_last and self.is_live):  # else it is being made right now
                self._set_aside(path, 0, path.read_bytes())
                path.unlink(missing_ok=True)
            return None

    def _frames(self, current: _Open) -> Iterator[Frame]:
        while True:
            frame = current.frame()
            if frame is not None and frame.sequence <= self._next:
                current.position = current.end_of(frame)
            else:
                frame = self._beyond_damage(current)
                if frame is None:
                    return
            if frame.kind == SCOPE:
                with contextlib.suppress(SegmentError):
                    current.scopes[frame.scope_number] = load_scope(frame.content)
            else:
                yield frame

    def _beyond_damage(self, current: _Open) -> Frame | None:
        """The next whole frame after what cannot be read; `None` at the end of the frames."""
        if current.has_ended() and not self._is_over(current):
            return None
        rest = current.rest()
        found = next_frame(rest, 0, self._next)
        if found is None:
            self._leave(current, rest)
            return None
        start, frame = found
        if start:
            self._set_aside(current.path, current.position, rest[:start])
        self.damaged += frame.sequence - self._next
        self._next = frame.sequence
        current.position += frame.end
        return frame

    def _leave(self, current: _Open, rest: bytes) -> None:
        """Go on with the next segment; what is left in this one is no frame."""
        if rest.strip(b"\0"):
            self._set_aside(current.path, current.position, rest)
        later = [first for first, _ in segments(self._folder) if first > current.first]
        if later and later[0] > self._next:
            self.damaged += later[0] - self._next
            self._next = later[0]

    def _is_over(self, current: _Open) -> bool:
        """Whether nothing more will come in this segment."""
        is_last = not any(first > current.first for first, _ in segments(self._folder))
        return not (is_last and self.is_live)

    def _set_aside(self, path: Path, offset: int, data: bytes) -> None:
        with contextlib.suppress(OSError):  # what cannot be kept is counted all the same
            folder = self._folder / "damaged"
            folder.mkdir(mode=0o700, exist_ok=True)
            target = folder / f"{path.stem}-{offset}.bin"
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data.rstrip(b"\0"))
