"""Facts about waiting records divide them into requests, and are forgotten when the records are acknowledged."""

from __future__ import annotations

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Scope
from heliograph.delivery.sending.waiting_records import Refusal, WaitingRecords

ENTRIES = [Entry(sequence=number, scope=Scope(scope=b""), encoded=b"") for number in range(5, 11)]


def sequences(waiting: WaitingRecords) -> list[list[int]]:
    """Return the parts in which the records are sent, in order."""
    return [[entry.sequence for entry in part] for part in reversed(waiting.parts(ENTRIES))]


def test_records_are_sent_in_the_parts_of_the_last_pass() -> None:
    """A start that is the first record, or that another batch has, divides nothing."""
    assert sequences(WaitingRecords()) == [[5, 6, 7, 8, 9, 10]]
    assert sequences(WaitingRecords(starts={5, 8, 10, 11})) == [[5, 6, 7], [8, 9], [10]]


def test_acknowledged_records_are_forgotten() -> None:
    """A start that would be the first record of the next batch is one of them."""
    refusal = Refusal(count=1, first_at=0.0, accepted_before=0)
    waiting = WaitingRecords(done={5, 8}, refused={6: refusal, 9: refusal}, starts={7, 8, 9})

    waiting.forget_until(7)

    assert (waiting.done, set(waiting.refused), waiting.starts) == ({8}, {9}, {9})


def test_record_that_was_refused_least_often_is_next() -> None:
    """Of several that were refused equally often, the newest is next."""
    once, twice = (Refusal(count=count, first_at=0.0, accepted_before=0) for count in (1, 2))

    assert WaitingRecords().least_refused(ENTRIES).sequence == 10
    assert WaitingRecords(refused={10: once}).least_refused(ENTRIES).sequence == 9
    assert WaitingRecords(refused={10: twice, 9: once}).least_refused(ENTRIES[-2:]).sequence == 9
