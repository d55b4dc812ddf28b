"""A segment that is written through a memory map."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import pytest

from heliograph.delivery.journal import mapped as mapped_module
from heliograph.delivery.journal.frames import RECORD, Header, dump_header
from heliograph.delivery.journal.mapped import MappedSegmentWriter

HEADER = dump_header(Header(resource=b"resource"))


def writer_in(folder: Path) -> MappedSegmentWriter:
    return MappedSegmentWriter(folder / "segment", 4096, HEADER)


def test_length_of_a_frame_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill between the two writes, there is no frame, and nothing that a reader regards as damage."""
    written: list[tuple[int, int]] = []

    class Recorded(mmap.mmap):
        def __setitem__(self, key: Any, value: Any) -> None:
            written.append((key.start or 0, len(value)))
            super().__setitem__(key, value)

    monkeypatch.setattr(mapped_module.mmap, "mmap", Recorded)
    writer = writer_in(tmp_path)
    writer.put(1, RECORD, 0, b"record")
    writer.abandon()

    assert written == [(0, len(HEADER)), (len(HEADER) + 4, 15 + 6), (len(HEADER), 4)]


def test_map_is_flushed_before_a_sync_of_the_file_that_does_not_cover_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that another thread has closed meanwhile needs no flush."""
    done: list[str] = []

    class Flushed(mmap.mmap):
        def flush(self, *range_: int) -> None:
            done.append("flush")
            super().flush(*range_)

    monkeypatch.setattr(mapped_module, "SYNC_COVERS_MAPS", False)
    monkeypatch.setattr(mapped_module.mmap, "mmap", Flushed)
    monkeypatch.setattr("heliograph.delivery.journal.segment.sync_file", lambda _: done.append("sync"))
    writer = writer_in(tmp_path)
    writer.sync()
    writer.close(cut=False)
    writer.sync()

    assert done == ["flush", "sync", "flush", "sync"]


def test_map_is_not_flushed_where_a_sync_of_the_file_covers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped_module, "SYNC_COVERS_MAPS", True)
    writer = writer_in(tmp_path)
    # A closed map cannot be flushed.
    writer._map.close()

    writer.sync()
    writer.abandon()
