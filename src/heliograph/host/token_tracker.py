"""Track the events of tokens for a `Host`: at once, or on the host's background loop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.metrics import error_type
from heliograph.tokens.events import TokenEvent

Track: TypeAlias = Callable[[TokenEvent], Awaitable[None]]

logger: Final = SafeLogger(SCOPE)


class HostTracker:
    """Tracks the events of tokens for a host. No failure reaches the code that created or verified a token.

    Args:
        background: The host's loop, which runs functions later.
        track: Tracks an event in the caller's loop.
        track_in_threads: Tracks an event in worker threads, so that providers and hooks do not block the host's loop.
    """

    def __init__(self, background: BackgroundLoop, track: Track, track_in_threads: Track) -> None:
        self._background = background
        self._track = track
        self._track_in_threads = track_in_threads
        self._failures = LimitedLog(logger)

    async def track(self, event: TokenEvent) -> None:
        """Emit an event, and call the hooks `track_event`."""
        await self._logged(self._track, event)

    async def track_after_verification(self, event: TokenEvent) -> None:
        """Emit an event, and call the hooks `track_event` in a thread, so that one that blocks delays no other verification."""
        await self._logged(self._track_in_threads, event)

    def run_later(self, function: Callable[[], Awaitable[object]], delay_seconds: float = 0) -> None:
        """Run an async function on the host's own loop. `Host.flush` waits for it if it has no delay."""
        run = partial(self._background.submit, function, description="the work after the verification of a token")
        try:
            if delay_seconds:
                self._background.call_later(delay_seconds, run)
            else:
                run()
        except Exception as error:
            # No thread can be started: the interpreter ends, or the system has too many.
            self._log(error)

    async def _logged(self, track: Track, event: TokenEvent) -> None:
        try:
            await track(event)
        except Exception as error:
            # An OutboxFull, for example. The token was created nevertheless.
            self._log(error)

    def _log(self, error: BaseException) -> None:
        self._failures.log(error_type(error), "An event about a token could not be tracked.", error=error)
