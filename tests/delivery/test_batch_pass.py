"""The state of one pass over a batch: records that are done, and records that prove nothing."""

from __future__ import annotations

from typing import Any

from heliograph.delivery.batch_pass import BatchPass
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.source_memory import SourceMemory
from heliograph.delivery.transport.verdict import Action, Reason, Verdict

ENTRIES = [Entry(sequence, Scope(scope=b""), b"") for sequence in range(1, 5)]
REFUSED = Verdict(action=Action.BAD_DATA, reason=Reason.BAD_DATA)


def new_pass() -> BatchPass:
    source: Any = None
    return BatchPass(source=source, header=Header(resource=b""), memory=SourceMemory(), acknowledged=0)


def test_records_that_are_done_are_not_sent_again() -> None:
    """They were sent out of order, or are dead letters."""
    this = new_pass()
    assert this.unfinished(ENTRIES) == ENTRIES

    this.memory.done.update({2, 3})
    assert [entry.sequence for entry in this.unfinished(ENTRIES)] == [1, 4]


def test_suspects_and_records_that_are_done_are_known() -> None:
    """A record that is sent to prove something must be another one."""
    this = new_pass()
    assert this.known() == set()

    this.memory.done.add(1)
    this.suspects.append((ENTRIES[2], REFUSED))
    assert this.known() == {1, 3}


def test_passes_share_nothing() -> None:
    """The suspects of one batch are not those of another."""
    one, other = new_pass(), new_pass()
    one.suspects.append((ENTRIES[0], REFUSED))

    assert other.suspects == []
