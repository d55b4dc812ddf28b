"""Refusals: a server's bad minutes cost no record, and bad records stop no others. By the sender, with scripted servers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.outboxes import make_orphan
from delivery.sender_bench import BAD_DATA, DELIVERED, TOO_LARGE, UNAVAILABLE, Bench, journal_of, partial
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.sending.refusals import LONE_REFUSALS, LONE_SECONDS, MAX_REQUESTS, MAX_SUSPECTS
from heliograph.delivery.sending.sender import MAX_BATCH_RECORDS, Outcome, Source
from heliograph.delivery.transport.verdict import Verdict
from heliograph.semconv import OUTBOX_DELIVERED, OUTBOX_RETRIED


def send_all(bench: Bench, *journals: Source) -> None:
    """Send as the worker does: round after round, until the sender waits or nothing is left."""
    outcomes = {Outcome.SENT}
    while Outcome.SENT in outcomes:
        outcomes = {bench.sender.send_next(journal) for journal in journals}


def send_for(bench: Bench, seconds: float, *journals: Source) -> None:
    """Send with every wait that the sender asks for, until the time is over."""
    end = bench.now + seconds
    while bench.now < end:
        send_all(bench, *journals)
        bench.now += max(0.2, bench.sender.waiting_seconds())


def dead(bench: Bench) -> list[str | None]:
    return [uid for uid, _, _ in bench.dead()]


def refusing(verdict: Verdict, *uids: str) -> Callable[[list[str]], Verdict]:
    """Return the verdicts of a server that refuses these records."""
    return lambda records: verdict if set(uids) & set(records) else DELIVERED


@pytest.mark.parametrize("count", [1, 2, 5, 8, 300, MAX_BATCH_RECORDS])
@pytest.mark.parametrize("verdict", [BAD_DATA, TOO_LARGE], ids=lambda verdict: verdict.reason.name)
def test_destination_that_refuses_everything_gets_few_requests(tmp_path: Path, count: int, verdict: Verdict) -> None:
    """A few requests come before the first wait, and one after each. No record dies of bad data; at most four die of a size."""
    bench, journal = Bench(tmp_path, lambda records: verdict), journal_of(range(count), size=0)
    send_all(bench, journal)

    assert len(bench.transport.requests) <= MAX_REQUESTS
    assert len(dead(bench)) <= (MAX_SUSPECTS if verdict is TOO_LARGE else 0)
    if dead(bench) == []:
        before = len(bench.transport.requests)
        send_for(bench, 50, journal)
        after = bench.transport.requests[before:]
        assert 1 <= len(after) <= 12
        assert {len(records) for records in after} == {1}
        assert count == 1 or all(one != next_one for one, next_one in itertools.pairwise(after))


def test_waiting_for_a_destination_that_refuses_everything_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the server's words. Each wait counts as one failed request."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("abcdef")
    send_all(bench, journal)

    assert "the destination refuses everything: HTTP 400" in caplog.text
    assert bench.counts.by_reason(OUTBOX_RETRIED) == {"bad_data": 1}


def test_bad_minutes_cost_no_record(tmp_path: Path) -> None:
    """Afterwards all records arrive, each once, and in order but for the one that was tried first."""
    bench = Bench(tmp_path, lambda records: BAD_DATA if bench.now < 600 else DELIVERED)
    journal = journal_of(range(500))
    send_for(bench, 1000, journal)

    accepted = [uid for records in bench.transport.requests for uid in records]
    assert (dead(bench), journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == ([], 500, 500)
    assert {*accepted} == {*map(str, range(500))}


def test_server_that_fails_in_the_middle_of_a_batch(tmp_path: Path) -> None:
    """A server whose earlier requests succeeded may refuse more than three records in a row, and none of them is bad."""
    requests: list[int] = []

    def verdict_on(records: list[str]) -> Verdict:
        requests.append(len(records))
        return DELIVERED if len(requests) == 2 or bench.now > 100 else BAD_DATA

    bench, journal = Bench(tmp_path, verdict_on), journal_of(range(200))
    send_for(bench, 300, journal)

    assert (dead(bench), journal.acknowledged) == ([], 200)


def recovering(count: int) -> Callable[[list[str]], Verdict]:
    """Return the verdicts of a server that refuses everything, until it has refused that number of records alone."""
    alone: set[str] = set()

    def verdict_on(records: list[str]) -> Verdict:
        if len(alone) == count:
            return DELIVERED
        alone.update(records if len(records) == 1 else [])
        return BAD_DATA

    return verdict_on


@pytest.mark.parametrize("count", range(1, MAX_SUSPECTS + 1))
def test_server_that_recovers_right_after_it_refused_a_record(tmp_path: Path, count: int) -> None:
    """The next record is accepted, which seems to prove that those before are bad. They are sent once more, and arrive."""
    bench, journal = Bench(tmp_path, recovering(count)), journal_of("abcdefgh")
    send_all(bench, journal)

    assert (dead(bench), journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == ([], 8, 8)
    assert bench.sender.waiting_seconds() == 0


def test_server_that_goes_down_while_suspects_are_confirmed(tmp_path: Path) -> None:
    """All of them wait. What was accepted in the same pass is not sent again."""
    refused = [BAD_DATA] * 4  # abcd, ab, a, b
    verdicts = iter([*refused, DELIVERED, DELIVERED, UNAVAILABLE])
    bench, journal = Bench(tmp_path, lambda records: next(verdicts, DELIVERED)), journal_of("abcd")
    send_all(bench, journal)
    assert bench.transport.requests[4:] == [["c", "d"], ["a"], ["b"]]
    assert (dead(bench), journal.acknowledged) == ([], 0)
    send_for(bench, 60, journal)

    assert bench.transport.requests[7:] == [["b"]]
    assert (dead(bench), journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == ([], 4, 4)


@pytest.mark.parametrize("bad", ["a", "h", "abc", "abcd", "abcdef", "bdfh", "efgh", "abcdefg"])
def test_bad_records_become_dead_letters(tmp_path: Path, bad: str) -> None:
    """A bad record in any place becomes one as soon as another record is accepted: here the newest, at the latest."""
    bench = Bench(tmp_path, refusing(BAD_DATA, *bad))
    journal = JournalReader(make_orphan(tmp_path, *"abcdefghi"), is_live=False)
    send_all(bench, journal)

    good = sorted({*"abcdefghi"} - {*bad})
    assert sorted(map(str, dead(bench))) == sorted(bad)
    assert (journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == (9, len(good))
    assert bench.sender.waiting_seconds() == 0


def test_bad_records_among_others_are_found_with_time(tmp_path: Path) -> None:
    """The newest may be one of them: each attempt after a wait tries another record."""
    bad = [*map(str, range(6)), "49"]
    bench, journal = Bench(tmp_path, refusing(BAD_DATA, *bad)), journal_of(range(50))
    send_for(bench, 300, journal)

    assert sorted(map(str, dead(bench)), key=int) == bad
    assert (journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == (50, 43)


def test_bad_records_at_the_end_wait_for_the_next_good_one(tmp_path: Path) -> None:
    """Four in a row, and nothing after them, may as well be a server that fails."""
    bench, journal = Bench(tmp_path, refusing(BAD_DATA, *"efgh")), journal_of("abcdefgh")
    send_for(bench, 300, journal)
    assert dead(bench) == []

    for entry in journal_of("i").read(max_bytes=10**6, max_records=1).entries:  # type: ignore[union-attr]
        journal.append(entry.scope, entry.encoded)
    send_for(bench, 300, journal)

    assert sorted(map(str, dead(bench))) == [*"efgh"]
    assert journal.acknowledged == 9


def test_lone_record_becomes_a_dead_letter_after_a_while(tmp_path: Path) -> None:
    """Nothing can be compared with it, so it is tried often, and long."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA, random=lambda: 0.01), journal_of("a")
    bench.now = 1_000_000.0  # the clock of a computer that has run for days
    send_for(bench, LONE_SECONDS - 1, journal)
    assert dead(bench) == []
    send_for(bench, 10, journal)

    assert dead(bench) == ["a"]
    assert len(bench.transport.requests) >= LONE_REFUSALS
    assert journal.acknowledged == 1


def test_lone_record_is_refused_often_before_it_is_given_up(tmp_path: Path) -> None:
    """A long wait alone is not enough."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("a")
    for _ in range(LONE_REFUSALS):
        assert dead(bench) == []
        send_all(bench, journal)
        bench.now += LONE_SECONDS

    assert dead(bench) == ["a"]


def test_too_large_record_becomes_a_dead_letter_at_once(tmp_path: Path) -> None:
    """No other record has to be accepted first, because the size of a record is its own."""
    bench, journal = Bench(tmp_path, lambda records: TOO_LARGE), journal_of("a")
    send_all(bench, journal)

    assert (dead(bench), journal.acknowledged) == (["a"], 1)


def test_too_large_records_in_a_row_do_not_empty_the_outbox(tmp_path: Path) -> None:
    """A proxy with a wrong limit refuses records of every size."""
    bench, journal = Bench(tmp_path, lambda records: TOO_LARGE), journal_of(range(100))
    send_for(bench, 600, journal)
    assert len(dead(bench)) <= MAX_SUSPECTS
    bench.transport._verdict_on = lambda records: DELIVERED
    send_for(bench, 600, journal)

    assert journal.acknowledged == 100
    assert bench.counts.total(OUTBOX_DELIVERED) >= 100 - MAX_SUSPECTS


def test_journal_whose_every_record_is_refused_does_not_stop_another(tmp_path: Path) -> None:
    """The resource of a journal may be invalid. The records of another journal prove that the destination works."""
    bench = Bench(tmp_path, refusing(BAD_DATA, *"abcdefghij"))
    bad, good = journal_of("abcdefghij"), journal_of(range(20))
    send_for(bench, 300, bad, good)

    assert good.acknowledged == 20
    for number in range(20, 40):
        for entry in journal_of([number]).read(max_bytes=10**6, max_records=1).entries:  # type: ignore[union-attr]
            good.append(entry.scope, entry.encoded)
        send_for(bench, 60, bad, good)
    assert good.acknowledged == 40
    assert sorted(map(str, dead(bench))) == [*"abcdefghij"]


def test_empty_journals_do_not_delay_the_one_that_is_refused(tmp_path: Path) -> None:
    """A journal without a record to try is passed over."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("abc")
    send_for(bench, 100, journal_of(""), journal, journal_of(""))
    bench.transport._verdict_on = lambda records: DELIVERED
    send_for(bench, 100, journal_of(""), journal)

    assert journal.acknowledged == 3


def test_partial_success_without_a_single_record_proves_nothing(tmp_path: Path) -> None:
    """The server rejects what it accepts: no record was good."""

    def verdict_on(records: list[str]) -> Verdict:
        return partial(len(records)) if "d" in records and len(records) == 1 else BAD_DATA

    bench, journal = Bench(tmp_path, verdict_on), journal_of("abcd")
    send_all(bench, journal)

    assert dead(bench) == []
    assert bench.sender.waiting_seconds() > 0


def test_server_that_goes_down_while_one_record_is_tried(tmp_path: Path) -> None:
    """All records wait, and the search goes on when it comes back."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("abcdef")
    send_all(bench, journal)
    bench.transport._verdict_on = lambda records: UNAVAILABLE
    send_for(bench, 100, journal)
    assert (dead(bench), journal.acknowledged) == ([], 0)
    bench.transport._verdict_on = refusing(BAD_DATA, "b")
    send_for(bench, 100, journal)

    assert (dead(bench), journal.acknowledged) == (["b"], 6)


def test_flush_tries_at_once(tmp_path: Path) -> None:
    """A flush cancels the backoff, and one record is sent."""
    bench, journal = Bench(tmp_path, lambda records: BAD_DATA), journal_of("abcdef")
    send_all(bench, journal)
    before = len(bench.transport.requests)
    bench.sender.cancel_backoff()
    send_all(bench, journal)

    assert len(bench.transport.requests) == before + 1


def test_long_row_of_bad_records_is_passed(tmp_path: Path) -> None:
    """A row that is longer than a batch costs one good record, sent early and only once, for each four bad ones."""
    bad = [*map(str, range(40))]
    bench = Bench(tmp_path, refusing(BAD_DATA, *bad), usual_limit_bytes=9000)
    journal = JournalReader(make_orphan(tmp_path, *bad, *map(str, range(40, 100))), is_live=False)
    send_for(bench, 300, journal)

    assert sorted(map(str, dead(bench)), key=int) == bad
    assert (journal.acknowledged, bench.counts.total(OUTBOX_DELIVERED)) == (100, 60)
