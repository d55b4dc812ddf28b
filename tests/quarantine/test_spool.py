"""Lines survive the death of the process that appended them, and only files that can be trusted are used."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from heliograph.quarantine.spool import Spool, has_lines
from processes import in_child


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "aside[1].db"


def spools(target: Path) -> list[Path]:
    return sorted(target.parent.glob("*.spool"))


def lines_of_dead_processes(target: Path) -> list[bytes]:
    found = []
    for spool in Spool.orphans(target):
        found += spool.read()
        spool.delete()
    return found


def test_lines_are_read_once(target: Path) -> None:
    """The file is emptied when all of its lines were moved."""
    spool = Spool.create(target)
    spool.append(b"one\n")
    spool.append(b"two\n")
    assert spool.read() == [b"one", b"two"]
    size = spool.size
    spool.append(b"three\n")
    assert has_lines(target)

    spool.note_moved(size)
    assert spool.read() == [b"three"]
    spool.note_moved(spool.size)
    assert (spool.read(), spool.size) == ([], 0)
    assert not has_lines(target)
    spool.append(b"four\n")
    assert spool.read() == [b"four"]
    spool.delete()
    assert spools(target) == []


def test_line_after_a_truncation_is_read(target: Path) -> None:
    """Somebody else has emptied the file after some of its lines were moved."""
    spool = Spool.create(target)
    spool.append(b"one\n")
    spool.append(b"two\n")
    spool.note_moved(4)
    [path] = spools(target)
    os.truncate(path, 0)

    spool.append(b"six\n")

    assert spool.read() == [b"six"]


def test_file_is_private(target: Path) -> None:
    spool = Spool.create(target)
    [path] = spools(target)

    assert path.stat().st_mode & 0o777 == 0o600
    spool.delete()


def test_process_that_is_killed_leaves_its_lines(target: Path) -> None:
    """An unfinished line does not count. Files of processes that live are not touched."""

    def work() -> None:
        spool = Spool.create(target)
        spool.append(b"one\n")
        spool.append(b"unfinished")
        os.kill(os.getpid(), signal.SIGKILL)

    own = Spool.create(target)
    own.append(b"mine\n")
    assert in_child(work) == -signal.SIGKILL

    assert lines_of_dead_processes(target) == [b"one"]
    assert lines_of_dead_processes(target) == []
    assert own.read() == [b"mine"]
    own.delete()


def test_child_of_a_fork_does_not_keep_the_file_locked(target: Path) -> None:
    """The child closes the file. The parent's lock holds."""
    own = Spool.create(target)
    own.append(b"mine\n")

    def child() -> None:
        own.close()
        assert lines_of_dead_processes(target) == []

    assert in_child(child) == 0
    own.close()
    assert lines_of_dead_processes(target) == [b"mine"]


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda path, other: path.symlink_to(other), id="link"),
        pytest.param(lambda path, other: path.hardlink_to(other), id="second name"),
        pytest.param(lambda path, other: shutil.copy(other, path).chmod(0o620), id="writable by the group"),
        pytest.param(lambda path, other: shutil.copy(other, path).chmod(0o602), id="writable by others"),
        pytest.param(lambda path, other: os.mkfifo(path, 0o600), id="pipe"),
    ],
)
def test_file_that_somebody_may_have_prepared_is_not_used(
    target: Path, prepare: Callable[[Path, Path], object]
) -> None:
    """Such a file stays as it is, and nobody waits for it."""
    elsewhere = target.parent / "elsewhere"
    elsewhere.write_bytes(b"planted\n")
    elsewhere.chmod(0o600)
    prepare(target.parent / f"{target.name}.1.spool", elsewhere)

    assert lines_of_dead_processes(target) == []
    assert not has_lines(target)
    assert len(spools(target)) == 1


def test_file_of_another_user_is_not_used(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file of this user is used."""
    spool = target.parent / f"{target.name}.1.spool"
    spool.write_bytes(b"line\n")
    spool.chmod(0o600)
    uid = os.geteuid()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: uid + 1)
        assert lines_of_dead_processes(target) == []
        assert not has_lines(target)

    assert has_lines(target)
    assert lines_of_dead_processes(target) == [b"line"]


def test_full_disk_leaves_no_part_of_a_line(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool.create(target)
    spool.append(b"one\n")
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:2]))
        with pytest.raises(OSError, match="No space left"):
            spool.append(b"two\n")
    spool.append(b"three\n")

    assert spool.read() == [b"one", b"three"]
    spool.delete()


def test_part_of_a_line_that_an_interrupt_left_is_closed_by_the_next(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk was full, and the interrupt came before the part was removed. The lines around it are whole."""
    spool = Spool.create(target)
    spool.append(b"one\n")
    real = os.write

    def interrupted(descriptor: int, data: bytes) -> int:
        real(descriptor, data[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            spool.append(b"two\n")
    spool.append(b"three\n")

    assert spool.read() == [b"one", b"tw", b"three"]
    spool.delete()


def test_line_is_appended_by_one_system_call(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size of the file is read again only after an append that did not return."""
    spool = Spool.create(target)
    spool.append(b"one\n")
    with monkeypatch.context() as patch:
        patch.delattr(os, "fstat")
        patch.delattr(os, "pread")
        spool.append(b"two\n")
        assert spool.size == 8

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space"):
            spool.append(b"three\n")
        with pytest.raises(AttributeError, match="fstat"):
            spool.append(b"three\n")
    spool.append(b"four\n")
    assert spool.read() == [b"one", b"two", b"four"]
    spool.delete()


def test_file_that_is_deleted_before_it_is_locked_is_made_again(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process found it before that, and deleted it as an orphan."""
    real, deleted = fcntl.flock, []

    def lock(descriptor: int, operation: int) -> None:
        if not deleted:
            deleted.extend(spools(target))
            deleted[0].unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    spool = Spool.create(target)

    assert len(spools(target)) == 1
    assert spools(target) != deleted
    spool.delete()


def test_file_system_without_locks_is_an_error(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that could not be locked is deleted again."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError, match="No locks"):
        Spool.create(target)

    assert spools(target) == []


def test_file_that_somebody_has_deleted_can_be_deleted(target: Path) -> None:
    spool = Spool.create(target)
    [path] = spools(target)
    path.unlink()
    spool.append(b"one\n")
    assert spool.read() == [b"one"]
    spool.delete()
