"""The cursor of a journal: a small file with the last acknowledged sequence.

The file is replaced as a whole (written beside it, then renamed), so a process that is killed leaves either the old cursor or
the new one. Only the reader of the journal, which holds the lock of the folder, writes it.
"""

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
    """Return the last acknowledged sequence; 0 if there is no cursor, or if it is damaged.

    With 0 all records that are still in the folder are sent again: duplicates, but no loss.
    """
    try:
        data = (folder / _NAME).read_bytes()
        magic, version, sequence, checksum = _CURSOR.unpack(data)
    except (OSError, struct.error):
        return 0
    is_ours = magic == _MAGIC and version == _VERSION and crc32(data[:-4]) == checksum
    return int(sequence) if is_ours else 0


def write_cursor(folder: Path, sequence: int) -> None:
    """Replace the cursor.

    There is no fsync: a power cut may bring back an older cursor, whose only effect is that records are sent once more.

    Raises:
        OSError: The cursor cannot be written. The old one is still there.
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
    """Delete the cursor, and a new one that was not renamed yet."""
    for name in (_NAME, _DRAFT_NAME):
        (folder / name).unlink(missing_ok=True)
