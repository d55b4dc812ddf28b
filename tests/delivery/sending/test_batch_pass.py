"""One pass over a batch: its records are acknowledged in order, become dead letters if they are proven to be bad, or wait."""

from __future__ import annotations

from pathlib import Path

import pytest

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
    partial,
)
from heliograph.delivery.sending.sender import Outcome
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.semconv import OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED


def test_cursor_that_cannot_be_written_does_not_stop_the_sending(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The records are delivered; after a restart they may be sent again."""
    source = RecordingSource(batch_of("ab"), error=OSError("disk full"))

    assert Bench(tmp_path, in_turn(DELIVERED)).sender.send_next(source) is Outcome.SENT
    assert source.calls == ["read", "acknowledge 2"]
    assert "could not save what was delivered" in caplog.text


def test_halves_are_sent_in_order(tmp_path: Path) -> None:
    """The first half is acknowledged before the second is sent."""
    acknowledged: list[int] = []

    def verdict_on(records: list[str]) -> Verdict:
        acknowledged.append(journal.acknowledged)
        return DELIVERED if len(records) < 3 else TOO_LARGE

    bench, journal = Bench(tmp_path, verdict_on), journal_of("abcd")

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"]]
    assert acknowledged == [0, 0, 2]


def test_server_that_rejects_everything_in_part_gets_no_record_twice(tmp_path: Path) -> None:
    """Each request was processed. So none is a failure after which single records are tried."""
    bench = Bench(tmp_path, lambda records: partial(len(records)))
    journal = journal_of(range(2000), size=20_000)

    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    sent = [uid for request in bench.transport.requests for uid in request]
    assert sent == [str(number) for number in range(2000)]
    assert min(map(len, bench.transport.requests[:-1])) > 1
    assert bench.sender.own_losses == 2000


def test_second_half_is_not_sent_while_the_first_waits(tmp_path: Path) -> None:
    """Records are acknowledged in order, so sending the second half would acknowledge the first, too."""
    bench, journal = Bench(tmp_path, in_turn(TOO_LARGE, UNAVAILABLE)), journal_of("abcd")

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert bench.transport.requests == [["a", "b", "c", "d"], ["a", "b"]]
    assert journal.acknowledged == 0


def test_first_half_stays_acknowledged_when_the_second_fails(tmp_path: Path) -> None:
    """The next attempt sends the second half alone."""
    bench, journal = Bench(tmp_path, in_turn(TOO_LARGE, DELIVERED, UNAVAILABLE, DELIVERED)), journal_of("abcd")

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert journal.acknowledged == 2
    bench.now += 60
    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests[2:] == [["c", "d"]] * 2


@pytest.mark.parametrize("verdict", [BAD_DATA, TOO_LARGE], ids=lambda verdict: verdict.reason.name)
def test_one_rejected_record_becomes_a_dead_letter_and_no_other(tmp_path: Path, verdict: Verdict) -> None:
    """The dead letter has its reason and the server's text."""
    bench = Bench(tmp_path, lambda records: verdict if "e" in records else DELIVERED)
    journal = journal_of("abcdefgh")
    while bench.sender.send_next(journal) is Outcome.SENT:
        pass

    assert bench.dead() == [("e", verdict.reason.value, verdict.message)]
    # Its size is its own, but a server that calls it invalid must do so again after it accepted another record.
    assert bench.transport.requests.count(["e"]) == (1 if verdict is TOO_LARGE else 2)
    assert journal.acknowledged == 8
    assert bench.counts.total(OUTBOX_DELIVERED) == 7
    assert bench.counts.by_reason(OUTBOX_DEAD) == {verdict.reason.value: 1}


def test_last_record_of_a_batch_is_proven_to_be_bad_by_those_before_it(tmp_path: Path) -> None:
    """No record after it is needed. As every record, it is refused twice."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA if "d" in records else DELIVERED), journal_of("abcd")

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests[-2:] == [["d"], ["d"]]
    assert bench.dead() == [("d", BAD_DATA.reason.value, BAD_DATA.message)]


def test_record_that_a_partial_success_rejected_is_not_sent_again_because_of_one_before_it(tmp_path: Path) -> None:
    """A partial success is final, also while a suspect waits."""
    bench = Bench(tmp_path, in_turn(BAD_DATA, BAD_DATA, BAD_DATA, partial(1), UNAVAILABLE, DELIVERED, DELIVERED))
    journal = journal_of("abcd")
    assert bench.sender.send_next(journal) is Outcome.LATER
    bench.now += 60

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests[3:] == [["b"], ["c", "d"], ["a"], ["c", "d"]]
    assert (bench.counts.total(OUTBOX_REJECTED), bench.counts.total(OUTBOX_DELIVERED)) == (1, 3)


def test_server_that_accepts_requests_and_no_record_ends_a_batch(tmp_path: Path) -> None:
    """Many requests prove nothing then, and nothing else waits that could be tried."""
    rejected = Verdict(action=Action.PARTIAL, reason=Reason.PARTIAL_SUCCESS, rejected=1)
    bench = Bench(tmp_path, lambda records: TOO_LARGE if len(records) > 1 else rejected)

    assert bench.sender.send_next(RecordingSource(batch_of(range(16)))) is Outcome.SENT
    assert bench.counts.total(OUTBOX_REJECTED) == 16
    assert bench.dead() == []


def test_record_that_was_delivered_before_those_in_front_of_it_is_not_sent_again(tmp_path: Path) -> None:
    """A record that is known to be delivered is acknowledged even while the destination refuses everything."""
    bench, other, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("a"), journal_of("b")
    assert bench.sender.send_next(other) is Outcome.LATER
    bench.state.refusals.waiting_records_of(journal).done.add(1)
    bench.now += 60

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests == [["a"]]
    assert journal.acknowledged == 1


def test_partial_success_is_never_sent_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All records are acknowledged, and the rejected ones are counted and logged."""
    bench, journal = Bench(tmp_path, in_turn(partial(1))), journal_of("abc")

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.sender.send_next(journal) is Outcome.EMPTY
    assert journal.acknowledged == 3
    assert bench.counts.total(OUTBOX_DELIVERED) == 2
    assert bench.counts.by_reason(OUTBOX_REJECTED) == {"partial_success": 1}
    assert "rejected 1 of 3 records: too old" in caplog.text


def test_counters_never_go_down(tmp_path: Path) -> None:
    """A server may report more rejected records than there were."""
    bench, journal = Bench(tmp_path, in_turn(partial(99))), journal_of("a")
    bench.sender.send_next(journal)

    assert bench.counts.total(OUTBOX_DELIVERED) == 0
    assert bench.counts.total(OUTBOX_REJECTED) == 1


def test_search_for_bad_records_goes_on_after_a_failure(tmp_path: Path) -> None:
    """A server that fails now and then does not get the whole batch again each time."""
    verdicts = iter([BAD_DATA, BAD_DATA, UNAVAILABLE])

    def verdict_on(records: list[str]) -> Verdict:
        return next(verdicts, BAD_DATA if "bad" in records else DELIVERED)

    bench = Bench(tmp_path, verdict_on)
    journal = journal_of(["a", "bad", "b", "c", "d", "e", "f", "g"])

    assert bench.sender.send_next(journal) is Outcome.LATER
    before = len(bench.transport.requests)
    bench.now += 60
    assert bench.sender.send_next(journal) is Outcome.SENT
    assert bench.transport.requests[before] == ["a", "bad"]
    assert bench.transport.requests[-1] == ["d", "e", "f", "g"]
    assert [uid for uid, *_ in bench.dead()] == ["bad"]
    assert bench.sender.send_next(journal) is Outcome.EMPTY
    assert not bench.state.refusals.waiting_records_of(journal).starts


def test_batch_of_which_all_records_are_proven_to_be_bad_ends(tmp_path: Path) -> None:
    """No further request may be sent before a pause, and nothing else waits that could be tried."""
    bench, journal = Bench(tmp_path, lambda _: BAD_DATA), journal_of("abcdefgh")
    refusals = bench.state.refusals
    batch = journal.read(max_bytes=10**6, max_records=100)
    assert batch is not None
    for entry in batch.entries:
        refusals.note_refusal(refusals.waiting_records_of(journal), entry, has_accepted=False, is_lone=False)
    journal.rewind()
    refusals.note_accepted()

    assert bench.sender.send_next(journal) is Outcome.SENT
    assert refusals.has_spent()
    assert [uid for uid, *_ in bench.dead()] == list("abcdefgh")
    assert bench.sender.send_next(journal) is Outcome.EMPTY
