"""A time limit holds for code that does not keep one itself."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar
from datetime import timedelta

import pytest

from heliograph.runtime.deadline import MAX_MILLIS, Deadline, run_within
from interrupts import raise_in_a_wait
from threads import result_in_time

# Long enough for a busy machine; a test that passes never waits for it.
LIMIT_MILLIS = 20_000.0


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """An event whose `wait` is a function that does not return before the test ends."""
    release = threading.Event()
    yield release
    release.set()


def test_remaining_time_falls_to_zero_and_not_below() -> None:
    """0 milliseconds remain until a deadline in the past: every timeout accepts that."""
    deadline = Deadline(10_000)
    first = deadline.remaining()

    assert deadline.remaining() <= first <= 10_000
    assert Deadline(0).remaining() == 0
    assert Deadline(-5).remaining() == 0


def test_spent_time_is_the_rest() -> None:
    """It never exceeds the timeout."""
    deadline = Deadline(10_000)
    assert 0 <= deadline.spent() <= deadline.spent() <= 10_000 - deadline.remaining()
    assert Deadline(0).spent() == 0


@pytest.mark.parametrize("timeout_millis", ["5", None, True, b"5", [], timedelta(seconds=5)])
def test_timeout_that_is_no_number_is_named(timeout_millis: object) -> None:
    """A wrong type is a mistake of the program, such as a variable of the environment that was not converted."""
    with pytest.raises(
        TypeError, match="a timeout is a number of milliseconds, such as 5000, not " + re.escape(repr(timeout_millis))
    ):
        Deadline(timeout_millis)  # type: ignore[arg-type]


def test_timeout_that_is_not_a_number() -> None:
    """A deadline of NaN would never pass."""
    with pytest.raises(ValueError, match="not NaN"):
        Deadline(float("nan"))


@pytest.mark.parametrize("timeout_millis", [float("inf"), 1e300, MAX_MILLIS * 2])
def test_deadline_is_a_day_away_at_most(timeout_millis: float) -> None:
    """The remaining time can be passed to any function that takes a timeout. C's time functions overflow at large ones."""
    remaining = Deadline(timeout_millis).remaining()

    assert MAX_MILLIS - LIMIT_MILLIS < remaining <= MAX_MILLIS
    assert threading.Lock().acquire(timeout=remaining / 1000)  # an OverflowError, if it were too long


def test_result_is_returned() -> None:
    """Falsy results are results too; only a function that is too slow gives None."""
    assert run_within(LIMIT_MILLIS, lambda: 7) == 7
    assert run_within(LIMIT_MILLIS, lambda: False) is False


@pytest.mark.parametrize(
    "error", [ZeroDivisionError, FutureTimeoutError, TimeoutError, SystemExit, KeyboardInterrupt], ids=str
)
def test_error_is_raised_to_the_caller(error: type[BaseException]) -> None:
    """The function may raise anything, a TimeoutError of its own and SystemExit included."""

    def fail() -> None:
        raise error("its own")

    with pytest.raises(error, match="its own"):
        run_within(LIMIT_MILLIS, fail)


def test_function_that_is_too_slow_is_left_to_its_thread(stuck: threading.Event) -> None:
    """After the timeout the result is None. The thread is a daemon, and ends when the function does."""
    assert result_in_time(lambda: run_within(50, stuck.wait)) is None
    [thread] = [thread for thread in threading.enumerate() if thread.name == "heliograph-deadline"]
    assert thread.daemon


def test_timeout_of_zero_or_less_does_not_wait(stuck: threading.Event) -> None:
    """A caller whose own deadline has passed may ask with what remains of it."""
    assert run_within(0, stuck.wait) is None
    assert run_within(-1, stuck.wait) is None


def test_function_runs_in_a_copy_of_the_callers_context() -> None:
    """OpenTelemetry's marks in the context, such as "do not instrument this request", hold in the other thread."""
    variable: ContextVar[str] = ContextVar("variable", default="default")
    variable.set("caller's")

    assert run_within(LIMIT_MILLIS, variable.get) == "caller's"


def test_thread_has_ended_when_the_result_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that counts threads finds none of ours, even if the thread takes a moment to end."""
    before = set(threading.enumerate())

    def run_slowly(thread: threading.Thread, run: Callable[[threading.Thread], None] = threading.Thread.run) -> None:
        run(thread)
        time.sleep(0.05)

    monkeypatch.setattr(threading.Thread, "run", run_slowly)
    run_within(LIMIT_MILLIS, lambda: None)

    assert set(threading.enumerate()) <= before


def test_function_runs_in_the_calling_thread_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the interpreter exits, Python starts no threads; a flush without a time limit is better than none."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert run_within(0, threading.current_thread) is threading.current_thread()


def test_interrupt_in_the_middle_of_the_start_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interrupt may be an error of the lock of the start. The function is not called again, in the calling thread."""
    real, calls = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        real(thread)
        raise_in_a_wait(KeyboardInterrupt())

    monkeypatch.setattr(threading.Thread, "start", start)

    with pytest.raises(KeyboardInterrupt):
        run_within(LIMIT_MILLIS, lambda: calls.append(threading.current_thread()))
    assert threading.current_thread() not in calls
