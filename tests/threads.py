"""Threads that fail their test if they hang, and print the stacks of all threads; and a system that can start no more of them."""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

LIMIT_SECONDS = 120.0
"""The longest wait for something that takes a moment on an idle machine: other programs may use the processors."""


def join(*threads: threading.Thread) -> None:
    """Wait until the threads have ended.

    Raises:
        TimeoutError: One is still running after the limit. The stacks of all threads are printed.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    for thread in threads:
        thread.join(max(deadline - time.monotonic(), 0))
        if thread.is_alive():
            faulthandler.dump_traceback(sys.__stderr__)
            raise TimeoutError(f"{thread.name} is still running after {LIMIT_SECONDS} s")


def result_in_time(function: Callable[[], T]) -> T:
    """Return the function's result. It runs in a thread of its own, so that one that waits for ever, or for too long, fails its test.

    Raises:
        TimeoutError: It is still running after the limit. The stacks of all threads are printed.
    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(function())
        except BaseException as error:
            result.set_exception(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    join(thread)
    return result.result()


@contextmanager
def no_more_threads() -> Iterator[None]:
    """Let no thread be started while the block runs, as a system that has too many of them."""

    def fail(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        yield
