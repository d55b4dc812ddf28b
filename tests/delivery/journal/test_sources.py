"""One contract, two sources of records: a journal on disk (`JournalReader`), and one in memory (`MemoryJournal`).

The sender relies on no more than this: it reads a batch, and then acknowledges it, or a part of it and rewinds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.journal.journals import HEADER, SCOPE_A, SCOPE_B, SMALL, records, temporary_folder
from heliograph.delivery.journal.frames import Scope
from heliograph.delivery.journal.memory import MemoryJournal
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalClosed, JournalWriter
from threads import join


@dataclass(frozen=True)
class Journal:
    """A source, and the functions that append to it and close it."""

    source: JournalReader | MemoryJournal
    append: Callable[[Scope, bytes], object]
    close: Callable[[], None]

    def read(self, *, max_bytes: int = 10**9, max_records: int = 10**9) -> list[bytes]:
        batch = self.source.read(max_bytes=max_bytes, max_records=max_records)
        return [entry.encoded for entry in batch.entries] if batch else []


@contextmanager
def disk() -> Iterator[Journal]:
    with temporary_folder() as folder:
        writer = JournalWriter(folder, HEADER, segment_bytes=SMALL)
        reader = JournalReader(folder, is_live=True)
        yield Journal(reader, writer.append, writer.close)
        writer.close()
        reader.close()


@contextmanager
def memory() -> Iterator[Journal]:
    journal = MemoryJournal(HEADER)
    yield Journal(journal, journal.append, journal.close)


KINDS = pytest.mark.parametrize("kind", [disk, memory])


@pytest.fixture(params=[disk, memory], ids=["disk", "memory"])
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    with request.param() as found:
        yield found


def test_empty_source_has_no_batch(journal: Journal) -> None:
    """A source is empty at first, and again when everything is acknowledged."""
    assert journal.source.read(max_bytes=1, max_records=1) is None
    assert journal.source.oldest is None

    journal.append(SCOPE_A, b"one")
    journal.read()
    journal.source.acknowledge(1)

    assert journal.source.read(max_bytes=1, max_records=1) is None
    assert journal.source.oldest is None


def test_newest_record_is_read_beside_the_batches(journal: Journal) -> None:
    """The newest record that is neither acknowledged nor known is found, and the next batch does not change."""
    assert journal.source.newest(()) is None
    for number in range(1, 7):
        journal.append(SCOPE_B if number == 6 else SCOPE_A, str(number).encode() * 700)
    assert journal.read(max_records=1) == [b"1" * 700]
    journal.source.acknowledge(1)

    newest = journal.source.newest(())
    found = [journal.source.newest(known) for known in [{6}, {6, 5, 4}, {6, 5, 4, 3, 2}]]

    assert newest == (6, SCOPE_B, b"6" * 700)
    assert [entry and entry.sequence for entry in found] == [5, 3, None]
    assert journal.read(max_records=1) == [b"2" * 700]


def test_newest_record_of_a_damaged_file(tmp_path: Path) -> None:
    """The newest that can be read; a file that is no segment is passed over."""
    writer = JournalWriter(tmp_path, HEADER, segment_bytes=SMALL)
    for number in range(1, 7):
        writer.append(SCOPE_A, str(number).encode() * 1500)
    writer.close()
    segments(tmp_path)[-1][1].write_bytes(b"garbage")

    newest = JournalReader(tmp_path, is_live=False).newest(())

    assert newest is not None
    assert newest.sequence == segments(tmp_path)[-1][0] - 1


def test_records_come_in_order_with_their_sequences_scopes_and_resource(journal: Journal) -> None:
    journal.append(SCOPE_A, b"one")
    journal.append(SCOPE_B, b"two")
    journal.append(SCOPE_A, b"three")

    batch = journal.source.read(max_bytes=10**9, max_records=10)

    assert batch is not None
    assert batch.header == HEADER
    assert [tuple(entry) for entry in batch.entries] == [
        (1, SCOPE_A, b"one"),
        (2, SCOPE_B, b"two"),
        (3, SCOPE_A, b"three"),
    ]


def test_batch_has_at_most_so_many_records(journal: Journal) -> None:
    for record in records(5):
        journal.append(SCOPE_A, record)

    assert journal.read(max_records=3) == records(5)[:3]


def test_batch_ends_near_its_limit_of_bytes(journal: Journal) -> None:
    """A batch goes past the limit by one record at most."""
    for record in records(10, size=100):
        journal.append(SCOPE_A, record)

    found = journal.read(max_bytes=250)

    assert found == records(10, size=100)[: len(found)]
    assert 2 <= len(found) <= 3


def test_record_that_is_larger_than_the_limit_comes_alone(journal: Journal) -> None:
    journal.append(SCOPE_A, b"x" * 500)
    journal.append(SCOPE_A, b"next")

    assert journal.read(max_bytes=10) == [b"x" * 500]


def test_acknowledged_records_do_not_come_again(journal: Journal) -> None:
    """After a part of a batch was acknowledged, the rest comes again."""
    for record in records(6):
        journal.append(SCOPE_A, record)
    journal.read(max_records=4)

    journal.source.acknowledge(2)
    journal.source.rewind()

    assert journal.source.acknowledged == 2
    assert journal.read(max_records=4) == records(6)[2:]


def test_acknowledgement_is_never_taken_back(journal: Journal) -> None:
    for record in records(4):
        journal.append(SCOPE_A, record)
    journal.read()

    journal.source.acknowledge(3)
    journal.source.acknowledge(1)
    journal.source.rewind()

    assert journal.source.acknowledged == 3
    assert journal.read() == records(4)[3:]


def test_oldest_is_the_first_record_that_is_not_acknowledged(journal: Journal) -> None:
    for record in records(4):
        journal.append(SCOPE_A, record)
    journal.read()
    assert journal.source.oldest is not None
    assert journal.source.oldest.sequence == 1

    journal.source.acknowledge(2)
    journal.source.rewind()
    journal.read()

    assert journal.source.oldest.sequence == 3


def test_nothing_is_damaged(journal: Journal) -> None:
    journal.append(SCOPE_A, b"one")
    journal.read()

    assert journal.source.take_damaged() == 0


def test_closed_journal_accepts_no_record_and_can_be_read(journal: Journal) -> None:
    journal.append(SCOPE_A, b"one")
    journal.close()

    with pytest.raises(JournalClosed):
        journal.append(SCOPE_A, b"late")
    assert journal.read() == [b"one"]


def test_threads_append_while_another_reads(journal: Journal) -> None:
    """Each record is read once, and those of one thread in order."""

    def append(name: int) -> None:
        for number in range(200):
            journal.append(SCOPE_A, b"%d:%d" % (name, number))

    threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    found: list[bytes] = []
    deadline = time.monotonic() + 60
    while len(found) < 800:
        assert time.monotonic() < deadline
        batch = journal.source.read(max_bytes=10**9, max_records=50)
        if batch is not None:
            found += [entry.encoded for entry in batch.entries]
            journal.source.acknowledge(batch.entries[-1].sequence)
    join(*threads)

    for name in range(4):
        prefix = b"%d:" % name
        assert [record for record in found if record.startswith(prefix)] == [b"%d:%d" % (name, n) for n in range(200)]


@KINDS
@given(st.lists(st.integers(0, 9), max_size=60), st.data())
def test_source_is_a_queue(kind: Callable[[], Iterator[Journal]], steps: list[int], data: st.DataObject) -> None:
    """Whatever is appended, read, acknowledged and read again, the records that wait are those of a list, in order."""
    appended: list[bytes] = []
    acknowledged = 0
    with ExitStack() as stack:
        journal = stack.enter_context(kind())  # type: ignore[arg-type]
        for step in steps:
            for _ in range(step):
                appended.append(b"%d" % len(appended) * 50)
                journal.append(SCOPE_A, appended[-1])
            found = journal.read(max_records=step + 1, max_bytes=1000)
            assert found == appended[acknowledged : acknowledged + len(found)]
            assert bool(found) is (acknowledged < len(appended))
            accepted = data.draw(st.integers(0, len(found)))
            if accepted:
                acknowledged += accepted
                journal.source.acknowledge(acknowledged)
            if accepted < len(found):
                journal.source.rewind()
        assert journal.source.acknowledged == acknowledged
