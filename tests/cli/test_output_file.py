"""Files that commands make: whole or unchanged, and where a link points to."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import click
import pytest

from heliograph.cli.output_file import write
from threads import join


def content(folder: Path) -> dict[str, str]:
    """Return the texts of all files of a folder, by path."""
    return {str(each.relative_to(folder)): each.read_text() for each in folder.rglob("*") if each.is_file()}


def test_folder_is_created(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "file.txt", "ä\n")
    assert (tmp_path / "a" / "b" / "file.txt").read_bytes() == b"\xc3\xa4\n"
    assert content(tmp_path) == {"a/b/file.txt": "ä\n"}


def test_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    """A reader that has opened the file still reads the old text. The new file is not more public."""
    path = tmp_path / "file.txt"
    path.write_text("old")
    path.chmod(0o640)
    with path.open() as reader:
        write(path, "new")
        assert reader.read() == "old"
    assert content(tmp_path) == {"file.txt": "new"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("target", ["real.txt", "elsewhere/real.txt", "elsewhere/new.txt"])
def test_link_stays_one(tmp_path: Path, target: str) -> None:
    """The file that it points to is written, also if there is none yet."""
    (tmp_path / "elsewhere").mkdir()
    for name in ("real.txt", "elsewhere/real.txt"):
        (tmp_path / name).write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write(link, "new")
    assert link.is_symlink()
    assert (tmp_path / target).read_text() == "new"


def test_pipe_stays_one(tmp_path: Path) -> None:
    """A pipe, such as `/dev/stdout`, is written to, and not replaced by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write(pipe, "text")
    join(reader)
    assert read == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_name_of_the_longest_length(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255), "text")
    assert content(tmp_path) == {"x" * 255: "text"}


@pytest.mark.parametrize("name", [".", "file/below", "x" * 256])
def test_file_that_cannot_be_written_is_a_wrong_call(tmp_path: Path, name: str) -> None:
    """The message names the file, and no other file stays behind."""
    (tmp_path / "file").write_text("old")
    with pytest.raises(click.UsageError, match=r"cannot be written: ") as raised:
        write(tmp_path / name, "new")
    assert str(tmp_path / name) in str(raised.value)
    assert content(tmp_path) == {"file": "old"}


def test_write_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full, or the file cannot be replaced."""
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    for method in ("write_text", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, fail)
            with pytest.raises(click.UsageError, match="no space left"):
                write(path, "new")
        assert content(tmp_path) == {"file": "old"}
