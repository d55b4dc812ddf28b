"""The journal against a model: a list of records, and a few numbers.

Hypothesis calls the operations below in any order, on a real journal and on the model. Whatever the order: no record is lost,
none comes out of order, none is read that was not appended, and a record that is acknowledged never comes again. A record
that was read and not acknowledged comes again only after a rewind or a new reader. A record that was given up is counted once, unless it was
acknowledged.
"""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from delivery.journal.journals import HEADER, SCOPE_A, SCOPE_B, SMALL, read_all
from heliograph.delivery.journal.cursor import read_cursor
from heliograph.delivery.journal.frames import LENGTH_BYTES, RECORD, Scope, dump_frame
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.segment_order import last_sequence
from heliograph.delivery.journal.writer import JournalWriter
from processes import in_child
from profiles import examples

SCOPES = st.sampled_from([SCOPE_A, SCOPE_B, Scope(scope=b"")])


class JournalMachine(RuleBasedStateMachine):
    """One process's journal after another, each with a writer, a reader and a model.

    Attributes of the model:
        appended: The scope and the bytes of each record; sequence 1 is the first.
        acknowledged: The last acknowledged sequence.
        next: The sequence that is read next.
        kept_from: The first sequence that was not given up.
        read_now: The sequences that were read since the last rewind.
        delivered: Those that were acknowledged after they were read.
        counted: The number of records that were counted as given up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.folders = 0
        self.forks = 0

    @initialize(mapped=st.booleans())
    def begin(self, mapped: bool) -> None:
        """A new process with a folder of its own. It writes through a memory map, or by system calls."""
        self.folders += 1
        self.folder = self.root / str(self.folders)
        self.folder.mkdir()
        self.writer: JournalWriter | None = JournalWriter(self.folder, HEADER, segment_bytes=SMALL, mapped=mapped)
        self.reader = JournalReader(self.folder, is_live=True, on_dropped=self.count)
        self.appended: list[tuple[Scope, bytes]] = []
        self.acknowledged = 0
        self.next = 1
        self.kept_from = 1
        self.read_now: list[int] = []
        self.delivered: set[int] = set()
        self.counted = 0

    def count(self, given_up: int) -> None:
        self.counted += given_up

    def teardown(self) -> None:
        self.reader.close()
        if self.writer is not None:
            self.writer.close()
        shutil.rmtree(self.root)

    # What the process does that writes

    @precondition(lambda self: self.writer)
    @rule(count=st.integers(1, 12), size=st.integers(0, 600), scope=SCOPES)
    def append(self, count: int, size: int, scope: Scope) -> None:
        for _ in range(count):
            self.append_one(scope, size)

    @precondition(lambda self: self.writer)
    @rule(scope=SCOPES, is_larger_than_a_segment=st.booleans())
    def roll(self, scope: Scope, is_larger_than_a_segment: bool) -> None:
        """Append until a new segment exists."""
        before = segments(self.folder)
        while segments(self.folder) == before:
            self.append_one(scope, 2 * SMALL if is_larger_than_a_segment else 900)

    def append_one(self, scope: Scope, size: int) -> None:
        assert self.writer is not None
        record = f"record {len(self.appended) + 1} ".encode().ljust(size, b".")
        self.appended.append((scope, record))
        assert self.writer.append(scope, record) == len(self.appended)

    @precondition(lambda self: self.writer and len(segments(self.folder)) > 1)
    @rule()
    def give_up(self) -> None:
        """Delete the oldest segment, as a thread does that appends to a full outbox."""
        (_, oldest), (following, _) = segments(self.folder)[:2]

        self.count(self.reader.give_up_before(following))
        oldest.unlink()

        self.kept_from = max(self.kept_from, following)

    @precondition(lambda self: self.writer)
    @rule(is_appending=st.booleans())
    def kill(self, is_appending: bool) -> None:
        """End the process, perhaps in the middle of an append. Its files stay as they are at this moment."""
        assert self.writer is not None
        writer, self.writer = self.writer, None
        segment: Any = writer._segment
        if is_appending and segment is not None and segment.room > 200:
            _, rest = dump_frame(len(self.appended) + 1, RECORD, 0, b"unfinished")
            os.pwrite(segment.descriptor, rest, segment._position + LENGTH_BYTES)
        writer.abandon()  # closes the files of this very process, without changing them
        self.reopen_as_orphan()

    @precondition(lambda self: self.writer)
    @rule()
    def close(self) -> None:
        """End the process in an orderly way, with records that wait."""
        assert self.writer is not None
        self.writer.close()
        self.writer = None
        self.reopen_as_orphan()

    # A fork takes as long as a hundred other operations.
    @precondition(lambda self: self.writer and self.forks < 2)
    @rule(count=st.integers(0, 5))
    def fork(self, count: int) -> None:
        """The child appends to a journal of its own, and is gone. The parent's files are as before."""
        self.forks += 1
        before = self.files()
        folder = self.root / f"child {self.forks}"
        folder.mkdir()
        scope = Scope(scope=b"child")

        def child() -> None:
            assert self.writer is not None
            self.reader.close()
            self.writer.abandon()
            writer = JournalWriter(folder, HEADER, segment_bytes=SMALL)
            for number in range(count):
                writer.append(scope, b"%d" % number)

        assert in_child(child) == 0
        assert self.files() == before
        orphan = JournalReader(folder, is_live=False)
        assert read_all(orphan) == [b"%d" % number for number in range(count)]
        orphan.close()

    # What the owner of the folder does that reads

    @rule(max_records=st.integers(1, 40), max_bytes=st.integers(1, 3000))
    def read(self, max_records: int, max_bytes: int) -> None:
        batch = self.reader.read(max_bytes=max_bytes, max_records=max_records)
        if batch is None:
            self.next = max(self.next, self.kept_from)
            assert self.next == len(self.appended) + 1
            return
        first = batch.entries[0].sequence
        assert first == max(self.next, self.kept_from)
        assert first > self.acknowledged
        self.next = first
        assert len(batch.entries) <= max_records
        assert sum(len(entry.encoded) for entry in batch.entries[:-1]) < max_bytes
        for entry in batch.entries:
            assert (entry.sequence, (entry.scope, entry.encoded)) == (self.next, self.appended[self.next - 1])
            self.read_now.append(self.next)
            self.next += 1

    @precondition(lambda self: self.next > self.acknowledged + 1)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Some of the records that were read, or all of them."""
        self.acknowledged = data.draw(st.integers(self.acknowledged + 1, self.next - 1))

        self.reader.acknowledge(self.acknowledged)
        self.delivered |= {sequence for sequence in self.read_now if sequence <= self.acknowledged}

        *older, _ = segments(self.folder)
        followers = [first for first, _ in segments(self.folder)[1:]]
        assert all(following > self.acknowledged + 1 for _, following in zip(older, followers))

    @rule()
    def rewind(self) -> None:
        self.reader.rewind()
        self.next = self.acknowledged + 1
        self.read_now.clear()
        if self.writer is not None:
            assert self.counted == len(set(range(1, self.kept_from)) - self.delivered)

    @precondition(lambda self: not self.writer)
    @rule()
    def reopen_as_orphan(self) -> None:
        """Another process adopts the folder."""
        self.reader.close()
        self.reader = JournalReader(self.folder, is_live=False)
        assert self.reader.acknowledged == self.acknowledged
        self.next = self.acknowledged + 1
        self.read_now.clear()
        assert last_sequence(self.folder) == len(self.appended)

    @precondition(lambda self: not self.writer)
    @rule(mapped=st.booleans())
    def drain_and_begin_anew(self, mapped: bool) -> None:
        """All that waits comes; then the folder is deleted, and a new process begins."""
        self.rewind()
        waiting_from = max(self.next, self.kept_from)
        found = []
        while batch := self.reader.read(max_bytes=1000, max_records=10):
            found += [(entry.scope, entry.encoded) for entry in batch.entries]
            self.reader.acknowledge(batch.entries[-1].sequence)
        assert found == self.appended[waiting_from - 1 :]
        self.reader.close()
        shutil.rmtree(self.folder)
        self.begin(mapped=mapped)

    @rule()
    def look(self) -> None:
        """Someone who only looks sees all that waits, and changes nothing."""
        before = self.files()
        reader = JournalReader(self.folder, is_live=False, read_only=True)
        found: list[int] = []
        while batch := reader.read(max_bytes=10**9, max_records=1000):
            found += [entry.sequence for entry in batch.entries]
        reader.close()

        assert found == list(range(max(self.acknowledged + 1, self.kept_from), len(self.appended) + 1))
        assert self.files() == before

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert self.reader.damaged == 0

    @invariant()
    def cursor_is_the_last_acknowledged_sequence(self) -> None:
        assert read_cursor(self.folder) == self.reader.acknowledged == self.acknowledged


def test_journal_is_a_list_of_records() -> None:
    """Any sequence of operations gives what a list of records would give."""
    # Each child of a fork waits for threads that the SDK starts for each provider. Those of earlier tests may not be collected yet.
    gc.collect()
    run_state_machine_as_test(JournalMachine, settings=settings(max_examples=examples(80), stateful_step_count=50))
