"""Waiting no longer than promised for code that does not keep its own promises."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

T = TypeVar("T")


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
