"""Do work once, although sync and async callers ask for it from several threads.

`Host` runs its startup hooks this way: before the first event or token, in whichever thread or event loop needs them first.

The work is an iterator. Each `next` does some of it at once, and may return an awaitable that has to end before the work goes on.
Only for those is an event loop needed: work without any is done in the thread of its caller.

States
------
`RunOnce` is idle, running, or done. The first caller who finds it idle makes it running: it has *claimed* the work and
does it. It awaits in its own event loop if it is async, else on the background loop. All others wait for the end of that run. If
the work succeeds, `RunOnce` is done for ever. If it fails, its error is raised to the caller who claimed it, `RunOnce` is
idle again, and one of those who waited claims the work again.

Threads
-------
`ensure` and `ensure_async` may be called from any thread and any event loop, at the same time, and by a signal handler in the middle
of either. `_lock` guards `_running`, a future that is done when the current run ends, and makes "is it idle? then claim it" one
step. Two fields are read without the lock: `done`, which is read for every event, and only changes from False to True; and
`_running_thread`, which each thread only compares with its own id, and no other thread writes that id.

If the work itself, or a task or thread with a copy of its context, calls `ensure`, the call returns at once: the context
variable `_is_inside` is True there. Otherwise it would wait for itself.

A forked child starts idle, unless the parent was done: nobody runs there what another thread of the parent was running.
"""

from __future__ import annotations

import contextvars
import itertools
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Final

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.greenlets import result_of
from heliograph.runtime.loop import BackgroundLoop

_WOULD_WAIT_FOR_ITSELF: Final = (
    "the host is still starting in this thread's event loop; "
    "await host.invoke_startup(), or enter `with host:` or `async with host:`, before the first event"
)

_ENDED: Final[Future[None]] = Future()
_ENDED.set_result(None)


class RunOnce:
    """Does work once. The module's documentation describes it, and the states.

    Args:
        work: Returns the iterator that does the work.
        background: Awaits for sync callers.

    Attributes:
        done: True once the work has succeeded.
    """

    def __init__(self, work: Callable[[], Iterator[Awaitable[object]]], background: BackgroundLoop) -> None:
        self.done = False
        self._work = work
        self._background = background
        self._is_inside: ContextVar[bool] = ContextVar("heliograph_run_once", default=False)
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._running: Future[None] | None = None
        self._running_thread: int | None = None

    def ensure(self) -> None:
        """Return once the work has succeeded; do it if nobody has.

        Raises:
            RuntimeError: The work is awaited, or would have to be awaited, in an event loop of the calling thread, which
                cannot go on while this call waits.
            Exception: The work's own error, if it was done for this caller.
        """
        while not self.done and not self._is_inside.get():
            # This comes before the claim, because nobody else could await what is claimed here.
            if self._background.is_own_thread():
                raise RuntimeError(_WOULD_WAIT_FOR_ITSELF)
            claim = _Claim()
            try:
                run_of_another = self._claim(claim)
                if run_of_another is None:
                    rest = self._begin()
                    if rest is not None:
                        self._background.call(self._take_over, claim, rest)
                elif self._running_thread == threading.get_ident():
                    raise RuntimeError(_WOULD_WAIT_FOR_ITSELF)
                else:
                    result_of(run_of_another)
            finally:
                self._release(claim)

    async def ensure_async(self) -> None:
        """Return once the work has succeeded; do it, and await in this event loop, if nobody has.

        Raises:
            Exception: The work's own error, if it was done for this caller.
        """
        while not self.done and not self._is_inside.get():
            claim = _Claim()
            try:
                run_of_another = self._claim(claim)
                if run_of_another is None:
                    rest = self._begin()
                    if rest is not None:
                        await self._finish(rest)
                else:
                    from asyncio import wrap_future  # see `heliograph.runtime.loop`

                    await wrap_future(run_of_another)
            finally:
                # This is done even if the caller is cancelled or interrupted: those who wait must not wait for ever.
                self._release(claim)

    def _claim(self, claim: _Claim) -> Future[None] | None:
        """Return a future that is done when the current run ends, or `None` if the caller has to do the work now."""
        with self._lock:
            if self._running is not None:
                return self._running
            if self.done:  # since the caller looked
                return _ENDED
            # A running future cannot be cancelled. Several callers wait for this one, and `wrap_future` would cancel it with
            # the first of them that is cancelled.
            claim.set_running_or_notify_cancel()
            self._running = claim
            return None

    def _release(self, claim: _Claim) -> None:
        """End the run of a claim, unless the background loop has taken it over."""
        with self._lock:
            # A child that the work itself forked has no claim.
            if self._running is not claim or claim.is_taken_over:
                return
            self._running = self._running_thread = None
        claim.set_result(None)

    def _begin(self) -> Iterator[Awaitable[object]] | None:
        """Do the work up to its first awaitable. Return that and all that follow, or `None` if there is none."""
        self._running_thread = threading.get_ident()
        steps = self._work()
        # In a copy of the context: after an interrupt here, `_is_inside` must not stay True in the context of the caller.
        first = contextvars.copy_context().run(self._next, steps)
        if first is None:
            self.done = True
            return None
        return itertools.chain([first], steps)

    def _next(self, steps: Iterator[Awaitable[object]]) -> Awaitable[object] | None:
        self._is_inside.set(True)
        return next(steps, None)

    async def _take_over(self, claim: _Claim, rest: Iterator[Awaitable[object]]) -> None:
        with self._lock:
            if self._running is not claim:
                # The caller of that work was interrupted, and has released it.
                return
            claim.is_taken_over = True
        try:
            await self._finish(rest)
        finally:
            claim.is_taken_over = False
            self._release(claim)

    async def _finish(self, rest: Iterator[Awaitable[object]]) -> None:
        self._running_thread = threading.get_ident()
        token = self._is_inside.set(True)
        try:
            for step in rest:
                await step
            self.done = True
        finally:
            self._is_inside.reset(token)


class _Claim(Future[None]):
    """The run of one caller.

    Attributes:
        is_taken_over: True while the background loop does it, and not its caller, who may be interrupted while it waits.
    """

    is_taken_over = False
