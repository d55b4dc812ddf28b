"""The lock that says which process owns a folder of the outbox.

Ownership is an exclusive `flock` on the file ``lock``. The kernel drops it when the process ends, however it ends, so a
folder whose lock is free belongs to a process that has died: it is an orphan, and the process that locks it may send and
delete it. A file with a process id would not do: ids are used again, and a file outlives a kill.

A `FolderLock` is used by one thread at a time (its owner in `storage.py` or `orphans.py`).

A forked child shares the parent's open lock files. The parent's lock lasts until *both* have closed them, so the child closes
its copies at once (`ResourceStorage.abandon`, `Worker.abandon`); else the folder would stay locked after the parent's death.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.cursor import CURSOR_NAMES, remove_cursor
from heliograph.delivery.journal.damage import DAMAGED
from heliograph.delivery.journal.segment import segments, stat_or_none
from heliograph.delivery.trust import check_file, check_folder, create_folder, delete_file, move, open_file, passes

try:
    import fcntl
except ImportError:  # pragma: no cover — Windows
    fcntl = None  # type: ignore[assignment]

LOCK: Final = "lock"


def has_locks() -> bool:
    """Return True if this system has file locks that end with their process."""
    return fcntl is not None


class FolderLock:
    """A folder that this process owns, because it holds the folder's lock.

    Args:
        folder: The folder.
        descriptor: The open file that carries the lock.

    Attributes:
        folder: The folder, by its present name.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def rename(self, name: str) -> None:
        """Rename the folder. The lock stays, because it belongs to the open file.

        Raises:
            OSError: The folder cannot be renamed.
        """
        self.folder = self.folder.rename(self.folder.parent / name)

    def is_in_place(self) -> bool:
        """Return False if somebody else has deleted, moved or replaced the folder or its lock file, or may change them."""
        found = stat_or_none(self.folder / LOCK)
        return (
            found is not None
            and self._descriptor is not None
            and os.path.samestat(found, os.fstat(self._descriptor))
            and self.can_be_adopted()
        )

    def can_be_adopted(self) -> bool:
        """Return True if another process could send the folder: it is there, and it and its lock file can be trusted."""
        lock, outbox = self.folder / LOCK, self.folder.parent
        return passes(check_folder, self.folder) and (
            not os.path.lexists(lock) or passes(lambda path: check_file(path, outbox), lock)
        )

    def release(self) -> None:
        """Unlock the folder, so that another process can adopt it. A second call does nothing."""
        # The number is forgotten before the file is closed: at a second call, it may belong to another file of the process.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def delete_folder(self) -> OSError | None:
        """Delete the journal and the folder, and unlock it. Return the error if the folder is still there.

        Damaged bytes move to ``damaged/`` of the outbox. Files that are not ours stay, and with them the folder, its lock file
        and its cursor. If deleting fails half-way, the next process that adopts the folder finishes it.
        """
        try:
            self._delete_files()
        except OSError as error:
            return error
        finally:
            self.release()
        return None

    def _delete_files(self) -> None:
        outbox = self.folder.parent
        _keep_damaged(self.folder, outbox)
        # Segments are deleted before the cursor: without it, a segment that is still there would be sent again.
        for _, path in segments(self.folder, with_renamed=True):
            delete_file(path, outbox)
        others = {path.name for path in self.folder.iterdir()} - CURSOR_NAMES - {LOCK}
        if others:
            raise OSError(errno.ENOTEMPTY, "heliograph did not create it", str(self.folder / min(others)))
        remove_cursor(self.folder)
        # The lock file is the last, so that a folder without one is always empty.
        delete_file(self.folder / LOCK, outbox)
        # Another process may have found the folder half-deleted, and removed it.
        with contextlib.suppress(FileNotFoundError):
            self.folder.rmdir()


def _keep_damaged(folder: Path, outbox: Path) -> None:
    """Move the damaged bytes of a folder to a place where they outlive it."""
    damaged, kept = folder / DAMAGED, outbox / DAMAGED
    if os.path.lexists(damaged):
        check_folder(damaged)
        create_folder(kept, outbox)
        move(damaged, kept / folder.name, outbox)


def try_lock(folder: Path, *, create: bool) -> FolderLock | None:
    """Lock a folder without waiting. Return `None` if another process owns it, or it was deleted.

    Args:
        folder: The folder.
        create: True to create the lock file if there is none.

    Raises:
        OSError: With `create`, the disk is full or fails, or the file system has no locks.
    """
    try:
        descriptor = open_file(folder / LOCK, os.O_RDWR | (os.O_CREAT if create else 0), folder.parent)
    except OSError as error:
        if create and error.errno != errno.ENOENT:
            raise
        return None
    lock = FolderLock(folder, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between `open` and `flock` the previous owner may have deleted the file: the lock is then on a file that no one
        # else can see any more, and means nothing.
        if (folder / LOCK).stat().st_ino == os.fstat(descriptor).st_ino:
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        lock.release()
        # The file system has no locks. Without a lock, two processes could send this folder at once.
        if create:
            raise
    lock.release()
    return None
