"""The cursor of a journal: a small file with the last acknowledged sequence.

Its content, little-endian: ``HELIOCUR``, version (2 bytes), sequence (8), CRC-32 of all bytes before it (4).

The file is replaced as a whole (a new one is written beside it, then renamed), so after a kill there is either the old cursor or
the new one. Only the reader of the journal, which holds the lock of the folder, writes it.
"""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path
from typing import Final
from zlib import crc32

from heliograph.delivery.trust import check_file, delete_file, move, open_file

_CURSOR: Final = struct.Struct("<8sHQI")
_MAGIC: Final = b"HELIOCUR"
_VERSION: Final = 1
_NAME: Final = "cursor"
_DRAFT_NAME: Final = "cursor.new"

CURSOR_NAMES: Final = frozenset({_NAME, _DRAFT_NAME})
"""The names of the files that this module creates."""


def read_cursor(folder: Path) -> int:
    """Return the last acknowledged sequence; 0 if there is no cursor, or if it is damaged or not to be trusted.

    With 0 all records that are still in the folder are sent again: duplicates, but no loss.
    """
    try:
        with os.fdopen(open_file(folder / _NAME, os.O_RDONLY, folder.parent), "rb") as file:
            data = file.read(_CURSOR.size + 1)
        magic, version, sequence, checksum = _CURSOR.unpack(data)
    except (OSError, struct.error):
        return 0
    is_ours = magic == _MAGIC and version == _VERSION and crc32(data[:-4]) == checksum
    return int(sequence) if is_ours else 0


def write_cursor(folder: Path, sequence: int) -> None:
    """Replace the cursor.

    There is no fsync: a power cut may bring back an older cursor, whose only effect is that records are sent once more.

    Raises:
        OSError: The cursor cannot be written, or the old one is not to be trusted. The old one is still there.
    """
    head = _CURSOR.pack(_MAGIC, _VERSION, sequence, 0)[:-4]
    cursor, draft = folder / _NAME, folder / _DRAFT_NAME
    with contextlib.suppress(FileNotFoundError):
        check_file(cursor, folder.parent)
    descriptor = open_file(draft, os.O_WRONLY | os.O_CREAT, folder.parent)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, head + struct.pack("<I", crc32(head)))
    finally:
        os.close(descriptor)
    move(draft, cursor, folder.parent)


def remove_cursor(folder: Path) -> None:
    """Delete the cursor, and a new one that was not renamed yet.

    Raises:
        OSError: One of them cannot be deleted, or is not to be trusted.
    """
    for name in CURSOR_NAMES:
        delete_file(folder / name, folder.parent)
