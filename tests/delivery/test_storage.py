"""The storage of a resource: records go to a journal on disk, and to memory while the disk accepts nothing."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery.outboxes import encoded_record, files_in_use, folders_in, wait_for
from heliograph.delivery import storage as storage_module
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.mapped import MappedSegmentWriter
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalClosed
from heliograph.delivery.outbox.folder_lock import FolderLock
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import OutboxSignal
from heliograph.delivery.storage import ResourceStorage
from heliograph.errors import OutboxFull
from heliograph.runtime.deferred_waits import await_all, call_without_waiting
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE as SCOPE_NAME
from processes import in_child
from threads import join

SCOPE = Scope(scope=b"")
SEGMENT_BYTES = 64 * 1024


def storage_in(
    directory: Path, *, max_bytes: int = 10**9, durable: bool = False, dropped: list[int] | None = None
) -> ResourceStorage:
    return ResourceStorage(
        header=Header(resource=b""),
        outbox=OutboxDirectory(directory, max_bytes=max_bytes),
        segment_bytes=SEGMENT_BYTES,
        durable=durable,
        on_dropped=[].append if dropped is None else dropped.append,
        may_drop=dropped is not None,
    )


def acknowledge_all(storage: ResourceStorage) -> None:
    for source in storage.sources():
        while batch := source.read(max_bytes=10**6, max_records=100):
            source.acknowledge(batch.entries[-1].sequence)


class Disk:
    """A disk that can be full: it counts the attempts to reserve space."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self.attempts = 0
        real = os.posix_fallocate

        def fallocate(descriptor: int, offset: int, size: int) -> None:
            self.attempts += 1
            if self.is_full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor, offset, size)

        monkeypatch.setattr(os, "posix_fallocate", fallocate)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@contextlib.contextmanager
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Let the test set the monotonic clock."""
    now = [time.monotonic()]
    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", lambda: now[0])
        yield now


def test_folder_is_created_with_the_first_record(tmp_path: Path) -> None:
    """A storage without records has no folder. `close` deletes the folder if all its records are acknowledged."""
    unused = storage_in(tmp_path)
    unused.close()
    assert folders_in(tmp_path) == []

    storage = storage_in(tmp_path)
    assert storage.append(SCOPE, encoded_record("one"))
    [folder] = folders_in(tmp_path)
    assert OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)
    assert (storage.accepted, storage.waiting) == (1, 1)

    acknowledge_all(storage)
    assert storage.waiting == 0
    storage.close()
    assert folders_in(tmp_path) == []


def test_folder_with_waiting_records_becomes_an_orphan(tmp_path: Path) -> None:
    """The folder stays after `close`, and is not locked any more."""
    storage = storage_in(tmp_path)
    storage.append(SCOPE, encoded_record("one"))
    storage.close()
    storage.close()  # a second time changes nothing

    [folder] = folders_in(tmp_path)
    assert not OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)


def test_closed_storage_accepts_nothing(tmp_path: Path, disk: Disk) -> None:
    """A record is refused with or without a folder, and by the memory, too: if it were accepted now, it would never be sent."""
    unused, used, failing = storage_in(tmp_path), storage_in(tmp_path), storage_in(tmp_path / "failing")
    used.append(SCOPE, encoded_record("one"))
    disk.is_full = True
    failing.append(SCOPE, encoded_record("one"))
    for storage in (unused, used, failing):
        storage.close()
        with pytest.raises(JournalClosed):
            storage.append(SCOPE, encoded_record("late"))

    assert len(folders_in(tmp_path)) == 1


def test_storage_without_a_folder_has_no_space_to_give(tmp_path: Path) -> None:
    """The storage has no folder yet, or the folder was deleted from outside."""
    storage = storage_in(tmp_path)
    assert not storage.drop_oldest()

    storage.append(SCOPE, encoded_record("one"))
    [folder] = folders_in(tmp_path)
    shutil.rmtree(folder)
    assert not storage.drop_oldest()
    storage.close()


def test_threads_create_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first records of eight threads come at the same time, and all are in one folder."""
    real = OutboxDirectory.create_folder

    def slow(outbox: OutboxDirectory, signal: OutboxSignal) -> FolderLock:
        time.sleep(0.05)
        return real(outbox, signal)

    monkeypatch.setattr(OutboxDirectory, "create_folder", slow)
    storage = storage_in(tmp_path)
    threads = [threading.Thread(target=storage.append, args=(SCOPE, encoded_record("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert len(folders_in(tmp_path)) == 1
    assert storage.waiting == 8
    storage.close()


@pytest.mark.parametrize(
    ("step", "durable"),
    [
        ("heliograph.delivery.storage.JournalReader", True),
        ("heliograph.delivery.storage.JournalReader", False),
        ("heliograph.delivery.outbox.folder_lock.FolderLock.rename", False),
    ],
)
def test_no_folder_remains_if_it_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, durable: bool
) -> None:
    """Else there would be one more with each attempt, locked until the process ends. Later attempts work."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with clock(monkeypatch) as now:
        storage = storage_in(tmp_path, durable=durable)
        with monkeypatch.context() as patched:
            patched.setattr(step, fail)
            for _ in range(2):
                now[0] += 10
                assert storage.append(SCOPE, encoded_record("in memory"))
            assert list(tmp_path.iterdir()) == []
            assert files_in_use(tmp_path) == []
        now[0] += 10
        assert storage.append(SCOPE, encoded_record("on disk"))
        assert storage.last_sequences() == (1, 2)
        storage.close()


def test_handler_of_a_signal_may_create_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler interrupts its thread while that is creating the folder. Both records go to one journal."""
    real = OutboxDirectory.create_folder
    interrupted = []

    def interrupt(outbox: OutboxDirectory, signal: OutboxSignal) -> FolderLock:
        lock = real(outbox, signal)
        if not interrupted:
            interrupted.append(True)
            assert storage.append(SCOPE, encoded_record("handler"))
        return lock

    monkeypatch.setattr(OutboxDirectory, "create_folder", interrupt)
    storage = storage_in(tmp_path)
    assert storage.append(SCOPE, encoded_record("one"))

    assert len(folders_in(tmp_path)) == 1
    acknowledge_all(storage)
    assert (storage.accepted, storage.waiting) == (2, 0)
    storage.close()
    assert folders_in(tmp_path) == []


def test_handler_of_a_signal_may_close_in_the_middle_of_an_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A record in memory cannot be moved to the journal, which is busy. It is logged, and returned to be counted."""
    storage = storage_in(tmp_path)
    storage.append(SCOPE, encoded_record("on the disk"))
    lost: list[int] = []

    def interrupted(*_: Any) -> None:
        assert storage.append(SCOPE, encoded_record("in memory"))
        lost.append(storage.close())
        raise SystemExit

    monkeypatch.setattr(MappedSegmentWriter, "put", interrupted)
    with pytest.raises(SystemExit):
        storage.append(SCOPE, encoded_record("interrupted"))

    assert lost == [1]
    assert "Lost: 1 record." in caplog.text
    [folder] = folders_in(tmp_path)
    assert not OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)


def test_full_disk_is_tried_again_after_a_second(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Meanwhile records go to memory. Failure and recovery are logged once each."""
    storage = storage_in(tmp_path)
    with clock(monkeypatch) as now:
        disk.is_full = True
        for _ in range(5):
            assert storage.append(SCOPE, encoded_record("memory"))
        attempts = disk.attempts
        assert attempts > 0
        now[0] += 0.9
        storage.append(SCOPE, encoded_record("memory"))
        assert disk.attempts == attempts

        now[0] += 0.2
        storage.append(SCOPE, encoded_record("memory"))
        assert disk.attempts > attempts
        disk.is_full = False
        storage.append(SCOPE, encoded_record("memory"))
        assert storage.last_sequences() == (0, 8)

        now[0] += 1.1
        storage.append(SCOPE, encoded_record("disk"))
        storage.append(SCOPE, encoded_record("disk"))

    assert storage.last_sequences() == (2, 8)
    assert (storage.accepted, storage.waiting) == (10, 10)
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "The outbox cannot be written",
        "The outbox can be written again.",
    ]
    acknowledge_all(storage)
    assert storage.is_acknowledged(2, 8)
    storage.close()


def test_handler_of_logging_may_emit_when_the_disk_fails(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """Its record goes to memory, too, without another attempt, and without a line about it, which would come to the same handler."""

    class Emitting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert storage.append(SCOPE, encoded_record(record.getMessage()))

    storage, handler, log = storage_in(tmp_path), Emitting(), logging.getLogger(SCOPE_NAME)
    disk.is_full = True
    log.addHandler(handler)
    try:
        assert storage.append(SCOPE, encoded_record("memory"))
    finally:
        log.removeHandler(handler)

    assert storage.last_sequences() == (0, 2)
    assert len(caplog.records) == 1
    acknowledge_all(storage)
    storage.close()


def test_disk_that_works_again_meanwhile_raises_nothing(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread notes it just after this one has found that the disk had failed."""
    storage = storage_in(tmp_path)
    disk.is_full = True
    assert storage.append(SCOPE, encoded_record("memory"))
    disk.is_full = False
    now = time.monotonic()

    def monotonic() -> float:
        storage._failed_at = None
        return now

    with monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", monotonic)
        assert storage.append(SCOPE, encoded_record("one"))
    assert storage.append(SCOPE, encoded_record("two"))

    assert storage.accepted == 3
    storage.close()


def test_record_is_acknowledged_on_disk_and_in_memory(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flush waits for the records in both places."""
    storage = storage_in(tmp_path)
    with clock(monkeypatch) as now:
        disk.is_full = True
        storage.append(SCOPE, encoded_record("memory"))
        disk.is_full = False
        now[0] += 2
        storage.append(SCOPE, encoded_record("disk"))
    reader, memory = storage.sources()

    assert not storage.is_acknowledged(1, 1)
    memory.acknowledge(1)
    assert not storage.is_acknowledged(1, 1)
    reader.acknowledge(1)
    assert storage.is_acknowledged(1, 1)
    assert not storage.is_acknowledged(2, 1)
    assert not storage.is_acknowledged(1, 2)
    storage.close()


def test_close_moves_records_from_memory_to_the_disk(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved records are counted once, and those that the disk does not accept are reported as lost."""
    moved, lost = storage_in(tmp_path / "moved"), storage_in(tmp_path / "lost")
    disk.is_full = True
    for storage in (moved, lost):
        storage.append(SCOPE, encoded_record("one"))
        storage.append(SCOPE, encoded_record("two"))
    lost.close()
    assert "Lost: 2 records." in caplog.text
    disk.is_full = False
    caplog.clear()
    moved.close()

    assert "lost" not in caplog.text
    assert moved.accepted == 2
    [folder] = folders_in(tmp_path / "moved")
    assert b"two" in segments(folder)[0][1].read_bytes()


def test_no_record_goes_to_memory_after_it_was_moved(tmp_path: Path, disk: Disk) -> None:
    """If the disk fails in the middle of `close`, a record is rejected, and not lost."""
    storage = storage_in(tmp_path)
    storage.append(SCOPE, encoded_record("one"))
    storage.memory.close()
    disk.is_full = True

    with pytest.raises(JournalClosed):
        storage.append(SCOPE, encoded_record("large", SEGMENT_BYTES * 8))
    storage.close()


def test_full_outbox_does_not_use_memory(tmp_path: Path) -> None:
    """The size of the outbox is the limit of the user, so memory is no way around it."""
    storage = storage_in(tmp_path, max_bytes=2 * SEGMENT_BYTES)
    with pytest.raises(OutboxFull):
        for _ in range(100):
            storage.append(SCOPE, encoded_record("x", 10_000))

    assert len(storage.memory) == 0
    storage.close()


def test_oldest_segments_are_dropped_and_counted(tmp_path: Path) -> None:
    """Each record was either counted as dropped, or is still there."""
    dropped: list[int] = []
    storage = storage_in(tmp_path, max_bytes=4 * SEGMENT_BYTES, dropped=dropped)
    for _ in range(100):
        assert storage.append(SCOPE, encoded_record("x", 10_000))

    [reader] = storage.sources()
    batch = reader.read(max_bytes=10**9, max_records=1)
    assert batch is not None
    assert sum(dropped) == batch.entries[0].sequence - 1 > 0
    assert OutboxDirectory(tmp_path, max_bytes=1).space.used() <= 4 * SEGMENT_BYTES
    storage.close()


def test_segment_of_a_folder_that_is_given_up_meanwhile_is_dropped_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker gives the folder up while a thread makes room for the records of another signal."""
    dropped: list[int] = []
    storage = storage_in(tmp_path, max_bytes=10 * SEGMENT_BYTES, dropped=dropped)
    while storage._outbox.space.used() < 3 * SEGMENT_BYTES:
        storage.append(SCOPE, encoded_record("x", 10_000))
    listed, reader = storage_module.segments, storage._reader

    class Segments(list[tuple[int, Path]]):
        def __getitem__(self, index: Any) -> Any:
            storage._reader = None
            return super().__getitem__(index)

    with monkeypatch.context() as patched:
        patched.setattr(storage_module, "segments", lambda folder: Segments(listed(folder)))
        assert storage.drop_oldest()

    storage._reader = reader
    assert sum(dropped) > 0
    storage.close()


def test_dropped_records_do_not_count_as_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker may read on at the very moment at which the segment is gone."""
    dropped: list[int] = []
    storage = storage_in(tmp_path, max_bytes=3 * SEGMENT_BYTES, dropped=dropped)
    storage.append(SCOPE, encoded_record("r", size=500))
    [reader] = storage.sources()
    unlink = os.unlink

    def unlink_and_read(name: str, **options: int) -> None:
        unlink(name, **options)
        while reader.read(max_bytes=10**6, max_records=100):
            pass
        reader.rewind()

    monkeypatch.setattr(os, "unlink", unlink_and_read)
    while len(dropped) < 3:
        storage.append(SCOPE, encoded_record("r", size=500))

    assert reader.take_damaged() == 0
    storage.close()


def test_segment_that_cannot_be_deleted_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped: list[int] = []
    storage = storage_in(tmp_path, max_bytes=3 * SEGMENT_BYTES, dropped=dropped)

    def fail(name: str, **options: int) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fail)
        while len(storage.memory) < 2:  # after a failure
            storage._failed_at = None
            storage.append(SCOPE, encoded_record("r", size=500))
    assert len(dropped) == 1
    storage.close()


def test_segment_that_is_being_written_is_not_dropped(tmp_path: Path) -> None:
    """A record that does not fit beside it is rejected."""
    dropped: list[int] = []
    storage = storage_in(tmp_path, max_bytes=2 * SEGMENT_BYTES, dropped=dropped)
    storage.append(SCOPE, encoded_record("first"))

    with pytest.raises(OutboxFull):
        storage.append(SCOPE, encoded_record("large", 3 * SEGMENT_BYTES))
    [folder] = folders_in(tmp_path)
    assert (len(segments(folder)), dropped) == (1, [])
    storage.close()


@pytest.mark.parametrize("durable", [False, True])
def test_records_are_flushed_to_the_disk_if_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """Each record, and the name of the new folder in the outbox."""
    flushed: list[object] = []
    real = MappedSegmentWriter.sync

    def sync(segment: MappedSegmentWriter) -> None:
        flushed.append("record")
        real(segment)

    monkeypatch.setattr(MappedSegmentWriter, "sync", sync)
    monkeypatch.setattr("heliograph.delivery.journal.writer.sync_folder", flushed.append)
    storage = storage_in(tmp_path, durable=durable)
    storage.append(SCOPE, encoded_record("one"))
    storage.append(SCOPE, encoded_record("two"))

    [folder] = folders_in(tmp_path)
    assert flushed == (["record", tmp_path, folder, "record"] if durable else [])
    storage.close()


def test_child_of_a_fork_does_not_keep_the_folder_locked(tmp_path: Path) -> None:
    """The parent dies while its child lives on: its folder is an orphan at once."""
    child_waits, end_child = os.pipe()

    def parent() -> None:
        storage = storage_in(tmp_path)
        storage.append(SCOPE, encoded_record("one"))
        if not os.fork():
            storage.abandon()
            os.close(end_child)
            os.read(child_waits, 1)  # until the test closes the pipe
            os._exit(0)

    try:
        assert in_child(parent) == 0
        [folder] = folders_in(tmp_path)
        wait_for(lambda: not OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder))
    finally:
        os.close(end_child)
        os.close(child_waits)


def test_record_goes_to_memory_while_the_worker_gives_the_folder_up(tmp_path: Path) -> None:
    """The worker closes the journal, because the folder is lost, between two lines of the thread that appends."""
    storage = storage_in(tmp_path)
    storage.append(SCOPE, encoded_record("one"))
    assert storage._writer is not None
    storage._writer.close()

    assert storage.append(SCOPE, encoded_record("two"))
    assert len(storage.memory) == 1


def test_child_of_a_fork_has_nothing_to_close_before_the_first_record(tmp_path: Path) -> None:
    """The storage has no folder yet, and can get one afterwards."""
    storage = storage_in(tmp_path)

    storage.abandon()

    assert folders_in(tmp_path) == []
    storage.append(SCOPE, encoded_record("one"))
    assert len(folders_in(tmp_path)) == 1
    storage.close()


def test_child_of_a_fork_changes_no_file_of_its_parent(tmp_path: Path) -> None:
    """The child closes all inherited files, and the parent goes on with the folder."""
    storage = storage_in(tmp_path)
    storage.append(SCOPE, encoded_record("one"))

    def child() -> None:
        assert files_in_use(tmp_path)
        storage.abandon()
        assert files_in_use(tmp_path) == []

    assert in_child(child) == 0
    storage.append(SCOPE, encoded_record("two"))

    [folder] = folders_in(tmp_path)
    assert OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)
    [reader] = storage.sources()
    batch = reader.read(max_bytes=10**6, max_records=10)
    assert batch is not None
    assert [entry.sequence for entry in batch.entries] == [1, 2]
    storage.close()


@pytest.mark.anyio
async def test_event_loop_goes_on_while_a_record_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append returns before the sync, and its caller awaits the sync. Without such a caller it waits itself."""
    disk_is_ready = threading.Event()
    real = MappedSegmentWriter.sync
    synced: list[int] = []

    def slow(segment: MappedSegmentWriter) -> None:
        assert disk_is_ready.wait(60)
        real(segment)
        synced.append(storage.last_sequences()[0])

    monkeypatch.setattr(MappedSegmentWriter, "sync", slow)
    storage = storage_in(tmp_path, durable=True)
    waits = call_without_waiting(storage.append, SCOPE, encoded_record("one"))
    task = asyncio.ensure_future(await_all(waits))
    await asyncio.sleep(0)
    assert (synced, task.done()) == ([], False)
    disk_is_ready.set()
    await task
    assert synced == [1]
    storage.append(SCOPE, encoded_record("two"))
    assert synced == [1, 2]
    storage.close()


@pytest.mark.anyio
async def test_failure_of_an_awaited_sync_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """One line is logged for all records. They stay in the journal, and are not in memory as well."""

    def fail(_: MappedSegmentWriter) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(MappedSegmentWriter, "sync", fail)
    monkeypatch.setattr("heliograph.delivery.storage._limited_log", LimitedLog(SafeLogger("heliograph")))
    storage = storage_in(tmp_path, durable=True)
    for uid in ("one", "two"):
        await await_all(call_without_waiting(storage.append, SCOPE, encoded_record(uid)))
    assert storage.last_sequences() == (2, 0)
    storage.close()

    assert warnings.messages == [
        "Records of the outbox are written, but a power cut may take them: [Errno 5] Input/output error"
    ]


def test_child_of_a_fork_awaits_its_own_syncs(tmp_path: Path) -> None:
    """A thread that the parent started to sync does not exist in the child."""
    storage = storage_in(tmp_path, durable=True)

    async def append(storage: ResourceStorage) -> None:
        await await_all(call_without_waiting(storage.append, SCOPE, encoded_record("one")))

    asyncio.run(append(storage))

    def child() -> None:
        storage.abandon()
        own = storage_in(tmp_path, durable=True)
        asyncio.run(append(own))
        own.close()

    assert in_child(child) == 0
    storage.close()
