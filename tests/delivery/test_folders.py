"""The outbox's folders: one for each writer, taken over when it is gone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from heliograph.delivery.folders import OutboxDirectory
from heliograph.errors import OutboxFull


def test_folder_is_adopted_when_its_lock_is_free(tmp_path: Path) -> None:
    """By one alone, and not before."""
    box = OutboxDirectory(tmp_path / "box", max_bytes=100)
    lock = box.create_folder()
    assert list(box.lock_orphans()) == []

    lock.release()
    (adopted,) = box.lock_orphans()
    assert adopted.folder == lock.folder
    assert list(box.lock_orphans()) == []
    adopted.delete_folder()
    assert box.folders() == []


def test_damaged_bytes_outlive_their_folder(tmp_path: Path) -> None:
    """Below `damaged`, by the folder's name."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    lock = box.create_folder()
    (lock.folder / "damaged").mkdir()
    (lock.folder / "damaged" / "x.bin").write_bytes(b"x")
    (lock.folder / "cursor").write_bytes(b"")

    lock.delete_folder()

    assert box.folders() == []
    assert (tmp_path / "damaged" / lock.folder.name / "x.bin").read_bytes() == b"x"


def test_folder_that_was_removed_by_half_is_removed(tmp_path: Path) -> None:
    """Its process died when only the lock was gone."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / "1-abcdef01").mkdir()

    assert list(box.lock_orphans()) == []
    assert list(tmp_path.iterdir()) == []


def test_folder_that_was_made_by_half_is_removed(tmp_path: Path) -> None:
    """Its process died before the folder had its name."""
    box = OutboxDirectory(tmp_path, max_bytes=100)
    (tmp_path / ".1-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01").mkdir()
    (tmp_path / ".2-abcdef01" / "lock").touch()

    assert list(box.lock_orphans()) == []
    assert list(tmp_path.iterdir()) == []


def test_folder_is_never_taken_from_who_makes_it(tmp_path: Path) -> None:
    """However many adopt at that moment: each folder has one lock."""
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
    for thread in threads:
        thread.join()

    assert adopted == []
    assert len(box.folders()) == 100
    for lock in locks:
        lock.delete_folder()


def test_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    """And room has an end."""
    box = OutboxDirectory(tmp_path / "a" / "box", max_bytes=100)
    lock = box.create_folder()

    assert (tmp_path / "a" / "box").stat().st_mode & 0o777 == 0o700
    assert lock.folder.stat().st_mode & 0o777 == 0o700
    assert (lock.folder / "lock").stat().st_mode & 0o777 == 0o600
    box.check_room(100)
    with pytest.raises(OutboxFull, match="100 bytes"):
        box.check_room(101)
    lock.delete_folder()


def test_folders_of_others_are_not_touched(tmp_path: Path) -> None:
    """Whoever names a directory that is in use loses nothing, although a file in it is called `lock`."""
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


def test_lease_is_let_go_once(tmp_path: Path) -> None:
    """Its descriptor may be another file's by the second time."""
    lock = OutboxDirectory(tmp_path, max_bytes=100).create_folder()
    lock.release()
    with (tmp_path / "other").open("wb") as other:  # takes the free descriptor
        lock.release()
        other.write(b"x")
        other.flush()
