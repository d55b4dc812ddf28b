"""Folders of an outbox: created and locked by one process, and locked by another one when that has ended."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from delivery.outboxes import make_orphan
from heliograph.delivery import folders
from heliograph.delivery.folders import OutboxDirectory
from heliograph.errors import OutboxError
from threads import join


def test_folder_is_an_orphan_once_its_lock_is_free(tmp_path: Path) -> None:
    """One process at a time can lock it."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=100)
    lock = box.create_folder()
    assert list(box.lock_orphans()) == []

    lock.release()
    (adopted,) = box.lock_orphans()
    assert adopted.folder == lock.folder
    assert list(box.lock_orphans()) == []
    adopted.delete_folder()
    assert box.folders() == []


def test_folder_that_another_process_deletes_at_the_last_moment_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without its lock file is half-deleted, and any process may finish it: also while its owner is about to."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()
    real = folders.delete_file

    def delete_file(path: Path, directory: Path) -> None:
        real(path, directory)
        if path.name == "lock":
            assert list(box.lock_orphans()) == []

    monkeypatch.setattr(folders, "delete_file", delete_file)

    assert lock.delete_folder() is None
    assert not lock.folder.exists()


def test_damaged_bytes_outlive_their_folder(tmp_path: Path) -> None:
    """They move to `damaged`, below the name of the folder."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()
    (lock.folder / "damaged").mkdir()
    (lock.folder / "damaged" / "x.bin").write_bytes(b"x")
    (lock.folder / "cursor").write_bytes(b"")

    lock.delete_folder()

    other = box.create_folder()
    (other.folder / "damaged").mkdir()
    other.delete_folder()

    assert box.folders() == []
    assert (tmp_path / "damaged" / lock.folder.name / "x.bin").read_bytes() == b"x"
    assert (tmp_path / "damaged" / other.folder.name).is_dir()


def test_half_deleted_folder_is_deleted(tmp_path: Path) -> None:
    """Its process was killed after the lock file, the last file, was deleted."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / "1-abcdef01").mkdir()

    assert list(box.lock_orphans()) == []
    assert list(tmp_path.iterdir()) == []


def test_half_created_folder_is_deleted(tmp_path: Path) -> None:
    """Its process was killed before the folder got its final name."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / ".1-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01" / "lock").touch()

    assert list(box.lock_orphans()) == []
    assert list(tmp_path.iterdir()) == []


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
        box.create_folder()


def test_folder_that_is_being_created_is_no_orphan(tmp_path: Path) -> None:
    """Three threads look for orphans all the time, and never lock a folder of the thread that creates them."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    ended = threading.Event()
    adopted = []

    def adopt() -> None:
        while not ended.is_set():
            adopted.extend(box.lock_orphans())

    threads = [threading.Thread(target=adopt) for _ in range(3)]
    for thread in threads:
        thread.start()
    locks = [box.create_folder() for _ in range(100)]
    ended.set()
    join(*threads)

    assert adopted == []
    assert len(box.folders()) == 100
    for lock in locks:
        lock.delete_folder()


def test_only_the_owner_can_read_folders(tmp_path: Path) -> None:
    """The modes are 0700 and 0600."""
    box = OutboxDirectory(tmp_path / "a" / "box", max_bytes=100)
    lock = box.create_folder()

    assert (tmp_path / "a" / "box").stat().st_mode & 0o777 == 0o700
    assert lock.folder.stat().st_mode & 0o777 == 0o700
    assert (lock.folder / "lock").stat().st_mode & 0o777 == 0o600
    lock.delete_folder()


def test_files_that_are_not_ours_are_not_touched(tmp_path: Path) -> None:
    """A directory with other files can be used as an outbox, even if one of them is called `lock`."""
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "lock").touch()
    (tmp_path / "database" / "data").write_bytes(b"x")
    box = OutboxDirectory(tmp_path, max_bytes=100)

    assert list(box.lock_orphans()) == []
    assert (tmp_path / "database" / "data").read_bytes() == b"x"
    lock = box.create_folder()
    (lock.folder / "note").write_bytes(b"y")
    lock.delete_folder()
    assert (lock.folder / "note").read_bytes() == b"y"


def test_lock_is_released_once(tmp_path: Path) -> None:
    """At the second time, its descriptor may belong to another file."""
    lock = OutboxDirectory(tmp_path, max_bytes=100).create_folder()
    lock.release()
    with (tmp_path / "other").open("wb") as other:  # gets the descriptor that became free
        lock.release()
        other.write(b"x")
        other.flush()


def test_cursor_is_deleted_after_the_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a segment cannot be deleted, the cursor still keeps its records from being sent again."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()
    (lock.folder / "cursor").write_bytes(b"cursor")
    (lock.folder / "00000000000000000001.journal").mkdir()  # `unlink` fails

    lock.delete_folder()

    assert (lock.folder / "cursor").exists()
    assert (lock.folder / "lock").exists()
    assert not box.is_locked(lock.folder)


def test_lock_on_a_deleted_file_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner deletes the folder between `open` and `flock` of another process, which then locks a file without a name."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()
    lock.release()
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        (lock.folder / "lock").unlink(missing_ok=True)
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert list(box.lock_orphans()) == []

    def flock_new_file(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        (lock.folder / "lock").touch()

    lock.folder.mkdir()
    (lock.folder / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock_new_file)
    assert list(box.lock_orphans()) == []


def test_file_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is created, and none is taken for an orphan."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    box.create_folder().release()

    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)

    with pytest.raises(OSError, match=os.strerror(errno.ENOLCK)):
        box.create_folder()
    assert list(box.lock_orphans()) == []


def test_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no `fcntl`."""
    monkeypatch.setattr(folders, "fcntl", None)

    with pytest.raises(OutboxError, match="no file locks"):
        OutboxDirectory(tmp_path, max_bytes=100)


@pytest.mark.parametrize("name", ["fchmod", "ftruncate", "pread", "pwrite"])
def test_system_without_a_function_that_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is an error at the start, which names the function, and nothing is created."""
    others = {each: getattr(os, each) for each in ("fchmod", "ftruncate", "pread", "pwrite") if each != name}
    monkeypatch.setattr(folders, "os", SimpleNamespace(**others))

    with pytest.raises(OutboxError, match=rf"this system has no os\.{name}$"):
        OutboxDirectory(tmp_path / "box", max_bytes=10**9)
    assert not (tmp_path / "box").exists()


def test_directory_that_cannot_be_used_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be created, or this user may not write to it."""
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="cannot be created: Not a directory"):
        OutboxDirectory(tmp_path / "file" / "box", max_bytes=100)

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutboxError, match="may not read and write"):
        OutboxDirectory(tmp_path, max_bytes=100)


def test_locked_folder_is_found_locked(tmp_path: Path) -> None:
    """Asking does not change the lock."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()

    assert box.is_locked(lock.folder)
    lock.release()
    assert not box.is_locked(lock.folder)
    assert not box.is_locked(lock.folder)
    assert [orphan.folder for orphan in box.lock_orphans()] == [lock.folder]


def test_damaged_files_are_found_in_folders_and_outside(tmp_path: Path) -> None:
    """Those of folders that exist, and of folders that were deleted."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    for folder in (tmp_path / "1-abcdef01" / "damaged", tmp_path / "damaged" / "2-abcdef01"):
        folder.mkdir(parents=True)
        (folder / "x.bin").touch()

    assert [str(path.relative_to(tmp_path)) for path in box.damaged_files()] == [
        "1-abcdef01/damaged/x.bin",
        "damaged/2-abcdef01/x.bin",
    ]


def test_folder_without_a_lock_file_is_an_orphan_if_it_has_segments(tmp_path: Path) -> None:
    """Somebody has deleted the file. A folder that is being deleted has no segments any more."""
    folder = make_orphan(tmp_path, "one")
    (folder / "lock").unlink()
    box = OutboxDirectory(tmp_path, max_bytes=100)

    assert not box.is_locked(folder)
    [lock] = box.lock_orphans()
    assert box.is_locked(folder)
    lock.release()


def test_folder_whose_lock_file_cannot_be_created_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are adopted."""
    without, other = sorted([make_orphan(tmp_path, "one"), make_orphan(tmp_path, "two")])
    (without / "lock").unlink()
    real = folders.open_file

    def open_file(path: Path, flags: int, directory: Path) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, directory)

    monkeypatch.setattr(folders, "open_file", open_file)
    [lock] = OutboxDirectory(tmp_path, max_bytes=100).lock_orphans()
    assert lock.folder == other
    assert "passed over: [Errno 13]" in caplog.text
    lock.release()


def test_missing_directory_has_no_folders(tmp_path: Path) -> None:
    """It may come back."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=100)
    (tmp_path / "box").rmdir()

    assert list(box.lock_orphans()) == []
