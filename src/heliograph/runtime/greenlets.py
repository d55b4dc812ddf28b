"""Start and await threads in programs whose threads are greenlets: gevent or eventlet has replaced the functions of `threading`.

Neither library is imported here. Each call looks again, because a program may replace the functions at any time: a gunicorn worker
of the class ``gevent`` does so after a program was loaded with ``--preload``.

All greenlets of a thread of the system share it. Two consequences concern event loops:

- A loop that runs in a greenlet counts as running for all of them, and the program's own `asyncio.run` would raise. So a loop of ours
  runs in a thread of the system of its own (`start_thread`).
- A greenlet that waits for another thread of the system at a lock of gevent may wait for ever. So it polls instead (`result_of`,
  `wait_for_all`).
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from typing import Final, Protocol, TypeVar

from heliograph.runtime.deadline import Deadline

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.005


class RunningThread(Protocol):
    """The methods of `threading.Thread` that `start_thread` offers."""

    def is_alive(self) -> bool:
        """Return True until the thread has ended."""

    def join(self) -> None:
        """Wait until the thread has ended."""


def threads_are_greenlets() -> bool:
    """Return True if gevent or eventlet has replaced the functions of `threading` by now."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    return bool(
        (gevent is not None and gevent.is_module_patched("threading"))
        or (eventlet is not None and eventlet.is_monkey_patched("thread"))
    )


def load_gevent_hub() -> None:
    """Import now what gevent needs for its hub, if the program has imported gevent.

    Otherwise each thread imports it at the first lock of gevent that it acquires. An import acquires locks itself, and these are gevent's,
    too, once gevent has replaced the functions of `threading`. So two threads that the SDK had started before would wait for each other
    for ever, and with them each thread that imports something. Reading the settings below makes gevent import the hub, and keep it.
    """
    gevent = sys.modules.get("gevent")
    if gevent is not None:
        # Another thread is importing gevent, or gevent's variables name a loop that does not exist.
        with contextlib.suppress(Exception):
            _ = gevent.config.loop, gevent.config.format_context


def start_thread(function: Callable[[], object], name: str) -> RunningThread:
    """Run a function in a new daemon thread of the system, also if threads are greenlets of gevent."""
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return _NativeThread(function, gevent.get_original("_thread", "start_new_thread"))
    thread = threading.Thread(target=function, name=name, daemon=True)
    thread.start()
    return thread


class _NativeThread:
    """A thread of the system that `threading` does not know."""

    def __init__(self, function: Callable[[], object], start: Callable[..., object]) -> None:
        self._ended = False

        def run() -> None:  # pragma: no cover — a thread that `threading` does not know is not measured
            try:
                function()
            finally:
                self._ended = True

        start(run, ())

    def is_alive(self) -> bool:
        return not self._ended

    def join(self) -> None:
        while self.is_alive():
            time.sleep(_PAUSE_SECONDS)


def result_of(future: Future[T]) -> T:
    """Return the future's result, once another thread has set it; or raise its exception."""
    if threads_are_greenlets():
        wait_for_all([future], float("inf"))
    return future.result()


def wait_for_all(futures: Collection[Future[T]], timeout_seconds: float) -> bool:
    """Wait until all futures are done. Return False if the timeout passes first."""
    if not threads_are_greenlets():
        return not wait(futures, timeout_seconds).not_done
    deadline = Deadline(timeout_seconds * 1000)
    while not all(future.done() for future in futures):
        if not deadline.remaining():
            return False
        time.sleep(_PAUSE_SECONDS)  # lets other greenlets run
    return True
