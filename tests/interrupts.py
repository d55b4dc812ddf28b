"""Handlers of signals, and exceptions that they raise at any moment."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NoReturn


class Interrupt(BaseException):
    """The exception that the handler raises."""


@contextmanager
def handler_of(number: signal.Signals, handler: Callable[..., object]) -> Iterator[None]:
    """Handle a signal by the function while the block runs."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def raise_in_a_wait(error: BaseException) -> NoReturn:
    """Raise the error of a lock, whose context is the given one: a handler has raised that in the wait of a condition."""
    lock = threading.Lock()
    with lock:
        lock.release()  # now the `with` raises, as that of a condition does
        raise error


def call_with_interrupts(functions: Iterable[Callable[[], object]], *, moments: int) -> list[bool]:
    """Call functions, each with a signal after some microseconds whose handler raises. Return for each if it returned nevertheless.

    Args:
        functions: The functions.
        moments: The signals come after 1 to so many microseconds.
    """
    is_armed = False
    returned = []

    def handle(*_: object) -> None:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise Interrupt

    with handler_of(signal.SIGALRM, handle):
        # An exception in the finalizer of an object is a warning, and garbage of other tests is none of ours.
        gc.disable()
        try:
            for number, function in enumerate(functions):
                try:
                    is_armed = True
                    signal.setitimer(signal.ITIMER_REAL, 1e-6 * (1 + number * 7 % moments))
                    function()
                    is_armed = False
                    returned.append(True)
                except Interrupt:
                    returned.append(False)
        finally:
            is_armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            gc.enable()
    return returned
