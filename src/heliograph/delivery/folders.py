"""The outbox: a folder for each process and resource, and whoever holds a folder's lock drains it.

::

    OUTBOX/<process id>-<random>/lock       held by the process that writes, or by the one that adopted what it left
    OUTBOX/<process id>-<random>/…          its journal
    OUTBOX/damaged/<process id>-<random>/…  bytes that could not be read
    OUTBOX/dead.db                          the dead letters

A lock ends with its process, however that ends: so a folder whose lock can be taken belongs to nobody any more.
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
from heliograph.errors import OutboxError, OutboxFull

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK: Final = "lock"
DEAD_LETTERS: Final = "dead.db"

_DRAFT: Final = "."
_FOLDER_NAME: Final = re.compile(r"\d+-[0-9a-f]{8}")
_DRAFT_NAME: Final = re.compile(r"\.\d+-[0-9a-f]{8}")


class FolderLock:
    """A folder whose lock is held.

    Args:
        folder: The folder.
        descriptor: That of its lock.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self.folder = folder
        self._descriptor: int | None = descriptor

    def rename(self, name: str) -> None:
        """Give the folder another name.

        Raises:
            OSError: It cannot have it.
        """
        self.folder = self.folder.rename(self.folder.parent / name)

    def release(self) -> None:
        """Leave the folder to whoever takes it next."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def delete_folder(self) -> None:
        """Delete the folder, with all in it but for damaged bytes and what is not ours, and let it go."""
        with contextlib.suppress(OSError):
            damaged = self.folder / DAMAGED
            if damaged.exists():
                kept = self.folder.parent / DAMAGED
                kept.mkdir(mode=0o700, exist_ok=True)
                damaged.rename(kept / self.folder.name)
            for _, path in segments(self.folder):
                path.unlink()
            remove_cursor(self.folder)
            (self.folder / LOCK).unlink()  # the last one: a folder without it is one that is empty
            self.folder.rmdir()
        self.release()


class OutboxDirectory:
    """The folders below one directory.

    Args:
        directory: The directory; made, for its owner alone, if it is not there.
        max_bytes: How large all of it may become.

    Raises:
        OutboxError: It cannot be made or written to, or this system has no locks.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        if fcntl is None:
            raise OutboxError(directory, "this system has no locks of files that end with their process")
        self.directory = directory.absolute()
        self._max_bytes = max_bytes
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise OutboxError(directory, f"it cannot be made: {error.strerror}") from error
        if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
            raise OutboxError(directory, "it cannot be read and written")

    @property
    def dead_letters(self) -> DeadLetters:
        """What can never be delivered."""
        return DeadLetters(self.directory / DEAD_LETTERS)

    def create_folder(self) -> FolderLock:
        """A new folder.

        Raises:
            OSError: The disk is full, or fails.
        """
        while True:
            name = f"{os.getpid()}-{secrets.token_hex(4)}"
            draft = self.directory / f"{_DRAFT}{name}"
            draft.mkdir(mode=0o700)
            lock = _try_lock(draft, create=True)
            if lock is not None:  # else somebody who tidies up was faster
                lock.rename(name)
                return lock

    def lock_orphans(self) -> Iterator[FolderLock]:
        """The folders whose processes are gone; what is left of one that was made or removed by half is removed."""
        for folder in self.folders():
            lock = _try_lock(folder, create=False)
            if lock is not None:
                yield lock
            elif not (folder / LOCK).exists():
                with contextlib.suppress(OSError):  # it is not empty
                    folder.rmdir()
        for draft in self._named(_DRAFT_NAME):
            lock = _try_lock(draft, create=False)
            if lock is not None:
                lock.delete_folder()
            else:
                with contextlib.suppress(OSError):
                    draft.rmdir()

    def folders(self) -> list[Path]:
        """All folders of processes, alive or not; what else is in the directory is not touched."""
        return self._named(_FOLDER_NAME)

    def _named(self, pattern: re.Pattern[str]) -> list[Path]:
        return sorted(path for path in self.directory.iterdir() if pattern.fullmatch(path.name) and path.is_dir())

    def is_locked(self, folder: Path) -> bool:
        """Whether a process is at this folder: the one that writes to it, or one that sends what is left in it."""
        lock = _try_lock(folder, create=False)
        if lock is not None:
            lock.release()
        return lock is None

    def damaged_files(self) -> list[Path]:
        """The files with bytes that could not be read."""
        return sorted(path for path in self.directory.rglob(f"{DAMAGED}/**/*") if path.is_file())

    def size(self) -> int:
        """How many bytes all of it has."""
        total = 0
        for parent, _, names in os.walk(self.directory):
            for name in names:
                with contextlib.suppress(OSError):  # deleted meanwhile
                    total += (Path(parent) / name).stat().st_size
        return total

    def check_room(self, size: int) -> None:
        """See that so many bytes fit.

        Raises:
            OutboxFull: They do not.
        """
        if self.size() + size > self._max_bytes:
            raise OutboxFull(self.directory, self._max_bytes)


def _try_lock(folder: Path, *, create: bool) -> FolderLock | None:
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
        if (folder / LOCK).stat().st_ino == os.fstat(descriptor).st_ino:  # else it was removed meanwhile
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        lock.release()
        if create:  # a file system that has no locks
            raise
    lock.release()
    return None
