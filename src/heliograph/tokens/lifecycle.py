"""Make the events in the life of tokens, and let the host track them.

The functions that create, revoke or rotate a token return when the event is tracked, as for any other event. A verification does not wait:
its events are passed to the host, which tracks them later, off the path of the request. They keep the context of the verification, and
with it its trace.

An event of a verification is made without asking for the ambient actor: the function that a program gave to `acting_as` may itself be
verifying a token. The actor of a first use is the one that the token authenticates, and a rejection has none.

A client can cause rejections without end. All of them are counted in `heliograph.token.verifications`; events are made for a limited
number, for each reason apart, so that a flood of forged tokens does not hide the use of a revoked one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from heliograph.ambient_actor import Actor
from heliograph.tokens.events import (
    TokenCreated,
    TokenEvent,
    TokenFirstUsed,
    TokenRejected,
    TokenRevoked,
    TokenRotated,
    credential_of,
)
from heliograph.tokens.rate_limit import RateLimit
from heliograph.tokens.rejections import REJECTIONS


class EventTracker(Protocol):
    """The part of a host that tracks the events of tokens. Its methods log failures, and raise none."""

    async def track(self, event: TokenEvent) -> None:
        """Emit an event, and call the hooks `track_event`."""

    async def track_after_verification(self, event: TokenEvent) -> None:
        """Track an event of a verification. Call it only in `run_later`: nobody waits for it."""

    def run_later(self, function: Callable[[], Awaitable[object]], delay_seconds: float = 0) -> None:
        """Run an async function later, and return at once.

        Args:
            function: The function. Without a delay, it runs in a copy of the caller's context. With one, it has nothing to do with the
                caller, and does not run at all if the program ends before.
            delay_seconds: The shortest time until then.
        """


class TokenLifecycle:
    """Makes the events in the life of tokens. Any thread may use it.

    Args:
        tracker: Tracks the events.
        rejections_per_minute: The number of events for rejected tokens, for each reason.
        clock: Returns the time in seconds, from any start.

    Attributes:
        tracker: Tracks the events.
    """

    def __init__(
        self, tracker: EventTracker, *, rejections_per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.tracker = tracker
        self._limits = {reason: RateLimit(rejections_per_minute, clock) for reason in REJECTIONS}

    async def created(self, token_id: str | None, handler: str) -> None:
        """Track the creation of a token by the current actor."""
        await self.tracker.track(TokenCreated(token_id=token_id, handler=handler))

    async def revoked(self, token_id: str, handler: str) -> None:
        """Track the revocation of a token by the current actor."""
        await self.tracker.track(TokenRevoked(token_id=token_id, handler=handler))

    async def rotated(self, token_id: str, handler: str, *, grace: int) -> None:
        """Track the rotation of a token by the current actor."""
        await self.tracker.track(TokenRotated(token_id=token_id, handler=handler, grace=grace))

    async def first_used(self, actor: Actor, handler: str) -> None:
        """Track the first use of a secret by its actor. Call it only in `EventTracker.run_later`."""
        event = TokenFirstUsed(token_id=credential_of(actor), handler=handler, actor=actor)
        await self.tracker.track_after_verification(event)

    def rejected(self, reason: str, token_id: str | None, handler: str | None) -> None:
        """Track the rejection of a token later, or only count it if there are too many. It never waits.

        Args:
            reason: The result of the verification.
            token_id: The id of the token, if the handler knows it; never one that the text claims.
            handler: The name of the handler.
        """
        unreported = self._limits[reason].admit()
        if unreported is not None:
            event = TokenRejected(token_id=token_id, handler=handler, reason=reason, unreported=unreported, actor=None)
            self.tracker.run_later(partial(self.tracker.track_after_verification, event))
