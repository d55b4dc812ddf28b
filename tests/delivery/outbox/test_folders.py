"""Folders of an outbox: created and locked by one process, and locked by another one when that has ended."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from delivery.outboxes import make_orphan
from heliograph.delivery.outbox import folder_lock, folders
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import LOGS
from heliograph.errors import OutboxError
from threads import join


def test_folder_is_an_orphan_once_its_lock_is_free(tmp_path: Path) -> None:
    """One process at a time can lock a folder, and then delete it."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=100)
    lock = box.create_folder(LOGS)
    assert list(box.lock_orphans(LOGS)) == []

    lock.release()
    (adopted,) = box.lock_orphans(LOGS)
    assert adopted.folder == lock.folder
    assert list(box.lock_orphans(LOGS)) == []
    adopted.delete_folder()
    assert box.folders() == []


def test_half_deleted_folder_is_deleted(tmp_path: Path) -> None:
    """A process that was killed after it deleted the lock file, the last one, leaves an empty folder."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / "1-abcdef01").mkdir()

    assert list(box.lock_orphans(LOGS)) == []
    assert list(tmp_path.iterdir()) == []


def test_half_created_folder_is_deleted(tmp_path: Path) -> None:
    """A process that was killed before a folder got its final name leaves one with a dot."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / ".1-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01" / "lock").touch()

    assert list(box.lock_orphans(LOGS)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["check", "lock", "rename"])
@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "no locks"), KeyboardInterrupt()])
def test_folder_that_cannot_be_created_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException
) -> None:
    """A failing disk would get a hidden folder at each attempt. The lock file exists already where the file system has no locks."""
    box = OutboxDirectory(tmp_path, max_bytes=2**30)
    calls = []

    def fail(*_: object) -> None:
        calls.append(failing)
        raise error

    where: dict[str, tuple[object, str]] = {
        "check": (folders, "check_folder"),
        "lock": (folder_lock.fcntl, "flock"),
        "rename": (folder_lock.FolderLock, "rename"),
    }
    monkeypatch.setattr(*where[failing], fail)
    with pytest.raises(type(error)):
        box.create_folder(LOGS)

    assert calls
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_being_created_is_no_orphan(tmp_path: Path) -> None:
    """Three threads look for orphans all the time, and never lock a folder of the thread that creates them."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    ended = threading.Event()
    adopted = []

    def adopt() -> None:
        while not ended.is_set():
            adopted.extend(box.lock_orphans(LOGS))

    threads = [threading.Thread(target=adopt) for _ in range(3)]
    for thread in threads:
        thread.start()
    locks = [box.create_folder(LOGS) for _ in range(100)]
    ended.set()
    join(*threads)

    assert adopted == []
    assert len(box.folders()) == 100
    for lock in locks:
        lock.delete_folder()


def test_only_the_owner_can_read_folders(tmp_path: Path) -> None:
    """The outbox and its folders have the mode 0700, and the files 0600."""
    box = OutboxDirectory(tmp_path / "a" / "box", max_bytes=100)
    lock = box.create_folder(LOGS)

    assert (tmp_path / "a" / "box").stat().st_mode & 0o777 == 0o700
    assert lock.folder.stat().st_mode & 0o777 == 0o700
    assert (lock.folder / "lock").stat().st_mode & 0o777 == 0o600
    lock.delete_folder()


def test_system_without_locks_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no `fcntl`, which the locks of folders need."""
    monkeypatch.setattr(folder_lock, "fcntl", None)

    with pytest.raises(OutboxError, match="no file locks"):
        OutboxDirectory(tmp_path, max_bytes=100)


@pytest.mark.parametrize("name", ["fchmod", "ftruncate", "pread", "pwrite"])
def test_system_without_a_function_that_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An error at the start names the missing function, and nothing is created."""
    others = {each: getattr(os, each) for each in ("fchmod", "ftruncate", "pread", "pwrite") if each != name}
    monkeypatch.setattr(folders, "os", SimpleNamespace(**others))

    with pytest.raises(OutboxError, match=rf"this system has no os\.{name}$"):
        OutboxDirectory(tmp_path / "box", max_bytes=10**9)
    assert not (tmp_path / "box").exists()


def test_directory_that_cannot_be_used_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says if the directory cannot be created, or may not be written by this user."""
    (tmp_path / "file").touch()
    with pytest.raises(OutboxError, match="cannot be created: Not a directory"):
        OutboxDirectory(tmp_path / "file" / "box", max_bytes=100)

    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OutboxError, match="may not read and write"):
        OutboxDirectory(tmp_path, max_bytes=100)


def test_locked_folder_is_found_locked(tmp_path: Path) -> None:
    """To ask if a folder is locked does not change its lock."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder(LOGS)

    assert box.is_locked(lock.folder)
    lock.release()
    assert not box.is_locked(lock.folder)
    assert not box.is_locked(lock.folder)
    assert [orphan.folder for orphan in box.lock_orphans(LOGS)] == [lock.folder]


def test_damaged_files_are_found_in_folders_and_outside(tmp_path: Path) -> None:
    """Folders that exist and folders that were deleted may have left damaged files."""
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
    [lock] = box.lock_orphans(LOGS)
    assert box.is_locked(folder)
    lock.release()


def test_folder_whose_lock_file_cannot_be_created_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder is passed over, and the others are adopted."""
    without, other = sorted([make_orphan(tmp_path, "one"), make_orphan(tmp_path, "two")])
    (without / "lock").unlink()
    real = folder_lock.open_file

    def open_file(path: Path, flags: int, directory: Path) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, directory)

    monkeypatch.setattr(folder_lock, "open_file", open_file)
    [lock] = OutboxDirectory(tmp_path, max_bytes=100).lock_orphans(LOGS)
    assert lock.folder == other
    assert "passed over: [Errno 13]" in caplog.text
    lock.release()


def test_missing_directory_has_no_folders(tmp_path: Path) -> None:
    """A directory that is gone is no error, because it may come back."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=100)
    (tmp_path / "box").rmdir()

    assert list(box.lock_orphans(LOGS)) == []
