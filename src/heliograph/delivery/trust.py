"""Check the folders and files of the outbox, because somebody else may have prepared them.

The directory of an outbox may be shared: a volume that belongs to root and is writable by a group, or ``/var/tmp``. Whoever can
write to it could place a link, to have another file read, overwritten or deleted, or a journal, to have it sent with our
credentials. So each path is checked before it is used, and again after it was opened. It must

- be a real folder, or a regular file with one link (no symbolic link, no second name of a file somewhere else, no pipe);
- belong to this user. For root: to root or to the owner of the outbox, since root may look after the outbox of a program;
- not be writable by others. The group's bit is accepted, because some volumes set it on everything.

A path that fails is never read, changed or deleted. The directory of the outbox itself is the user's choice, and is not checked.

Between the check and the use, somebody who can write to the directory could put a link in the place of a folder. So every operation starts at the
directory: each folder on the path is opened relative to the one before, without following links, and the open folder is checked. The last
step then names a file of that open folder, wherever the path leads by then. Only SQLite, which opens ``dead.db`` by its path,
cannot do that: it creates no file, and a file of another kind is not changed.

No function keeps state, so any thread may call any of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from heliograph.runtime.ownership import ownership_problem

_OPEN_SAFELY: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Opening a pipe would wait for its other end.
    | getattr(os, "O_NONBLOCK", 0)
)
_OPEN_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_FOLDER: Final = (errno.ENOTDIR, errno.ELOOP)
"""The errors of opening a folder that is a link or a file."""


class UntrustedPathError(OSError):
    """A folder or a file of the outbox that somebody else may have prepared.

    Args:
        path: The folder or file.
        reason: The reason, as a clause with the subject "it".
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not used: {reason}")
        self.path = path
        self.reason = reason


def check_folder(path: Path) -> None:
    """Check a folder of the outbox.

    Raises:
        UntrustedPathError: Somebody else may have prepared it.
        OSError: It is not there, or cannot be examined.
    """
    _check_real_folder(path, path.parent, path.lstat())


def check_file(path: Path, directory: Path) -> None:
    """Check a file of the outbox.

    Args:
        path: The file.
        directory: The directory of the outbox.

    Raises:
        UntrustedPathError: Somebody else may have prepared it.
        OSError: It is not there, or cannot be examined.
    """
    _check_regular(path, directory, path.lstat())


def passes(check: Callable[[Path], None], path: Path) -> bool:
    """Return True if a folder or a file is there and can be trusted."""
    with contextlib.suppress(OSError):
        check(path)
        return True
    return False


def untrusted_reason(path: Path, check: Callable[[Path], None]) -> UntrustedPathError | None:
    """Return the error of a check of a path; `None` if it can be trusted, or is not there."""
    try:
        check(path)
    except UntrustedPathError as error:
        return error
    except OSError:
        # It does not exist, or another process has deleted it in the meantime.
        return None
    return None


def open_file(path: Path, flags: int, directory: Path) -> int:
    """Open a file of the outbox, and return its descriptor. A new file gets the mode 0600.

    Args:
        path: The file.
        flags: The flags of `os.open`. Not ``O_TRUNC``: it would empty the file before it is checked.
        directory: The directory of the outbox.

    Raises:
        UntrustedPathError: Somebody else may have prepared it.
        OSError: It cannot be opened.
    """
    with _open_parent(path, directory) as parent:
        # Before it is opened, since opening a device can have effects; and after, since it may have been replaced in between.
        with contextlib.suppress(FileNotFoundError):
            _check_regular(path, directory, os.stat(path.name, dir_fd=parent, follow_symlinks=False))
        descriptor = os.open(path.name, flags | _OPEN_SAFELY, 0o600, dir_fd=parent)
        try:
            _check_regular(path, directory, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def delete_file(path: Path, directory: Path) -> None:
    """Delete a file of the outbox, if it is there.

    Raises:
        UntrustedPathError: Somebody else may have prepared it.
        OSError: It cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError), _open_parent(path, directory) as parent:
        _check_regular(path, directory, os.stat(path.name, dir_fd=parent, follow_symlinks=False))
        os.unlink(path.name, dir_fd=parent)


def create_folder(path: Path, directory: Path) -> None:
    """Create a folder below one of the outbox, if it is not there, and check it.

    Raises:
        UntrustedPathError: Somebody else may have prepared it, or a folder on its path.
        OSError: It cannot be created.
    """
    with _open_parent(path, directory) as parent:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path.name, 0o700, dir_fd=parent)
        _check_real_folder(path, directory, os.stat(path.name, dir_fd=parent, follow_symlinks=False))


def delete_folder(path: Path, directory: Path) -> None:
    """Delete an empty folder below one of the outbox.

    Raises:
        UntrustedPathError: Somebody else may have prepared a folder on its path.
        OSError: It is not empty, or cannot be deleted.
    """
    with _open_parent(path, directory) as parent:
        os.rmdir(path.name, dir_fd=parent)


def move(path: Path, target: Path, directory: Path) -> None:
    """Move a file of the outbox to another place in it. A file that is there is replaced.

    Raises:
        UntrustedPathError: Somebody else may have prepared a folder on its path.
        OSError: It cannot be moved.
    """
    with _open_parent(path, directory) as source, _open_parent(target, directory) as destination:
        os.rename(path.name, target.name, src_dir_fd=source, dst_dir_fd=destination)


@contextmanager
def _open_parent(path: Path, directory: Path) -> Iterator[int]:
    """Open the folder that a path is in, from the directory of the outbox down, without following links, and yield its descriptor."""
    descriptor, folder = os.open(directory, _OPEN_FOLDER), directory
    try:
        for name in path.parent.relative_to(directory).parts:
            folder /= name
            inner = _open_folder(folder, descriptor)
            os.close(descriptor)
            descriptor = inner
            _check_real_folder(folder, directory, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _open_folder(path: Path, parent: int) -> int:
    try:
        return os.open(path.name, _OPEN_FOLDER | _OPEN_SAFELY, dir_fd=parent)
    except OSError as error:
        if error.errno in _NO_FOLDER:
            raise UntrustedPathError(path, "it is not a real folder") from error
        raise


def _check_real_folder(path: Path, directory: Path, found: os.stat_result) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise UntrustedPathError(path, "it is not a real folder")
    _check_owner(path, directory, found)


def _check_regular(path: Path, directory: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UntrustedPathError(path, "it is not a regular file")
    if not found.st_nlink:
        raise FileNotFoundError(errno.ENOENT, "it was deleted", str(path))
    if found.st_nlink > 1:
        raise UntrustedPathError(path, f"it has {found.st_nlink} links")
    _check_owner(path, directory, found)


def _check_owner(path: Path, directory: Path, found: os.stat_result) -> None:
    problem = ownership_problem(found, directory)
    if problem is not None:
        raise UntrustedPathError(path, problem)
