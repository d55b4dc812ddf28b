"""The ambient actor in Datasette: the actor of the current request, and the attributes of that request.

Datasette determines the actor after all ASGI middleware has begun, and writes it into a copy of the scope that the
middleware has. So two hooks are needed: the middleware makes an `ActorOfRequest` ambient and puts it into the scope. The hook
`actor_from_request` is the first to get the copy of the scope, and passes the request to the `ActorOfRequest`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from heliograph.ambient_actor import Actor, RequestActor, acting_as
from heliograph.integrations.asgi_types import App, Receive, Scope, Send
from heliograph.integrations.request_attributes import of_scope
from heliograph.semconv import CLIENT_ADDRESS, HTTP_ROUTE, USER_AGENT_ORIGINAL

if TYPE_CHECKING:
    from datasette.utils.asgi import Request

FindRoute: TypeAlias = Callable[[str], "str | None"]

OF_CONNECTIONS: Final = frozenset({CLIENT_ADDRESS, USER_AGENT_ORIGINAL})
"""The attributes of the client at the other end of a connection."""
SCOPE_KEY: Final = "heliograph.request_actor"
"""The key of the `ActorOfRequest` in the ASGI scope."""


class ActorOfRequest(RequestActor):
    """Returns the actor of a request of Datasette, each time that an event without an actor is created.

    Args:
        scope: The scope of the request.
        find_route: Returns the route of a path of Datasette, or `None`.
        is_internal: True if the request is one of `datasette.client`: it has no connection.

    Attributes:
        request: The request; `None` until Datasette begins to determine its actor.
    """

    def __init__(self, scope: Scope, find_route: FindRoute, *, is_internal: bool) -> None:
        super().__init__()
        self._scope = scope
        self._find_route = find_route
        self._is_internal = is_internal
        self.request: Request | None = None

    def unknown(self) -> Actor | None:
        """Return the actor that Datasette determined, or `None` if there is none or it is not known yet."""
        actor: Actor | None = None if self.request is None else self.request.scope.get("actor")
        return actor

    def attribute(self, name: str) -> object:
        """Return an attribute of the request. A request of `datasette.client` has no address and no user agent."""
        if self._is_internal and name in OF_CONNECTIONS:
            return None
        if name != HTTP_ROUTE:
            return of_scope(self._scope, name)
        scope = {} if self.request is None else self.request.scope
        return self._find_route(_path_in_datasette(scope)) if "url_route" in scope else None


def _path_in_datasette(scope: Scope) -> str:
    """Return the path that Datasette looks for among its routes: encoded, and without the ``base_url``."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path: str = scope.get("route_path") or raw.decode("latin-1")
    return path.partition("?")[0]


def with_request_actor(
    app: App, find_route: FindRoute = lambda _: None, is_internal: Callable[[], bool] = lambda: False
) -> App:
    """Return an ASGI application that runs ``app`` with the actor of each HTTP request as the ambient one.

    Args:
        app: The application.
        find_route: Returns the route of a path of Datasette, or `None`.
        is_internal: Returns True in a request of `datasette.client`.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        actor = ActorOfRequest(scope, find_route, is_internal=is_internal())
        with acting_as(actor):
            await app({**scope, SCOPE_KEY: actor}, receive, send)

    return run


def keep_request(request: Request) -> None:
    """Hand a request to the `ActorOfRequest` in its scope."""
    actor = request.scope.get(SCOPE_KEY)
    if isinstance(actor, ActorOfRequest):
        actor.request = request
