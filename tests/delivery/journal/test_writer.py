"""The writer of a journal: every record whose `append` returned is there, once, whatever happens around it."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from backends import wait_until
from delivery.journal.journals import HEADER, SCOPE_A, SMALL, drain, read_all, records, write
from heliograph.delivery.journal import segment as segment_module
from heliograph.delivery.journal import writer as writer_module
from heliograph.delivery.journal.frames import Scope
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import SegmentWriter, segment_path, segments
from heliograph.delivery.journal.writer import JournalBusy, JournalClosed, JournalWriter, NotSyncedError
from processes import in_child


def written(folder: Path) -> list[bytes]:
    """Return all records of a folder, which must not be damaged."""
    reader = JournalReader(folder, is_live=False)
    found = read_all(reader)
    reader.close()
    assert reader.damaged == 0
    return found


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The umask changes nothing."""
    before = os.umask(0)
    try:
        write(tmp_path, records(3)).close()
        JournalReader(tmp_path, is_live=False).acknowledge(1)
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_full_disk_leaves_no_half_written_record(tmp_path: Path) -> None:
    """`append` raises. The records before it are there, and so are those after it, once there is room again."""
    room = [True]

    def make_room(size: int) -> None:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, make_room=make_room)
    kept = []
    for number, each in enumerate(records(200)):
        room[0] = number >= 150
        if number == 0:
            room[0] = True
        try:
            writer.append(SCOPE_A, each)
            kept.append(each)
        except OSError:
            continue
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)

    assert 50 < len(kept) < 200
    assert kept[-1] == records(200)[-1]
    assert drain(reader) == kept
    assert reader.damaged == 0
    reader.close()


@pytest.mark.parametrize("durable", [False, True])
def test_threads_append_without_a_loss(tmp_path: Path, durable: bool) -> None:
    """Each record of eight threads is there once, and those of one thread are in order."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=durable)
    count = 20 if durable else 300

    def work(name: int) -> None:
        for number in range(count):
            writer.append(SCOPE_A, f"{name}:{number}".encode())

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)
    found = drain(reader, max_records=1000)
    reader.close()

    assert len(found) == 8 * count
    for name in range(8):
        assert [each for each in found if each.startswith(f"{name}:".encode())] == [
            f"{name}:{number}".encode() for number in range(count)
        ]


KILLED = """
import os, sys
from pathlib import Path
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter

writer = JournalWriter(Path(sys.argv[1]), Header(resource=b"resource", schema_url="https://schema/1"), segment_bytes=4096)
for number in range(10**9):
    writer.append(Scope(scope=b"a"), b"%d" % number)
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("moment", range(3))
def test_killed_process_loses_no_appended_record(tmp_path: Path, moment: int) -> None:
    """After SIGKILL at any moment, every record whose `append` returned is there, and at most one more."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(100 + 77 * moment)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    printed = sum(line.endswith(b"\n") for line in lines)
    reader = JournalReader(tmp_path, is_live=False)

    found = drain(reader, max_records=1000)
    reader.close()

    assert found == [b"%d" % number for number in range(len(found))]
    assert printed <= len(found) <= printed + 1
    assert reader.damaged == 0


def test_child_of_a_fork_changes_no_file_of_its_parent(tmp_path: Path) -> None:
    """`abandon` only closes them, and the parent appends more."""
    writer = write(tmp_path, records(3))
    assert in_child(writer.abandon) == 0
    writer.append(SCOPE_A, b"more")
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == [*records(3), b"more"]
    reader.close()


def test_closed_journal_accepts_no_record(tmp_path: Path) -> None:
    """Nobody would read it: the folder may already be deleted, or adopted by another process."""
    writer = write(tmp_path, records(3))
    writer.close()

    with pytest.raises(JournalClosed):
        writer.append(SCOPE_A, b"late")


def test_segments_grow(tmp_path: Path) -> None:
    """They start small, because many processes write little, and grow to the configured size."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=2**20)
    for each in records(100, 30_000):
        writer.append(SCOPE_A, each)
    sizes = [path.stat().st_size for _, path in segments(tmp_path)]
    writer.close()

    assert sizes == [256 * 1024, 512 * 1024, *[2**20] * (len(sizes) - 2)]
    assert len(sizes) >= 4


def test_threads_share_an_msync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven threads that append during an msync wait for one more, and share it: the current one may be too early."""
    started, disk_is_ready = threading.Event(), threading.Event()
    begun: list[int] = []
    ended: list[int] = []

    def slow(_: SegmentWriter) -> None:
        last = writer.last_sequence
        begun.append(last)
        started.set()
        assert disk_is_ready.wait(60)
        ended.append(last)

    monkeypatch.setattr(SegmentWriter, "sync", slow)
    writer = JournalWriter(tmp_path, HEADER, durable=True)

    def work() -> None:
        sequence = writer.append(SCOPE_A, b"durable")
        assert max(ended) >= sequence

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(work)
        assert started.wait(60)
        others = [pool.submit(work) for _ in range(7)]
        wait_until(lambda: writer.last_sequence == 8 or None)
        assert begun == [1]
        assert not any(future.done() for future in [first, *others])
        disk_is_ready.set()
        for future in [first, *others]:
            future.result()
    writer.close()

    assert begun == ended == [1, 8]


def test_small_segment_is_made_if_there_is_no_room_for_a_large_one(tmp_path: Path) -> None:
    """The last of the space is used, and later segments grow again."""
    room = [10**6]

    def make_room(size: int) -> None:
        if size > room[0]:
            raise OSError(errno.ENOSPC, "full")

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=2**20, make_room=make_room)
    for number, each in enumerate(records(120, 30_000)):
        room[0] = 300_000 if 30 <= number < 60 else 10**7
        writer.append(SCOPE_A, each)
    sizes = [path.stat().st_size // 1024 for _, path in segments(tmp_path)]
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)

    assert sizes[:2] == [256, 512]
    assert sizes.count(256) >= 3
    assert sizes[-1] == 1024
    assert len(drain(reader)) == 120
    reader.close()


class Flushes:
    """Records each msync of a segment and each fsync of a folder, instead of waiting for a disk.

    Attributes:
        maps: The number of msyncs of each segment so far, in the order of the segments.
        folders: The inodes of the folders that were synced.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.maps: list[int] = []
        self.folders: list[int] = []
        flushes = self

        class Map(mmap.mmap):
            def __init__(self, *_: object) -> None:
                self.number = len(flushes.maps)
                flushes.maps.append(0)

            def flush(self, *_: Any) -> None:
                flushes.maps[self.number] += 1

        monkeypatch.setattr(segment_module.mmap, "mmap", Map)
        monkeypatch.setattr(os, "fsync", lambda descriptor: self.folders.append(os.fstat(descriptor).st_ino))


def test_durable_journal_syncs_each_record_and_each_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut takes neither the record nor the file that it is in."""
    flushes = Flushes(monkeypatch)
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=True)
    for number in range(1, 201):
        writer.append(SCOPE_A, b"x" * 100)
        assert sum(flushes.maps) >= number
        assert flushes.folders == [tmp_path.stat().st_ino] * len(segments(tmp_path))
    writer.close()

    assert len(flushes.maps) > 5


def test_durable_journal_syncs_the_old_segment_when_a_new_one_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other threads may have appended to it and not run their msync yet: from now on, that one syncs the new segment only."""
    flushes = Flushes(monkeypatch)
    monkeypatch.setattr(SegmentWriter, "sync", lambda _: None)
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=True)
    while len(flushes.maps) < 3:
        writer.append(SCOPE_A, b"x" * 100)
    assert flushes.maps == [1, 1, 0]

    writer.close()
    assert flushes.maps == [1, 1, 1]


def test_journal_that_is_not_durable_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = Flushes(monkeypatch)
    write(tmp_path, records(200)).close()

    assert len(flushes.maps) > 2
    assert not any(flushes.maps)
    assert flushes.folders == []


def test_failed_msync_is_tried_again_by_the_next_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The append whose msync failed raises, and its records do not count as synced."""
    sync = SegmentWriter.sync
    writer = write(tmp_path, [b"one"], durable=True)

    def fail(_: SegmentWriter) -> None:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(SegmentWriter, "sync", fail)
    with pytest.raises(NotSyncedError, match="the disk fails"):
        writer.append(SCOPE_A, b"two")
    synced: list[bool] = []
    monkeypatch.setattr(SegmentWriter, "sync", lambda segment: (synced.append(True), sync(segment)))
    writer.append(SCOPE_A, b"three")
    writer.close()

    assert synced == [True]
    assert written(tmp_path) == [b"one", b"two", b"three"]


def test_thread_that_waits_for_an_msync_that_fails_runs_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first msync lets two more threads append; the second, for both of them, fails in one; the other tries again."""
    started, others_have_appended = threading.Event(), threading.Event()
    begun: list[int] = []

    def sync(_: SegmentWriter) -> None:
        begun.append(writer.last_sequence)
        started.set()
        assert others_have_appended.wait(60)
        if len(begun) == 2:
            raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(SegmentWriter, "sync", sync)
    writer = JournalWriter(tmp_path, HEADER, durable=True)
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(writer.append, SCOPE_A, b"first")
        assert started.wait(60)
        others = [pool.submit(writer.append, SCOPE_A, b"other") for _ in range(2)]
        wait_until(lambda: writer.last_sequence == 3 or None)
        others_have_appended.set()
        errors = [future.exception() for future in [first, *others]]
    writer.close()

    assert begun == [1, 3, 3]
    assert errors[0] is None
    assert [type(error) for error in errors[1:] if error is not None] == [NotSyncedError]


def test_failed_msync_of_a_full_segment_is_reported_to_those_who_wait_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread waits for its msync; meanwhile another begins a new segment, and the last msync of the old one fails."""
    close, sync = SegmentWriter.close, SegmentWriter.sync
    started, has_failed = threading.Event(), threading.Event()

    def fail(segment: SegmentWriter, *, sync: bool, cut: bool) -> None:
        if sync and not has_failed.is_set():
            has_failed.set()
            raise OSError(errno.EIO, "the disk fails")
        close(segment, sync=sync, cut=cut)

    def wait(segment: SegmentWriter) -> None:
        started.set()
        assert has_failed.wait(60)
        sync(segment)

    monkeypatch.setattr(SegmentWriter, "close", fail)
    monkeypatch.setattr(SegmentWriter, "sync", wait)
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=True)
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(writer.append, SCOPE_A, b"one")
        assert started.wait(60)
        rolling = pool.submit(writer.append, SCOPE_A, b"two" * SMALL)
        error = waiting.exception()
    writer.close()

    assert isinstance(error, NotSyncedError)
    assert rolling.result() == 2
    assert written(tmp_path) == [b"one", b"two" * SMALL]


def test_closed_journal_gives_unused_space_back(tmp_path: Path) -> None:
    write(tmp_path, records(3), segment_bytes=2**20).close()

    [(_, path)] = segments(tmp_path)
    assert path.stat().st_size < 1000


def test_handler_of_a_signal_cannot_append_in_the_middle_of_an_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception says so to the handler, and the record that it interrupted is whole."""
    writer = write(tmp_path, [b"before"])
    put = SegmentWriter.put
    refused: list[bool] = []

    def interrupted(segment: SegmentWriter, *frame: Any) -> None:
        with pytest.raises(JournalBusy):
            writer.append(SCOPE_A, b"from the handler")
        refused.append(True)
        put(segment, *frame)

    monkeypatch.setattr(SegmentWriter, "put", interrupted)
    writer.append(SCOPE_A, b"interrupted")
    monkeypatch.undo()
    writer.append(SCOPE_A, b"after")
    writer.close()

    assert refused
    assert written(tmp_path) == [b"before", b"interrupted", b"after"]


def test_handler_of_a_signal_may_append_in_the_middle_of_an_msync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs on the thread whose msync is under way, and must not wait for it."""
    writer = write(tmp_path, [b"before"], durable=True)
    sync = SegmentWriter.sync

    def interrupted(segment: SegmentWriter) -> None:
        monkeypatch.setattr(SegmentWriter, "sync", sync)
        writer.append(SCOPE_A, b"from the handler")
        sync(segment)

    monkeypatch.setattr(SegmentWriter, "sync", interrupted)
    writer.append(SCOPE_A, b"interrupted")
    writer.append(SCOPE_A, b"after")
    writer.close()

    assert written(tmp_path) == [b"before", b"interrupted", b"from the handler", b"after"]


@pytest.mark.parametrize("is_written", [False, True])
def test_interrupted_append_makes_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_written: bool) -> None:
    """The handler of a signal raised before or after the record was written. It is there or not, and the next one can be read."""
    writer = write(tmp_path, [b"zero", b"one"])
    put = SegmentWriter.put

    def interrupted(segment: SegmentWriter, *frame: Any) -> None:
        if is_written:
            put(segment, *frame)
        raise KeyboardInterrupt

    monkeypatch.setattr(SegmentWriter, "put", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append(SCOPE_A, b"two")
    monkeypatch.undo()

    assert writer.append(SCOPE_A, b"three") == (4 if is_written else 3)
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)
    assert read_all(reader) == [b"zero", b"one", *([b"two"] if is_written else []), b"three"]
    assert reader.damaged == 0
    reader.close()


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("step", ["_new_segment", "_begin_stretch"])
def test_interrupted_creation_of_a_segment_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, is_first: bool
) -> None:
    """The next append creates it, and the reader, which may have opened the file, finds the records in the new one."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    before = [] if is_first else [b"before"]
    for record in before:
        writer.append(SCOPE_A, record)
    reader = JournalReader(tmp_path, is_live=True)
    real = getattr(JournalWriter, step)

    def interrupted(*arguments: Any) -> None:
        real(*arguments)
        assert read_all(reader) == before  # the worker reads on at this moment
        raise KeyboardInterrupt

    monkeypatch.setattr(JournalWriter, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        writer.append(SCOPE_A, b"x" * SMALL)
    monkeypatch.undo()

    assert len(segments(tmp_path)) == len(before)
    writer.append(SCOPE_A, b"y" * SMALL)
    writer.append(SCOPE_A, b"after")
    batch = reader.read(max_bytes=10**6, max_records=100)
    assert batch is not None
    assert [(entry.scope, entry.encoded) for entry in batch.entries] == [(SCOPE_A, b"y" * SMALL)]
    assert read_all(reader) == [b"after"]
    assert reader.damaged == 0
    reader.close()
    writer.close()


def test_file_with_the_name_of_the_next_segment_stays(tmp_path: Path) -> None:
    """It is not ours. The records go to memory then."""
    writer = JournalWriter(tmp_path, HEADER)
    segment_path(tmp_path, 1).write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        writer.append(SCOPE_A, b"record")
    assert segment_path(tmp_path, 1).read_bytes() == b"of somebody else"
    writer.close()


def test_signals_that_raise_at_any_moment_lose_no_record(tmp_path: Path) -> None:
    """Each record that was appended without an exception can be read, there is no gap, and no lock is left behind."""

    class Interrupt(BaseException):
        pass

    is_armed = False

    def handle(*_: object) -> None:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise Interrupt

    writer, appended = write(tmp_path, [b"first"], segment_bytes=2**20), []
    before = signal.signal(signal.SIGALRM, handle)
    try:
        for number in range(3000):
            record = b"%d" % number
            try:
                is_armed = True
                signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number % 30))
                writer.append(SCOPE_A, record)
                appended.append(record)
                is_armed = False
            except Interrupt:
                pass
    finally:
        is_armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    thread = threading.Thread(target=writer.close)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()

    reader = JournalReader(tmp_path, is_live=False)
    found = read_all(reader)
    assert set(appended) <= set(found)
    assert len(found) == len(set(found))
    assert reader.damaged == 0
    reader.close()


def test_segment_with_too_many_scopes_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a scope has two bytes."""
    monkeypatch.setattr(writer_module, "MAX_SCOPES", 3)
    scopes = [Scope(scope=b"%d" % number) for number in range(10)]
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=64 * 1024)
    for scope in scopes:
        writer.append(scope, b"record")
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)
    found = []
    while batch := reader.read(max_bytes=10**9, max_records=100):
        found += [entry.scope for entry in batch.entries]
    reader.close()

    assert found == scopes
    assert len(segments(tmp_path)) == 4


def test_old_segment_goes_on_if_no_new_one_can_be_made(tmp_path: Path) -> None:
    """A record that still fits into it is accepted."""
    room = [True]

    def make_room(size: int) -> None:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, make_room=make_room)
    writer.append(SCOPE_A, b"first")
    room[0] = False
    with pytest.raises(OSError, match="full"):
        writer.append(SCOPE_A, b"x" * SMALL)
    writer.append(SCOPE_A, b"second")
    writer.close()

    assert written(tmp_path) == [b"first", b"second"]
    assert writer.last_sequence == 2


def test_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held(tmp_path: Path) -> None:
    writer = write(tmp_path, records(3), durable=True)
    held, finished = threading.Event(), threading.Event()

    def hold() -> None:
        with writer._lock, writer._flushed:
            held.set()
            finished.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)

    def child() -> None:
        signal.alarm(20)  # instead of waiting for ever
        writer.abandon()
        writer.close()
        writer._sync(0)

    try:
        assert in_child(child) == 0
    finally:
        finished.set()
        thread.join()
    writer.close()
    assert written(tmp_path) == records(3)
