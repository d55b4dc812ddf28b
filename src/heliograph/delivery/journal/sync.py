"""Write files and names to the disk itself, while other threads run.

A call of `mmap.flush` (``msync``) holds the GIL for as long as the disk works, so every thread and every event loop waits. The
calls here release it. Do they cover what was written through a memory map?

- **Linux**: yes. A shared map is the page cache itself. The kernel notes each page that is written through a map since 2.6.17, and
  ``msync(MS_SYNC)`` does nothing else than ``fdatasync`` for the range of the map: ``mm/msync.c`` calls ``vfs_fsync_range`` with
  ``datasync`` set, and says "The application may now run fsync() to write out the dirty pages and wait on the writeout and check the
  result". The tests check in ``/proc/self/smaps`` that no dirty page of the map is there afterwards.
- **macOS**: no documentation promises it, so ``msync`` comes first, with the GIL held. Neither it nor ``fsync`` empties the cache of the
  disk there; fsync(2) refers to ``fcntl(F_FULLFSYNC)`` for that. It is asked for, and file systems that do not have it get ``fsync``.
  (By default no map is used there: `filesystems` knows of no file system on macOS that keeps reserved space.)
- **Others**: POSIX promises it of ``msync`` alone, which comes first, with the GIL held.

What was written by system calls is covered everywhere. ``fdatasync`` is enough in place of ``fsync``: it omits only metadata that is
not needed to read the data again, such as times, and a segment has its full size from the start.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # pragma: no cover — Windows
    fcntl = None  # type: ignore[assignment]

SYNC_COVERS_MAPS: Final = sys.platform == "linux"
"""True if `sync_file` covers what was written through a memory map."""

_FULL_SYNC: Final[int | None] = getattr(fcntl, "F_FULLFSYNC", None)  # macOS has it
_HAS_NO_FULL_SYNC: Final = frozenset({errno.ENOTSUP, errno.EINVAL, errno.ENOTTY})


def sync_file(descriptor: int) -> None:
    """Write the content of a file to the disk itself.

    Raises:
        OSError: The disk fails, or the file is closed.
    """
    if _FULL_SYNC is not None:
        try:
            fcntl.fcntl(descriptor, _FULL_SYNC)
        except OSError as error:
            if error.errno not in _HAS_NO_FULL_SYNC:
                raise
        else:
            return
    # macOS has no `fdatasync`.
    getattr(os, "fdatasync", os.fsync)(descriptor)


def sync_folder(folder: Path) -> None:
    """Write the names of the files in a folder to the disk itself.

    Raises:
        OSError: The disk fails, or the folder is not there.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
