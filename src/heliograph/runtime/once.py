"""Doing something once, whoever asks first: sync or async, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextvars import ContextVar

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.loop import BackgroundLoop


class RunOnce:
    """Runs an async function once: in the loop of an async caller, or, for a sync one, in the background's.

    What fails is raised to the caller, and tried again by the next one.

    Args:
        function: What is to be done; what it calls may ask for the startup again, and goes on at once.
        background: Runs it for sync callers.

    Attributes:
        done: Whether it was done.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], background: BackgroundLoop) -> None:
        self.done = False
        self._function = function
        self._background = background
        self._inside: ContextVar[bool] = ContextVar("heliograph_startup", default=False)
        self._restart()
        after_fork_in_child(self._restart)

    def _restart(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[None] | None = None
        self._thread: int | None = None

    def ensure(self) -> None:
        """Return when it is done.

        Raises:
            RuntimeError: It is being awaited in a loop of this very thread, which cannot wait for itself.
        """
        while not self.done and not self._inside.get():
            others = self._claim()
            if others is None:
                self._background.call(self._run)
            elif self._thread == threading.get_ident():
                raise RuntimeError(
                    "the host is still starting in this thread's event loop; "
                    "await host.invoke_startup(), or enter `async with host:`, before the first event"
                )
            else:
                others.result()

    async def ensure_async(self) -> None:
        """Return when it is done."""
        while not self.done and not self._inside.get():
            others = self._claim()
            if others is None:
                await self._run()
            else:
                await asyncio.shield(asyncio.wrap_future(others))  # who gives up does not cancel it for the others

    def _claim(self) -> Future[None] | None:
        """What to wait for; `None` for the one who is to do it."""
        with self._lock:
            if self._running is not None:
                return self._running
            self._running = Future()
            self._running.set_running_or_notify_cancel()  # so that one of those who wait, cancelled, leaves it alone
            return None

    async def _run(self) -> None:
        self._thread = threading.get_ident()
        token = self._inside.set(True)
        try:
            await self._function()
            self.done = True
        finally:
            self._inside.reset(token)
            self._thread = None
            with self._lock:
                running, self._running = self._running, None
            if running is not None:
                running.set_result(None)
