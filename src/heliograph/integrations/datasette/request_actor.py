"""The ambient actor in Datasette: the actor of the current request.

Datasette determines the actor late, after all ASGI middleware has begun, and writes it into a copy of the scope that the
middleware saw. So it takes two hooks: the middleware makes an `ActorOfRequest` ambient and puts it into the scope, and
`actor_from_request`, where the copy of the scope first appears, hands the request to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from heliograph.ambient_actor import Actor, RequestActor, acting_as

if TYPE_CHECKING:
    from datasette.utils.asgi import Request

Scope: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[[Scope, Any, Any], Awaitable[None]]

SCOPE_KEY: Final = "heliograph.request_actor"
"""The key of the `ActorOfRequest` in the ASGI scope."""


class ActorOfRequest(RequestActor):
    """Returns the actor of a request of Datasette, each time that an event without an actor is created.

    Attributes:
        request: The request; `None` until Datasette begins to determine its actor.
    """

    def __init__(self) -> None:
        super().__init__()
        self.request: Request | None = None

    def unknown(self) -> Actor | None:
        """Return the actor that Datasette determined, or `None` if there is none or it is not known yet."""
        actor: Actor | None = None if self.request is None else self.request.scope.get("actor")
        return actor


def with_request_actor(app: App) -> App:
    """Return an ASGI application that runs ``app`` with the actor of each HTTP request as the ambient one."""

    async def run(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        actor = ActorOfRequest()
        with acting_as(actor):
            await app({**scope, SCOPE_KEY: actor}, receive, send)

    return run


def keep_request(request: Request) -> None:
    """Hand a request to the `ActorOfRequest` in its scope."""
    actor = request.scope.get(SCOPE_KEY)
    if isinstance(actor, ActorOfRequest):
        actor.request = request
