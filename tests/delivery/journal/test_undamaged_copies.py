"""Damaged headers and scopes are found in their copies."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from delivery.journal.journals import HEADER, SCOPE_A, SCOPE_B, records, write, write_as_version_1
from heliograph.delivery.journal import undamaged_copies
from heliograph.delivery.journal.segment import SegmentReader, segments
from heliograph.delivery.journal.undamaged_copies import find_header, find_scope


def damaged_segment(folder: Path) -> SegmentReader:
    """Return the second segment of a folder, in which no scope is defined any more."""
    first, path = segments(folder)[1]
    path.write_bytes(path.read_bytes().replace(b"https://a", b"https://x"))
    return SegmentReader(first, path)


def test_header_of_another_segment_is_found(tmp_path: Path) -> None:
    """Files that are no segments are passed."""
    write(tmp_path, records(300)).close()
    (_, first), *_ = segments(tmp_path)
    first.write_bytes(b"x" * 4096)

    assert find_header(tmp_path) == HEADER


def test_folder_without_a_header(tmp_path: Path) -> None:
    assert find_header(tmp_path) is None


def test_scope_of_another_segment_is_found(tmp_path: Path) -> None:
    """The number of a scope means the same in all segments of a folder."""
    write(tmp_path, records(300)).close()

    with closing(damaged_segment(tmp_path)) as segment:
        found = [find_scope(tmp_path, segment, number) for number in range(3)]

    assert found == [SCOPE_B, SCOPE_A, None]


@pytest.mark.parametrize("is_old", [True, False])
def test_numbers_of_scopes_in_version_1_are_not_shared(tmp_path: Path, is_old: bool) -> None:
    """A scope of such a segment is searched in it alone, and such a segment is not searched for those of others."""
    write(tmp_path, records(300)).close()
    for number, (_, path) in enumerate(segments(tmp_path)):
        if (number == 1) is is_old:
            write_as_version_1(path)

    with closing(damaged_segment(tmp_path)) as segment:
        assert find_scope(tmp_path, segment, 1) is None
        assert find_scope(tmp_path, segment, 0) == SCOPE_B


def test_number_of_segments_that_are_searched_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An outbox may have thousands, and almost always the first has a copy."""
    write(tmp_path, records(1500)).close()
    opened: list[Path] = []

    class Opened(SegmentReader):
        def __init__(self, first: int, path: Path) -> None:
            opened.append(path)
            super().__init__(first, path)

    monkeypatch.setattr(undamaged_copies, "SegmentReader", Opened)
    with closing(damaged_segment(tmp_path)) as segment:
        assert find_scope(tmp_path, segment, 2) is None

    assert len(segments(tmp_path)) > 12
    assert opened[0] == segment.path
    assert len(opened) == 1 + 8
