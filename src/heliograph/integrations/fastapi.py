"""`require_token`: a security dependency of FastAPI."""

# Annotations are not postponed: FastAPI cannot resolve them in the method of an object.

from collections.abc import AsyncIterator
from types import NoneType

from fastapi import HTTPException, WebSocketException
from fastapi.openapi.models import HTTPBearer
from fastapi.requests import HTTPConnection
from fastapi.security.base import SecurityBase

from heliograph.ambient_actor import Actor, acting_as
from heliograph.arguments import A_HOST, check_argument
from heliograph.host import Host
from heliograph.integrations.asgi import POLICY_VIOLATION, TOKEN_KEY, ActorOfScope, known_token, token_of
from heliograph.integrations.bearer import Refused, RequestToken


class RequiredToken(SecurityBase):
    """The dependency that `require_token` returns."""

    def __init__(self, actions: tuple[str, ...], host: Host | None) -> None:
        self.model = HTTPBearer(description="An API token.")
        self.scheme_name = "APIToken"
        self._actions = actions
        self._host = host

    async def __call__(self, connection: HTTPConnection) -> AsyncIterator[Actor]:
        """Yield the actor of the token, which is the actor of the events of the request."""
        host = self._host_of(connection)
        if known_token(connection.scope, host) is not None:
            # The middleware, or an earlier dependency, has verified it.
            yield await self._actor(connection, host)
            return
        with acting_as(ActorOfScope(connection.scope)):
            yield await self._actor(connection, host)

    async def _actor(self, connection: HTTPConnection, host: Host) -> Actor:
        try:
            token = await token_of(connection.scope, host)
            return token.require(*self._actions)
        except Refused as refused:
            raise _error(refused, connection) from None

    def _host_of(self, connection: HTTPConnection) -> Host:
        token = connection.scope.get(TOKEN_KEY)
        if self._host is not None:
            return self._host
        if isinstance(token, RequestToken):
            return token.host
        raise RuntimeError("require_token() has no host: add HeliographMiddleware to the app, or pass host=")


def require_token(*actions: str, host: Host | None = None) -> RequiredToken:
    """Return a dependency that accepts a request only with a token, and has the token's actor as its value.

    ``dependencies=[Depends(require_token())]``, or ``actor: Annotated[dict, Depends(require_token("insert-row"))]``. It is a security
    scheme in the OpenAPI document. The owner of the token is the actor of the events of the request.

    Args:
        actions: The actions that the token has to allow. A restriction to a database or a table does not allow them.
        host: The host; `None` is the one of `HeliographMiddleware`.

    Raises:
        TypeError: An action is not text, or the host is something else.
    """
    check_argument("host", host, (Host, NoneType), A_HOST)
    for action in actions:
        if not isinstance(action, str):
            raise TypeError(f"require_token() takes the names of actions, not {type(action).__name__}")
    return RequiredToken(actions, host)


def _error(refused: Refused, connection: HTTPConnection) -> Exception:
    if connection.scope["type"] == "websocket":
        return WebSocketException(POLICY_VIOLATION, refused.detail)
    return HTTPException(refused.status, refused.detail, headers=refused.headers)
