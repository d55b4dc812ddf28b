"""Starting a thread tells an exception of a signal's handler from a system that has no more threads."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from heliograph.runtime.thread_start import try_to_start
from interrupts import Interrupt, raise_in_a_wait
from scripts import python
from threads import no_more_threads

LIMIT_SECONDS = 20


@pytest.fixture
def thread() -> threading.Thread:
    return threading.Thread(target=lambda: None, daemon=True)


def interrupted_by(error: BaseException) -> Callable[[threading.Thread], None]:
    def start(_: threading.Thread) -> None:
        raise_in_a_wait(error)

    return start


def test_thread_runs(thread: threading.Thread) -> None:
    assert try_to_start(thread)
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [Interrupt(), KeyboardInterrupt(), ValueError("of the handler")])
@pytest.mark.parametrize("is_nested", [False, True])
def test_exception_of_a_handler_is_raised_and_not_that_of_the_lock(
    thread: threading.Thread, error: BaseException, is_nested: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller may be handling an exception of its own."""
    monkeypatch.setattr(threading.Thread, "start", interrupted_by(error))

    def start() -> bool:
        if not is_nested:
            return try_to_start(thread)
        try:
            return bool(int("no number"))
        except ValueError:
            return try_to_start(thread)

    with pytest.raises(type(error)) as caught:
        start()
    assert caught.value is error


@pytest.mark.parametrize("is_nested", [False, True])
def test_no_thread_can_be_started(thread: threading.Thread, is_nested: bool) -> None:
    """The result is False, also while another exception is handled."""
    if not is_nested:
        with no_more_threads():
            assert not try_to_start(thread)
        return
    try:
        int("no number")
    except ValueError:
        with no_more_threads():
            assert not try_to_start(thread)


def test_handler_that_raises_a_runtime_error_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread runs, so it is not as if none could be started."""
    go = threading.Event()
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        real(thread)
        raise RuntimeError("of the handler")

    thread = threading.Thread(target=go.wait, args=[LIMIT_SECONDS], daemon=True)
    monkeypatch.setattr(threading.Thread, "start", start)
    assert try_to_start(thread)
    go.set()
    thread.join(LIMIT_SECONDS)


SIGNALS = """
import threading

from heliograph.runtime.thread_start import try_to_start
from threads import no_more_threads
from interrupts import call_with_interrupts

threading.excepthook = lambda _: None  # the lock of the new thread's start is broken then, too
threads = [threading.Thread(target=lambda: None, daemon=True) for _ in range(3000)]
results = []
call_with_interrupts([lambda thread=thread: results.append(try_to_start(thread)) for thread in threads], moments=300)
report(started=results.count(True), failed=results.count(False))
"""


def test_real_signals_at_any_moment_of_a_start() -> None:
    """About one in a thousand arrives as an error of a lock. It is never taken for a system without threads."""
    ran = python(SIGNALS)
    assert ran.only["started"] > 0
    assert ran.only["failed"] == 0
