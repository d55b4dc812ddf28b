"""The lock of a folder: one process owns it, and the folder is deleted in an order that leaves nothing unlocked."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from heliograph.delivery.journal.segment import segment_path
from heliograph.delivery.outbox import folder_lock
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import LOGS


def test_folder_that_another_process_deletes_at_the_last_moment_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without its lock file is half-deleted, and any process may finish it: also while its owner is about to."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder(LOGS)
    real = folder_lock.delete_file

    def delete_file(path: Path, directory: Path) -> None:
        real(path, directory)
        if path.name == "lock":
            assert list(box.lock_orphans(LOGS)) == []

    monkeypatch.setattr(folder_lock, "delete_file", delete_file)

    assert lock.delete_folder() is None
    assert not lock.folder.exists()


def test_damaged_bytes_outlive_their_folder(tmp_path: Path) -> None:
    """The bytes of a deleted folder move to `damaged`, below the name of the folder."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder(LOGS)
    (lock.folder / "damaged").mkdir()
    (lock.folder / "damaged" / "x.bin").write_bytes(b"x")
    (lock.folder / "cursor").write_bytes(b"")

    lock.delete_folder()

    other = box.create_folder(LOGS)
    (other.folder / "damaged").mkdir()
    other.delete_folder()

    assert box.folders() == []
    assert (tmp_path / "damaged" / lock.folder.name / "x.bin").read_bytes() == b"x"
    assert (tmp_path / "damaged" / other.folder.name).is_dir()


def test_folder_whose_lock_file_cannot_be_opened_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have too many open files, for example."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    real = os.open

    def fail(path: Path, *arguments: Any, **kwargs: Any) -> int:
        if Path(path).name == "lock":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, *arguments, **kwargs)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Too many open files"):
        box.create_folder(LOGS)


def test_files_that_are_not_ours_are_not_touched(tmp_path: Path) -> None:
    """A directory with other files can be used as an outbox, even if one of them is called `lock`."""
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "lock").touch()
    (tmp_path / "database" / "data").write_bytes(b"x")
    box = OutboxDirectory(tmp_path, max_bytes=100)

    assert list(box.lock_orphans(LOGS)) == []
    assert (tmp_path / "database" / "data").read_bytes() == b"x"
    lock = box.create_folder(LOGS)
    (lock.folder / "note").write_bytes(b"y")
    lock.delete_folder()
    assert (lock.folder / "note").read_bytes() == b"y"


def test_lock_is_released_once(tmp_path: Path) -> None:
    """At a second release, the descriptor of the lock may belong to another file."""
    lock = OutboxDirectory(tmp_path, max_bytes=100).create_folder(LOGS)
    number = lock._descriptor
    lock.release()
    with (tmp_path / "other").open("wb") as other:
        assert other.fileno() == number
        lock.release()
        os.fstat(other.fileno())  # raises if it is closed


def test_cursor_is_deleted_after_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a segment cannot be deleted, the cursor still keeps its records from being sent again."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder(LOGS)
    (lock.folder / "cursor").write_bytes(b"cursor")
    segment = segment_path(lock.folder, 1)
    segment.write_bytes(b"segment")
    real = folder_lock.delete_file

    def delete_file(path: Path, directory: Path) -> None:
        if path == segment:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(path, directory)

    monkeypatch.setattr(folder_lock, "delete_file", delete_file)

    error = lock.delete_folder()

    assert error is not None
    assert error.errno == errno.EIO
    assert segment.exists()
    assert (lock.folder / "cursor").exists()
    assert (lock.folder / "lock").exists()
    assert not box.is_locked(lock.folder)


def test_lock_on_a_deleted_file_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner deletes the folder between `open` and `flock` of another process, which then locks a file without a name."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder(LOGS)
    lock.release()
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        (lock.folder / "lock").unlink(missing_ok=True)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert list(box.lock_orphans(LOGS)) == []

    def flock_new_file(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        (lock.folder / "lock").touch()

    lock.folder.mkdir()
    (lock.folder / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock_new_file)
    assert list(box.lock_orphans(LOGS)) == []


def test_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is created, and none is taken for an orphan."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    box.create_folder(LOGS).release()

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        box.create_folder(LOGS)
    assert list(box.lock_orphans(LOGS)) == []
