"""The time before which nothing is sent, which the sending thread sets while other threads flush."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from heliograph.delivery.sending.backoff import Backoff
from heliograph.delivery.sending.schedule import Schedule
from threads import join


def schedule(random: Callable[[], float] = lambda: 0.5) -> Schedule:
    """Return a schedule whose clock stands still."""
    return Schedule(Backoff(random=random), lambda: 100.0)


def test_nothing_is_waited_for_before_the_first_failure() -> None:
    assert schedule().waiting_seconds() == 0


def test_backoff_is_added_to_what_the_server_asks_for() -> None:
    times = schedule()
    times.postpone(None)
    assert times.waiting_seconds() == 0.5
    times.postpone(30.0)
    assert times.waiting_seconds() == 31.0


def test_success_makes_the_next_wait_short() -> None:
    times = schedule()
    times.postpone(None)
    times.reset()
    times.postpone(None)
    assert times.waiting_seconds() == pytest.approx(0.05)


def test_flush_does_not_cancel_what_the_server_asked_for() -> None:
    """A flush cancels only the jitter on top of it. The same holds for a second flush."""
    times = schedule()
    times.postpone(30.0)
    assert times.waiting_seconds() == 30.5

    for _ in range(2):
        times.cancel_backoff()
        assert times.waiting_seconds() == 30.0


def test_flush_in_another_thread_waits_until_the_wait_is_known() -> None:
    """A flush between the two halves of the decision would be forgotten."""
    flushing: list[threading.Thread] = []

    def flush_meanwhile() -> float:
        flushing.append(threading.Thread(target=times.cancel_backoff))
        flushing[0].start()
        flushing[0].join(0.2)  # ends early only if no lock holds the thread
        return 0.5

    times = schedule(flush_meanwhile)
    times.postpone(None)
    join(flushing[0])

    assert times.waiting_seconds() == 0


def test_handler_of_a_signal_may_flush_in_the_middle() -> None:
    """The handler runs in the thread that it interrupts, which may hold the lock."""

    def flush() -> float:
        times.cancel_backoff()
        return 0.5

    times = schedule(flush)
    times.postpone(None)

    assert times.waiting_seconds() == 0.5
