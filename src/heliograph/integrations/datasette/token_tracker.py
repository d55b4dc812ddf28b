"""Track the events of tokens in a Datasette: in its event loop, where its hooks expect to run."""

from __future__ import annotations

import asyncio
import contextvars
import weakref
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from heliograph.integrations.datasette.created_tokens import of_request
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import error_type
from heliograph.tokens.events import TokenCreated, TokenEvent

if TYPE_CHECKING:
    from datasette.app import Datasette

logger: Final = SafeLogger(SCOPE)


class DatasetteTracker:
    """Tracks the events of tokens in a Datasette. A hook that fails is logged, and the request goes on.

    If a hook fails, Datasette does not call the hooks after it. This plugin's own hook is the first.

    Threads: all methods are called in Datasette's event loop.

    Args:
        datasette: The `Datasette` object. It is held weakly, because its state has the tracker.
    """

    def __init__(self, datasette: Datasette) -> None:
        self._datasette = weakref.ref(datasette)
        # The loop itself holds its tasks weakly.
        self._tasks: set[asyncio.Future[None]] = set()
        self._failures = LimitedLog(logger)

    async def track(self, event: TokenEvent) -> None:
        """Track an event now, or the creation of a token when the request ends."""
        created = of_request.get()
        if isinstance(event, TokenCreated) and created is not None and created.keep(event):
            return
        await self.track_now(event)

    async def track_after_verification(self, event: TokenEvent) -> None:
        """Track an event now: Datasette tracks none about a verification."""
        await self.track_now(event)

    async def track_now(self, event: TokenEvent) -> None:
        """Track an event now, whether a request is running or not."""
        datasette = self._datasette()
        if datasette is not None:
            await self._logged(lambda: datasette.track_event(event))

    def run_later(self, function: Callable[[], Awaitable[object]], delay_seconds: float = 0) -> None:
        """Run an async function in a task of its own. `wait` waits for it if it has no delay."""
        if delay_seconds:
            empty = contextvars.Context()
            asyncio.get_running_loop().call_later(delay_seconds, self.run_later, function, context=empty)
            return
        task = asyncio.ensure_future(self._logged(function))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self, timeout_seconds: float) -> None:
        """Wait until the functions of `run_later` have ended, or until the timeout."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_seconds)

    async def _logged(self, function: Callable[[], Awaitable[object]]) -> None:
        try:
            await function()
        except Exception as error:
            self._failures.log(error_type(error), "An event about a token could not be tracked.", error=error)
