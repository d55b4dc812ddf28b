"""The cursor of a journal: the last sequence that was answered for, in a file that is replaced as a whole."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

_CURSOR: Final = struct.Struct("<8sHQI")
_MAGIC: Final = b"HELIOCUR"
_VERSION: Final = 1
_NAME: Final = "cursor"
_DRAFT_NAME: Final = "cursor.new"


def read_cursor(folder: Path) -> int:
    """The last acknowledged sequence; 0 where nothing is known of it: then all is sent again, and nothing is lost."""
    try:
        data = (folder / _NAME).read_bytes()
        magic, version, sequence, checksum = _CURSOR.unpack(data)
    except (OSError, struct.error):
        return 0
    is_ours = magic == _MAGIC and version == _VERSION and crc32(data[:-4]) == checksum
    return int(sequence) if is_ours else 0


def write_cursor(folder: Path, sequence: int) -> None:
    """Replace the cursor.

    It is not brought onto the disk itself: what a power cut takes back is sent once more.

    Raises:
        OSError: It cannot be written; the one before is there still.
    """
    head = _CURSOR.pack(_MAGIC, _VERSION, sequence, 0)[:-4]
    draft = folder / _DRAFT_NAME
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, head + struct.pack("<I", crc32(head)))
    finally:
        os.close(descriptor)
    draft.replace(folder / _NAME)


def remove_cursor(folder: Path) -> None:
    """Delete it, if it is there."""
    for name in (_NAME, _DRAFT_NAME):
        (folder / name).unlink(missing_ok=True)
