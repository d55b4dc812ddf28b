"""A deadline holds for code that does not keep its own promises."""

from __future__ import annotations

import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar

import pytest

from heliograph.runtime.deadline import run_within


def test_result_comes_back() -> None:
    """What the function gives, falsy values too."""
    assert run_within(5000, lambda: 7) == 7
    assert run_within(5000, lambda: False) is False


def test_error_comes_back() -> None:
    """What the function raises, a timeout of its own too."""
    for error in (ZeroDivisionError, FutureTimeoutError, TimeoutError):

        def fail(kind: type[Exception] = error) -> None:
            raise kind("its own")

        with pytest.raises(error, match="its own"):
            run_within(5000, fail)


def test_function_that_hangs_is_left_behind() -> None:
    """Past the deadline the answer is None; the thread is a daemon, and ends when the function does."""
    release = threading.Event()
    started = time.monotonic()

    assert run_within(50, release.wait) is None

    assert time.monotonic() - started < 5
    [thread] = [thread for thread in threading.enumerate() if thread.name == "heliograph-deadline"]
    assert thread.daemon
    release.set()


def test_no_time_at_all_is_a_deadline_too() -> None:
    """Zero and less do not wait."""
    release = threading.Event()

    assert run_within(0, release.wait) is None
    assert run_within(-1, release.wait) is None
    release.set()


def test_function_runs_in_the_callers_context() -> None:
    """A suppressed instrumentation stays suppressed."""
    variable: ContextVar[str] = ContextVar("variable", default="default")
    variable.set("caller's")

    assert run_within(5000, variable.get) == "caller's"


def test_thread_is_gone_when_the_result_is_there() -> None:
    """Nothing is left to be joined."""
    before = set(threading.enumerate())

    run_within(5000, lambda: None)

    assert set(threading.enumerate()) <= before
