"""Orphans: folders of ended processes are adopted, sent, and deleted only when everything in them was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from delivery.outboxes import LATER_VERSION, folders_in, make_orphan
from delivery.sender_bench import sender_to
from delivery.servers import serving
from heliograph.delivery.journal.cursor import write_cursor
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.sending.orphans import adopt
from heliograph.delivery.sending.sender import Sender
from heliograph.delivery.signals import LOGS


class DelayedSender(Sender):
    """A sender whose backoff ends right after it was asked for the first time."""

    asked = 0

    def is_ready(self) -> bool:
        self.asked += 1
        return self.asked != 1


def outbox(directory: Path) -> OutboxDirectory:
    return OutboxDirectory(directory, max_bytes=10**9)


def test_orphan_is_sent_and_deleted(tmp_path: Path) -> None:
    """The function `after_each` is called after each batch."""
    make_orphan(tmp_path, "one", "two")
    waiting = []
    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        assert orphan.waiting == 2
        assert orphan.drain(sender, lambda: waiting.append(orphan.waiting))

    assert orphan.is_sent
    assert waiting == [0]
    assert server.accepted == ["one", "two"]
    assert folders_in(tmp_path) == []


def test_half_deleted_orphan_is_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The process that sent it was killed after it had deleted the segments: nothing is sent, reported or counted."""
    folder = make_orphan(tmp_path, "sent")
    write_cursor(folder, 1)
    for _, path in segments(folder):
        path.unlink()

    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        assert orphan.waiting == 0
        assert orphan.drain(sender, lambda: None)

    assert (server.accepted, caplog.messages, folder.exists()) == ([], [], False)


def test_append_that_was_interrupted_by_a_kill_is_no_damage(tmp_path: Path) -> None:
    """The length of a frame is written last, and `append` returns after it: nothing that was accepted is missing."""
    folder = make_orphan(tmp_path, "one", "two")
    [(_, path)] = segments(folder)
    with path.open("ab") as file:
        file.write(bytes(4) + b"a frame whose length was not written")

    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        assert orphan.drain(sender, lambda: None)

    assert (server.accepted, orphan.reader.damaged) == (["one", "two"], 0)
    assert not (tmp_path / "damaged").exists()


def test_orphan_that_the_server_does_not_accept_stays_locked(tmp_path: Path) -> None:
    """No other process adopts the folder, until it is released."""
    folder = make_orphan(tmp_path, "one")
    with serving(lambda number, records: (503, {}, b"")) as down, sender_to(down.endpoint, tmp_path) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        assert not orphan.drain(sender, lambda: None)

    assert not orphan.is_sent
    assert list(adopt(outbox(tmp_path), LOGS)) == []
    orphan.release()
    [again] = adopt(outbox(tmp_path), LOGS)
    assert (again.folder, again.waiting) == (folder, 1)
    again.release()


def test_orphan_is_not_deleted_because_a_backoff_ends(tmp_path: Path) -> None:
    """The sender was not ready when it was asked to send, and is ready a moment later: the folder still has records."""
    make_orphan(tmp_path, "one")
    with serving() as server, sender_to(server.endpoint, tmp_path, DelayedSender) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        assert not orphan.drain(sender, lambda: None)
        assert folders_in(tmp_path) == [orphan.folder]
        assert orphan.drain(sender, lambda: None)

    assert server.accepted == ["one"]
    assert folders_in(tmp_path) == []


@pytest.mark.parametrize("name", ["00000000000000000099.journal", "notes", "cursor"])
def test_orphan_that_cannot_be_deleted_is_sent_once(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder is reported, and keeps its lock file and its cursor, so that no other process sends its records again."""
    folder = make_orphan(tmp_path, "one", "two")
    (folder / name).mkdir()
    for _ in range(2):
        with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
            [orphan] = adopt(outbox(tmp_path), LOGS)
            assert orphan.drain(sender, lambda: None)
            accepted = server.accepted
            assert (orphan.is_sent, orphan.is_stuck) == (False, True)
        assert accepted in (["one", "two"], [])
        assert not outbox(tmp_path).is_locked(folder)

    assert accepted == []
    assert "cannot be deleted" in caplog.text
    assert (folder / name).is_dir()


def test_unreadable_orphan_is_released_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder of a later release stays on the disk, unlocked, for a later attempt."""
    folder = make_orphan(tmp_path, "one")
    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        [orphan] = adopt(outbox(tmp_path), LOGS)
        [(_, path)] = segments(folder)
        path.write_bytes(LATER_VERSION)
        assert orphan.drain(sender, lambda: None)

    assert not orphan.is_sent
    assert f"{folder} cannot be read" in caplog.text
    assert not outbox(tmp_path).is_locked(folder)


def test_orphan_that_cannot_be_opened_keeps_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The other orphans are adopted all the same."""
    folders = sorted([make_orphan(tmp_path, "one"), make_orphan(tmp_path, "two")])

    def unreadable(folder: Path) -> int:
        if folder == folders[0]:
            raise PermissionError(13, "Permission denied")
        return 1

    monkeypatch.setattr("heliograph.delivery.sending.orphans.last_sequence", unreadable)
    [orphan] = adopt(outbox(tmp_path), LOGS)

    assert orphan.folder == folders[1]
    assert f"{folders[0]} cannot be read" in caplog.text
    assert not outbox(tmp_path).is_locked(folders[0])
    orphan.release()


def test_skipped_folders_are_not_adopted(tmp_path: Path) -> None:
    """A skipped folder is unlocked again, so that another process may take it."""
    skipped, other = make_orphan(tmp_path, "one"), make_orphan(tmp_path, "two")

    [orphan] = adopt(outbox(tmp_path), LOGS, {skipped})

    assert orphan.folder == other
    assert not outbox(tmp_path).is_locked(skipped)
    orphan.release()
