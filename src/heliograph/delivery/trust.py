"""Entries of the outbox that somebody else may have prepared.

The directory of an outbox may be shared: a volume that belongs to root and is writable by a group, or ``/var/tmp``. Whoever can
write to it could place a link, to have another file read, overwritten or deleted, or a journal, to have it sent with our
credentials. So each entry is judged before it is used, and again after it was opened. It must

- be a real folder, or a regular file with one link (no symbolic link, no second name of a file somewhere else, no pipe);
- belong to this user. For root: to root or to the owner of the outbox, since root may look after the outbox of a program;
- not be writable by others. The group's bit is accepted, because some volumes set it on everything.

An entry that fails is never read, changed or deleted. The directory of the outbox itself is the user's choice, and is not judged.

All functions are pure in the sense that they keep no state. Any thread may call them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Final

_OPEN_SAFELY: Final = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    # Opening a pipe would wait for its other end.
    | getattr(os, "O_NONBLOCK", 0)
)


class UntrustedEntryError(OSError):
    """An entry of the outbox that somebody else may have prepared.

    Args:
        path: The entry.
        reason: The reason, as a clause with the subject "it".
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} is not used: {reason}")
        self.path = path
        self.reason = reason


def check_folder(path: Path) -> None:
    """Check a folder of the outbox.

    Raises:
        UntrustedEntryError: Somebody else may have prepared it.
        OSError: It is not there, or cannot be examined.
    """
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise UntrustedEntryError(path, "it is not a real folder")
    _check_owner(path, path.parent, found)


def check_file(path: Path, directory: Path) -> None:
    """Check a file of the outbox.

    Args:
        path: The file.
        directory: The directory of the outbox.

    Raises:
        UntrustedEntryError: Somebody else may have prepared it.
        OSError: It is not there, or cannot be examined.
    """
    _check_regular(path, directory, path.lstat())


def open_file(path: Path, flags: int, directory: Path) -> int:
    """Open a file of the outbox, and return its descriptor. A new file gets the mode 0600.

    Args:
        path: The file.
        flags: The flags of `os.open`. Not ``O_TRUNC``: it would empty the file before it is judged.
        directory: The directory of the outbox.

    Raises:
        UntrustedEntryError: Somebody else may have prepared it.
        OSError: It cannot be opened.
    """
    # Before it is opened, since opening a device can have effects; and after, since it may have been replaced in between.
    with contextlib.suppress(FileNotFoundError):
        check_file(path, directory)
    descriptor = os.open(path, flags | _OPEN_SAFELY, 0o600)
    try:
        _check_regular(path, directory, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def delete_file(path: Path, directory: Path) -> None:
    """Delete a file of the outbox, if it is there.

    Raises:
        UntrustedEntryError: Somebody else may have prepared it.
        OSError: It cannot be deleted.
    """
    with contextlib.suppress(FileNotFoundError):
        check_file(path, directory)
        path.unlink()


def _check_regular(path: Path, directory: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise UntrustedEntryError(path, "it is not a regular file")
    if not found.st_nlink:
        raise FileNotFoundError(errno.ENOENT, "it was deleted", str(path))
    if found.st_nlink > 1:
        raise UntrustedEntryError(path, f"it has {found.st_nlink} links")
    _check_owner(path, directory, found)


def _check_owner(path: Path, directory: Path, found: os.stat_result) -> None:
    user = os.geteuid()
    owners = {user} if user else {user, directory.stat().st_uid}
    if found.st_uid not in owners:
        raise UntrustedEntryError(path, f"it belongs to the user {found.st_uid}")
    if found.st_mode & stat.S_IWOTH:
        raise UntrustedEntryError(path, "others may write to it")
