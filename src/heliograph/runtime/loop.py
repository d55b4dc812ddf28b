"""An event loop of a host's own, for what sync code leaves to async functions."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Final, ParamSpec, TypeVar

import anyio
from anyio.from_thread import BlockingPortal

from heliograph.runtime.fork import after_fork_in_child
from heliograph.semconv import SCOPE

P = ParamSpec("P")
T = TypeVar("T")

logger: Final = logging.getLogger(SCOPE)


class BackgroundLoop:
    """Runs async functions for sync code, on one loop in one daemon thread, which starts with the first of them.

    A child of a fork starts a loop of its own; what the parent had not run yet, the parent runs.
    """

    def __init__(self) -> None:
        self._restart()
        after_fork_in_child(self._restart)

    def _restart(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None
        self._pending: set[Future[None]] = set()

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of an async function, in a copy of the caller's context; the calling thread waits for it.

        Raises:
            RuntimeError: Called on the loop itself, which would wait for itself for ever.
        """

        async def run() -> T:
            return await function(*args, **kwargs)

        with self._lock:
            portal = self._started().portal
        return portal.call(_contained, run)

    def submit(self, function: Callable[[], Awaitable[object]], *, what: str) -> None:
        """Run an async function later: after all that were submitted before it, in a copy of the caller's context.

        It comes back at once, from any thread, the loop's own included. A function that fails is logged as ``what``.
        """
        job = _Job(function, what)
        with self._lock:  # so that no job is given to a loop that `stop` has taken away
            running, pending = self._started(), self._pending
            pending.add(job.done)
            running.loop.call_soon_threadsafe(running.queue.put_nowait, job)
        job.done.add_done_callback(pending.discard)

    def wait(self, timeout_seconds: float) -> bool:
        """Whether all that was submitted so far was done in time."""
        done, waiting = wait(set(self._pending), timeout_seconds)
        return not waiting and not any(job.cancelled() for job in done)

    def is_own_thread(self) -> bool:
        """Whether the calling thread is that of the loop."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        return self._running is not None and loop is self._running.loop

    def stop(self) -> None:
        """Cancel what still runs, and end the thread; the next use starts another."""
        with self._lock:
            running, self._running = self._running, None
            pending, self._pending = self._pending, set()
        if running is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                running.portal.call(running.portal.stop, True)
            running.thread.join()
        for job in list(pending):
            job.cancel()

    def _started(self) -> _Running:
        if self._running is None or not self._running.thread.is_alive():
            self._running = _start()
        return self._running


@dataclass(frozen=True)
class _Running:
    portal: BlockingPortal
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[_Job]
    thread: threading.Thread


def _start() -> _Running:
    # Not anyio's start_blocking_portal(): its generator stops the portal when it is dropped, and a child of a fork, which
    # drops what it cannot use, would wait there for a loop that only the parent has.
    started: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()

    async def serve() -> None:
        async with BlockingPortal() as portal:
            started.set_result((portal, asyncio.get_running_loop()))
            await portal.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve)
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=contextvars.Context().run, args=(run,), name="heliograph-loop", daemon=True)
    thread.start()
    portal, loop = started.result()
    queue = asyncio.Queue[_Job]()
    portal.start_task_soon(_work, queue)
    return _Running(portal, loop, queue, thread)


async def _work(queue: asyncio.Queue[_Job]) -> None:
    while True:
        job = await queue.get()
        await job.run()


class _Job:
    def __init__(self, function: Callable[[], Awaitable[object]], what: str) -> None:
        self.done: Future[None] = Future()
        self._function = function
        self._what = what
        self._context = contextvars.copy_context()

    async def run(self) -> None:
        # a task of its own, since that is what a context belongs to (create_task takes one from Python 3.11 on)
        task = self._context.run(asyncio.ensure_future, _contained(self._function))
        try:
            await asyncio.wait([task])  # not the task itself: one that is cancelled from within would end the worker
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                logger.error("Failed: %s", self._what, exc_info=error)
        finally:
            task.cancel()
            if self.done.set_running_or_notify_cancel():
                self.done.set_result(None)


async def _contained(function: Callable[[], Awaitable[T]]) -> T:
    """What the function gives; an exception that would end the loop, and with it the work of others, ends here."""
    try:
        return await function()
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"an async function on the host's loop raised {type(error).__name__}") from error
