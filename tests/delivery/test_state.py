"""The state of an outbox: what waits, what is stuck and what was set aside."""

from __future__ import annotations

from pathlib import Path

from delivery.outboxes import make_orphan
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.state import OutboxState


def test_empty_outbox_is_clean(tmp_path: Path) -> None:
    state = OutboxState.of(OutboxDirectory(tmp_path, max_bytes=1000))

    assert state.is_clean
    assert state.totals() == {"waiting": 0, "dead_letters": 0, "damaged_files": 0}


def test_each_folder_has_the_number_of_its_records(tmp_path: Path) -> None:
    """Folders that a process holds are read, too."""
    box = OutboxDirectory(tmp_path, max_bytes=10**9)
    orphan = make_orphan(tmp_path, "one", "two")
    held = box.create_folder()
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
