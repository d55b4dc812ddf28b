"""Decide if somebody else may have prepared a file or a folder, in a directory that several users can write to."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def ownership_problem(found: os.stat_result, directory: Path) -> str | None:
    """Return why a file or a folder is not to be trusted, as a clause such as "it belongs to the user 33"; `None` if it is.

    A trusted one belongs to the user of this process, and not every user can write to it. If the process belongs to the superuser, it may
    also belong to the owner of the directory. On systems without such users (Windows), everything is trusted.

    Args:
        found: The owner and the mode of the file or folder.
        directory: The directory that the user has chosen, such as the outbox.
    """
    if not hasattr(os, "geteuid"):
        return None  # pragma: no cover — the tests run on systems that have it
    user = os.geteuid()
    if found.st_uid != user and (user or found.st_uid != directory.stat().st_uid):
        return f"it belongs to the user {found.st_uid}"
    if found.st_mode & stat.S_IWOTH:
        return "others may write to it"
    return None
