"""The state of an outbox: what waits, what is stuck and what was set aside."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from opentelemetry._logs import LogRecord

from delivery.outboxes import LATER_VERSION, make_orphan
from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.delivery.signals import LOGS


def test_empty_outbox_is_clean(tmp_path: Path) -> None:
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert state.is_clean
    assert state.totals() == {"waiting": 0, "dead_letters": 0, "damaged_files": 0}


def test_each_folder_has_the_number_of_its_records(tmp_path: Path) -> None:
    """Folders that a process holds are read, too."""
    box = OutboxDirectory(tmp_path, max_bytes=10**9)
    orphan = make_orphan(tmp_path, "one", "two")
    held = box.create_folder(LOGS)
    state = OutboxState.of(box)
    held.release()

    found = {each["folder"]: (each["held"], each["waiting"]) for each in state.folders}
    assert found == {orphan.name: (False, 2), held.folder.name: (True, 0)}
    assert (state.waiting, state.is_clean) == (2, False)


def test_unreadable_dead_letters_are_stuck(tmp_path: Path) -> None:
    (tmp_path / "dead.db").write_bytes(b"garbage" * 1000)
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert len(state.stuck) == 1
    assert "dead.db" in state.stuck[0]
    assert not state.is_clean
    assert DeadLetters(tmp_path / "dead.db").is_sound() is False


def test_acknowledged_records_do_not_wait(tmp_path: Path) -> None:
    write_cursor(make_orphan(tmp_path, "one", "two", "three"), 2)
    [found] = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000)).folders

    assert (found["waiting"], found["delivered"]) == (1, 2)


def test_records_that_are_sent_again_wait(tmp_path: Path) -> None:
    """The cursor of an ended process is beyond its records: it cannot be right."""
    write_cursor(make_orphan(tmp_path, "one", "two"), 5)

    assert OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000)).waiting == 2


def test_half_deleted_folder_is_clean(tmp_path: Path) -> None:
    """A folder without segments has no waiting records: all that was in them was sent."""
    write_cursor(make_orphan(tmp_path), 5)
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert (state.waiting, state.is_clean) == (0, True)


def test_age_is_the_one_of_the_oldest_record(tmp_path: Path) -> None:
    """The age is in seconds, with one decimal place."""
    writer = JournalWriter(make_orphan(tmp_path), Header(resource=b""))
    for age in (1000, 10):
        record = LogRecord(observed_timestamp=time.time_ns() - age * 10**9)
        writer.append(Scope(scope=b""), entry_field(encode_log_record(record)))
    writer.close()
    [found] = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000)).folders

    assert found["oldest_age"] >= 1000
    assert found["oldest_age"] == round(found["oldest_age"], 1)


def test_damage_is_not_touched(tmp_path: Path) -> None:
    """To look at an outbox changes no file. Whoever sends the folder saves the damaged bytes."""
    folder = make_orphan(tmp_path, "one", "two")
    [(_, path)] = segments(folder)
    path.write_bytes(path.read_bytes().replace(b"one", b"onE"))
    before = sorted(tmp_path.rglob("*"))
    OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert sorted(tmp_path.rglob("*")) == before


def test_folder_that_cannot_be_read_or_trusted_is_stuck(tmp_path: Path) -> None:
    unreadable, untrusted = make_orphan(tmp_path, "one"), make_orphan(tmp_path, "two")
    segments(unreadable)[0][1].write_bytes(LATER_VERSION)
    untrusted.chmod(0o777)
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert (state.folders, state.is_clean) == ([], False)
    of_untrusted, of_unreadable = state.stuck
    assert of_untrusted == f"{untrusted} is not used: others may write to it"
    assert str(unreadable) in of_unreadable
    assert "it cannot be read: the segment has version 99" in of_unreadable


def test_folder_that_is_deleted_meanwhile_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxDirectory, "folders", lambda box: [box.directory / "1-00000000"])
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert (state.folders, state.is_clean) == ([], True)


def test_dead_letters_and_damaged_files_are_counted(tmp_path: Path) -> None:
    """An outbox with one of either is not clean: it is a reason to look."""
    dead, damaged = (OutboxDirectory(tmp_path / name, max_bytes=1000) for name in ("dead", "damaged"))
    entry = Entry(0, Scope(scope=b""), b"")
    dead.dead_letters.put(Header(resource=b""), entry, reason="bad_data", message="")
    folder = damaged.directory / "damaged" / "1-00000000"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "file").touch(mode=0o600)
    states = [OutboxState.of(dead), OutboxState.of(damaged)]

    assert [(state.dead_letters, state.damaged_files, state.is_clean) for state in states] == [
        (1, 0, False),
        (0, 1, False),
    ]
