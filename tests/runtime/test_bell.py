"""A bell wakes the thread that waits, whichever thread rings it, and a wait ends in time."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from heliograph.runtime.bell import Bell
from interrupts import handler_of
from threads import join


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads that take the GIL from each other all the time, as on a busy machine."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            sum(range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    yield
    ended.set()
    sys.setswitchinterval(interval)
    join(*threads)


def test_rings_before_a_wait_are_one() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()

    assert [bell.wait(0), bell.wait(0)] == [True, False]


def test_waiting_thread_is_woken() -> None:
    bell, woken = Bell(), []
    thread = threading.Thread(target=lambda: woken.append(bell.wait(600)))
    thread.start()
    bell.ring()
    thread.join(60)

    assert woken == [True]


def test_wait_ends_in_time_on_a_busy_machine(busy: None) -> None:
    """The time may be over between any two steps. (The test ends by its limit if a wait does not.)"""
    bell = Bell()
    for timeout_seconds in (0, 1e-9, 1e-6) * 500:
        bell.ring()
        assert bell.wait(timeout_seconds)
        assert not bell.wait(timeout_seconds)


def test_threads_that_ring_at_once_raise_nothing(busy: None) -> None:
    bell, failed = Bell(), []

    def ring() -> None:
        try:
            for _ in range(2000):
                bell.ring()
        except RuntimeError as error:
            failed.append(error)

    threads = [threading.Thread(target=ring) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        bell.wait(0.001)

    assert failed == []


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this system has no timers that signal")
def test_handler_of_a_signal_may_ring_in_the_middle_of_a_ring() -> None:
    bell = Bell()
    with handler_of(signal.SIGUSR1, lambda *_: bell.ring()):
        for _ in range(1000):
            os.kill(os.getpid(), signal.SIGUSR1)
            bell.ring()

    assert bell.wait(60)
