"""A segment without a memory map has the same bytes as one with a map, and failures of the disk are errors."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from delivery.journal.journals import HEADER, SCOPE_A, SCOPE_B, drain, read_all, records, write
from delivery.outboxes import logging_to
from delivery.servers import serving
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.settings import OutboxWrite


@pytest.mark.parametrize("durable", [False, True])
def test_files_are_the_same_with_and_without_a_map(tmp_path: Path, durable: bool) -> None:
    """The files are equal byte by byte, so every reader reads both."""
    contents = []
    for mapped in (True, False):
        folder = tmp_path / str(mapped)
        folder.mkdir()
        write(folder, records(300), mapped=mapped, durable=durable).close()
        contents.append([path.read_bytes() for _, path in segments(folder)])

    assert contents[0] == contents[1]
    reader = JournalReader(tmp_path / "False", is_live=False)
    assert drain(reader) == records(300)
    reader.close()


def test_write_that_fails_uses_up_no_sequence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the record can be seen, and the next one takes its place."""
    writer = write(tmp_path, records(3), mapped=False)

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(OSError, match="No space"):
            writer.append(SCOPE_A, b"does not fit")
    assert writer.append(SCOPE_A, b"fits") == 4
    writer.close()

    reader = JournalReader(tmp_path, is_live=False)
    assert drain(reader) == [*records(3), b"fits"]
    assert reader.damaged == 0
    reader.close()


@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("is_written", [True, False])
@pytest.mark.parametrize("writes", [1, 2, 3, 4])
def test_write_that_is_interrupted_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, *, is_written: bool, is_read: bool
) -> None:
    """A signal handler raised before or behind a system call: two write the scope, and two the record, which may be read at once."""
    writer = JournalWriter(tmp_path, HEADER, mapped=False)
    writer.append(SCOPE_A, b"one")
    reader = JournalReader(tmp_path, is_live=True)
    found = read_all(reader)
    real, calls = os.pwrite, []

    def interrupted(*arguments: Any) -> int:
        calls.append(arguments)
        if len(calls) != writes:
            return real(*arguments)
        if is_written:
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", interrupted)
        with pytest.raises(KeyboardInterrupt):
            writer.append(SCOPE_B, b"two")
    if is_read:
        found += read_all(reader)
    writer.append(SCOPE_B, b"three is longer")
    writer.append(SCOPE_A, b"4")
    found += read_all(reader)
    writer.close()

    assert found == [b"one", *([b"two"] if writes == 4 and is_written else []), b"three is longer", b"4"]
    assert reader.damaged == 0
    reader.close()


def test_segment_that_was_closed_meanwhile_may_be_synced(tmp_path: Path) -> None:
    """The thread that closed the segment has synced it. Any other failure of the disk is an error."""
    writer = write(tmp_path, records(3), mapped=False)
    segment = writer.detach()
    assert segment is not None
    segment.abandon()
    segment.sync()
    segment.descriptor = os.open(os.devnull, os.O_WRONLY)
    os.close(segment.descriptor)
    segment.sync()
    segment.descriptor = os.open(os.devnull, os.O_WRONLY)
    with pytest.raises(OSError, match="Invalid argument"):
        segment.sync()
    os.close(segment.descriptor)


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system call may write less than it was given."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, position: real(descriptor, data[:7], position))
    write(tmp_path, records(30), mapped=False).close()

    reader = JournalReader(tmp_path, is_live=False)
    assert drain(reader) == records(30)
    reader.close()


@pytest.mark.parametrize("how", list(OutboxWrite))
def test_setting_chooses_the_way(tmp_path: Path, how: OutboxWrite) -> None:
    """A segment that is truncated does not kill a process that writes by system calls."""
    with serving() as server, logging_to(tmp_path, server.endpoint, write=how) as emit:
        emit("one")
        [storage] = emit.processor._storages.all()
        segment = storage._writer._segment
        assert hasattr(segment, "_map") == storage._mapped
        if how is not OutboxWrite.AUTO:
            assert storage._mapped == (how is OutboxWrite.MAP)
        if not storage._mapped:
            os.truncate(segment.path, 0)
            emit("two")
        assert emit.processor._worker is not None
