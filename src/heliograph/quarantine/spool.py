"""A file of lines that wait to be moved into another file. Each process has its own, beside that file.

A line is appended by one system call, which costs a hundredth of a transaction of SQLite, and survives the death of the process. A line
without an end was not written completely, and its `append` did not return.

A spool of ``aside.db`` is named ``aside.db.<process id>-<random>.spool``, has mode 0600, and is locked (``flock``) by its process for as
long as that lives. A process that gets the lock of another one's spool may move its lines, and then delete it, because that process has
died. Before that, it checks that the file can be trusted: a regular file of this user, with one name, which nobody else can write.

A `Spool` has no lock for threads: one at a time may use it. A signal handler may raise at any step. So the size of the file is
forgotten before each change, and remembered after it. After an interrupt in between, it is read from the file, and if a line was cut off
there, the next append ends it, so that it is read as one damaged line.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from typing_extensions import Self

try:
    import fcntl
except ImportError:  # pragma: no cover — Windows
    fcntl = None  # type: ignore[assignment]

SUFFIX: Final = ".spool"
IS_POSSIBLE: Final = fcntl is not None and hasattr(os, "pread")
"""True if the system has file locks that end with their process, and reads at a position."""

_FLAGS: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Spool:
    """An open and locked file of lines.

    Args:
        path: The file.
        descriptor: The open file.

    Attributes:
        moved: The number of bytes at its beginning that were moved.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._size: int | None = None
        self.moved = 0

    @property
    def size(self) -> int:
        """The number of bytes in the file."""
        return os.fstat(self._descriptor).st_size if self._size is None else self._size

    @classmethod
    def create(cls, target: Path) -> Self:
        """Create a spool for this process.

        Args:
            target: The file that its lines are for.

        Raises:
            OSError: The directory cannot be written, or its file system has no locks.
        """
        while True:
            path = target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}")
            descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                spool = cls(path, descriptor)
                if os.fstat(descriptor).st_nlink:
                    return spool
            except BaseException:
                path.unlink(missing_ok=True)
                os.close(descriptor)
                raise
            # Another process found the file before it was locked, and has deleted it.
            os.close(descriptor)

    @classmethod
    def orphans(cls, target: Path) -> Iterator[Self]:
        """Yield the spools of processes that have died, locked. Those that cannot be trusted are skipped and not changed."""
        if not IS_POSSIBLE:
            return
        for path in _paths(target):
            with contextlib.suppress(OSError):
                # It is in use, was deleted meanwhile, or is a link.
                descriptor = os.open(path, _FLAGS)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    is_ours = _is_trusted(os.fstat(descriptor))
                except OSError:
                    is_ours = False
                if is_ours:
                    yield cls(path, descriptor)
                else:
                    os.close(descriptor)

    def append(self, line: bytes) -> None:
        """Append a line, which includes its line break. When this returns, it survives the death of the process.

        Raises:
            OSError: The disk is full, or fails. No part of the line is in the file.
        """
        size = self.size
        if self._size is None and size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        self._size = None
        if os.write(self._descriptor, line) != len(line):
            os.ftruncate(self._descriptor, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size = size + len(line)

    def read(self) -> list[bytes]:
        """Return the complete lines that were not moved yet, without their line breaks."""
        remembered, self._size = self._size or 0, None
        if self.size < max(self.moved, remembered):
            # Somebody else has shortened the file. A line that is moved a second time is in the quarantine once.
            self.moved = 0
        *lines, _ = os.pread(self._descriptor, self.size - self.moved, self.moved).split(b"\n")
        return lines

    def note_moved(self, size: int) -> None:
        """Note that the lines up to a size of the file were moved. The file is emptied if these are all."""
        if size < self.size:
            self.moved = size
        else:
            # In this order: after an interrupt in between, the lines are moved twice, and the quarantine keeps them once. In the other
            # order, `moved` would be beyond the end of the file.
            self.moved = 0
            self._size = None
            os.ftruncate(self._descriptor, 0)
            self._size = 0

    def delete(self) -> None:
        """Delete and close the file."""
        with contextlib.suppress(OSError):
            # Somebody may have deleted it, or its directory.
            self._path.unlink()
        self.close()

    def close(self) -> None:
        """Close the file, which stays as it is: in the child of a fork, where it belongs to the parent."""
        os.close(self._descriptor)


def has_lines(target: Path) -> bool:
    """Return True if a spool for this file, which can be trusted, has lines."""
    for path in _paths(target):
        with contextlib.suppress(OSError):  # it was deleted just now
            found = path.lstat()
            if found.st_size and _is_trusted(found):
                return True
    return False


def _paths(target: Path) -> list[Path]:
    return sorted(target.absolute().parent.glob(f"{glob.escape(target.name)}.*{SUFFIX}"))


def _is_trusted(found: os.stat_result) -> bool:
    """Return True if a process of this user has created the file as its spool, and nobody else could have changed it.

    `heliograph.runtime.ownership` permits more, because people prepare what it checks: a directory may be shared by a group, or be
    opened by the superuser. Only heliograph creates spools.
    """
    is_private = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid() and is_private
