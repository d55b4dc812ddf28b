"""Middleware for ASGI applications: Starlette, FastAPI, Litestar and others.

The middleware often runs before authentication, when the actor is not known yet. So `HeliographMiddleware` opens a block with an
`ActorOfScope` around the request, which finds the actor when an event needs it: the owner of the request's token, or the actor that a
dependency or a view has set by `set_actor`, in whatever thread or task it runs, or else the user that Starlette's
``AuthenticationMiddleware`` found. The block lasts until the application returns, which is after streams and background tasks.

The middleware starts no span and reads no ``traceparent``, except with ``request_span=True``
(`heliograph.integrations.request_span`).
"""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from functools import partial
from typing import Any, Final

from heliograph.ambient_actor import Actor, RequestActor, acting_as, set_actor
from heliograph.arguments import A_FLAG, A_HOST, check_argument
from heliograph.host import Host
from heliograph.integrations.asgi_types import App, Receive, Scope, Send
from heliograph.integrations.bearer import Refused, RequestToken, verify
from heliograph.integrations.request_attributes import header, of_scope, only_header
from heliograph.integrations.request_span import RequestSpan, start_request_span

TOKEN_KEY: Final = "heliograph.request_token"  # noqa: S105 — the key of the `RequestToken` in the scope
DENIAL_RESPONSE: Final = "websocket.http.response"
"""The extension of ASGI by which a handshake of a websocket gets an HTTP response."""
POLICY_VIOLATION: Final = 1008
"""The code by which a refused websocket is closed. Since it was not accepted before, the server responds with status 403."""


class ActorOfScope(RequestActor):
    """The actor of a request: the actor that `set_actor` set, or else the user in the scope.

    Args:
        scope: The scope. Middleware that runs later may put the user into it.
    """

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope = scope

    def unknown(self) -> Actor | None:
        """Return the user of Starlette's ``AuthenticationMiddleware``, or `None` if nobody is authenticated."""
        user = self._scope.get("user")
        # `is True`: the user of another framework may have a method of this name.
        if getattr(user, "is_authenticated", None) is not True:
            return None
        name, identity = _property(user, "display_name"), _property(user, "identity")
        actor_id = name if identity is None else identity
        # The users of another framework, such as Django Channels, have neither.
        return None if actor_id is None else {"id": actor_id, "name": name}

    def attribute(self, name: str) -> object:
        """Return an attribute of the request, from its scope."""
        return of_scope(self._scope, name)


def _property(user: object, name: str) -> object:
    try:
        return getattr(user, name, None)
    except NotImplementedError:
        # Starlette's BaseUser raises it for a property that a subclass does not define.
        return None


class HeliographMiddleware:
    """Verifies the bearer token of each request, and gives the events of the request their actor.

    A request whose token is rejected gets a response with status 401. If a token cannot be verified, because a handler fails, the status is 503.
    Requests without a token, or with a token that no handler recognizes, reach the application without an actor, unless a token is required.
    The handshake of a websocket is treated as a request.

    Args:
        app: The ASGI application.
        host: The host, which the program enters and shuts down, such as in its lifespan.
        required: If True, a request without a token that a handler accepts gets 401.
        request_span: If True, a request without a recording span gets a SERVER span, which ends when the application returns. Websockets
            get none.

    Raises:
        TypeError: An argument has a wrong type.
    """

    def __init__(self, app: App, host: Host, *, required: bool = False, request_span: bool = False) -> None:
        check_argument("host", host, Host, A_HOST)
        check_argument("required", required, bool, A_FLAG)
        check_argument("request_span", request_span, bool, A_FLAG)
        self._app = app
        self._host = host
        self._required = required
        self._request_span = request_span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if known_token(scope, self._host) is not None:
            # This middleware is in the application twice. A new block would hide an actor that was set in the open one.
            await self._run(scope, receive, send)
            return
        with acting_as(ActorOfScope(scope)):
            span = self._start_span(scope)
            if span is None:
                await self._run(scope, receive, send)
            else:
                await self._run_in(span, scope, receive, send)

    def _start_span(self, scope: Scope) -> RequestSpan | None:
        if not self._request_span or scope["type"] != "http":
            return None
        return start_request_span(self._host.tracer, partial(of_scope, scope), only_header(scope, b"traceparent"))

    async def _run_in(self, span: RequestSpan, scope: Scope, receive: Receive, send: Send) -> None:
        connection = _ObservedConnection(span, receive, send)
        try:
            with span.current():
                await self._run(scope, connection.receive, connection.send)
        except BaseException as error:
            span.end(error)
            raise
        span.end()

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            token = await token_of(scope, self._host)
            if self._required:
                token.require()
        except Refused as refused:
            await _respond(refused, scope, send)
            return
        await self._app(scope, receive, send)


class _ObservedConnection:
    """Records the status of the response in a span, and if the client disconnects before the response is complete."""

    def __init__(self, span: RequestSpan, receive: Receive, send: Send) -> None:
        self._span = span
        self._receive = receive
        self._send = send
        self._is_complete = False

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        # Servers send this message after each complete response, too.
        if message["type"] == "http.disconnect" and not self._is_complete:
            self._span.is_disconnected = True
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        # After a disconnection, a framework may respond to its own exception about it, with a status that the client does not get.
        if message["type"] == "http.response.start" and not self._span.is_disconnected:
            self._span.respond(message["status"])
        try:
            await self._send(message)
        except OSError:
            # By the specification of ASGI, the client has disconnected.
            self._span.is_disconnected = True
            raise
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._is_complete = True


async def token_of(scope: Scope, host: Host) -> RequestToken:
    """Return the token of a request. It is verified once, and kept in the scope. The owner of the token becomes the actor.

    Call it in a block with an `ActorOfScope`: its actor is set, and a verification may track events, too.

    Raises:
        Refused: A handler rejects the token, or it cannot be verified.
    """
    known = known_token(scope, host)
    if known is not None:
        return known
    # The first header counts, because frameworks show that one to the application.
    token = await verify(host, header(scope, b"authorization"))
    # The scope is changed, not copied: outer middleware reads the values that the application puts into it, such as the route.
    scope[TOKEN_KEY] = token
    if token.actor is not None:
        set_actor(token.actor)
    return token


def known_token(scope: Scope, host: Host) -> RequestToken | None:
    """Return the token of a request if this host has verified it before. If so, a block with an `ActorOfScope` is open."""
    token = scope.get(TOKEN_KEY)
    return token if isinstance(token, RequestToken) and token.host is host else None


async def _respond(refused: Refused, scope: Scope, send: Send) -> None:
    if scope["type"] == "http":
        await _send_response(refused, send, "http.response")
    elif DENIAL_RESPONSE in (scope.get("extensions") or {}):
        await _send_response(refused, send, DENIAL_RESPONSE)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": refused.detail})


async def _send_response(refused: Refused, send: Send, kind: str) -> None:
    body = json.dumps({"detail": refused.detail}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refused.headers}
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": refused.status, "headers": raw})
    await send({"type": f"{kind}.body", "body": body})
