"""Damaged records are counted, each once, and damaged bytes are saved in the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.delivery.journal.damage import DAMAGED, Damage


def folder_in(outbox: Path) -> Path:
    folder = outbox / "1-00000000"
    folder.mkdir()
    return folder


def test_records_are_counted_once(tmp_path: Path) -> None:
    """A reader that is rewound finds the same damage again."""
    damage = Damage(folder_in(tmp_path), read_only=False)
    damage.count(3, 5)
    damage.count(3, 5)
    damage.count(4, 8)

    assert damage.records == 5
    assert (damage.take(), damage.take()) == (5, 0)
    damage.count(10, 11)
    damage.count(12, 11)
    assert (damage.take(), damage.records) == (1, 6)


def test_bytes_are_saved_without_reserved_space(tmp_path: Path) -> None:
    """The file is named after segment and position. Saved again after a rewind, it is replaced."""
    damage = Damage(folder := folder_in(tmp_path), read_only=False)
    damage.save(folder / "00000000000000000001.journal", 70, b"longer than the next\0\0")
    damage.save(folder / "00000000000000000001.journal", 70, b"ga\0rbage\0\0\0")

    assert {path.name: path.read_bytes() for path in (folder / DAMAGED).iterdir()} == {
        "00000000000000000001-70.bin": b"ga\0rbage"
    }
    assert damage.size_bytes == len(b"longer than the next") + len(b"ga\0rbage")


def test_read_only_damage_is_only_counted(tmp_path: Path) -> None:
    """Nothing is written to a folder that somebody only looks at."""
    damage = Damage(folder := folder_in(tmp_path), read_only=True)
    damage.save(folder / "00000000000000000001.journal", 70, b"garbage")

    assert damage.size_bytes == 7
    assert list(folder.iterdir()) == []


def test_bytes_that_cannot_be_saved_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log names the segment, and reading goes on."""
    damage = Damage(folder := folder_in(tmp_path), read_only=False)
    (folder / DAMAGED).write_text("no folder")
    damage.save(folder / "00000000000000000001.journal", 70, b"garbage")

    assert damage.size_bytes == 7
    assert "00000000000000000001.journal could not be set aside" in caplog.text
