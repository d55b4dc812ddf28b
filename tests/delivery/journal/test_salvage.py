"""Records of a segment that has no name any more are read by the file that its writer has open."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from delivery.journal.journals import SCOPE_A, SCOPE_B, records, write
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import RECORD
from heliograph.delivery.journal.salvage import cut_back, salvage
from heliograph.delivery.journal.segment import SegmentReader


def test_records_after_a_sequence_are_salvaged(tmp_path: Path) -> None:
    """Salvaged records have their sequences and their scopes."""
    writer = write(tmp_path, records(5))
    segment = writer.detach()
    assert segment is not None
    segment.path.unlink()

    assert salvage(segment.path, segment.descriptor, after=2) == [
        Entry(3, SCOPE_A, records(5)[2]),
        Entry(4, SCOPE_B, records(5)[3]),
        Entry(5, SCOPE_A, records(5)[4]),
    ]
    segment.abandon()


def test_nothing_is_salvaged_from_a_file_without_content(tmp_path: Path) -> None:
    """Somebody has truncated the file before it was deleted."""
    writer = write(tmp_path, records(5))
    segment = writer.detach()
    assert segment is not None
    os.truncate(segment.path, 0)

    assert salvage(segment.path, segment.descriptor, after=0) == []
    segment.abandon()


@pytest.mark.parametrize(("removed", "newest"), [(0, 5), (1, 4), (30, 4), (10**6, 0)])
def test_shortened_segment_is_cut_back_to_its_last_frame(tmp_path: Path, removed: int, newest: int) -> None:
    """A reader finds no damage in it, and the records before are there."""
    writer = write(tmp_path, records(5))
    segment = writer.detach()
    assert segment is not None
    os.truncate(segment.path, max(0, segment._position - removed))

    assert cut_back(segment.path, segment.descriptor) == newest
    segment.abandon()
    size = segment.path.stat().st_size
    assert (size == 0) == (newest == 0)
    if size:
        with contextlib.closing(SegmentReader(1, segment.path)) as reader:
            assert [sequence for sequence, kind, *_ in reader.frames() if kind == RECORD] == [*range(1, newest + 1)]
            assert reader.position == size
