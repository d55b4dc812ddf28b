"""Syncs reach the disk itself, cover what was written through a memory map, and let other threads run."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sys
from pathlib import Path

import pytest

from delivery.journal.journals import write
from heliograph.delivery.journal import sync
from heliograph.delivery.journal.filesystems import filesystem_of
from heliograph.delivery.journal.sync import sync_file, sync_folder


def dirty_kib(path: Path) -> int:
    """Return the size of the pages of a mapped file that this process wrote, and that are not on the disk yet."""
    maps = Path("/proc/self/smaps").read_text().split(str(path), 1)[1].split("VmFlags", 1)[0]
    return sum(int(size) for size in re.findall(r"(?:Shared|Private)_Dirty: +(\d+) kB", maps))


def test_sync_covers_a_memory_map(tmp_path: Path) -> None:
    """The kernel knows of no dirty page afterwards."""
    if sys.platform != "linux" or filesystem_of(tmp_path) not in {"ext4", "xfs"}:
        pytest.skip("the file system has no disk, or the system does not list dirty pages")
    writer = write(tmp_path, [b"x" * 100_000], durable=True)
    segment = writer._segment
    assert segment is not None

    assert dirty_kib(segment.path) >= 100
    writer.commit(1)
    assert dirty_kib(segment.path) == 0
    writer.close()


def test_file_is_synced_with_the_best_call_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `fdatasync`, as on macOS, it is `fsync`."""
    called: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: called.append("fdatasync"), raising=False)
    monkeypatch.setattr(os, "fsync", lambda _: called.append("fsync"))
    sync_file(0)
    monkeypatch.delattr(os, "fdatasync")
    sync_file(0)

    assert called == ["fdatasync", "fsync"]


@pytest.mark.parametrize("code", [None, errno.ENOTSUP, errno.EIO])
def test_cache_of_the_disk_is_emptied_where_it_takes_a_call(monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    """A file system that does not have the call gets `fdatasync`. A disk that fails is an error."""
    called: list[object] = []

    def full_sync(*arguments: int) -> None:
        called.append(arguments)
        if code is not None:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(sync, "_FULL_SYNC", 51)
    monkeypatch.setattr(fcntl, "fcntl", full_sync)
    monkeypatch.setattr(os, "fdatasync", called.append, raising=False)
    if code == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            sync_file(7)
    else:
        sync_file(7)

    assert called == ([(7, 51), 7] if code == errno.ENOTSUP else [(7, 51)])


def test_folder_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor of the folder is closed, also if the disk fails."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    sync_folder(tmp_path)
    assert synced == [tmp_path.stat().st_ino]

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(os, "fsync", fail)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(OSError, match="the disk fails"):
        sync_folder(tmp_path)
    assert len(list(Path("/dev/fd").iterdir())) == before
