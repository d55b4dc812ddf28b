"""Entries that somebody else prepares in an outbox, to have their records sent, or other files read, overwritten or deleted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from delivery.outboxes import make_orphan

SEGMENT: Final = "00000000000000000001.journal"
SOMEBODY: Final = 4242
needs_root: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to another user")


def planted(tmp_path: Path) -> Path:
    """Return a folder outside the outbox that looks like one of a process, with the record `planted`."""
    folder = make_orphan(tmp_path / "elsewhere", "planted")
    (folder / "cursor").write_bytes(b"mine")
    (folder / "letter.txt").write_text("mine")
    return folder


def content_below(path: Path) -> dict[str, object]:
    """Return the content of each file below a folder, and the target of each link."""
    return {
        str(each.relative_to(path)): str(each.readlink()) if each.is_symlink() else each.read_bytes()
        for each in path.rglob("*")
        if each.is_symlink() or each.is_file()
    }


def link_to_folder(box: Path, tmp_path: Path) -> Path:
    entry = box / "5-abcdef01"
    entry.symlink_to(planted(tmp_path))
    return entry


def link_to_half_created_folder(box: Path, tmp_path: Path) -> Path:
    entry = box / ".5-abcdef01"
    entry.symlink_to(planted(tmp_path))
    return entry


def file_in_place_of_a_folder(box: Path, tmp_path: Path) -> Path:
    entry = box / "5-abcdef01"
    entry.write_text("mine")
    return entry


def folder_that_others_may_change(box: Path, tmp_path: Path) -> Path:
    entry = planted(tmp_path).rename(box / "5-abcdef01")
    entry.chmod(0o777)
    return entry


def folder_of_somebody(box: Path, tmp_path: Path) -> Path:
    entry = planted(tmp_path).rename(box / "5-abcdef01")
    os.chown(entry, SOMEBODY, SOMEBODY)
    return entry


def linked_lock(box: Path, tmp_path: Path) -> Path:
    entry = make_orphan(box, "planted")
    (entry / "lock").unlink()
    (entry / "lock").symlink_to(planted(tmp_path) / "lock")
    return entry


def lock_of_somebody(box: Path, tmp_path: Path) -> Path:
    entry = make_orphan(box, "planted")
    os.chown(entry / "lock", SOMEBODY, SOMEBODY)
    return entry


FOLDERS: Final = [
    link_to_folder,
    link_to_half_created_folder,
    file_in_place_of_a_folder,
    folder_that_others_may_change,
    pytest.param(folder_of_somebody, marks=needs_root),
    linked_lock,
    pytest.param(lock_of_somebody, marks=needs_root),
]
"""Each prepares an entry of an outbox, and returns it."""


def linked_segment(folder: Path, tmp_path: Path) -> None:
    (folder / "00000000000000000002.journal").symlink_to(planted(tmp_path) / SEGMENT)


def hard_linked_segment(folder: Path, tmp_path: Path) -> None:
    (folder / "00000000000000000002.journal").hardlink_to(planted(tmp_path) / SEGMENT)


def segment_that_is_a_pipe(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(folder / "00000000000000000002.journal")


def segment_of_somebody(folder: Path, tmp_path: Path) -> None:
    path = folder / "00000000000000000002.journal"
    path.write_bytes((planted(tmp_path) / SEGMENT).read_bytes())
    os.chown(path, SOMEBODY, SOMEBODY)


def linked_cursor(folder: Path, tmp_path: Path) -> None:
    (folder / "cursor").symlink_to(planted(tmp_path) / "cursor")


def linked_new_cursor(folder: Path, tmp_path: Path) -> None:
    (folder / "cursor.new").symlink_to(planted(tmp_path) / "letter.txt")


def hard_linked_new_cursor(folder: Path, tmp_path: Path) -> None:
    (folder / "cursor.new").hardlink_to(planted(tmp_path) / "letter.txt")


def linked_damaged_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / "damaged").symlink_to(planted(tmp_path))
    path = folder / SEGMENT
    path.write_bytes(path.read_bytes() + b"garbage, which is to be kept aside")


FILES: Final = [
    linked_segment,
    hard_linked_segment,
    segment_that_is_a_pipe,
    pytest.param(segment_of_somebody, marks=needs_root),
    linked_cursor,
    linked_new_cursor,
    hard_linked_new_cursor,
    linked_damaged_bytes,
]
"""Each prepares a file in the folder of a process that has ended."""
