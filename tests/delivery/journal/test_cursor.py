"""The cursor: the last acknowledged sequence, or 0."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.journal.journals import records, temporary_folder, write
from heliograph.delivery.journal.cursor import read_cursor, remove_cursor, write_cursor
from heliograph.delivery.journal.reader import JournalReader


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3))
def test_cursor_is_the_last_one_that_was_written(sequences: list[int]) -> None:
    with temporary_folder() as folder:
        assert read_cursor(folder) == 0
        for sequence in sequences:
            write_cursor(folder, sequence)
        assert read_cursor(folder) == sequences[-1]


def test_bytes_of_a_cursor(tmp_path: Path) -> None:
    """Other releases read the cursor: its bytes are those of the format page in the documentation."""
    write_cursor(tmp_path, 7)

    head = b"HELIOCUR" + struct.pack("<HQ", 1, 7)
    assert (tmp_path / "cursor").read_bytes() == head + struct.pack("<I", crc32(head))


def test_cursor_with_any_flipped_bit_is_not_believed(tmp_path: Path) -> None:
    write_cursor(tmp_path, 3)
    whole = (tmp_path / "cursor").read_bytes()

    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        (tmp_path / "cursor").write_bytes(damaged)
        assert read_cursor(tmp_path) == 0


@pytest.mark.parametrize(("magic", "version"), [(b"HELIOCUR", 2), (b"OTHERCUR", 1)])
def test_cursor_of_another_format_is_not_believed(tmp_path: Path, magic: bytes, version: int) -> None:
    head = magic + struct.pack("<HQ", version, 7)
    (tmp_path / "cursor").write_bytes(head + struct.pack("<I", crc32(head)))

    assert read_cursor(tmp_path) == 0


def test_cursor_is_replaced_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill before the rename, the old cursor is there."""
    write_cursor(tmp_path, 3)

    def killed(*_: object, **__: object) -> None:
        raise OSError("killed")

    monkeypatch.setattr(os, "rename", killed)
    with pytest.raises(OSError, match="killed"):
        write_cursor(tmp_path, 4)

    assert read_cursor(tmp_path) == 3


def test_unfinished_cursor_of_a_killed_process_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "cursor.new").write_bytes(b"longer than a cursor is, by some bytes")

    write_cursor(tmp_path, 4)

    assert read_cursor(tmp_path) == 4


def test_removed_cursor_leaves_no_file(tmp_path: Path) -> None:
    """A file that was written and not renamed is removed, too."""
    write_cursor(tmp_path, 3)
    (tmp_path / "cursor.new").write_bytes(b"unfinished")

    remove_cursor(tmp_path)
    remove_cursor(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_cursor_is_for_its_owner_alone(tmp_path: Path) -> None:
    write_cursor(tmp_path, 3)

    assert (tmp_path / "cursor").stat().st_mode & 0o777 == 0o600


def test_lost_or_damaged_cursor_means_to_begin_at_the_oldest(tmp_path: Path) -> None:
    """Records that were sent already are sent once more, and none is lost."""
    write(tmp_path, records(5)).close()
    write_cursor(tmp_path, 3)
    assert read_cursor(tmp_path) == 3

    for damage in (b"", b"\0" * 22, (tmp_path / "cursor").read_bytes()[:-1] + b"x"):
        (tmp_path / "cursor").write_bytes(damage)
        reader = JournalReader(tmp_path, is_live=False)
        batch = reader.read(max_bytes=10**9, max_records=10)
        assert batch is not None
        assert [entry.sequence for entry in batch.entries] == [1, 2, 3, 4, 5]
        reader.close()
