"""The state that all batches of a destination share: failures and recoveries are logged, and a record that cannot be sent stops no others."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from delivery.outboxes import make_orphan
from delivery.sender_bench import (
    BAD_DATA,
    DELIVERED,
    UNAVAILABLE,
    Bench,
    in_turn,
    journal_of,
)
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.destination_state import LOG_INTERVAL_SECONDS
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.sender import Outcome
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.semconv import OUTBOX_DEAD, OUTBOX_DELIVERED


def test_record_that_cannot_be_sent_does_not_stop_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A defect of a transport raises for it, always. It becomes a dead letter, and the defect is logged once."""

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
    """It is sent again later, and is not counted as a dead letter."""

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


def test_request_that_close_cancels_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is no failure; its records stay for the next process."""

    def close(records: list[str]) -> Verdict:
        bench.sender.close()
        return Verdict(action=Action.RETRY, reason=Reason.CANCELLED)

    bench, journal = Bench(tmp_path, close), journal_of("a")

    assert bench.sender.send_next(journal) is Outcome.LATER
    assert caplog.records == []
    assert journal.acknowledged == 0


def test_sender_is_closed_before_its_transport(tmp_path: Path) -> None:
    """In the other order, the cancelled request would look like a failure."""
    bench = Bench(tmp_path, in_turn(DELIVERED))
    order: list[bool] = []
    bench.transport.close = lambda: order.append(bench.sender.closed.is_set())  # type: ignore[method-assign]
    bench.sender.close()

    assert order == [True]


def test_failures_are_logged_once_a_minute_and_the_recovery_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may be down for hours."""
    caplog.set_level(logging.WARNING)
    verdicts = [UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, DELIVERED, DELIVERED, UNAVAILABLE]
    bench, journal = Bench(tmp_path, in_turn(*verdicts), random=lambda: 0.0, usual_limit_bytes=1), journal_of("abc")
    logged = []
    for seconds in (0, 1, LOG_INTERVAL_SECONDS, 1, 1, 1):
        caplog.clear()
        bench.now += seconds
        bench.sender.send_next(journal)
        logged.append([record.getMessage() for record in caplog.records])

    waiting = ["Records wait in the outbox (unavailable): HTTP 503"]
    assert logged == [waiting, [], waiting, ["The outbox delivers records again."], [], waiting]
