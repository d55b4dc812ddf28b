"""An event loop in a background thread, on which sync code runs async functions.

A host needs it for two things: `Host.call`, where sync code waits for the result of an async function, and `Host.track`,
which returns before the async functions of hooks have run.

Threads
-------
The loop runs in one daemon thread, ``heliograph-loop``. The first `call` or `submit` starts it, in whatever thread that
is; a program that needs neither has no such thread. `stop` ends it, and the next `call` or `submit` starts a new one.

- All methods may be called from any thread, at the same time.
- `submit` does not block. It may be called on the loop's own thread: a job may submit another job.
- `call`, `wait` and `stop` block until the loop has done something. On the loop's own thread they would wait for themselves:
  `wait` until its timeout, the others for ever. `call` raises there; callers of `wait` and `stop` have to ask `is_own_thread`
  first.
- On the loop, one task, `_run_jobs`, runs the submitted jobs one after the other, in the order of submission. Functions of
  `call` run beside it, each in a task of its own.

Locks
-----
`BackgroundLoop._lock` guards `_running` (the loop in use, if any) and `_pending` (the jobs that have not ended). It makes
"find the running loop, or start one, and put a job into its queue" one step. `stop` takes loop and jobs away under the same
lock, so each job is either in the queue of a loop that still runs it or cancels it, or is one that `stop` cancels.

It is reentrant because a signal handler may track an event: it runs in the main thread, perhaps in the middle of `submit`.

`pending` and `is_own_thread` read without the lock: each reads its field once, and copying a set is one step that no other
thread can interrupt. The outcome of a job is written by the loop's thread, or by `stop` once that thread has ended.

Forks
-----
The parent's loop does not run in a child process, and the lock may be held there by a thread that does not exist. So the child
forgets loop, lock and jobs, and starts again. Jobs that waited at the time of the fork are run by the parent, and only by it.

Greenlets
---------
If gevent made greenlets of the threads, the loop runs in a thread of the system nevertheless; see `heliograph.runtime.greenlets`.

Imports
-------
asyncio and anyio take longer to import than most of heliograph, and many programs with a host never use an event loop. So modules of this
package import them in the functions that need them. These run in an event loop, where both are imported already, since the thread that
starts the loop imports them before.

Rejected
--------
anyio's `start_blocking_portal` does most of this. But it is a generator that stops its portal when it is dropped. A forked
child, which drops the parent's portal, would then wait for a loop that runs only in the parent.
"""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, ParamSpec, TypeAlias, TypeVar

from heliograph.classes import qualified_name
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.fork_lock import importing
from heliograph.runtime.greenlets import RunningThread, result_of, start_thread, wait_for_all
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
T = TypeVar("T")

_Started: TypeAlias = "tuple[asyncio.AbstractEventLoop, asyncio.Queue[_Job], asyncio.Event, int]"
"""A loop, its queue of jobs, the event that ends it, and its thread."""

Jobs: TypeAlias = "frozenset[Future[None]]"
"""Submitted jobs: for each, the future that is done when it has ended."""

logger: Final = SafeLogger(SCOPE)


class BackgroundLoop:
    """Runs async functions for sync code, on one event loop in one daemon thread.

    The module's documentation says which thread may call what.
    """

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._running: _RunningLoop | None = None
        self._pending: set[Future[None]] = set()
        self._failures = LimitedLog(logger)

    def call(self, function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of an async function. It runs in a copy of the caller's context, while the caller waits.

        Raises:
            RuntimeError: Called on the loop's own thread, which would wait for itself for ever.
            TypeError: `function` is not an async function: it is a sync one, or the coroutine that an async function has returned.
        """

        async def run() -> T:
            result = function(*args, **kwargs)
            if not inspect.isawaitable(result):
                raise TypeError(f"{function!r} is not async; call it without call()")
            return await result

        _check_function(function)
        if self.is_own_thread():
            raise RuntimeError(
                "a function on the host's own event loop cannot wait for another one on it; await that one"
            )
        import asyncio

        with self._lock:
            loop = self._start_if_needed().loop
            # In the same step, so that `stop` cancels the task, and does not leave it in a loop that ends.
            future = asyncio.run_coroutine_threadsafe(_without_exit(run), loop)
        return result_of(future)

    def submit(self, function: Callable[[], Awaitable[object]], *, description: str) -> None:
        """Run an async function later, in a copy of the caller's context, and return at once.

        Args:
            function: The function. It runs after all that were submitted before it have ended.
            description: Names the function in the log, if it fails. Failures with the same description are logged once, and
                then counted.
        """
        job = _Job(function, description, self._failures)
        with self._lock:
            running = self._start_if_needed()
            self._pending.add(job.done)
            try:
                # The method is of this very set, because `stop` replaces the attribute.
                job.done.add_done_callback(self._pending.discard)
                running.loop.call_soon_threadsafe(running.jobs.put_nowait, job)
            except BaseException:
                # A signal handler raised. The job may never run, and nobody may wait for it.
                self._pending.discard(job.done)
                raise

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Call a sync function on the loop's thread after some seconds, in an empty context; never if the loop is stopped before."""
        with self._lock:
            loop = self._start_if_needed().loop
            loop.call_soon_threadsafe(loop.call_later, seconds, function, context=contextvars.Context())

    def pending(self) -> Jobs:
        """Return the jobs that have not ended, for `wait`."""
        return frozenset(self._pending)

    def wait(self, timeout_seconds: float, jobs: Jobs | None = None) -> bool:
        """Wait until jobs have ended.

        Args:
            timeout_seconds: The timeout in seconds.
            jobs: The jobs; `None` means those that are pending now.

        Returns:
            True if all of them ended in time, failed ones included; False if one is still waiting or running, or was
            cancelled by `stop`.
        """
        waited = self.pending() if jobs is None else jobs
        return wait_for_all(waited, timeout_seconds) and not any(job.cancelled() for job in waited)

    def is_own_thread(self) -> bool:
        """Return True if the calling thread is the loop's own."""
        # Not by `asyncio.get_running_loop`: greenlets of one thread share the running loop.
        # The attribute is read once, because `stop` in another thread may set it to `None`.
        running = self._running
        return running is not None and running.thread_id == threading.get_ident() and running.thread.is_alive()

    def stop(self) -> None:
        """Cancel the jobs that wait or run, and end the loop's thread.

        It has no time limit: a job that blocks the loop, or that catches its cancellation, delays it.
        """
        with self._lock:
            running, self._running = self._running, None
            pending, self._pending = self._pending, set()
        # Without the lock from here on: a job that is being cancelled may submit another one, which starts a new loop.
        if running is not None:
            # The loop may have ended by itself.
            with contextlib.suppress(RuntimeError):
                running.loop.call_soon_threadsafe(running.stopped.set)
            running.thread.join()
        # These are the jobs that the loop had not begun.
        for job in list(pending):
            if job.cancel():  # pragma: no branch — it ended at this moment
                # Without it, a `wait` in another thread would not notice the cancellation.
                job.set_running_or_notify_cancel()

    def _start_if_needed(self) -> _RunningLoop:
        if self._running is None or not self._running.thread.is_alive():
            self._running = _start_loop()
        return self._running


def _check_function(function: object) -> None:
    if callable(function):
        return
    if inspect.iscoroutine(function):
        # Otherwise Python would warn that it was never awaited.
        function.close()
    expected = "an async function and its arguments, like call(host.verify_token, token)"
    raise TypeError(f"call() takes {expected}, not {qualified_name(function)}")


@dataclass(frozen=True)
class _RunningLoop:
    loop: asyncio.AbstractEventLoop
    jobs: asyncio.Queue[_Job]
    stopped: asyncio.Event
    thread: RunningThread
    thread_id: int


def _start_loop() -> _RunningLoop:
    """Start a thread with an event loop, and return them when the loop runs. If an exception interrupts this, the loop is stopped."""
    # Not in the new thread: a fork in the middle of an import there would block the child, as soon as that imports the same module.
    with importing:
        import asyncio

        import anyio.to_thread

    started: Future[_Started] = Future()

    async def serve() -> None:
        if not started.set_running_or_notify_cancel():
            return
        jobs, stopped = asyncio.Queue[_Job](), asyncio.Event()
        job_task = asyncio.ensure_future(_run_jobs(jobs))
        started.set_result((asyncio.get_running_loop(), jobs, stopped, threading.get_ident()))
        await stopped.wait()
        # anyio then cancels all other tasks.
        job_task.cancel()

    def run() -> None:
        try:
            anyio.run(serve)
        except BaseException as error:
            if started.done():
                raise
            # Otherwise the thread that starts the loop would wait for ever.
            started.set_exception(error)

    # An empty context, since free-threaded Pythons start a thread with a copy of the caller's: the loop outlives the call that
    # starts it, and must not keep that call's span or actor.
    try:
        thread = start_thread(partial(contextvars.Context().run, run), "heliograph-loop")
        loop, jobs, stopped, thread_id = result_of(started)
        return _RunningLoop(loop, jobs, stopped, thread, thread_id)
    except BaseException:
        # A signal handler raised, and nobody else would ever end this loop.
        if not started.cancel():
            started.add_done_callback(_stop_started)
        raise


def _stop_started(started: Future[_Started]) -> None:
    if started.exception() is None:
        loop, _, stopped, _ = started.result()
        loop.call_soon_threadsafe(stopped.set)


async def _run_jobs(jobs: asyncio.Queue[_Job]) -> None:
    while True:
        job = await jobs.get()
        await job.run()


class _Job:
    """A submitted function.

    Attributes:
        done: Is done when the function has ended, with or without an error; is cancelled when the loop was stopped first.
    """

    def __init__(self, function: Callable[[], Awaitable[object]], description: str, failures: LimitedLog) -> None:
        self.done: Future[None] = Future()
        self._function = function
        self._description = description
        self._failures = failures
        self._context = contextvars.copy_context()

    async def run(self) -> None:
        """Run the function to its end, and log its error. It raises only when the loop is stopped."""
        import asyncio

        # A task of its own, because a context belongs to a task. (`create_task` has a parameter for it from Python 3.11 on.)
        task = self._context.run(asyncio.ensure_future, _without_exit(self._function))
        try:
            # `wait` and not `await task`: a function that is cancelled by itself would end the task of all jobs.
            await asyncio.wait([task])
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is not None:
                kind = (self._description, type(error))
                self._failures.log(kind, "Failed: %s", self._description, error=error)
        except asyncio.CancelledError:  # `stop`
            task.cancel()
            self.done.cancel()
            raise
        finally:
            if self.done.set_running_or_notify_cancel():
                self.done.set_result(None)


async def _without_exit(function: Callable[[], Awaitable[T]]) -> T:
    """Return the function's result, and turn an exception that would end the loop, and all its tasks, into an error.

    Raises:
        RuntimeError: The function raised SystemExit or KeyboardInterrupt.
        Exception: The function's own error.
    """
    try:
        return await function()
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"an async function on the host's loop raised {type(error).__name__}") from error
