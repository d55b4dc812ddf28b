"""One segment: reserved as a whole, written frame by frame, read in windows."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest

from delivery.journal.journals import lowest_free_descriptor
from heliograph.delivery.journal.frames import RECORD, Header, Scope, SegmentError, dump_header, dump_scope
from heliograph.delivery.journal.mapped import MappedSegmentWriter
from heliograph.delivery.journal.segment import SegmentReader, segment_path, segments

HEADER = dump_header(Header(resource=b"resource"))


def fail_with(number: int) -> Any:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def contents(reader: SegmentReader) -> list[bytes]:
    return [content for _, _, _, content, _ in reader.frames()]


def test_segments_of_a_folder_are_in_the_order_of_their_sequences(tmp_path: Path) -> None:
    """Files with other names are ignored."""
    for first in (300, 1, 20):
        segment_path(tmp_path, first).write_bytes(b"")
    for name in ("cursor", "lock", "notes.journal", "-1.journal", "1.journal.bak"):
        (tmp_path / name).write_bytes(b"")

    assert segments(tmp_path) == [(first, segment_path(tmp_path, first)) for first in (1, 20, 300)]
    assert segment_path(tmp_path, 20).name == "00000000000000000020.journal"


def test_new_segment_has_its_size_and_space_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    writer = MappedSegmentWriter(path, 64 * 1024, HEADER)

    assert path.stat().st_size == 64 * 1024
    assert path.stat().st_blocks * 512 >= 64 * 1024
    assert writer.room == 64 * 1024 - len(HEADER)
    writer.abandon()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_space_is_reserved_by_zeros_where_the_file_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The space takes more than one block of zeros, and a part of one."""
    monkeypatch.setattr(os, "posix_fallocate", fail_with(number))
    path, size = tmp_path / "segment", 2 * 1024 * 1024 + 4096
    MappedSegmentWriter(path, size, HEADER).abandon()

    assert path.stat().st_size == size
    assert path.stat().st_blocks * 512 >= size


@pytest.mark.parametrize("fallocate", [fail_with(errno.ENOSPC), fail_with(errno.ENOSYS)])
def test_full_disk_is_an_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallocate: Any
) -> None:
    """A full disk is found while space is reserved, or by a write that is shorter than it should be."""
    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    monkeypatch.setattr(os, "pwrite", lambda _, data, __: len(data) - 1)

    with pytest.raises(OSError, match="No space left"):
        MappedSegmentWriter(tmp_path / "segment", 4096, HEADER)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_disk_that_cannot_reserve_space_is_not_filled_with_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Zeros are for file systems that do not know how to reserve."""
    monkeypatch.setattr(os, "posix_fallocate", fail_with(number))

    with pytest.raises(OSError, match=re.escape(os.strerror(number))):
        MappedSegmentWriter(tmp_path / "segment", 4096, HEADER)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0, 0o777])
def test_segment_is_for_its_owner_alone(tmp_path: Path, umask: int) -> None:
    """The umask changes nothing: the process that adopts it must be able to read it."""
    before = os.umask(umask)
    try:
        MappedSegmentWriter(tmp_path / "segment", 4096, HEADER).abandon()
    finally:
        os.umask(before)

    assert (tmp_path / "segment").stat().st_mode & 0o777 == 0o600


def test_segment_never_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(b"precious")

    with pytest.raises(FileExistsError):
        MappedSegmentWriter(tmp_path / "segment", 4096, HEADER)

    assert (tmp_path / "segment").read_bytes() == b"precious"


def test_frames_are_read_as_they_are_appended(tmp_path: Path) -> None:
    writer = MappedSegmentWriter(segment_path(tmp_path, 1), 4096, HEADER)
    reader = SegmentReader(1, segment_path(tmp_path, 1))
    assert reader.header == Header(resource=b"resource")
    assert reader.has_ended()

    for number in range(1, 4):
        writer.put(number, RECORD, 0, b"record %d" % number)
        assert not reader.has_ended()
        assert contents(reader) == [b"record %d" % number]
        assert reader.has_ended()
    reader.close()
    writer.abandon()


def test_room_is_what_is_left(tmp_path: Path) -> None:
    """A frame that has exactly the room that is left fits; the file is full then."""
    writer = MappedSegmentWriter(segment_path(tmp_path, 1), 4096, HEADER)
    writer.put(1, RECORD, 0, b"x" * (writer.room - 19))

    assert writer.room == 0
    writer.close(cut=True)
    assert segment_path(tmp_path, 1).stat().st_size == 4096


def test_closed_segment_is_cut_to_its_content(tmp_path: Path) -> None:
    """A segment that is full enough is not cut."""
    for cut, size in ((True, len(HEADER) + 19 + 6), (False, 4096)):
        path = tmp_path / str(cut)
        writer = MappedSegmentWriter(path, 4096, HEADER)
        writer.put(1, RECORD, 0, b"record")
        writer.close(cut=cut)
        assert path.stat().st_size == size


def test_segment_that_was_closed_meanwhile_may_be_synced(tmp_path: Path) -> None:
    """A signal handler, in the middle of a sync, has synced and closed it."""
    writer = MappedSegmentWriter(tmp_path / "segment", 4096, HEADER)
    writer.close(cut=False)

    writer.sync()


def test_frames_that_are_larger_than_a_window_are_read(tmp_path: Path) -> None:
    large = [b"a" * 10, b"b" * 600_000, b"c" * 10, b"d" * 300_000, b"e"]
    writer = MappedSegmentWriter(segment_path(tmp_path, 1), 2**20, HEADER)
    for number, content in enumerate(large):
        writer.put(number, RECORD, 0, content)
    reader = SegmentReader(1, segment_path(tmp_path, 1))

    assert contents(reader) == large
    reader.close()
    writer.abandon()


def test_header_that_is_larger_than_usual_is_read(tmp_path: Path) -> None:
    header = Header(resource=b"r" * 700_000)
    MappedSegmentWriter(segment_path(tmp_path, 1), 2**21, dump_header(header)).close(cut=True)
    reader = SegmentReader(1, segment_path(tmp_path, 1))

    assert reader.header == header
    reader.close()


def test_damaged_length_reserves_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the size of the file is ever asked for."""
    path = segment_path(tmp_path, 1)
    path.write_bytes(HEADER + b"\xff\xff\xff\xff" + bytes(100))
    asked: list[int] = []
    pread = os.pread

    def recorded(descriptor: int, size: int, position: int) -> bytes:
        asked.append(size)
        return pread(descriptor, size, position)

    monkeypatch.setattr(os, "pread", recorded)
    reader = SegmentReader(1, path)

    assert contents(reader) == []
    assert not reader.has_ended()
    assert max(asked) <= path.stat().st_size
    reader.close()


def test_scope_that_cannot_be_read_is_left_undefined(tmp_path: Path) -> None:
    """Records of such a scope are sent under an empty one, rather than not at all."""
    MappedSegmentWriter(segment_path(tmp_path, 1), 4096, HEADER).abandon()
    reader = SegmentReader(1, segment_path(tmp_path, 1))

    reader.define(0, dump_scope(Scope(scope=b"s")))
    reader.define(1, b"")

    assert reader.scopes == {0: Scope(scope=b"s")}
    reader.close()


def test_file_that_is_no_segment_is_closed_again(tmp_path: Path) -> None:
    """A folder full of such files uses up no descriptors."""
    path = segment_path(tmp_path, 1)
    path.write_bytes(b"garbage" * 10)
    before = lowest_free_descriptor()

    for _ in range(20):
        with pytest.raises(SegmentError):
            SegmentReader(1, path)

    assert lowest_free_descriptor() == before
