"""Directories, folders and files that go away, while the server is well: what can be read is sent, and the rest counted."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from delivery.journal.journals import HEADER, SCOPE_A, records
from delivery.losses import LOSSES, rename
from delivery.outboxes import folders_in, logging_to, wait_for
from delivery.servers import OK, Answer, serving
from heliograph.delivery import worker as worker_module
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import SegmentWriter, segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.lost_folders import LostFolder, give_up, is_lost
from heliograph.delivery.signals import LOGS
from heliograph.runtime.deadline import Deadline
from heliograph.semconv import OUTBOX_DAMAGED

DOWN: Answer = (503, {}, b"")
LOST = "was deleted, moved or changed"


@pytest.mark.parametrize("lose", LOSSES.values(), ids=LOSSES)
def test_records_of_a_lost_directory_are_sent(
    tmp_path: Path, lose: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Records that waited in the last segment, and those that come before and after the loss is noticed, arrive."""
    box = tmp_path / "box"
    is_down = True
    with serving(lambda number, records: DOWN if is_down else OK) as server, logging_to(box, server.endpoint) as emit:
        for number in range(10):
            emit(f"before {number}")
        lose(box)
        for number in range(10):
            emit(f"at once {number}")
        wait_for(lambda: LOST in caplog.text)
        for number in range(3000):
            emit(f"after {number}")
        is_down = False
        assert emit.processor.force_flush(60_000)

        expected = {f"{when} {number}" for when in ("before", "at once") for number in range(10)}
        assert set(server.accepted) >= expected | {f"after {number}" for number in range(3000)}
        wait_for(lambda: emit.processor.depth == 0)  # also what an orphan holds
        assert emit.processor.counts.total("heliograph.outbox.accepted") == 3020
    assert len(caplog.records) < 10


def test_directory_that_comes_back_is_used_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The folder in it is an orphan by then: whoever adopts it sends it, and repeats what was read from the open file."""
    box = tmp_path / "box"
    is_down = True
    with serving(lambda number, records: DOWN if is_down else OK) as server, logging_to(box, server.endpoint) as emit:
        emit("before")
        [old] = folders_in(box)
        rename(box)
        wait_for(lambda: LOST in caplog.text)
        emit("between")
        box.with_name("elsewhere").rename(box)

        def emit_until_it_is_used() -> bool:
            emit("after")
            return len(folders_in(box)) == 2

        wait_for(emit_until_it_is_used)
        is_down = False
        assert emit.processor.force_flush(60_000)
        assert {"before", "between", "after"} == set(server.accepted)
        emit.processor.shutdown()
    assert not old.exists() or old in folders_in(box)


def test_loss_is_noticed_while_a_server_has_asked_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else what is emitted until then goes to a file without a name, and is lost if the process is killed."""
    monkeypatch.setattr("heliograph.delivery.worker._CHECK_SECONDS", 0.1)
    box = tmp_path / "box"
    with serving(lambda number, records: (429, {"Retry-After": "10000"}, b"")) as server:
        with logging_to(box, server.endpoint) as emit:
            emit("before")
            emit.processor.force_flush(1)
            wait_for(lambda: "throttled" in caplog.text)
            shutil.rmtree(box)
            wait_for(lambda: LOST in caplog.text)
            box.mkdir()

            def emit_until_it_is_used() -> bool:
                emit("after")
                return len(folders_in(box)) == 1

            wait_for(emit_until_it_is_used)


def test_records_in_segments_that_are_gone_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The last segment is open, and perhaps the first one, if it was being sent. A record is delivered or counted."""
    box = tmp_path / "box"
    is_down = True
    with serving(lambda number, records: DOWN if is_down else OK) as server, logging_to(box, server.endpoint) as emit:
        for number in range(2000):
            emit(f"{number} " + "x" * 1000)
        [folder] = folders_in(box)
        first_of_last = segments(folder)[-1][0]
        rename(box)  # in one step: the next test deletes file by file
        wait_for(lambda: LOST in caplog.text)
        is_down = False
        assert emit.processor._worker.wait_for(lambda: emit.processor.depth == 0, Deadline(60_000))

        damaged = emit.processor.counts.total(OUTBOX_DAMAGED)
        assert first_of_last > 1
        assert damaged in {0, first_of_last - 1}
        assert len(set(server.accepted)) == 2000 - damaged


def test_deletion_that_goes_on_file_by_file_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker looks while the lock file is gone, and the segment is still there: a moment later it is not."""
    box = tmp_path / "box"
    deletes_the_rest = SimpleNamespace(monotonic=time.monotonic, sleep=lambda seconds: shutil.rmtree(box))
    monkeypatch.setattr("heliograph.delivery.outbox.lost_folders.time", deletes_the_rest)
    is_down = True
    with serving(lambda number, records: DOWN if is_down else OK) as server, logging_to(box, server.endpoint) as emit:
        emit("before")
        [folder] = folders_in(box)
        delete_lock(folder)
        wait_for(lambda: LOST in caplog.text)
        is_down = False
        assert emit.processor.force_flush(60_000)
        assert server.accepted == ["before"]


def delete_lock(folder: Path) -> None:
    (folder / "lock").unlink()


def delete_last_segment(folder: Path) -> None:
    segments(folder)[-1][1].unlink()


@pytest.mark.parametrize("lose", [delete_lock, delete_last_segment])
def test_folder_that_lost_a_file_becomes_an_orphan(
    tmp_path: Path, lose: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every record in the folder is sent, by this process or by another."""
    monkeypatch.setattr("heliograph.delivery.worker._ADOPT_SECONDS", 0.1)
    is_down = True
    with (
        serving(lambda number, records: DOWN if is_down else OK) as server,
        logging_to(tmp_path, server.endpoint) as emit,
    ):
        for number in range(1000):
            emit(f"{number} " + "x" * 1000)
        [folder] = folders_in(tmp_path)
        lose(folder)
        wait_for(lambda: LOST in caplog.text)
        emit("after")
        is_down = False
        wait_for(lambda: len(set(server.accepted)) == 1001)
        wait_for(lambda: not folder.exists())
        assert emit.processor.counts.total(OUTBOX_DAMAGED) == 0


def test_flush_waits_for_the_folder_that_was_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The records in such a folder were accepted by this process, and are not delivered yet."""
    is_down = True
    with (
        serving(lambda number, records: DOWN if is_down else OK) as server,
        logging_to(tmp_path, server.endpoint) as emit,
    ):
        for number in range(10):
            emit(f"{number}")
        [folder] = folders_in(tmp_path)
        delete_lock(folder)
        wait_for(lambda: LOST in caplog.text)
        assert not emit.processor.force_flush(50)
        is_down = False

        assert emit.processor.force_flush(60_000)
        assert set(server.accepted) == {f"{number}" for number in range(10)}
        assert not folder.exists()


def test_flush_reports_damage_in_the_folder_that_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Damage makes one flush return False, and the next one True."""
    is_down, real = True, worker_module.adopt

    def damage_and_adopt(*arguments: Any) -> Any:
        if LOST in caplog.text:  # nobody has the folder open now
            [(_, segment)] = segments(folder)
            whole = segment.read_bytes()
            segment.write_bytes(whole.replace(b"record 5", b"record x"))
        return real(*arguments)

    monkeypatch.setattr(worker_module, "adopt", damage_and_adopt)
    monkeypatch.setattr(worker_module, "_ADOPT_SECONDS", 3600)
    with (
        serving(lambda number, records: DOWN if is_down else OK) as server,
        logging_to(tmp_path, server.endpoint) as emit,
    ):
        for number in range(10):
            emit(f"record {number}")
        [folder] = folders_in(tmp_path)
        wait_for(lambda: "HTTP 503" in caplog.text)  # the first search for orphans came before
        delete_lock(folder)
        wait_for(lambda: LOST in caplog.text)
        is_down = False

        assert not emit.processor.force_flush(60_000)
        assert set(server.accepted) == {f"record {number}" for number in range(10) if number != 5}
        assert emit.processor.counts.total(OUTBOX_DAMAGED) == 1
        assert emit.processor.force_flush(60_000)


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_last_segment_that_was_truncated_is_abandoned(
    tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Writing beyond its end would kill the process. What is still in the file is sent, and a flush reports the rest."""
    monkeypatch.setattr("heliograph.delivery.worker._ADOPT_SECONDS", 0.1)
    is_down = True
    with (
        serving(lambda number, records: DOWN if is_down else OK) as server,
        logging_to(tmp_path, server.endpoint) as emit,
    ):
        emit("before")
        [folder] = folders_in(tmp_path)
        os.truncate(segments(folder)[0][1], size)
        wait_for(lambda: LOST in caplog.text)
        is_down = False
        for number in range(1000):
            emit(f"after {number}")
        assert emit.processor.force_flush(60_000) == (size == 5000)
        wait_for(lambda: not folder.exists())

        assert {f"after {number}" for number in range(1000)} <= set(server.accepted)
        assert ("before" in server.accepted) == (size == 5000)


def test_read_only_directory_does_not_stop_sending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records go to memory, and are sent. The log has a few lines, and not one for each record or second."""

    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")
        assert emit.processor.force_flush(60_000)
        with monkeypatch.context() as patch:
            patch.setattr("heliograph.delivery.journal.reader.write_cursor", fail)
            patch.setattr(SegmentWriter, "__init__", fail)
            for number in range(1000):
                emit(f"{number} " + "x" * 1000)
                if number % 100 == 0:
                    assert emit.processor.force_flush(60_000)
            assert emit.processor.force_flush(60_000)
        assert len(server.accepted) == 1001
        assert len(caplog.records) <= 3


def test_error_that_lasts_is_one_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records in memory are sent all the same."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", 0.01)
    attempts = []

    def fail(*_: object, **__: object) -> None:
        attempts.append(True)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("on disk")
        monkeypatch.setattr(JournalReader, "read", fail)
        [storage] = emit.processor._storages.all()
        storage._failed_at = float("inf")
        emit("in memory")
        wait_for(lambda: "in memory" in server.accepted and len(attempts) > 10)
        monkeypatch.undo()

    assert [record.exc_info is not None for record in caplog.records].count(True) == 1


def lost_folder(directory: Path, acknowledged: int, lose: Callable[[Path], None]) -> tuple[Path, LostFolder]:
    """Return a folder with four records that was given up after something was lost, and what became of its records."""
    lock = OutboxDirectory(directory, max_bytes=10**9).create_folder(LOGS)
    writer, reader = JournalWriter(lock.folder, HEADER), JournalReader(lock.folder, is_live=True)
    for record in records(4):
        writer.append(SCOPE_A, record)
    reader.read(max_bytes=10**6, max_records=acknowledged)
    reader.acknowledge(acknowledged)
    lose(lock.folder)
    assert is_lost(writer, lock)
    found = give_up(writer, reader, lock)
    reader.close()
    lock.release()
    return lock.folder, found


def truncate_last_segment(folder: Path) -> None:
    os.truncate(segments(folder)[-1][1], 10)


@pytest.mark.parametrize(
    ("acknowledged", "lose", "lost", "is_orphan"),
    [
        (4, delete_lock, 0, False),
        (3, delete_lock, 0, True),
        (3, truncate_last_segment, 1, True),
        (0, truncate_last_segment, 4, True),
    ],
)
def test_acknowledged_records_are_neither_lost_nor_sent_again(
    tmp_path: Path, acknowledged: int, lose: Callable[[Path], None], lost: int, is_orphan: bool
) -> None:
    """A folder without any other record is no orphan, so no flush waits for it."""
    folder, found = lost_folder(tmp_path, acknowledged, lose)

    assert found == LostFolder(last_sequence=4, orphan=folder if is_orphan else None, kept=[], lost=lost)
