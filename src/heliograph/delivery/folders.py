"""The outbox on disk: one folder for each process and resource, and the lock that says who owns it.

::

    OUTBOX/<process id>-<random>/lock       locked by the process that writes the folder, or by the one that adopted it
    OUTBOX/<process id>-<random>/…          the journal of the folder
    OUTBOX/.<process id>-<random>/          a folder that is being created
    OUTBOX/damaged/<process id>-<random>/…  bytes that could not be read, kept for inspection
    OUTBOX/dead.db                          the dead letters

Ownership is an exclusive `flock` on the file ``lock``. The kernel drops it when the process ends, however it ends, so a
folder whose lock is free belongs to a process that has died: it is an orphan, and the process that locks it may send and
delete it. A file with a process id would not do: ids are used again, and a file outlives a kill.

Many processes work in one outbox at once, without any other lock between them. Two rules make that safe:

- A folder is created under a hidden name, locked, and only then renamed to its final name. Nobody sees it unlocked.
- When a folder is deleted, the file ``lock`` goes last. A folder without it is empty, and any process may delete it.

Within a process any thread may call these functions: `OutboxDirectory` has no state that changes. A `FolderLock` is used by
one thread at a time (its owner in `storage.py` or `orphans.py`).

A forked child shares the parent's open lock files. The parent's lock lasts until *both* have closed them, so the child closes
its copies at once (`ResourceStorage.abandon`, `Worker.abandon`); else the folder would stay locked after the parent's death.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.journal.cursor import remove_cursor
from heliograph.delivery.journal.reader import DAMAGED
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.space import Space
from heliograph.errors import OutboxError

try:
    import fcntl
except ImportError:  # pragma: no cover — Windows
    fcntl = None  # type: ignore[assignment]

LOCK: Final = "lock"
DEAD_LETTERS: Final = "dead.db"

_HIDDEN: Final = "."
# Only names of this form are ever touched: the directory may hold other files of its user.
_FOLDER_NAME: Final = re.compile(r"\d+-[0-9a-f]{8}")
_HIDDEN_FOLDER_NAME: Final = re.compile(r"\.\d+-[0-9a-f]{8}")


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

    def release(self) -> None:
        """Unlock the folder, so that another process can adopt it. A second call does nothing."""
        # Forgotten before it is closed: by a second call the number may belong to a file of someone else.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def delete_folder(self) -> None:
        """Delete the journal and the folder, and unlock it.

        Damaged bytes move to ``damaged/`` of the outbox. A file that is not ours stays, and with it the folder. If deleting
        fails half-way, the next process that adopts the folder finishes it.
        """
        with contextlib.suppress(OSError):
            damaged = self.folder / DAMAGED
            if damaged.exists():
                kept = self.folder.parent / DAMAGED
                kept.mkdir(mode=0o700, exist_ok=True)
                damaged.rename(kept / self.folder.name)
            # Segments before the cursor: without it, a segment that is still there would be sent again.
            for _, path in segments(self.folder):
                path.unlink()
            remove_cursor(self.folder)
            (self.folder / LOCK).unlink()  # last, so that a folder without a lock file is always empty
            self.folder.rmdir()
        self.release()


class OutboxDirectory:
    """The directory that holds the folders.

    Args:
        directory: The directory. It is created, for its owner alone, if it does not exist.
        max_bytes: The size that all files in it may reach together.

    Attributes:
        directory: The directory, as an absolute path.
        space: Its size and limit.

    Raises:
        OutboxError: It cannot be created or written to, or this system has no file locks.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        if fcntl is None:
            raise OutboxError(directory, "this system has no file locks that end with their process (POSIX flock)")
        self.directory = directory.absolute()
        self.space = Space(self.directory, max_bytes)
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutboxError(directory, f"it cannot be created: {error.strerror}") from error
        if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
            raise OutboxError(directory, "this user may not read and write it")

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters of this outbox."""
        return DeadLetters(self.directory / DEAD_LETTERS)

    def create_folder(self) -> FolderLock:
        """Create a folder, and return it locked.

        Raises:
            OSError: The disk is full or fails, or the file system has no locks.
        """
        while True:
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            hidden = self.directory / f"{_HIDDEN}{name}"
            hidden.mkdir(mode=0o700)
            lock = _try_lock(hidden, create=True)
            # None: another process found the folder before it was locked, and deleted it as half-created. Try again.
            if lock is not None:
                try:
                    lock.rename(name)
                except OSError:
                    lock.delete_folder()  # else each attempt would add a folder that stays locked
                    raise
                return lock

    def lock_orphans(self) -> Iterator[FolderLock]:
        """Lock and yield each folder whose process has died. Delete half-created and half-deleted folders."""
        for folder in self.folders():
            lock = _try_lock(folder, create=False)
            if lock is not None:
                yield lock
            elif not (folder / LOCK).exists():  # half-deleted: its lock file was the last file in it
                with contextlib.suppress(OSError):  # a file that is not ours is in it
                    folder.rmdir()
        for hidden in self._folders_named(_HIDDEN_FOLDER_NAME):  # half-created
            lock = _try_lock(hidden, create=False)
            if lock is not None:
                lock.delete_folder()
            else:
                with contextlib.suppress(OSError):  # not empty: its process lives, and has locked it
                    hidden.rmdir()

    def folders(self) -> list[Path]:
        """Return all folders, of living and of dead processes, in the order of their names."""
        return self._folders_named(_FOLDER_NAME)

    def _folders_named(self, pattern: re.Pattern[str]) -> list[Path]:
        return sorted(path for path in self.directory.iterdir() if pattern.fullmatch(path.name) and path.is_dir())

    def is_locked(self, folder: Path) -> bool:
        """Return True if a process owns the folder: the one that writes it, or one that adopted it."""
        lock = _try_lock(folder, create=False)
        if lock is not None:
            lock.release()
        return lock is None

    def damaged_files(self) -> list[Path]:
        """Return the files with bytes that could not be read."""
        return sorted(path for path in self.directory.rglob(f"{DAMAGED}/**/*") if path.is_file())


def _try_lock(folder: Path, *, create: bool) -> FolderLock | None:
    """Lock the folder without waiting. Return None if another process owns it, or it was deleted."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        descriptor = os.open(folder / LOCK, flags, 0o600)
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
        if create:  # a file system without locks: without them this folder could be sent twice at once
            raise
    lock.release()
    return None
