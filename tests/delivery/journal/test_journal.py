"""The journal: whatever is in its files, what can be read is read, in order, and nothing twice but what was not
acknowledged."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.delivery.journal.cursor import read_cursor, write_cursor
from heliograph.delivery.journal.frames import RECORD, Header, Scope, load_header, read_frames
from heliograph.delivery.journal.reader import JournalReader, last_sequence
from heliograph.delivery.journal.segment import SegmentReader, SegmentWriter, segments
from heliograph.delivery.journal.writer import JournalClosed, JournalWriter
from processes import in_child

HEADER = Header(resource=b"resource", schema_url="https://schema/1")
A, B = Scope(scope=b"a", schema_url="https://a"), Scope(scope=b"b")
SMALL = 4096


def records(count: int, size: int = 40) -> list[bytes]:
    return [f"record {number} ".encode().ljust(size, b".") for number in range(count)]


def write(folder: Path, encoded: list[bytes], **options: object) -> JournalWriter:
    writer = JournalWriter(folder, HEADER, **{"segment_bytes": SMALL, **options})  # type: ignore[arg-type]
    for number, each in enumerate(encoded):
        writer.append(A if number % 3 else B, each)
    return writer


def drain(reader: JournalReader, *, max_records: int = 7) -> list[bytes]:
    """All that is there, acknowledged batch by batch."""
    found: list[bytes] = []
    while batch := reader.read(max_bytes=10**9, max_records=max_records):
        assert batch.header == HEADER
        found += [entry.encoded for entry in batch.entries]
        reader.acknowledge(batch.entries[-1].sequence)
    return found


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    try:
        yield path
    finally:
        shutil.rmtree(path)


def test_records_are_read_in_order_under_their_scopes(tmp_path: Path) -> None:
    """Over several segments, each of which can be read alone."""
    encoded = records(500)
    write(tmp_path, encoded).close()
    reader = JournalReader(tmp_path, is_live=False)

    entries = []
    while batch := reader.read(max_bytes=10**9, max_records=100):
        entries += batch.entries

    assert len(segments(tmp_path)) > 5
    assert [entry.encoded for entry in entries] == encoded
    assert [entry.sequence for entry in entries] == list(range(1, 501))
    assert [entry.scope for entry in entries] == [A if number % 3 else B for number in range(500)]
    assert reader.damaged == 0
    reader.close()


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Whatever the umask is."""
    before = os.umask(0)
    try:
        write(tmp_path, records(3)).close()
        JournalReader(tmp_path, is_live=False).acknowledge(1)
    finally:
        os.umask(before)

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_reader_follows_the_writer(tmp_path: Path) -> None:
    """Record by record, from segment to segment."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    reader = JournalReader(tmp_path, is_live=True)
    assert reader.read(max_bytes=1, max_records=1) is None

    for each in records(300):
        writer.append(A, each)
        batch = reader.read(max_bytes=1, max_records=10)
        assert batch is not None
        assert [entry.encoded for entry in batch.entries] == [each]
        assert reader.read(max_bytes=1, max_records=10) is None
    writer.close()
    reader.close()


def test_acknowledged_segments_are_deleted_and_the_rest_is_read_again(tmp_path: Path) -> None:
    """By another reader: what was read and not acknowledged comes again."""
    encoded = records(300)
    writer = write(tmp_path, encoded)
    reader = JournalReader(tmp_path, is_live=True)
    first = reader.read(max_bytes=10**9, max_records=200)
    assert first is not None
    reader.acknowledge(first.entries[-1].sequence)
    assert reader.read(max_bytes=10**9, max_records=50) is not None
    reader.close()
    writer.close()

    assert segments(tmp_path)[0][0] > 1
    assert read_cursor(tmp_path) == first.entries[-1].sequence
    again = JournalReader(tmp_path, is_live=False)
    assert drain(again) == encoded[first.entries[-1].sequence :]
    again.close()


def test_rewind_reads_what_is_not_acknowledged_again(tmp_path: Path) -> None:
    """As a request that failed wants it."""
    write(tmp_path, records(10)).close()
    reader = JournalReader(tmp_path, is_live=False)
    first = reader.read(max_bytes=10**9, max_records=4)
    assert first is not None
    reader.acknowledge(2)
    reader.rewind()

    second = reader.read(max_bytes=10**9, max_records=4)

    assert second is not None
    assert [entry.sequence for entry in second.entries] == [3, 4, 5, 6]
    reader.close()


def test_record_that_is_larger_than_a_segment_has_one_of_its_own(tmp_path: Path) -> None:
    """And its neighbours are where they were."""
    encoded = [b"small", b"x" * (10 * SMALL), b"small"]
    write(tmp_path, encoded).close()
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == encoded
    reader.close()


def test_lost_or_damaged_cursor_means_to_begin_at_the_oldest(tmp_path: Path) -> None:
    """What was sent is sent once more; nothing is lost."""
    write(tmp_path, records(5)).close()
    write_cursor(tmp_path, 3)
    assert read_cursor(tmp_path) == 3

    for damage in (b"", b"\0" * 22, (tmp_path / "cursor").read_bytes()[:-1] + b"x"):
        (tmp_path / "cursor").write_bytes(damage)
        reader = JournalReader(tmp_path, is_live=False)
        batch = reader.read(max_bytes=10**9, max_records=10)
        assert batch is not None
        assert [entry.sequence for entry in batch.entries] == [1, 2, 3, 4, 5]
        reader.close()


def test_file_that_is_no_segment_is_set_aside(tmp_path: Path) -> None:
    """Whole, and what comes after it is read."""
    write(tmp_path, records(300)).close()
    victim = segments(tmp_path)[1][1]
    victim.write_bytes(b"nothing of ours" + victim.read_bytes()[15:])
    reader = JournalReader(tmp_path, is_live=False)

    found = drain(reader)

    assert found[0] == records(1)[0]
    assert found[-1] == records(300)[-1]
    assert len(found) + reader.damaged == 300
    assert [path.name for path in (tmp_path / "damaged").iterdir()]
    reader.close()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_happens_to_the_bytes_what_is_whole_is_read(data: st.DataObject) -> None:
    """Flipped, cut, inserted and overwritten bytes: an untouched record is there, in order, and none that was not
    written."""
    with folder() as path:
        encoded = records(60, 60)
        write(path, encoded).close()
        _, victim = data.draw(st.sampled_from(segments(path)))
        content = bytearray(victim.read_bytes())
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 200)))
        patch = data.draw(st.binary(max_size=200) | st.just(bytes(end - start)))
        _, header_end = load_header(bytes(content))
        whole = [each for each in encoded if each not in content] + whole_records(
            bytes(content), header_end, start, end
        )
        content[start:end] = patch
        victim.write_bytes(content)

        reader = JournalReader(path, is_live=False)
        found = drain(reader)
        reader.close()

        assert [each for each in encoded if each in found] == found
        if start >= header_end:
            assert set(whole) <= set(found)


def whole_records(content: bytes, position: int, start: int, end: int) -> list[bytes]:
    """The records whose frames are before or after what is replaced."""
    found = []
    for _, kind, _, record, frame_end in read_frames(content, position):
        if kind == RECORD and (frame_end <= start or position >= end):
            found.append(record)
        position = frame_end
    return found


@given(st.binary(max_size=300))
def test_any_bytes_are_a_segment_or_none(content: bytes) -> None:
    """Nothing raises, and nothing is read that was not written."""
    with folder() as path:
        (path / f"{1:020d}.journal").write_bytes(content)
        reader = JournalReader(path, is_live=False)

        assert drain(reader) == []
        reader.close()


def test_disk_that_is_full_leaves_nothing_half_written(tmp_path: Path) -> None:
    """`append` raises, the records before are there, and those after it once there is room again."""
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
            writer.append(A, each)
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
def test_threads_lose_nothing(tmp_path: Path, durable: bool) -> None:
    """Eight of them: each record is there once, and those of one thread are in order."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL, durable=durable)
    count = 20 if durable else 300

    def work(name: int) -> None:
        for number in range(count):
            writer.append(A, f"{name}:{number}".encode())

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
def test_process_that_is_killed_loses_nothing_that_was_appended(tmp_path: Path, moment: int) -> None:
    """SIGKILL at any moment: all that `append` returned for is there, and at most one record more."""
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(100 + 77 * moment)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    told = sum(line.endswith(b"\n") for line in lines)
    reader = JournalReader(tmp_path, is_live=False)

    found = drain(reader, max_records=1000)
    reader.close()

    assert found == [b"%d" % number for number in range(len(found))]
    assert told <= len(found) <= told + 1
    assert reader.damaged == 0


def test_child_of_a_fork_leaves_the_files_alone(tmp_path: Path) -> None:
    """`abandon` lets go of them, and the parent goes on."""
    writer = write(tmp_path, records(3))
    assert in_child(writer.abandon) == 0
    writer.append(A, b"more")
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == [*records(3), b"more"]
    reader.close()


def test_journal_that_was_closed_takes_no_more(tmp_path: Path) -> None:
    """Rather than to put a record where nobody looks for it."""
    writer = write(tmp_path, records(3))
    writer.close()

    with pytest.raises(JournalClosed):
        writer.append(A, b"late")


def test_who_only_looks_changes_nothing(tmp_path: Path) -> None:
    """Damage and all: each file is what it was, and what is damaged is counted."""
    write(tmp_path, records(300)).close()
    [_, (_, flipped), *_, (_, cut)] = segments(tmp_path)
    content = flipped.read_bytes()
    flipped.write_bytes(content[:2000] + b"\xa5" * 200 + content[2200:])
    cut.write_bytes(b"nothing of ours")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*")}
    reader = JournalReader(tmp_path, is_live=False, read_only=True)
    found = []
    while batch := reader.read(max_bytes=10**9, max_records=100):
        found += batch.entries
    reader.close()

    assert {path: path.read_bytes() for path in tmp_path.rglob("*")} == before
    assert reader.damaged >= 3
    assert reader.damaged_bytes > 100
    assert len(found) < 298


def test_damage_is_counted_once(tmp_path: Path) -> None:
    """However often it is read again, as it is while a server takes nothing."""
    write(tmp_path, records(20)).close()
    [(_, path)] = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"record 5 ", b"Record 5 ")[:-3])
    reader = JournalReader(tmp_path, is_live=False)
    told = []
    for _ in range(3):
        while reader.read(max_bytes=10**9, max_records=100):
            pass
        told.append(reader.take_damaged())
        reader.rewind()
    reader.close()

    assert told == [2, 0, 0]


def test_last_sequence_is_known_without_reading_all(tmp_path: Path) -> None:
    """That of the newest record that can be read."""
    assert last_sequence(tmp_path) == 0
    writer = write(tmp_path, records(300))
    assert last_sequence(tmp_path) == 300
    writer.close()

    segments(tmp_path)[-1][1].write_bytes(b"nothing of ours")
    assert 200 < last_sequence(tmp_path) < 300


def test_oldest_is_what_waits_longest(tmp_path: Path) -> None:
    """Of what was read and not acknowledged."""
    write(tmp_path, records(5)).close()
    reader = JournalReader(tmp_path, is_live=False)
    assert reader.oldest is None

    reader.read(max_bytes=10**9, max_records=2)
    reader.rewind()
    assert reader.oldest is not None
    assert reader.oldest.sequence == 1
    reader.acknowledge(2)
    assert reader.oldest is None
    reader.close()


def test_segments_grow(tmp_path: Path) -> None:
    """From a small one, since many processes write little, to the size that was asked for."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=2**20)
    for each in records(100, 30_000):
        writer.append(A, each)
    sizes = [path.stat().st_size for _, path in segments(tmp_path)]
    writer.close()

    assert sizes == [256 * 1024, 512 * 1024, *[2**20] * (len(sizes) - 2)]
    assert len(sizes) >= 4


def test_record_that_was_written_just_now_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reader's look at the end of a segment and its look for the next one."""
    writer = write(tmp_path, records(3))
    reader = JournalReader(tmp_path, is_live=True)
    assert reader.read(max_bytes=10**9, max_records=10) is not None
    has_ended = SegmentReader.has_ended

    def then_write(segment: SegmentReader) -> bool:
        monkeypatch.setattr(SegmentReader, "has_ended", has_ended)
        ended = has_ended(segment)
        for _ in range(200):
            writer.append(A, b"just now")
        return ended

    monkeypatch.setattr(SegmentReader, "has_ended", then_write)
    found = drain(reader)

    assert found == [b"just now"] * 200
    assert reader.damaged == 0
    assert not (tmp_path / "damaged").exists()
    reader.close()
    writer.close()


def test_threads_share_a_flush_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for one that began after its record was written; on a slow disk, many wait for the same."""
    flushed: list[int] = []
    sync = SegmentWriter.sync

    def slow(segment: SegmentWriter) -> None:
        before = writer.last_sequence
        time.sleep(0.01)
        sync(segment)
        flushed.append(before)

    monkeypatch.setattr(SegmentWriter, "sync", slow)
    writer = JournalWriter(tmp_path, HEADER, durable=True)

    def work() -> None:
        for _ in range(20):
            sequence = writer.append(A, b"durable")
            assert max(flushed) >= sequence

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(work) for _ in range(8)]:
            future.result()
    writer.close()

    assert writer.last_sequence == 160
    assert len(flushed) <= 60


def test_small_segment_is_made_where_there_is_no_room_for_a_large_one(tmp_path: Path) -> None:
    """So that the last of the room is used; and they grow again."""
    room = [10**6]

    def make_room(size: int) -> None:
        if size > room[0]:
            raise OSError(errno.ENOSPC, "full")

    writer = JournalWriter(tmp_path, HEADER, segment_bytes=2**20, make_room=make_room)
    for number, each in enumerate(records(120, 30_000)):
        room[0] = 300_000 if 30 <= number < 60 else 10**7
        writer.append(A, each)
    sizes = [path.stat().st_size // 1024 for _, path in segments(tmp_path)]
    writer.close()
    reader = JournalReader(tmp_path, is_live=False)

    assert sizes[:2] == [256, 512]
    assert sizes.count(256) >= 3
    assert sizes[-1] == 1024
    assert len(drain(reader)) == 120
    reader.close()
