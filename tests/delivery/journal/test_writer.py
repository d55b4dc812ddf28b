"""The writer of a journal: every record whose `append` returned is there, once, whatever happens around it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from backends import wait_until
from delivery.journal.journals import HEADER, SCOPE_A, SMALL, drain, read_all, records, write
from heliograph.delivery.journal import segment as segment_module
from heliograph.delivery.journal import writer as writer_module
from heliograph.delivery.journal.frames import Scope
from heliograph.delivery.journal.group_commit import NotSyncedError
from heliograph.delivery.journal.mapped import MappedSegmentWriter
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segment_path, segments
from heliograph.delivery.journal.writer import JournalBusy, JournalClosed, JournalWriter
from interrupts import call_with_interrupts
from processes import in_child
from threads import join, result_in_time


def written(folder: Path) -> list[bytes]:
    """Return all records of a folder, which must not be damaged."""
    reader = JournalReader(folder, is_live=False)
    found = read_all(reader)
    reader.close()
    assert reader.damaged == 0
    return found


@pytest.mark.usefixtures("open_umask")
def written_scopes(folder: Path) -> list[Scope]:
    """Return the scope of each record of a folder."""
    reader = JournalReader(folder, is_live=False)
    found = []
    while batch := reader.read(max_bytes=10**9, max_records=100):
        found += [entry.scope for entry in batch.entries]
    reader.close()
    return found


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """The modes of segments and cursor are 0600, whatever the umask."""
    write(tmp_path, records(3)).close()
    JournalReader(tmp_path, is_live=False).acknowledge(1)

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
    join(*threads)
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
from functools import partial
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


def test_child_of_a_fork_appends_nothing_in_the_folder_of_its_parent(tmp_path: Path) -> None:
    """A signal handler forks before an `append` takes the lock: a file of the child would end the parent's segment for a reader."""
    writer = write(tmp_path, records(3))

    def child() -> None:
        writer.abandon()
        with pytest.raises(JournalClosed):
            writer.append(SCOPE_A, b"child")

    assert in_child(child) == 0
    assert len(segments(tmp_path)) == 1
    writer.append(SCOPE_A, b"more")
    writer.close()
    assert written(tmp_path) == [*records(3), b"more"]


@pytest.mark.parametrize("existing", [0, 1])
def test_child_that_is_forked_while_a_segment_is_made_changes_no_file(tmp_path: Path, existing: int) -> None:
    """The child neither creates the segment that its parent creates, nor deletes it."""

    def make_room(_: int) -> None:
        """Do what happens in a child, at the moment at which a signal handler forks."""
        if len(segments(tmp_path)) == existing:
            writer.abandon()
            by_parent.touch()

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, make_room=make_room)
    by_parent = segment_path(tmp_path, 2**63)
    with pytest.raises(JournalClosed):
        for each in records(200):
            by_parent = segment_path(tmp_path, writer.last_sequence + 1)
            writer.append(SCOPE_A, each)

    assert by_parent.read_bytes() == b""
    assert len(segments(tmp_path)) == existing + 1


def test_closed_journal_accepts_no_record(tmp_path: Path) -> None:
    """Nobody would read the record: the folder may already be deleted, or adopted by another process."""
    writer = write(tmp_path, records(3))
    writer.close()

    with pytest.raises(JournalClosed):
        writer.append(SCOPE_A, b"late")


def test_segments_grow(tmp_path: Path) -> None:
    """The first segment is small, because many processes write little. Each next one is larger, up to the configured size."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=2**20)
    for each in records(100, 30_000):
        writer.append(SCOPE_A, each)
    sizes = [path.stat().st_size for _, path in segments(tmp_path)]
    writer.close()

    assert sizes == [256 * 1024, 512 * 1024, *[2**20] * (len(sizes) - 2)]
    assert len(sizes) >= 4


def committed(writer: JournalWriter, encoded: bytes) -> int:
    """Append a record, and wait until it is on the disk itself. Return its sequence."""
    sequence = writer.append(SCOPE_A, encoded)
    writer.commit(sequence)
    return sequence


def test_threads_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven threads that append during a sync wait for one more, and share it: the current one may be too early."""
    started, disk_is_ready = threading.Event(), threading.Event()
    begun: list[int] = []

    def slow(_: MappedSegmentWriter) -> None:
        begun.append(writer.last_sequence)
        started.set()
        assert disk_is_ready.wait(60)

    monkeypatch.setattr(MappedSegmentWriter, "sync", slow)
    writer = JournalWriter(tmp_path, HEADER, durable=True)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(committed, writer, b"durable")
        assert started.wait(60)
        others = [pool.submit(committed, writer, b"durable") for _ in range(7)]
        wait_until(lambda: writer.last_sequence == 8 or None)
        assert begun == [1]
        assert not any(future.done() for future in [first, *others])
        disk_is_ready.set()
        for future in [first, *others]:
            future.result()
    writer.close()

    assert begun == [1, 8]


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


class Syncs:
    """Records each sync of a segment and of a folder, instead of waiting for a disk.

    Attributes:
        segments: The inodes of the segments that were synced.
        folders: The inodes of the folders that were synced.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.segments: list[int] = []
        self.folders: list[int] = []
        monkeypatch.setattr(segment_module, "sync_file", lambda file: self.segments.append(os.fstat(file).st_ino))
        monkeypatch.setattr(writer_module, "sync_folder", lambda folder: self.folders.append(folder.stat().st_ino))


def test_commit_syncs_each_record_and_each_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut takes neither the record nor the file that it is in, nor the folder of the file."""
    syncs = Syncs(monkeypatch)
    folder = tmp_path / "folder"
    folder.mkdir()
    writer = JournalWriter(folder, HEADER, segment_bytes=SMALL, durable=True)
    for _ in range(200):
        committed(writer, b"x" * 100)
        assert syncs.segments[-1] == segments(folder)[-1][1].stat().st_ino
        assert syncs.folders == [tmp_path.stat().st_ino, *[folder.stat().st_ino] * len(segments(folder))]
    writer.close()

    assert len(set(syncs.segments)) > 5


def test_commit_syncs_full_segments_before_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the disk when a new segment begins: the old one stays open until the next sync."""
    syncs = Syncs(monkeypatch)
    writer = write(tmp_path, records(200), durable=True)
    assert (syncs.segments, syncs.folders) == ([], [])
    full = list(writer._full)
    assert len(full) >= 2

    writer.commit(1)
    assert syncs.segments == [path.stat().st_ino for _, path in segments(tmp_path)]
    assert writer._full == []
    assert {segment.descriptor for segment in full} == {-1}
    writer.close()
    assert len(syncs.segments) == len(segments(tmp_path)), "nothing is synced twice"
    assert written(tmp_path) == records(200)


def test_segment_that_begins_during_a_sync_is_synced_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync under way covers the old segment, and not the records that came meanwhile."""
    started, disk_is_ready = threading.Event(), threading.Event()
    synced: list[str] = []
    real = MappedSegmentWriter.sync

    def slow(segment: MappedSegmentWriter) -> None:
        started.set()
        assert disk_is_ready.wait(60)
        real(segment)
        synced.append(segment.path.name)

    monkeypatch.setattr(MappedSegmentWriter, "sync", slow)
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=True)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(committed, writer, b"one")
        assert started.wait(60)
        second = pool.submit(committed, writer, b"two" * SMALL)
        wait_until(lambda: writer.last_sequence == 2 or None)
        assert len(segments(tmp_path)) == 2
        assert not second.done()
        disk_is_ready.set()
        assert (first.result(), second.result()) == (1, 2)
    writer.close()

    old, new = (path.name for _, path in segments(tmp_path))
    assert synced == [old, old, new]
    assert written(tmp_path) == [b"one", b"two" * SMALL]


def test_close_syncs_what_nobody_has_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    write(tmp_path, records(200), durable=True).close()

    assert syncs.segments == [path.stat().st_ino for _, path in segments(tmp_path)]


def test_journal_that_is_not_durable_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs = Syncs(monkeypatch)
    writer = write(tmp_path, records(200))
    assert writer._full == []
    writer.close()

    assert len(segments(tmp_path)) > 2
    assert (syncs.segments, syncs.folders) == ([], [])


def test_record_whose_sync_failed_stays_unsynced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`commit` raises, also when it is called again. Later records have a sync of their own."""
    sync = MappedSegmentWriter.sync
    writer = write(tmp_path, [b"one"], durable=True)
    writer.commit(1)

    def fail(_: MappedSegmentWriter) -> None:
        raise OSError(errno.EIO, "the disk fails")

    monkeypatch.setattr(MappedSegmentWriter, "sync", fail)
    for sequence in (writer.append(SCOPE_A, b"two"), 2):
        with pytest.raises(NotSyncedError, match="the disk fails"):
            writer.commit(sequence)
    monkeypatch.setattr(MappedSegmentWriter, "sync", sync)
    assert committed(writer, b"three") == 3
    writer.close()

    assert written(tmp_path) == [b"one", b"two", b"three"]


def test_full_segment_whose_sync_failed_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records of the segment are reported as not synced. Others may be, too, since a sync covers all that waits."""
    real = MappedSegmentWriter.sync
    writer = write(tmp_path, records(200), durable=True)
    [old, *_] = full = list(writer._full)

    def fail(segment: MappedSegmentWriter) -> None:
        if segment is old:
            raise OSError(errno.EIO, "the disk fails")
        real(segment)

    monkeypatch.setattr(MappedSegmentWriter, "sync", fail)
    with pytest.raises(NotSyncedError):
        writer.commit(200)
    assert {segment.descriptor for segment in full} == {-1}
    assert committed(writer, b"after") == 201
    writer.close()

    assert written(tmp_path) == [*records(200), b"after"]


def test_name_that_could_not_be_synced_is_synced_with_the_next_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record itself is reported as not synced."""
    syncs = Syncs(monkeypatch)
    writer = write(tmp_path, [b"one"], durable=True)
    with monkeypatch.context() as patch:

        def fail(_: Path) -> None:
            raise OSError(errno.EIO, "the disk fails")

        patch.setattr(writer_module, "sync_folder", fail)
        with pytest.raises(NotSyncedError):
            writer.commit(1)
    committed(writer, b"two")
    writer.close()

    assert syncs.folders == [tmp_path.parent.stat().st_ino, tmp_path.stat().st_ino]


def test_interrupted_sync_of_full_segments_is_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full segments stay open until a sync of them has ended."""
    real = MappedSegmentWriter.sync
    writer = write(tmp_path, records(200), durable=True)
    count = len(writer._full)
    assert count >= 2

    def interrupt(_: MappedSegmentWriter) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MappedSegmentWriter, "sync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        writer.commit(200)
    assert len(writer._full) == count
    monkeypatch.setattr(MappedSegmentWriter, "sync", real)
    writer.commit(200)
    assert writer._full == []
    writer.close()


def test_closed_journal_gives_unused_space_back(tmp_path: Path) -> None:
    write(tmp_path, records(3), segment_bytes=2**20).close()

    [(_, path)] = segments(tmp_path)
    assert path.stat().st_size < 1000


def test_handler_of_a_signal_cannot_append_in_the_middle_of_an_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception says so to the handler, and the record that it interrupted is whole."""
    writer = write(tmp_path, [b"before"])
    put = MappedSegmentWriter.put
    refused: list[bool] = []

    def interrupted(segment: MappedSegmentWriter, *frame: Any) -> None:
        with pytest.raises(JournalBusy):
            writer.append(SCOPE_A, b"from the handler")
        refused.append(True)
        put(segment, *frame)

    monkeypatch.setattr(MappedSegmentWriter, "put", interrupted)
    writer.append(SCOPE_A, b"interrupted")
    monkeypatch.undo()
    writer.append(SCOPE_A, b"after")
    writer.close()

    assert refused
    assert written(tmp_path) == [b"before", b"interrupted", b"after"]


def test_handler_of_a_signal_may_append_in_the_middle_of_a_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler runs on the thread that syncs, and must not wait for it. It may close full segments before their sync."""
    writer = write(tmp_path, records(200), durable=True)
    assert writer._full
    sync = MappedSegmentWriter.sync

    def interrupted(segment: MappedSegmentWriter) -> None:
        monkeypatch.setattr(MappedSegmentWriter, "sync", sync)
        committed(writer, b"from the handler")
        sync(segment)

    monkeypatch.setattr(MappedSegmentWriter, "sync", interrupted)
    committed(writer, b"interrupted")
    committed(writer, b"after")
    writer.close()

    assert written(tmp_path) == [*records(200), b"interrupted", b"from the handler", b"after"]


@pytest.mark.parametrize("is_written", [False, True])
def test_interrupted_append_makes_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_written: bool) -> None:
    """A signal handler raised before or after the record was written. It is there or not, and the next one can be read."""
    writer = write(tmp_path, [b"zero", b"one"])
    put = MappedSegmentWriter.put

    def interrupted(segment: MappedSegmentWriter, *frame: Any) -> None:
        if is_written:
            put(segment, *frame)
        raise KeyboardInterrupt

    monkeypatch.setattr(MappedSegmentWriter, "put", interrupted)
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


@pytest.mark.parametrize("harm", ["unlink", "rename", "truncate"])
def test_segment_that_somebody_takes_away_is_lost(tmp_path: Path, harm: str) -> None:
    """A journal that has no segment yet is not."""
    writer = JournalWriter(tmp_path, HEADER)
    assert not writer.is_lost()
    writer.append(SCOPE_A, b"record")
    assert not writer.is_lost()
    [(_, path)] = segments(tmp_path)
    match harm:
        case "unlink":
            path.unlink()
        case "rename":
            path.rename(tmp_path / "elsewhere")
        case _:
            os.truncate(path, path.stat().st_size - 1)
    assert writer.is_lost()
    writer.abandon()


@pytest.mark.parametrize("question", ["has_name", "is_whole"])
def test_segment_that_is_finished_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    """Another thread begins the next one, and the worker has sent and deleted this one."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    writer.append(SCOPE_A, b"record")
    [(_, path)] = segments(tmp_path)
    real = getattr(MappedSegmentWriter, question)

    def answer(segment: MappedSegmentWriter) -> bool:
        writer.append(SCOPE_A, b"x" * SMALL)
        path.unlink()
        return bool(real(segment))

    monkeypatch.setattr(MappedSegmentWriter, question, answer)
    assert not writer.is_lost()
    monkeypatch.undo()
    assert not writer.is_lost()
    writer.close()


def test_file_with_the_name_of_the_next_segment_stays(tmp_path: Path) -> None:
    """A file of somebody else is not overwritten. The records go to memory then."""
    writer = JournalWriter(tmp_path, HEADER)
    segment_path(tmp_path, 1).write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError):
        writer.append(SCOPE_A, b"record")
    assert segment_path(tmp_path, 1).read_bytes() == b"of somebody else"
    writer.close()


def test_signals_that_raise_at_any_moment_lose_no_record(tmp_path: Path) -> None:
    """Each record that was appended without an exception can be read, there is no gap, and no lock is left behind."""

    writer = write(tmp_path, [b"first"], segment_bytes=2**20)
    encoded = [b"%d" % number for number in range(3000)]
    returned = call_with_interrupts((partial(writer.append, SCOPE_A, each) for each in encoded), moments=30)
    result_in_time(writer.close)

    reader = JournalReader(tmp_path, is_live=False)
    found = read_all(reader)
    assert {record for record, was_appended in zip(encoded, returned, strict=True) if was_appended} <= set(found)
    assert len(found) == len(set(found))
    assert reader.damaged == 0
    reader.close()


def test_lost_journal_does_not_count_as_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that waits for a sync of it, or asks later, gets the failure. Records that were synced before are not failed, and no file stays open."""
    begun, finish = threading.Event(), threading.Event()
    real = segment_module.sync_file

    def slow(descriptor: int) -> None:
        begun.set()
        assert finish.wait(60)
        real(descriptor)

    writer = write(tmp_path, records(10), durable=True)
    writer.commit(10)
    for record in records(200):
        writer.append(SCOPE_A, record)
    full = list(writer._full)
    assert full
    monkeypatch.setattr(segment_module, "sync_file", slow)
    with ThreadPoolExecutor(4) as pool:
        leader = pool.submit(writer.commit, 210)
        assert begun.wait(60)
        waiting = [pool.submit(writer.commit, 210) for _ in range(3)]
        wait_until(lambda: len(writer._commits._changed._waiters) == 3 or None)
        segment = writer.detach()
        assert segment is not None
        for each in waiting:
            with pytest.raises(NotSyncedError, match="its folder is lost"):
                each.result(60)
        finish.set()
        with pytest.raises(NotSyncedError, match="its folder is lost"):
            leader.result(60)
    with pytest.raises(NotSyncedError, match="its folder is lost"):
        writer.commit(210)
    writer.commit(10)
    segment.abandon()
    writer.close()

    assert [each.descriptor for each in full] == [-1] * len(full)


def test_segment_with_too_many_scopes_is_followed_by_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of a scope has two bytes."""
    monkeypatch.setattr(writer_module, "MAX_SCOPES", 3)
    scopes = [Scope(scope=b"%d" % number) for number in range(10)]
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=64 * 1024)
    for scope in scopes:
        writer.append(scope, b"record")
    writer.close()

    assert written_scopes(tmp_path) == scopes
    assert len(segments(tmp_path)) == 4


def test_full_disk_gives_no_number_of_a_scope_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no segment can be made for one scope too many, that record is not accepted, and the others keep their scopes."""
    monkeypatch.setattr(writer_module, "MAX_SCOPES", 2)
    first, second, third = scopes = [Scope(scope=b"%d" % number) for number in range(3)]
    room = [True]

    def make_room(size: int) -> None:
        if not room[0]:
            raise OSError(errno.ENOSPC, "full")

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=64 * 1024, make_room=make_room)
    writer.append(first, b"record")
    writer.append(second, b"record")
    room[0] = False
    for scope in scopes[2:] * 2:
        with pytest.raises(OSError, match="full"):
            writer.append(scope, b"record")
    writer.append(first, b"record")
    room[0] = True
    writer.append(third, b"record")
    writer.append(first, b"record")
    writer.close()

    assert written_scopes(tmp_path) == [first, second, first, third, first]


def test_old_segment_goes_on_if_no_new_one_can_be_made(tmp_path: Path) -> None:
    """A record that still fits into the old segment is accepted."""
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
        with writer._lock, writer._commits._changed:
            held.set()
            finished.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(60)

    def child() -> None:
        signal.alarm(20)  # instead of waiting for ever
        writer.abandon()
        writer.commit(3)
        writer.close()

    try:
        assert in_child(child) == 0
    finally:
        finished.set()
        join(thread)
    writer.close()
    assert written(tmp_path) == records(3)
