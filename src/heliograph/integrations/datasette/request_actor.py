"""The ambient actor in Datasette: that of the request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from heliograph.events import Actor, acting_as

if TYPE_CHECKING:
    from datasette.utils.asgi import Request

Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[[Scope, Any, Any], Awaitable[None]]

SCOPE_KEY: Final = "heliograph.request_actor"


class RequestActor:
    """The actor of a request, which Datasette finds after every middleware has begun.

    Datasette puts the actor into a copy of the scope that the middleware saw, and the copy into the request object; so
    the request is kept here, as soon as there is one, and asked each time an event is made.
    """

    def __init__(self) -> None:
        self.request: Request | None = None

    def __call__(self) -> Actor | None:
        """The actor, or `None` while nobody knows."""
        actor: Actor | None = None if self.request is None else self.request.scope.get("actor")
        return actor


def with_request_actor(app: App) -> App:
    """An ASGI application that runs ``app`` with the request's actor as the ambient one."""

    async def run(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        actor = RequestActor()
        with acting_as(actor):
            await app({**scope, SCOPE_KEY: actor}, receive, send)

    return run


def remember(request: Request) -> None:
    """Keep the request for its `RequestActor`."""
    actor = request.scope.get(SCOPE_KEY)
    if isinstance(actor, RequestActor):
        actor.request = request
