"""Records of a segment that has no name any more are read by the file that its writer has open."""

from __future__ import annotations

import os
from pathlib import Path

from delivery.journal.journals import SCOPE_A, SCOPE_B, records, write
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.salvage import salvage


def test_records_after_a_sequence_are_salvaged(tmp_path: Path) -> None:
    """With their scopes."""
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
    """Somebody has truncated it before it was deleted."""
    writer = write(tmp_path, records(5))
    segment = writer.detach()
    assert segment is not None
    os.truncate(segment.path, 0)

    assert salvage(segment.path, segment.descriptor, after=0) == []
    segment.abandon()
