"""Lines are printed in a thread of their own, and what cannot be printed in time is counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from heliograph.cli import tail_printer
from heliograph.cli.tail_filter import ArrivalFilter
from heliograph.cli.tail_printer import LinePrinter
from heliograph.receiver.arrivals import Arrival
from receiver.requests import log_request, span_request


class SlowLines:
    """Writes lines only when it may."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def __call__(self, arrival: Arrival) -> str:
        self.begun.set()
        assert self.may_go_on.wait(60)
        return arrival.name


@pytest.fixture
def slow() -> Iterator[SlowLines]:
    """Lines that are written only when the test permits it."""
    lines = SlowLines()
    yield lines
    lines.may_go_on.set()


def test_lines_that_cannot_be_printed_in_time_are_counted(
    slow: SlowLines, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for the terminal. The number is printed when there is time again, and counts what would have been printed."""
    monkeypatch.setattr(tail_printer, "MAX_WAITING_BYTES", log_request("app.two").ByteSize())
    printer = LinePrinter(ArrivalFilter(names=("app.*",)), slow)
    printer.show(log_request("app.one"))
    assert slow.begun.wait(60)
    printer.show(log_request("app.two"))
    for _ in range(3):
        printer.show(log_request("app.dropped", "app.dropped", "other", ""))
    slow.may_go_on.set()
    printer.close()

    assert capfd.readouterr() == ("app.one\napp.two\n", "… 6 lines not printed: more arrived than can be printed\n")
    assert (printer.shown, printer.not_shown) == (2, 6)


def test_large_request_is_printed_if_nothing_waits(
    slow: SlowLines, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """No other may be in print, because it stays in memory until then."""
    monkeypatch.setattr(tail_printer, "MAX_WAITING_BYTES", 1)
    printer = LinePrinter(ArrivalFilter(), slow)
    printer.show(log_request("app.one", "app.two"))
    assert slow.begun.wait(60)
    printer.show(log_request("app.dropped"))
    slow.may_go_on.set()
    printer.close()

    assert capfd.readouterr().out == "app.one\napp.two\n"
    assert printer.not_shown == 1


def test_log_record_is_printed_instead_of_its_span_event(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The line has the body, whichever arrives first; an event without a log record has a line, too, after a moment or at the end."""
    monkeypatch.setattr(tail_printer, "HOLD_SECONDS", 600)
    printer = LinePrinter(ArrivalFilter(), lambda arrival: f"{arrival.name} {arrival.body}")
    printer.show(span_request("GET /", "app.both", uid="u1"))
    printer.show(span_request("GET /", "app.alone", uid="u2"))
    printer.show(log_request("app.both", body="ada was here", log__record__uid="u1"))
    printer.close()

    assert sorted(capfd.readouterr().out.splitlines()) == ["app.alone ", "app.both ada was here"]
    assert printer.shown == 2


@pytest.mark.parametrize(("limit", "value"), [("HOLD_SECONDS", 0.01), ("MAX_HELD", 0)])
def test_span_event_is_held_back_for_a_moment(limit: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is printed while the command runs, when the time is over, or when too many are held back."""
    monkeypatch.setattr(tail_printer, "HOLD_SECONDS", 600)
    monkeypatch.setattr(tail_printer, limit, value)
    printed = threading.Event()
    printer = LinePrinter(ArrivalFilter(), lambda arrival: printed.set() or arrival.name)
    printer.show(span_request("GET /", "app.alone", uid="u1"))

    assert printed.wait(60)
    printer.close()


def test_terminal_that_hangs_does_not_keep_the_command(slow: SlowLines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is waited for, for a limited time."""
    monkeypatch.setattr(tail_printer, "CLOSE_SECONDS", 0.01)
    printer = LinePrinter(ArrivalFilter(), slow)
    printer.show(log_request("app.one"))
    printer.close()

    assert printer.shown == 0


def test_end_of_the_output_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends when nobody reads its output any more."""
    ended = threading.Event()

    def fail(lines: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(tail_printer, "echo_styled", fail)
    printer = LinePrinter(ArrivalFilter(), lambda arrival: arrival.name, ended.set)
    printer.show(log_request("app.one"))

    assert ended.wait(60)
    printer.close()
