"""Find the file system of a directory, and decide if space that is reserved on it can always be written.

The mounts are read from ``/proc`` (Linux). On other systems the file system is unknown, and nothing is promised.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PROMISING: Final = frozenset({"ext3", "ext4", "xfs", "tmpfs"})
"""File systems on which reserved space can always be written. Others copy on write, compress, or live on another machine."""
_MOUNTS: Final = Path("/proc/self/mountinfo")


def keeps_reserved_space(directory: Path) -> bool:
    """Return True if space that was reserved for a file can be written for sure, so that a memory map is safe."""
    return filesystem_of(directory) in _PROMISING


def filesystem_of(directory: Path) -> str | None:
    """Return the type of the file system that a directory is on, such as `ext4`; `None` if it cannot be found.

    Args:
        directory: The directory, as an absolute path without symbolic links.
    """
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    # The length of the longest mount point so far, and the type of its file system.
    best: tuple[int, str | None] = (-1, None)
    for line in lines:
        # The format is in proc(5): the mount point is the fifth field, and the type follows a field that is a dash.
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode("latin-1", "replace").decode("unicode_escape")
        # The last of equal mount points covers the ones before.
        if directory.is_relative_to(point) and len(point) >= best[0]:
            best = len(point), after.split(" ")[0]
    return best[1]
