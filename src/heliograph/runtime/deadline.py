"""Waiting no longer than promised for code that does not keep its own promises."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Final, TypeVar

T = TypeVar("T")

LONGEST_MILLIS: Final = 24 * 60 * 60 * 1000.0


class Deadline:
    """A moment by which something has to be done, on a clock that nobody sets; a day from now at most.

    Args:
        timeout_millis: How far away it is.
    """

    def __init__(self, timeout_millis: float) -> None:
        self._end = time.monotonic() + min(timeout_millis, LONGEST_MILLIS) / 1000

    def remaining(self) -> float:
        """The milliseconds that are left; 0 when it is past."""
        return max(0.0, (self._end - time.monotonic()) * 1000)


def run_within(timeout_millis: float, function: Callable[[], T]) -> T | None:
    """The function's result, or `None` when it is not there in time.

    The function runs in a daemon thread of its own, in a copy of the caller's context. The `force_flush` of
    OpenTelemetry's SDK takes as long as its requests do, whatever timeout it is given, and can not be interrupted;
    so past the deadline the thread is left behind, until the request that it waits for ends.

    Raises:
        Exception: What the function raised, if it did so in time.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=work, name="heliograph-deadline", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the interpreter is ending, and starts no threads any more
        return function()
    try:
        result = future.result(max(0.0, timeout_millis / 1000))
    except FutureTimeoutError:
        return future.result() if future.done() else None  # its own TimeoutError, or done just now
    thread.join()
    return result
