"""The outbox on disk: one folder for each process, signal and resource, as shown at the top of `heliograph.delivery`.

A process owns the folders that it has locked; one whose lock is free is an orphan (`heliograph.delivery.outbox.folder_lock`). Many processes
work in one outbox at once, without any other lock between them. Two rules make that safe:

- A folder is created under a hidden name, locked, and only then renamed to its final name. Nobody sees it unlocked.
- When a folder is deleted, the file ``lock`` goes last. A folder without it is empty, and any process may delete it.

Others may have prepared what is in a shared directory: `heliograph.delivery.trust` checks each path before it is used.

Within a process any thread may call these functions. Of an `OutboxDirectory`, only its `Space` changes, and the set of folders that were
reported: at worst, two threads report one folder twice.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from heliograph.delivery.journal.damage import DAMAGED
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folder_lock import LOCK, FolderLock, has_locks, try_lock
from heliograph.delivery.outbox.space import Space
from heliograph.delivery.signals import SIGNALS, OutboxSignal, signal_of_folder
from heliograph.delivery.trust import (
    UntrustedPathError,
    check_file,
    check_folder,
    delete_file,
    passes,
    untrusted_reason,
)
from heliograph.errors import OutboxError
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

DEAD_LETTERS: Final = "dead.db"

_NEEDED: Final = ("fchmod", "ftruncate", "pread", "pwrite")
"""The functions of `os` without which records could not be stored or read. Others have a substitute."""
_MAX_REPORTED: Final = 100
_HIDDEN: Final = "."
# Only names of this form are ever touched: the directory may hold other files of its user.
_SUFFIXES: Final = "|".join(re.escape(signal.folder_suffix) for signal in SIGNALS)
_FOLDER_NAME: Final = re.compile(rf"\d+-[0-9a-f]{{8}}({_SUFFIXES})")
_HIDDEN_FOLDER_NAME: Final = re.compile(rf"\.{_FOLDER_NAME.pattern}")

logger: Final = SafeLogger(SCOPE)


class OutboxDirectory:
    """The directory that holds the folders.

    Args:
        directory: The directory, or a link to it. It is created, for its owner only, if it does not exist.
        max_bytes: The size that all files in it may reach together.

    Attributes:
        directory: The directory, as an absolute path.
        space: Its size and limit.

    Raises:
        OutboxError: It cannot be created or written to, or this system has no file locks, or lacks another part of POSIX.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        if not has_locks():
            raise OutboxError(directory, "this system has no file locks that end with their process (POSIX flock)")
        if missing := [f"os.{name}" for name in _NEEDED if not hasattr(os, name)]:
            raise OutboxError(directory, f"this system has no {', '.join(missing)}")
        self.directory = directory.absolute()
        self._reported: set[Path] = set()
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            raise OutboxError(directory, "it is a file; name a directory in HELIOGRAPH_OUTBOX") from None
        except OSError as error:
            raise OutboxError(directory, f"it cannot be created: {error.strerror}") from error
        if not os.access(self.directory, os.R_OK | os.W_OK | os.X_OK):
            raise OutboxError(directory, "this user may not read and write it")
        # Links are followed once: one that is changed later must not lead this process to another place.
        self.directory = self.directory.resolve()
        self.space = Space(self.directory, max_bytes)
        if self.directory.stat().st_mode & (stat.S_IWOTH | stat.S_ISVTX) == stat.S_IWOTH:
            logger.warning(
                "Any user can rename and replace what is in the outbox %s: set its sticky bit.", self.directory
            )

    @property
    def dead_letters(self) -> DeadLetters:
        """The dead letters of this outbox."""
        return DeadLetters(self.directory / DEAD_LETTERS)

    def create_folder(self, signal: OutboxSignal) -> FolderLock:
        """Create a folder for a signal, and return it locked.

        Raises:
            OSError: The disk is full or fails, or the file system has no locks.
        """
        while True:
            name = f"{os.getpid()}-{secrets.token_hex(4)}{signal.folder_suffix}"
            hidden = self.directory / f"{_HIDDEN}{name}"
            hidden.mkdir(mode=0o700)
            try:
                # Another process may have found the folder half-created, and deleted it.
                with contextlib.suppress(FileNotFoundError):
                    # Some file systems give every folder the same owner or mode.
                    check_folder(hidden)
                lock = try_lock(hidden, create=True)
            except BaseException:
                # Otherwise each attempt would add a folder.
                _delete_half_created(hidden)
                raise
            # None: another process found the folder before it was locked, and deleted it as half-created. Try again.
            if lock is not None:
                try:
                    lock.rename(name)
                except BaseException:
                    # It would also stay locked.
                    lock.delete_folder()
                    raise
                return lock

    def lock_orphans(self, signal: OutboxSignal) -> Iterator[FolderLock]:
        """Lock and yield each folder of a signal whose process has died. Delete half-created and half-deleted folders."""
        for folder in self.folders():
            if signal_of_folder(folder) is not signal:
                continue
            try:
                lock = try_lock(folder, create=_has_lost_its_lock(folder))
            except OSError as error:
                self._report(folder, error)
                continue
            if lock is not None:
                yield lock
            elif not os.path.lexists(folder / LOCK):
                # It is half-deleted: the lock file was the last of our files. Files that are not ours may still be in it.
                with contextlib.suppress(OSError):
                    folder.rmdir()
            elif (reason := untrusted_reason(folder / LOCK, self._check_file)) is not None:
                self._report(folder, reason)
        for hidden in self._folders_named(_HIDDEN_FOLDER_NAME):  # half-created
            lock = try_lock(hidden, create=False)
            if lock is not None:
                lock.delete_folder()
            else:
                # If it is not empty, its process lives, and has locked it.
                with contextlib.suppress(OSError):
                    hidden.rmdir()

    def folders(self) -> list[Path]:
        """Return all folders, of living and of dead processes, in the order of their names."""
        return self._folders_named(_FOLDER_NAME)

    def _folders_named(self, pattern: re.Pattern[str]) -> list[Path]:
        named: list[Path] = []
        # If the directory was deleted, it may come back.
        with contextlib.suppress(FileNotFoundError):
            named = sorted(path for path in self.directory.iterdir() if pattern.fullmatch(path.name))
        return [path for path in named if self._is_trusted(path)]

    def _is_trusted(self, folder: Path) -> bool:
        """Return False if a folder is not to be used. The reason is logged once."""
        try:
            check_folder(folder)
        except UntrustedPathError as error:
            self._report(folder, error)
            return False
        except OSError:  # another process deleted it meanwhile
            return False
        return True

    def _report(self, folder: Path, error: OSError) -> None:
        """Log once that a folder is passed over. At most a hundred are logged, because anybody may create such folders."""
        if folder not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(folder)
            logger.error("A folder of the outbox is passed over: %s", error)

    def untrusted_paths(self) -> list[UntrustedPathError]:
        """Return the reason for each folder and file that is passed over because somebody else may have prepared it."""
        kept, places = self.directory / DAMAGED, self._damaged_places()
        folders = [path for path in self.directory.iterdir() if _FOLDER_NAME.fullmatch(path.name)]
        parents = [*self.folders(), *(place for place in places if passes(check_folder, place))]
        files = [path for parent in parents for path in _paths_in(parent) if path not in places]
        found = [
            *(untrusted_reason(path, check_folder) for path in [*sorted(folders), kept, *sorted(places)]),
            *(untrusted_reason(path, self._check_file) for path in [*sorted(files), self.directory / DEAD_LETTERS]),
        ]
        return [error for error in found if error is not None]

    def _check_file(self, path: Path) -> None:
        check_file(path, self.directory)

    def is_locked(self, folder: Path) -> bool:
        """Return True if a process owns the folder: the one that writes it, or one that adopted it."""
        lock = try_lock(folder, create=False)
        if lock is not None:
            lock.release()
        return lock is None and os.path.lexists(folder / LOCK)

    def damaged_files(self) -> list[Path]:
        """Return the files with bytes that could not be read, without those that somebody else may have prepared."""
        places = [place for place in self._damaged_places() if passes(check_folder, place)]
        return sorted(path for place in places for path in _paths_in(place) if passes(self._check_file, path))

    def _damaged_places(self) -> list[Path]:
        """Return the folders that may hold damaged bytes: those inside of existing folders, and those kept of deleted ones.

        Some of them may not exist.
        """
        kept = self.directory / DAMAGED
        of_deleted = _paths_in(kept) if passes(check_folder, kept) else []
        return [*of_deleted, *(folder / DAMAGED for folder in self.folders())]


def _delete_half_created(folder: Path) -> None:
    """Delete a hidden folder that this process has created and could not lock. Only its lock file can be in it."""
    with contextlib.suppress(OSError):
        delete_file(folder / LOCK, folder.parent)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _has_lost_its_lock(folder: Path) -> bool:
    """Return True if somebody else has deleted the lock file of a folder. heliograph itself would have deleted the segments first.

    A process that still writes to the folder notices that its lock is gone, and gives the folder up.
    """
    with contextlib.suppress(OSError):
        return not os.path.lexists(folder / LOCK) and bool(segments(folder, with_renamed=True))
    return False  # pragma: no cover — another process deletes the folder at this moment


def _paths_in(folder: Path) -> list[Path]:
    """Return the paths in a folder; none if another process deleted it meanwhile."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []
