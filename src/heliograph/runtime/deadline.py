"""Keep time limits, also for code that cannot be interrupted and ignores the time limit that it is given."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from numbers import Real
from typing import Final, TypeVar

from heliograph.runtime.bell import Bell
from heliograph.runtime.thread_start import try_to_start

T = TypeVar("T")

MAX_MILLIS: Final = 24 * 60 * 60 * 1000.0
"""The longest time until a `Deadline`: one day. It keeps timeouts in the range of C's time functions."""


class Deadline:
    """A moment in the future, on the monotonic clock, which changes of the system's time do not move.

    Args:
        timeout_millis: The time until the deadline, in milliseconds. More than `MAX_MILLIS` counts as `MAX_MILLIS`.

    Raises:
        TypeError: The timeout is not an `int`, a `float` or another real number.
        ValueError: The timeout is NaN.

    Attributes:
        timeout_millis: The time from the start to the deadline, in milliseconds.
    """

    def __init__(self, timeout_millis: float) -> None:
        number: object = timeout_millis
        if isinstance(number, bool) or not isinstance(number, Real):
            raise TypeError(f"a timeout is a number of milliseconds, such as 5000, not {timeout_millis!r}")
        if math.isnan(timeout_millis):
            raise ValueError("a timeout is a number of milliseconds, such as 5000, not NaN")
        self.timeout_millis = min(timeout_millis, MAX_MILLIS)
        self._end = time.monotonic() + self.timeout_millis / 1000

    def remaining(self) -> float:
        """Return the milliseconds until the deadline; 0 if it has passed."""
        return max(0.0, (self._end - time.monotonic()) * 1000)

    def spent(self) -> float:
        """Return the milliseconds since the start; the timeout if the deadline has passed."""
        return self.timeout_millis - self.remaining()


def run_within(timeout_millis: float, function: Callable[[], T]) -> T | None:
    """Return the function's result, or `None` if the function has not returned within the timeout.

    The function runs in a daemon thread of its own, in a copy of the caller's context. Python cannot stop a thread, so
    a function that is too slow runs on in its thread, and its result is dropped. A daemon thread does not keep the
    interpreter from exiting.

    The thread is needed because `force_flush` and `shutdown` of OpenTelemetry's SDK ignore the timeout that they are
    given: they return only when the request that they wait for has ended.

    If no thread can be started, because the interpreter is exiting or the system has too many threads, the function runs in
    the calling thread, without a time limit.

    Raises:
        BaseException: The function's own error, if it was raised within the timeout.
    """
    future: Future[T] = Future()
    # Not `future.result`: if a signal's handler raises in the middle of its wait, a RuntimeError of the future's lock replaces the exception.
    finished = Bell()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            # SystemExit and KeyboardInterrupt are for the caller, not for this thread.
            future.set_exception(error)
        finished.ring()

    thread = threading.Thread(target=work, name="heliograph-deadline", daemon=True)
    if not try_to_start(thread):
        return function()
    if not finished.wait(max(0.0, timeout_millis) / 1000):
        return None
    # The thread is about to end. Without this, the caller could still see it among the running threads.
    thread.join()
    return future.result()
