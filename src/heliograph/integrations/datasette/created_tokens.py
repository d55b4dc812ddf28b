"""Track the creation of a token once: by Datasette's own event, with the id of the token added, or by heliograph's.

Datasette's page creates a token and then tracks ``CreateTokenEvent``, which does not name the token. This event gets the token's id, and
heliograph tracks no second one. Any other code that creates a token tracks nothing, so heliograph tracks `TokenCreated`. Which of the
two happens is known only when the request ends. So `TokenCreated` is kept until then. Outside of a request, it is tracked at once.

The events are in a `ContextVar`, so a task that a request starts shares them with it.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, cast

from datasette.events import CreateTokenEvent

from heliograph.events import EventLike
from heliograph.integrations.asgi_types import App, Receive, Scope, Send
from heliograph.telemetry.actor_attributes import TOKEN_ID_KEY
from heliograph.tokens.events import TokenCreated


class CreatedTokens:
    """The events of the tokens that one request has created."""

    def __init__(self) -> None:
        self._events: list[TokenCreated] = []
        self._has_ended = False

    def keep(self, event: TokenCreated) -> bool:
        """Keep an event until the request ends. Return False if it has ended."""
        if not self._has_ended:
            self._events.append(event)
        return not self._has_ended

    def remove_newest(self) -> TokenCreated | None:
        """Remove and return the newest event, because another event is tracked instead; `None` if there is none."""
        return self._events.pop() if self._events else None

    def end(self) -> list[TokenCreated]:
        """End the request. Return the events that have to be tracked."""
        self._has_ended = True
        return self._events


of_request: Final[ContextVar[CreatedTokens | None]] = ContextVar("heliograph_created_tokens", default=None)
"""The events about tokens of the current request; `None` outside of requests."""


def with_created_tokens(app: App, track: Callable[[TokenCreated], Awaitable[None]]) -> App:
    """Return an ASGI application that tracks, at the end of each request, the events about tokens that it has created.

    Args:
        app: The application.
        track: Tracks an event, and raises nothing.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        created = CreatedTokens()
        token = of_request.set(created if scope["type"] == "http" else None)
        try:
            await app(scope, receive, send)
        finally:
            of_request.reset(token)
            for event in created.end():
                await track(event)

    return run


def with_token_id(event: EventLike) -> EventLike:
    """Return a copy of the core's event with the id of the token that it is about, as its credential. Return other events unchanged."""
    created = of_request.get() if isinstance(event, CreateTokenEvent) else None
    newest = None if created is None else created.remove_newest()
    if newest is None or newest.token_id is None:
        return event
    known = event.actor if isinstance(event.actor, Mapping) else {}
    identified: Any = copy.copy(event)
    # An event names its credential by these keys of its actor, as the actor of a signed token has them: the id, and the kind of the token.
    # `known` has neither, because Datasette's page does not let an actor with a token create another token.
    identified.actor = {"token": "dstok", TOKEN_ID_KEY: newest.token_id, **known}
    return cast("EventLike", identified)
