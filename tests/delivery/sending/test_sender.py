"""The sender: batches that follow each other, waits between them, and the size of requests."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.outboxes import make_orphan
from delivery.sender_bench import (
    BAD_DATA,
    DELIVERED,
    TOO_LARGE,
    UNAVAILABLE,
    Bench,
    RecordingSource,
    batch_of,
    in_turn,
    journal_of,
    sender_to,
)
from delivery.servers import OK, Answer, serving
from heliograph.delivery.journal.batch import Batch, Entry
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.sending.destination_state import MAX_BATCH_BYTES
from heliograph.delivery.sending.sender import MAX_BATCH_RECORDS, Outcome
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.semconv import OUTBOX_DAMAGED, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_RETRIED


def test_delivered_batch_is_acknowledged_and_counted(tmp_path: Path) -> None:
    """After the batch, the source is empty."""
    bench, journal = Bench(tmp_path, in_turn(DELIVERED)), journal_of("abc")

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.sender.send_next(journal) is Outcome.EMPTY
    assert journal.acknowledged == 3
    assert bench.counts.total(OUTBOX_DELIVERED) == 3


@pytest.mark.parametrize("action", [Action.RETRY, Action.HOLD])
def test_failed_batch_is_sent_again_unchanged(tmp_path: Path, action: Action) -> None:
    """Nothing is acknowledged before it was accepted."""
    bench = Bench(tmp_path, in_turn(Verdict(action=action, reason=Reason.FORBIDDEN), DELIVERED))
    journal = journal_of("abc")

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert journal.acknowledged == 0
    bench.now += 60
    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests == [["a", "b", "c"]] * 2
    assert bench.counts.by_reason(OUTBOX_RETRIED) == {"forbidden": 1}


def test_source_is_rewound_after_a_failure_only(tmp_path: Path) -> None:
    """After a failure, a source continues at its first unacknowledged record."""
    failing, working = RecordingSource(batch_of("ab")), RecordingSource(batch_of("ab"))
    Bench(tmp_path, in_turn(UNAVAILABLE)).sender.send_next(failing)
    Bench(tmp_path, in_turn(DELIVERED)).sender.send_next(working)

    assert failing.calls == ["read", "rewind"]
    assert working.calls == ["read", "acknowledge 2"]


class ReadRaises(JournalReader):
    """A reader that raises in the middle of a read, once: after it moved on, and before it returns the records."""

    is_broken = True

    def _entries(self, *arguments: Any) -> list[Entry]:
        entries = super()._entries(*arguments)
        if self.is_broken:
            self.is_broken = False
            raise OSError("input/output error")
        return entries


def test_nothing_is_skipped_after_a_read_that_raised(tmp_path: Path) -> None:
    """The records come again, and none is acknowledged before it was sent."""
    bench = Bench(tmp_path, lambda records: DELIVERED, usual_limit_bytes=1)
    reader = ReadRaises(make_orphan(tmp_path, "a", "b"), is_live=False)

    with pytest.raises(OSError, match="input/output"):
        bench.sender.send_next(reader)
    while bench.sender.send_next(reader) is Outcome.SENT:
        pass

    assert bench.transport.requests == [["a"], ["b"]]
    assert reader.acknowledged == 2


def test_nothing_is_skipped_after_an_interruption(tmp_path: Path) -> None:
    """Ctrl-C ends `outbox drain` at any moment. What was acknowledged before is not sent again."""
    errors: list[BaseException] = [KeyboardInterrupt()]

    def verdict_on(records: list[str]) -> Verdict:
        if len(records) == 4:
            return TOO_LARGE
        if "c" in records and errors:
            raise errors.pop()
        return DELIVERED

    bench, reader = Bench(tmp_path, verdict_on), JournalReader(make_orphan(tmp_path, *"abcd"), is_live=False)

    with pytest.raises(KeyboardInterrupt):
        bench.sender.send_next(reader)
    assert reader.acknowledged == 2
    while bench.sender.send_next(reader) is Outcome.SENT:
        pass

    assert bench.transport.requests == [list("abcd"), list("ab"), list("cd"), list("cd")]
    assert reader.acknowledged == 4


@pytest.mark.parametrize("batch", [None, batch_of("ab")])
def test_damaged_records_are_counted_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, batch: Batch | None
) -> None:
    """Damage is reported even if no undamaged record remains."""
    bench = Bench(tmp_path, in_turn(DELIVERED))
    bench.sender.send_next(RecordingSource(batch, damaged=3))

    assert bench.counts.total(OUTBOX_DAMAGED) == 3
    assert "3 damaged records" in caplog.text


def test_nothing_is_sent_or_read_during_a_wait(tmp_path: Path) -> None:
    """No source is asked, because all go to the same server."""
    bench = Bench(tmp_path, in_turn(UNAVAILABLE))
    bench.sender.send_next(journal_of("a"))
    other = RecordingSource(batch_of("b"))

    assert not bench.sender.is_ready()
    assert bench.sender.send_next(other) is Outcome.LATER
    assert other.calls == []


def test_backoff_starts_again_after_a_success(tmp_path: Path) -> None:
    """One failure after a bad night does not wait for a minute."""
    verdicts = [*[UNAVAILABLE] * 5, DELIVERED, UNAVAILABLE]
    bench, journal = Bench(tmp_path, in_turn(*verdicts), random=lambda: 0.999, usual_limit_bytes=1), journal_of("ab")
    for _ in verdicts:
        bench.now += 1000
        bench.sender.send_next(journal)

    assert len(bench.transport.requests) == len(verdicts)
    assert bench.sender.waiting_seconds() <= 1.0


def test_backoff_grows_with_each_failure(tmp_path: Path) -> None:
    """The `Backoff` that the sender owns decides how much."""
    bench, journal = Bench(tmp_path, lambda records: UNAVAILABLE), journal_of("a")
    waits = []
    for _ in range(4):
        bench.sender.send_next(journal)
        waits.append(bench.sender.waiting_seconds())
        bench.now += waits[-1]

    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_flush_cancels_our_own_backoff(tmp_path: Path) -> None:
    """Someone waits for the records, and the program may end soon."""
    bench = Bench(tmp_path, in_turn(UNAVAILABLE))
    bench.sender.send_next(journal_of("a"))
    bench.sender.cancel_backoff()

    assert bench.sender.is_ready()


@pytest.mark.parametrize("refused", [TOO_LARGE, BAD_DATA])
def test_halves_of_a_refused_batch_wait_as_long_as_the_server_asks(tmp_path: Path, refused: Verdict) -> None:
    """`Retry-After` is a minimum for every status. Then a smaller batch is sent."""
    refused = replace(refused, retry_after_seconds=30.0)
    bench = Bench(tmp_path, lambda uids: refused if len(uids) > 2 else DELIVERED)
    journal = journal_of(range(8))
    sizes = []
    while bench.sender.send_next(journal) is not Outcome.EMPTY:
        sizes.append(len(bench.transport.requests[-1]))
        if not bench.sender.is_ready():
            assert bench.sender.waiting_seconds() >= 30
            bench.sender.cancel_backoff()
            assert not bench.sender.is_ready()
            bench.now += 100

    assert sizes[0] == 8
    assert max(sizes[3:]) <= 2
    assert bench.counts.total(OUTBOX_DELIVERED) == 8


def test_record_that_cannot_be_sent_does_not_stop_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A defect of a transport raises an exception for one record. It becomes a dead letter, and the defect is logged once."""

    def verdict_on(records: list[str]) -> Verdict:
        if "c" in records:
            raise ZeroDivisionError
        return DELIVERED

    bench, reader = Bench(tmp_path, verdict_on), JournalReader(make_orphan(tmp_path, *"abcdefgh"), is_live=False)
    while bench.sender.send_next(reader) is Outcome.SENT:
        pass

    assert bench.dead() == [("c", "internal", "ZeroDivisionError was raised")]
    assert (reader.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == (8, 7)
    assert [record.message for record in caplog.records if record.exc_info] == ["A request could not be made."]


def test_record_stays_if_the_dead_letters_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The record is sent again later, and is not counted as a dead letter until then."""

    def fail(*_: object, **__: object) -> None:
        raise OutboxError(tmp_path, "disk full")

    bench = Bench(tmp_path, lambda records: BAD_DATA if "a" in records else DELIVERED)
    journal = journal_of("abc")
    with monkeypatch.context() as patch:
        patch.setattr(DeadLetters, "put", fail)
        assert bench.sender.send_next(journal) is Outcome.LATER

    assert (journal.acknowledged, bench.counts.total(OUTBOX_DEAD)) == (0, 0)
    assert "disk full" in caplog.text
    assert bench.sender.waiting_seconds() > 0
    bench.now += 60
    assert bench.sender.send_next(journal) is Outcome.SENT
    assert (journal.acknowledged, [uid for uid, _, _ in bench.dead()]) == (3, ["a"])
    assert [records for records in bench.transport.requests if "b" in records and "a" not in records].count(
        ["b", "c"]
    ) == 1


def test_records_of_a_request_that_close_cancels_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next process sends the records, and the end of this one is no failure."""

    def close(records: list[str]) -> Verdict:
        bench.sender.close()
        return Verdict(action=Action.RETRY, reason=Reason.CANCELLED)

    bench, journal = Bench(tmp_path, close), journal_of("a")

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert caplog.records == []
    assert journal.acknowledged == 0


def test_closed_sender_sends_nothing(tmp_path: Path) -> None:
    """A closed sender has closed its transport, and tries no request."""
    bench, journal = Bench(tmp_path, in_turn(DELIVERED)), journal_of("a")
    bench.sender.close()

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert bench.transport.requests == []
    assert bench.transport.is_closed
    assert bench.sender.closed.is_set()


def test_batches_stay_below_the_usual_limit_of_the_transport(tmp_path: Path) -> None:
    """Many successes let the batches grow, but not beyond that limit."""
    bench, journal = Bench(tmp_path, lambda records: DELIVERED, usual_limit_bytes=5000), journal_of(range(100))
    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    assert max(map(len, bench.transport.requests)) == 4
    assert len(bench.transport.requests) == 25


def test_batches_have_a_limited_number_of_records(tmp_path: Path) -> None:
    """The records may be as small as possible."""
    bench, journal = Bench(tmp_path, lambda records: DELIVERED), journal_of(range(MAX_BATCH_RECORDS + 1), size=0)
    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    assert [len(records) for records in bench.transport.requests] == [MAX_BATCH_RECORDS, 1]


def test_rejected_data_does_not_make_batches_smaller(tmp_path: Path) -> None:
    """The size of a batch changes only if the size was the problem."""
    bench = Bench(tmp_path, lambda records: BAD_DATA if "0" in records else DELIVERED, usual_limit_bytes=9000)
    journal = journal_of(range(40))
    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    assert len(bench.transport.requests[-1]) == 8


def test_split_halves_the_batches_from_what_was_sent(tmp_path: Path) -> None:
    """The permitted size does not count, since a short batch is far below it."""
    bench = Bench(tmp_path, lambda records: TOO_LARGE if len(records) > 4 else DELIVERED)
    first, second = journal_of(range(8)), journal_of(range(100))
    while bench.sender.send_next(first) is Outcome.SENT:
        pass
    bench.transport.requests.clear()
    bench.sender.send_next(second)

    assert [len(records) for records in bench.transport.requests] == [4]


def test_batches_grow_again_after_they_were_split(tmp_path: Path) -> None:
    """Batches grow slowly, even from the size of one small record."""
    is_strict = True
    bench = Bench(tmp_path, lambda records: TOO_LARGE if is_strict else DELIVERED, usual_limit_bytes=5000)
    journal = journal_of(range(1000), size=0)
    bench.sender.send_next(journal)  # down to the smallest size
    bench.now += 60
    is_strict = False
    bench.transport.requests.clear()
    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    sizes = [len(records) for records in bench.transport.requests]
    assert sizes[0] == 1
    assert sizes[:-1] == sorted(sizes[:-1])
    assert max(sizes) > 20


def test_large_record_does_not_make_batches_larger(tmp_path: Path) -> None:
    """A batch of one record may be above the permitted size, and half of it too."""
    bench = Bench(tmp_path, lambda records: TOO_LARGE if "huge" in records else DELIVERED, usual_limit_bytes=2500)
    bench.sender.send_next(journal_of(["huge"], size=100_000))
    bench.transport.requests.clear()
    bench.sender.send_next(journal_of(range(10)))

    assert bench.transport.requests == [["0"]]


def test_batches_of_less_than_a_byte_are_not_asked_for(tmp_path: Path) -> None:
    """The number of splits may be any."""
    permitted: list[int] = []

    class Source(RecordingSource):
        def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
            permitted.append(max_bytes)
            return super().read(max_bytes=max_bytes, max_records=max_records)

    bench = Bench(tmp_path, lambda records: TOO_LARGE, usual_limit_bytes=8)
    for _ in range(5):
        bench.sender.send_next(Source(batch_of("a")))

    assert permitted == [8, 4, 2, 1, 1]


def test_requests_become_as_small_as_the_server_accepts(tmp_path: Path) -> None:
    """After a while few are rejected for their size. All records arrive, in order."""

    def answer(_: int, records: list[str]) -> Answer:
        return (413, {}, b"") if len(records) > 50 else OK

    with serving(answer) as server, sender_to(server.endpoint, tmp_path) as sender:
        journal = journal_of(range(5000))
        while sender.send_next(journal) is Outcome.SENT:
            pass

    rejected = [len(records) for records in server.requests if len(records) > 50]
    assert server.accepted == [str(number) for number in range(5000)]
    assert len(rejected) < len(server.requests) / 4


def test_requests_are_large_if_the_server_accepts_them(tmp_path: Path) -> None:
    """A request has about 1 MiB, so that many records cost few requests."""
    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        journal = journal_of(range(3000))
        while sender.send_next(journal) is Outcome.SENT:
            pass

    assert len(server.requests) <= 4
    assert max(map(len, server.raw)) <= MAX_BATCH_BYTES + 2000


def test_server_that_fails_at_random_and_refuses_some_records(tmp_path: Path) -> None:
    """The time and the requests for each bad record are bounded."""
    chance = random.Random(7)
    bad = {f"r{number}" for number in range(2000) if chance.random() < 0.02}

    def verdict_on(records: list[str]) -> Verdict:
        if chance.random() < 0.1:
            return UNAVAILABLE
        return BAD_DATA if bad & set(records) else DELIVERED

    bench = Bench(tmp_path, verdict_on, random=chance.random)
    journal = journal_of([f"r{number}" for number in range(2000)])
    while bench.sender.send_next(journal) is not Outcome.EMPTY:
        bench.now += bench.sender.waiting_seconds()

    assert {uid for uid, *_ in bench.dead()} == bad
    assert len(bench.transport.requests) < 20 * len(bad)
    assert bench.now < len(bad)
