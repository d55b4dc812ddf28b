"""An async function that runs once, although sync and async callers ask for it from several threads.

`Host` runs its startup hooks this way: before the first event or token, in whichever thread or event loop needs them first.

States
------
`RunOnce` is idle, running, or done. The first caller who finds it idle makes it running: it has *claimed* the function and
runs it, in its own event loop if it is async, else on the background loop. All others wait for the end of that run. If
the function succeeds, `RunOnce` is done for ever. If it fails, its error is raised to the caller who claimed it, `RunOnce` is
idle again, and one of those who waited claims the function anew.

Threads
-------
`ensure` and `ensure_async` may be called from any thread and any event loop, at the same time. `_lock` guards `_running`, a
future that is done when the current run ends, and makes "is it idle? then claim it" one step. Two fields are read without the
lock: `done`, which is read for every event, and only changes from False to True; and `_running_thread`, which each thread only
compares with its own id, and no other thread writes that id.

If the function itself, or a task or thread with a copy of its context, calls `ensure`, the call returns at once: the context
variable `_is_inside` is True there. Otherwise it would wait for itself.

A forked child starts idle, unless the parent was done: nobody runs there what another thread of the parent was running.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Final

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.loop import BackgroundLoop

_WOULD_WAIT_FOR_ITSELF: Final = (
    "the host is still starting in this thread's event loop; "
    "await host.invoke_startup(), or enter `with host:` or `async with host:`, before the first event"
)

_ENDED: Final[Future[None]] = Future()
_ENDED.set_result(None)


class RunOnce:
    """Runs an async function once. The module's documentation describes the states.

    Args:
        function: The async function.
        background: Runs the function for sync callers.

    Attributes:
        done: True once the function has succeeded.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], background: BackgroundLoop) -> None:
        self.done = False
        self._function = function
        self._background = background
        self._is_inside: ContextVar[bool] = ContextVar("heliograph_run_once", default=False)
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[None] | None = None
        self._running_thread: int | None = None

    def ensure(self) -> None:
        """Return once the function has succeeded; run it if nobody has.

        Raises:
            RuntimeError: The function runs, or would have to run, in an event loop of the calling thread, which
                cannot go on while this call waits.
            Exception: The function's own error, if it ran for this caller.
        """
        while not self.done and not self._is_inside.get():
            if self._background.is_own_thread():  # before the claim: nobody else could run what is claimed here
                raise RuntimeError(_WOULD_WAIT_FOR_ITSELF)
            run_of_another = self._claim()
            if run_of_another is None:
                self._background.call(self._run)
            elif self._running_thread == threading.get_ident():
                raise RuntimeError(_WOULD_WAIT_FOR_ITSELF)
            else:
                run_of_another.result()

    async def ensure_async(self) -> None:
        """Return once the function has succeeded; run it in this event loop if nobody has.

        Raises:
            Exception: The function's own error, if it ran for this caller.
        """
        while not self.done and not self._is_inside.get():
            run_of_another = self._claim()
            if run_of_another is None:
                await self._run()
            else:
                await asyncio.wrap_future(run_of_another)

    def _claim(self) -> Future[None] | None:
        """Return a future that is done when the current run ends, or `None` if the caller has to run the function now."""
        with self._lock:
            if self._running is not None:
                return self._running
            if self.done:  # since the caller looked
                return _ENDED
            self._running = Future()
            # A running future cannot be cancelled. Several callers wait for this one, and `wrap_future` would cancel it with
            # the first of them that is cancelled.
            self._running.set_running_or_notify_cancel()
            return None

    async def _run(self) -> None:
        self._running_thread = threading.get_ident()
        token = self._is_inside.set(True)
        try:
            await self._function()
            self.done = True
        finally:  # also when the caller is cancelled: those who wait must not wait for ever
            self._is_inside.reset(token)
            self._running_thread = None
            with self._lock:
                running, self._running = self._running, None
            if running is not None:  # `None` in a child that was forked by the function
                running.set_result(None)
