"""Segments that somebody has renamed are read in the order of the records in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.journal.journals import drain, records, write
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.segment_order import first_sequences_by_content, last_sequence


def swap(folder: Path) -> None:
    (_, one), (_, two) = segments(folder)[:2]
    one.rename(folder / "other")
    two.rename(one)
    (folder / "other").rename(two)


def rename_to_a_large_number(folder: Path) -> None:
    segments(folder)[0][1].rename(folder / f"{'9' * 20}.journal")


def rename_to_a_small_number(folder: Path) -> None:
    segments(folder)[-1][1].rename(folder / f"{2:020}.journal")


def rename_to_a_word(folder: Path) -> None:
    segments(folder)[1][1].rename(folder / "copy of a segment.journal")


def rename_all(folder: Path) -> None:
    for number, (_, path) in enumerate(segments(folder)):
        path.rename(folder / f"{number}.journal")


RENAMINGS = [swap, rename_to_a_large_number, rename_to_a_small_number, rename_to_a_word, rename_all]


@pytest.mark.parametrize("rename", RENAMINGS)
def test_renamed_segments_are_read_in_order(tmp_path: Path, rename: Callable[[Path], None]) -> None:
    """No record is lost, none comes twice, and none is counted as damaged."""
    write(tmp_path, records(300)).close()
    rename(tmp_path)

    assert last_sequence(tmp_path) == 300
    reader = JournalReader(tmp_path, is_live=False)
    assert drain(reader) == records(300)
    assert reader.damaged == 0
    reader.close()


def test_names_count_if_the_content_agrees(tmp_path: Path) -> None:
    """A segment whose first records are damaged begins later than its name says."""
    write(tmp_path, records(300)).close()
    path = segments(tmp_path)[1][1]
    content = bytearray(path.read_bytes())
    content[200:400] = b"x" * 200
    path.write_bytes(content)

    assert first_sequences_by_content(tmp_path) == {}
    reader = JournalReader(tmp_path, is_live=False)
    assert len(drain(reader)) + reader.damaged == 300
    assert reader.damaged > 0
    reader.close()


def test_cursor_beyond_the_newest_record_does_not_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Such a cursor belongs to another folder, or is damaged in a way that its checksum does not show."""
    write(tmp_path, records(30)).close()
    write_cursor(tmp_path, 31)
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == records(30)
    assert "beyond its newest record" in caplog.text
    reader.close()


def test_damage_at_the_end_is_counted_by_the_lengths_of_frames(tmp_path: Path) -> None:
    """No later record is there, whose sequence would tell how many are missing."""
    write(tmp_path, records(30)).close()
    path = segments(tmp_path)[-1][1]
    content = path.read_bytes()
    for number in range(25, 30):
        content = content.replace(f"record {number} ".encode(), f"damage {number} ".encode())
    path.write_bytes(content)
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == records(25)
    assert reader.damaged == 5
    reader.close()


def test_last_sequence_of_a_folder_without_records(tmp_path: Path) -> None:
    """The last sequence is the one before the oldest segment, or 0 if there is no segment at all."""
    assert last_sequence(tmp_path) == 0
    (tmp_path / f"{8:020}.journal").write_bytes(bytes(1000))
    assert last_sequence(tmp_path) == 7
