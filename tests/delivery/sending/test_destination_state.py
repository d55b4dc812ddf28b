"""The state that all batches of a destination share: requests, dead letters and failures are counted, and logged once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from delivery.sender_bench import BAD_DATA, DELIVERED, UNAVAILABLE, Bench, RecordingSource, batch_of, in_turn
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.sending.destination_state import LOG_INTERVAL_SECONDS
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.semconv import OUTBOX_DEAD, OUTBOX_RETRIED


def test_request_has_the_records(tmp_path: Path) -> None:
    """The verdict is that of the transport."""
    bench, batch = Bench(tmp_path, in_turn(DELIVERED)), batch_of("ab")

    assert bench.state.send(batch.header, batch.entries) is DELIVERED
    assert bench.transport.requests == [["a", "b"]]


def test_defect_of_a_transport_refuses_the_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Records behind them can be sent. The defect is logged once, with its traceback."""

    def fail(records: list[str]) -> Verdict:
        raise ZeroDivisionError

    bench, batch = Bench(tmp_path, fail), batch_of("a")
    verdicts = [bench.state.send(batch.header, batch.entries) for _ in range(2)]

    assert {(each.action, each.reason, each.message) for each in verdicts} == {
        (Action.BAD_DATA, Reason.INTERNAL, "ZeroDivisionError was raised")
    }
    assert [record.message for record in caplog.records if record.exc_info] == ["A request could not be made."]


@pytest.mark.parametrize("is_own", [True, False])
def test_dead_letter_is_counted_as_a_loss_of_the_process_that_accepted_it(tmp_path: Path, *, is_own: bool) -> None:
    bench, batch, source = Bench(tmp_path, in_turn()), batch_of("a"), RecordingSource(None)
    source.is_own = is_own

    assert bench.state.put_to_dead_letters(source, batch.header, batch.entries[0], BAD_DATA)
    assert bench.dead() == [("a", BAD_DATA.reason.value, BAD_DATA.message)]
    assert bench.counts.by_reason(OUTBOX_DEAD) == {BAD_DATA.reason.value: 1}
    assert bench.state.own_losses == int(is_own)


def test_dead_letter_that_cannot_be_written_is_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller is told, and the log names the cause."""

    def fail(*_: object, **__: object) -> None:
        raise OutboxError(tmp_path, "disk full")

    bench, batch = Bench(tmp_path, in_turn()), batch_of("a")
    monkeypatch.setattr(DeadLetters, "put", fail)

    assert not bench.state.put_to_dead_letters(RecordingSource(None), batch.header, batch.entries[0], BAD_DATA)
    assert (bench.counts.total(OUTBOX_DEAD), bench.state.own_losses) == (0, 0)
    assert "disk full" in caplog.text


def test_request_that_close_cancels_is_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The end of a process is no failure of the server; the records stay for the next process."""
    bench = Bench(tmp_path, in_turn())
    bench.state.close()
    bench.state.schedule_retry(Verdict(action=Action.RETRY, reason=Reason.CANCELLED))

    assert caplog.records == []


def test_state_is_closed_before_its_transport(tmp_path: Path) -> None:
    """In the other order, the cancelled request would look like a failure."""
    bench = Bench(tmp_path, in_turn())
    order: list[bool] = []
    bench.transport.close = lambda: order.append(bench.state.closed.is_set())  # type: ignore[method-assign]
    bench.state.close()

    assert order == [True]


def test_failures_are_logged_once_a_minute_and_the_recovery_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A server may be down for hours. Each failure is counted."""
    caplog.set_level(logging.WARNING)
    bench = Bench(tmp_path, in_turn())
    logged = []
    for seconds, is_failure in (
        (0, True),
        (1, True),
        (LOG_INTERVAL_SECONDS, True),
        (1, False),
        (1, False),
        (1, True),
    ):
        caplog.clear()
        bench.now += seconds
        if is_failure:
            bench.state.schedule_retry(UNAVAILABLE)
        else:
            bench.state.note_working()
        logged.append([record.getMessage() for record in caplog.records])

    waiting = ["Records wait in the outbox (unavailable): HTTP 503"]
    assert logged == [waiting, [], waiting, ["The outbox delivers records again."], [], waiting]
    assert bench.counts.by_reason(OUTBOX_RETRIED) == {"unavailable": 4}


def test_waits_are_short_again_after_the_server_has_worked(tmp_path: Path) -> None:
    bench = Bench(tmp_path, in_turn())

    def waits(failures: int) -> list[float]:
        found = []
        for _ in range(failures):
            bench.state.schedule_retry(UNAVAILABLE)
            found.append(bench.state.schedule.waiting_seconds())
        return found

    before = waits(3)
    bench.state.note_working()

    assert before == sorted(set(before))
    assert waits(1)[0] < before[0]
