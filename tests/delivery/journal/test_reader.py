"""The reader of a journal: whatever is in its files, what can be read is read, in order, and the rest is counted.

The contract that it shares with the journal in memory is in `test_sources`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.journal.journals import (
    HEADER,
    SCOPE_A,
    SCOPE_B,
    SMALL,
    drain,
    lowest_free_descriptor,
    read_all,
    records,
    temporary_folder,
    write,
    write_as_version_1,
)
from heliograph.delivery.journal.batch import LOST_SCOPE
from heliograph.delivery.journal.cursor import read_cursor
from heliograph.delivery.journal.frames import RECORD, Header, dump_frame, dump_scope, load_header, read_frame
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import SegmentReader, segment_path, segments
from heliograph.delivery.journal.segment_order import last_sequence
from heliograph.delivery.journal.writer import JournalWriter
from threads import result_in_time


def test_records_are_read_in_order_under_their_scopes(tmp_path: Path) -> None:
    """Over several segments, each of which defines the scopes that it uses."""
    encoded = records(500)
    write(tmp_path, encoded).close()
    reader = JournalReader(tmp_path, is_live=False)

    entries = []
    while batch := reader.read(max_bytes=10**9, max_records=100):
        entries += batch.entries

    assert len(segments(tmp_path)) > 5
    assert [entry.encoded for entry in entries] == encoded
    assert [entry.sequence for entry in entries] == list(range(1, 501))
    assert [entry.scope for entry in entries] == [SCOPE_A if number % 3 else SCOPE_B for number in range(500)]
    assert reader.damaged == 0
    reader.close()


def test_rewind_works_although_a_file_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records that were read come again: none is skipped."""
    encoded = records(2)
    write(tmp_path, encoded).close()
    reader = JournalReader(tmp_path, is_live=False)
    reader.read(max_bytes=10**9, max_records=1)
    real = SegmentReader.close

    def fail(segment: SegmentReader) -> None:
        real(segment)
        raise OSError("input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(SegmentReader, "close", fail)
        with pytest.raises(OSError, match="input/output"):
            reader.rewind()

    batch = reader.read(max_bytes=10**9, max_records=10)
    assert batch is not None
    assert [entry.encoded for entry in batch.entries] == encoded
    reader.close()


def test_reader_follows_the_writer(tmp_path: Path) -> None:
    """A reader finds each record as soon as it is written, from one segment to the next."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    reader = JournalReader(tmp_path, is_live=True)
    assert reader.read(max_bytes=1, max_records=1) is None

    for each in records(300):
        writer.append(SCOPE_A, each)
        batch = reader.read(max_bytes=1, max_records=10)
        assert batch is not None
        assert [entry.encoded for entry in batch.entries] == [each]
        assert reader.read(max_bytes=1, max_records=10) is None
    writer.close()
    reader.close()


def test_acknowledged_segments_are_deleted_and_the_rest_is_read_again(tmp_path: Path) -> None:
    """Another reader gets the records that were read and not acknowledged."""
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
    """The sender rewinds after a request failed."""
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
    """The records before and after it are in their places."""
    encoded = [b"small", b"x" * (10 * SMALL), b"small"]
    write(tmp_path, encoded).close()
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == encoded
    reader.close()


def test_file_that_is_not_a_segment_is_saved_as_damaged(tmp_path: Path) -> None:
    """The segments after it are read, and its records are counted."""
    write(tmp_path, records(300)).close()
    victim = segments(tmp_path)[1][1]
    victim.write_bytes(b"nothing of ours" * 100)
    reader = JournalReader(tmp_path, is_live=False)

    found = drain(reader)

    assert found[0] == records(1)[0]
    assert found[-1] == records(300)[-1]
    assert len(found) + reader.damaged == 300
    assert [path.name for path in (tmp_path / "damaged").iterdir()]
    reader.close()


@settings(deadline=None)
@given(st.data())
def test_undamaged_records_are_read_whatever_happened_to_other_bytes(data: st.DataObject) -> None:
    """After bytes were flipped, cut out, inserted or overwritten, every record that was not touched is read, in order, and no
    record that was not written."""
    with temporary_folder() as path:
        encoded = records(60, 60)
        write(path, encoded).close()
        _, victim = data.draw(st.sampled_from(segments(path)))
        content = bytearray(victim.read_bytes())
        start = data.draw(st.integers(0, len(content)))
        end = min(len(content), start + data.draw(st.integers(0, 200)))
        patch = data.draw(st.binary(max_size=200) | st.just(bytes(end - start)))
        _, header_end, _ = load_header(bytes(content))
        untouched = [each for each in encoded if each not in content] + untouched_records(
            bytes(content), header_end, start, end
        )
        content[start:end] = patch
        victim.write_bytes(content)

        reader = JournalReader(path, is_live=False)
        found = drain(reader)
        reader.close()

        assert [each for each in encoded if each in found] == found
        assert set(untouched) <= set(found)


def untouched_records(content: bytes, position: int, start: int, end: int) -> list[bytes]:
    """Return the records whose frames are before or after the bytes that are replaced."""
    found = []
    while frame := read_frame(content, position):
        _, kind, _, record, frame_end = frame
        if kind == RECORD and (frame_end <= start or position >= end):
            found.append(record)
        position = frame_end
    return found


@given(st.binary(max_size=300))
def test_any_bytes_can_be_in_a_file(content: bytes) -> None:
    """The reader does not raise, and reads no record that was not written."""
    with temporary_folder() as path:
        (path / f"{1:020d}.journal").write_bytes(content)
        reader = JournalReader(path, is_live=False)

        assert drain(reader) == []
        reader.close()


def test_read_only_reader_changes_no_file(tmp_path: Path) -> None:
    """Damaged files stay unchanged, too. The damage is counted all the same."""
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
    """The same damage is read again and again while a server accepts nothing."""
    write(tmp_path, records(20)).close()
    [(_, path)] = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"record 5 ", b"Record 5 ")[:-3])
    reader = JournalReader(tmp_path, is_live=False)
    reported = []
    for _ in range(3):
        while reader.read(max_bytes=10**9, max_records=100):
            pass
        reported.append(reader.take_damaged())
        reader.rewind()
    reader.close()

    assert reported == [2, 0, 0]


def test_last_sequence_is_found_in_the_last_segment(tmp_path: Path) -> None:
    """If that one is damaged, it is the last sequence before it."""
    assert last_sequence(tmp_path) == 0
    writer = write(tmp_path, records(300))
    assert last_sequence(tmp_path) == 300
    writer.close()

    segments(tmp_path)[-1][1].write_bytes(b"nothing of ours")
    assert 200 < last_sequence(tmp_path) < 300


def test_oldest_is_the_record_that_has_waited_longest(tmp_path: Path) -> None:
    """Only records that were read and not acknowledged count as waiting."""
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


def test_record_that_was_written_just_now_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record may come after the reader found the end of a segment, and before it looks for the next one."""
    writer = write(tmp_path, records(3))
    reader = JournalReader(tmp_path, is_live=True)
    assert reader.read(max_bytes=10**9, max_records=10) is not None
    has_ended = SegmentReader.has_ended

    def then_write(segment: SegmentReader) -> bool:
        monkeypatch.setattr(SegmentReader, "has_ended", has_ended)
        ended = has_ended(segment)
        for _ in range(200):
            writer.append(SCOPE_A, b"just now")
        return ended

    monkeypatch.setattr(SegmentReader, "has_ended", then_write)
    found = drain(reader)

    assert found == [b"just now"] * 200
    assert reader.damaged == 0
    assert not (tmp_path / "damaged").exists()
    reader.close()
    writer.close()


def test_records_that_were_given_up_are_not_damaged(tmp_path: Path) -> None:
    """A thread that appends deleted their segment to make room, and counts them by itself."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    reader = JournalReader(tmp_path, is_live=True)
    for _ in range(300):
        writer.append(SCOPE_A, b"x" * 100)
    (_, oldest), (following, _) = segments(tmp_path)[:2]
    oldest.unlink()

    assert reader.give_up_before(following) == following - 1
    assert reader.give_up_before(following) == 0
    assert len(read_all(reader)) == 300 - (following - 1)

    assert reader.damaged == 0
    writer.close()
    reader.close()


def test_handler_of_a_signal_may_give_records_up(tmp_path: Path) -> None:
    """The handler interrupts a `give_up_before` of its own thread: spans give way to the log record that it emits."""
    write(tmp_path, records(20)).close()
    given_up: list[int] = []

    class InterruptedReader(JournalReader):
        is_interrupted = False

        @property
        def waiting_from(self) -> int:
            if not self.is_interrupted:
                self.is_interrupted = True
                given_up.append(self.give_up_before(5))
            return super().waiting_from

    reader = InterruptedReader(tmp_path, is_live=True)
    given_up.append(result_in_time(lambda: reader.give_up_before(11)))

    assert given_up == [4, 6]
    reader.close()


def test_acknowledged_records_are_not_given_up(tmp_path: Path) -> None:
    """Delivered records do not count as dropped. Records that are being sent count if they are not delivered."""
    write(tmp_path, records(20)).close()
    dropped: list[int] = []
    reader = JournalReader(tmp_path, is_live=True, on_dropped=dropped.append)
    reader.read(max_bytes=10**9, max_records=10)
    reader.acknowledge(7)

    assert reader.give_up_before(11) == 0
    assert reader.give_up_before(5) == 0
    assert reader.give_up_before(13) == 2
    reader.acknowledge(8)
    assert dropped == []
    reader.rewind()
    reader.rewind()
    assert dropped == [2]
    reader.close()


def test_records_that_an_earlier_reader_did_without_are_not_damaged(tmp_path: Path) -> None:
    """An orphan's folder may begin with any segment."""
    write(tmp_path, records(300)).close()
    (_, oldest), (following, _) = segments(tmp_path)[:2]
    oldest.unlink()
    reader = JournalReader(tmp_path, is_live=False)

    assert read_all(reader) == records(300)[following - 1 :]
    assert reader.damaged == 0
    reader.close()


def test_rewind_reads_segments_again_that_were_finished(tmp_path: Path) -> None:
    write(tmp_path, records(300)).close()
    reader = JournalReader(tmp_path, is_live=False)
    assert read_all(reader) == records(300)

    reader.rewind()

    assert read_all(reader) == records(300)
    reader.close()


@pytest.mark.parametrize("size", [0, 10, 4096])
def test_segment_that_is_being_made_is_not_deleted(tmp_path: Path, size: int) -> None:
    """A living writer reserves the file first, and writes the header then."""
    path = segment_path(tmp_path, 1)
    path.write_bytes(bytes(size))
    reader = JournalReader(tmp_path, is_live=True)

    assert reader.read(max_bytes=1, max_records=1) is None

    assert path.exists()
    assert not (tmp_path / "damaged").exists()
    assert reader.damaged_bytes == 0


def test_segment_that_was_never_finished_is_deleted_and_not_damaged(tmp_path: Path) -> None:
    """A process that died after it reserved a file leaves a segment of zeros."""
    write(tmp_path, records(3)).close()
    path = segment_path(tmp_path, 4)
    path.write_bytes(bytes(SMALL))
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == records(3)

    assert not path.exists()
    assert not (tmp_path / "damaged").exists()
    assert (reader.damaged, reader.damaged_bytes) == (0, 0)
    reader.close()


def test_file_that_is_not_a_segment_is_damaged_even_if_it_is_the_last(tmp_path: Path) -> None:
    """The number of its records is not known, and counts as one."""
    write(tmp_path, records(3)).close()
    segment_path(tmp_path, 4).write_bytes(b"nothing of ours")
    reader = JournalReader(tmp_path, is_live=False)

    assert drain(reader) == records(3)

    assert reader.take_damaged() == 1
    assert reader.damaged_bytes == len(b"nothing of ours")
    [saved] = (tmp_path / "damaged").iterdir()
    assert saved.read_bytes() == b"nothing of ours"
    assert saved.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "damaged").stat().st_mode & 0o777 == 0o700
    reader.close()


def test_damage_that_was_saved_before_is_saved_anew(tmp_path: Path) -> None:
    """A process that died before it deleted the segment may have saved more, or a part of it."""
    saved = tmp_path / "damaged" / f"{1:020d}-0.bin"
    saved.parent.mkdir()
    saved.write_bytes(b"something longer than what is damaged now")
    segment_path(tmp_path, 1).write_bytes(b"nothing of ours")
    reader = JournalReader(tmp_path, is_live=False)
    drain(reader)
    reader.close()

    assert saved.read_bytes() == b"nothing of ours"


def test_file_that_is_not_a_segment_is_passed_while_the_writer_lives(tmp_path: Path) -> None:
    """Only the last file may be one that is being made."""
    writer = write(tmp_path, records(300))
    _, (first, path), (following, _), *_ = segments(tmp_path)
    path.write_bytes(b"nothing of ours")
    reader = JournalReader(tmp_path, is_live=True)

    assert read_all(reader) == records(300)[: first - 1] + records(300)[following - 1 :]

    assert not path.exists()
    assert reader.damaged == following - first
    writer.close()
    reader.close()


def test_last_sequence_is_found_beyond_damage(tmp_path: Path) -> None:
    """If the last segment has no readable record, it is in the one before."""
    write(tmp_path, records(300)).close()
    first, path = segments(tmp_path)[-1]
    path.write_bytes(corrupt_first_frame(path))
    assert last_sequence(tmp_path) == 300

    path.write_bytes(bytes(len(path.read_bytes())))
    assert last_sequence(tmp_path) == first - 1


def test_frame_that_is_being_written_is_not_damaged(tmp_path: Path) -> None:
    """A frame without its length will be finished by the writer, which lives."""
    writer = write(tmp_path, records(3))
    reader = JournalReader(tmp_path, is_live=True)
    assert read_all(reader) == records(3)
    segment = writer._segment
    assert segment is not None
    _, rest = dump_frame(4, RECORD, 0, b"being written")
    segment._map[segment._position + 4 : segment._position + 4 + len(rest)] = rest

    assert reader.read(max_bytes=1, max_records=1) is None
    assert (reader.damaged, reader.damaged_bytes) == (0, 0)

    writer.append(SCOPE_A, b"written")
    assert read_all(reader) == [b"written"]
    writer.close()
    reader.close()


def test_frame_that_a_killed_process_did_not_finish_is_no_record(tmp_path: Path) -> None:
    """`append` never returned for it, so nothing is counted or saved as damaged."""
    writer = write(tmp_path, records(3))
    segment = writer._segment
    assert segment is not None
    _, rest = dump_frame(4, RECORD, 0, b"unfinished")
    segment._map[segment._position + 4 : segment._position + 4 + len(rest)] = rest
    writer.abandon()
    reader = JournalReader(tmp_path, is_live=False)

    assert read_all(reader) == records(3)
    assert (reader.damaged, reader.damaged_bytes) == (0, 0)
    reader.close()


def test_garbage_behind_the_last_frame_of_a_segment_is_no_record(tmp_path: Path) -> None:
    """If another segment follows, its first sequence shows that no record is missing."""
    write(tmp_path, records(300)).close()
    (_, path), *_ = segments(tmp_path)
    content = path.read_bytes()
    end = len(content.rstrip(b"\0"))
    path.write_bytes(content[:end] + b"garbage" + content[end + 7 :])
    reader = JournalReader(tmp_path, is_live=False)

    assert read_all(reader) == records(300)
    assert (reader.damaged, reader.damaged_bytes) == (0, len(b"garbage"))
    reader.close()


def test_deleted_segment_is_not_kept_open(tmp_path: Path) -> None:
    """An open file would keep its space on the disk until the next read."""
    write(tmp_path, records(300)).close()
    reader = JournalReader(tmp_path, is_live=False)
    batch = reader.read(max_bytes=10**9, max_records=1000)
    assert batch is not None
    free = lowest_free_descriptor()

    reader.acknowledge(batch.entries[-1].sequence)

    assert lowest_free_descriptor() < free
    reader.close()


def test_damage_in_the_middle_is_counted_by_the_gap_of_sequences(tmp_path: Path) -> None:
    """The damaged bytes are saved in a file that is named after their place."""
    write(tmp_path, records(20)).close()
    [(_, path)] = segments(tmp_path)
    content = path.read_bytes()
    start = content.index(b"record 5 ")
    path.write_bytes(content[:start] + b"\xa5" * 150 + content[start + 150 :])
    reader = JournalReader(tmp_path, is_live=False)

    found = read_all(reader)

    assert found == [record for record in records(20) if record in found]
    assert reader.damaged == reader.take_damaged() == 20 - len(found) > 1
    assert reader.take_damaged() == 0
    [saved] = (tmp_path / "damaged").iterdir()
    assert saved.name == f"{path.stem}-{start - 19}.bin"
    assert b"\xa5" * 150 in saved.read_bytes()
    assert len(saved.read_bytes()) == reader.damaged_bytes
    reader.close()


def test_damage_that_cannot_be_saved_is_counted(tmp_path: Path) -> None:
    write(tmp_path, records(20)).close()
    [(_, path)] = segments(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"record 5 ", b"Record 5 "))
    (tmp_path / "damaged").write_bytes(b"a file where the folder should be")
    reader = JournalReader(tmp_path, is_live=False)

    assert len(read_all(reader)) == 19
    assert reader.damaged == 1
    assert reader.damaged_bytes > 40
    reader.close()


def test_record_whose_scope_is_damaged_is_read(tmp_path: Path) -> None:
    """The record is sent under a scope of ours, and the damage is counted once."""
    write(tmp_path, records(1)).close()
    [(_, path)] = segments(tmp_path)
    path.write_bytes(corrupt_first_frame(path))
    reader = JournalReader(tmp_path, is_live=False)
    batch = reader.read(max_bytes=1, max_records=1)

    assert batch is not None
    assert [(entry.scope, entry.encoded) for entry in batch.entries] == [(LOST_SCOPE, records(1)[0])]
    assert b"heliograph.outbox" in LOST_SCOPE.scope
    reader.rewind()
    assert reader.read(max_bytes=1, max_records=1) == batch
    assert reader.damaged == 1
    reader.close()


def test_damaged_scope_is_read_from_its_copy_in_the_segment(tmp_path: Path) -> None:
    """A scope is defined again after each 64 KiB, and a later definition serves the records before it."""
    writer = JournalWriter(tmp_path, HEADER)
    encoded = records(100, 1000)
    for record in encoded:
        writer.append(SCOPE_A, record)
    writer.close()
    [(_, path)] = segments(tmp_path)
    assert path.read_bytes().count(dump_scope(SCOPE_A)) == 2
    path.write_bytes(corrupt_first_frame(path))
    reader = JournalReader(tmp_path, is_live=False)

    batch = reader.read(max_bytes=10**9, max_records=1000)
    assert batch is not None
    assert [(entry.scope, entry.encoded) for entry in batch.entries] == [(SCOPE_A, each) for each in encoded]
    assert reader.damaged == 0
    reader.close()


def test_damaged_scope_is_read_from_another_segment(tmp_path: Path) -> None:
    """The number of a scope is the same in all segments of a folder."""
    write(tmp_path, records(300)).close()
    for first, path in segments(tmp_path)[1:3]:
        content = path.read_bytes()
        assert first > 1
        path.write_bytes(content.replace(dump_scope(SCOPE_A), b"x" * len(dump_scope(SCOPE_A))))
    reader = JournalReader(tmp_path, is_live=False)

    entries = []
    while batch := reader.read(max_bytes=10**9, max_records=1000):
        entries += batch.entries
    assert [entry.scope for entry in entries] == [SCOPE_A if number % 3 else SCOPE_B for number in range(300)]
    assert reader.damaged == 0
    reader.close()


def test_record_is_read_although_header_and_copy_are_damaged(tmp_path: Path) -> None:
    """The resource is that of another segment, or empty if there is none. Bytes of the header are kept aside."""
    write(tmp_path, records(300)).close()
    found = segments(tmp_path)
    for _, path in found[1:]:
        path.write_bytes(path.read_bytes().replace(b"resource", b"RESOURCE"))
    reader = JournalReader(tmp_path, is_live=False)
    assert drain(reader) == records(300)
    assert reader.damaged == 0
    reader.close()

    assert len(segments(tmp_path)) == 1
    (tmp_path / "cursor").unlink()
    reader = JournalReader(tmp_path, is_live=False)
    batch = reader.read(max_bytes=10**9, max_records=1000)
    assert batch is not None
    assert (batch.header, batch.entries[-1].encoded) == (Header(resource=b""), records(300)[-1])
    assert list((tmp_path / "damaged").iterdir())
    reader.close()


@pytest.mark.parametrize("is_damaged", [False, True])
def test_segments_of_version_1_are_read(tmp_path: Path, is_damaged: bool) -> None:
    """Numbers of scopes are valid within one segment there, so a damaged scope is lost, although others have the number."""
    write(tmp_path, records(300)).close()
    for _, path in segments(tmp_path):
        write_as_version_1(path)
    if is_damaged:
        path = segments(tmp_path)[1][1]
        path.write_bytes(path.read_bytes().replace(dump_scope(SCOPE_A), b"x" * len(dump_scope(SCOPE_A))))
    reader = JournalReader(tmp_path, is_live=False)

    entries = []
    while batch := reader.read(max_bytes=10**9, max_records=1000):
        assert batch.header == HEADER
        entries += batch.entries
    assert [entry.encoded for entry in entries] == records(300)
    lost = sum(entry.scope is LOST_SCOPE for entry in entries)
    assert (lost > 0, reader.damaged) == (is_damaged, lost)
    reader.close()


def corrupt_first_frame(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    _, header_end, _ = load_header(bytes(content))
    content[header_end + 4] ^= 1  # the checksum of the frame that defines the scope
    return bytes(content)


def test_segment_that_was_deleted_while_it_was_opened_is_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that appends deletes the oldest one, between the listing and the opening."""
    writer = write(tmp_path, records(300))
    reader = JournalReader(tmp_path, is_live=True)
    (_, oldest), (following, _) = segments(tmp_path)[:2]
    open_file = os.open

    def delete_first(path: str | Path, *arguments: int, **options: int) -> int:
        if path == oldest.name and oldest.exists():
            reader.give_up_before(following)
            oldest.unlink()
        return open_file(path, *arguments, **options)

    monkeypatch.setattr(os, "open", delete_first)

    assert read_all(reader) == records(300)[following - 1 :]
    assert reader.damaged == 0
    writer.close()
    reader.close()


def test_cursor_that_cannot_be_written_deletes_no_segment(tmp_path: Path) -> None:
    """`acknowledge` raises, and this reader still goes on behind what was acknowledged."""
    write(tmp_path, records(300)).close()
    (tmp_path / "cursor.new").mkdir()
    reader = JournalReader(tmp_path, is_live=False)
    assert read_all(reader) == records(300)
    before = segments(tmp_path)

    with pytest.raises(OSError):
        reader.acknowledge(200)

    assert segments(tmp_path) == before
    reader.rewind()
    assert read_all(reader) == records(300)[200:]
    reader.close()


def test_closed_reader_opens_its_files_again(tmp_path: Path) -> None:
    """The next read goes on at the next record: `close` forgets nothing."""
    write(tmp_path, records(300)).close()
    reader = JournalReader(tmp_path, is_live=False)
    first = reader.read(max_bytes=10**9, max_records=10)
    assert first is not None
    reader.close()

    assert [entry.encoded for entry in first.entries] + read_all(reader) == records(300)
    reader.close()
