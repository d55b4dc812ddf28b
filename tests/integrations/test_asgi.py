"""The middleware for ASGI, called as a server calls it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from heliograph import Host, Settings, TokenExpired, current_actor, set_actor
from heliograph.integrations.asgi import DENIAL_RESPONSE, ActorOfScope, HeliographMiddleware
from recorder import Telemetry
from tokens.scripted import Handlers, Scripted

pytestmark = pytest.mark.anyio

VALID = {"id": "root"}


class App:
    """An application that notes the ambient actor."""

    def __init__(self) -> None:
        self.actors: list[object] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.actors.append(current_actor())


async def call(app: Any, scope: dict[str, Any], *, authorization: bytes | None = b"Bearer x") -> list[Any]:
    """Call an application for one connection, and return what it sends."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [] if authorization is None else [(b"x-a", b"b"), (b"Authorization", authorization)]
    await app({"type": "http", "headers": headers, **scope}, receive, send)
    return sent


def host_with(telemetry: Telemetry, outcome: object) -> Host:
    return telemetry.host(Handlers([Scripted(outcome)]))


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("required", [False, True])
async def test_owner_of_the_token_is_the_actor(telemetry: Telemetry, kind: str, required: bool) -> None:
    """Requests and websockets have the actor of their token, and only while they run."""
    app = App()
    async with host_with(telemetry, VALID) as host:
        assert await call(HeliographMiddleware(app, host, required=required), {"type": kind}) == []
    assert app.actors == [VALID]
    assert current_actor() is None


async def test_lifespan_passes(telemetry: Telemetry) -> None:
    """The lifespan of an application has no headers and no actor."""
    app = App()
    async with host_with(telemetry, VALID) as host:
        await HeliographMiddleware(app, host, required=True)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert app.actors == [None]


@pytest.mark.parametrize("authorization", [None, b"Bearer of-another-program", b"Bearer \xff", b"Basic eDp5"])
async def test_requests_without_a_known_token_pass(telemetry: Telemetry, authorization: bytes | None) -> None:
    """A request without a token, with one of another program, or without headers has no actor."""
    app = App()
    async with host_with(telemetry, None) as host:
        middleware = HeliographMiddleware(app, host)
        assert await call(middleware, {}, authorization=authorization) == []
        await middleware({"type": "http"}, None, None)  # type: ignore[arg-type]
    assert app.actors == [None, None]


async def test_errors_are_responses(telemetry: Telemetry) -> None:
    """The application is not called, and the body is JSON."""
    app = App()
    async with host_with(telemetry, TokenExpired(1)) as host:
        start, body = await call(HeliographMiddleware(app, host), {})
        [missing, _] = await call(HeliographMiddleware(app, host, required=True), {}, authorization=None)
    assert app.actors == []
    assert (start["type"], start["status"], missing["status"]) == ("http.response.start", 401, 401)
    headers = dict(start["headers"])
    assert headers == {
        b"content-type": b"application/json",
        b"content-length": str(len(body["body"])).encode(),
        b"www-authenticate": b'Bearer error="invalid_token"',
    }
    assert json.loads(body["body"]) == {"detail": "Token has expired"}
    assert dict(missing["headers"])[b"www-authenticate"] == b"Bearer"


async def test_websockets_are_refused(telemetry: Telemetry) -> None:
    """A websocket gets a response where the server has that extension, and else is closed."""
    app = App()
    async with host_with(telemetry, None) as host:
        middleware = HeliographMiddleware(app, host, required=True)
        [closed] = await call(middleware, {"type": "websocket"})
        [also_closed] = await call(middleware, {"type": "websocket", "extensions": None}, authorization=None)
        denied = await call(middleware, {"type": "websocket", "extensions": {DENIAL_RESPONSE: {}}})
    assert app.actors == []
    assert closed == {"type": "websocket.close", "code": 1008, "reason": "Unknown token"}
    assert also_closed["reason"] == "A token is required"
    assert [message["type"] for message in denied] == [f"{DENIAL_RESPONSE}.start", f"{DENIAL_RESPONSE}.body"]
    assert denied[0]["status"] == 401


async def test_middleware_inside_of_middleware_verifies_once(telemetry: Telemetry) -> None:
    """An application that is mounted in another one keeps the actor of `set_actor`. Another host verifies on its own."""
    app = App()

    async def between(scope: Any, receive: Any, send: Any) -> None:
        set_actor({"id": "of the outer application"})
        await inner(scope, receive, send)

    async with host_with(telemetry, VALID) as host, host_with(Telemetry(), {"id": "of another host"}) as other:
        inner = HeliographMiddleware(app, host, required=True)
        await call(HeliographMiddleware(between, host), {})
        assert len(telemetry.spans) == 1
        inner = HeliographMiddleware(app, other)
        await call(HeliographMiddleware(between, host), {})
    assert app.actors == [{"id": "of the outer application"}, {"id": "of another host"}]


class User:
    """A user as Starlette's `AuthenticationMiddleware` puts it into the scope."""

    is_authenticated: object = True
    display_name = "Ada"
    identity = "42"


class UserWithoutIdentity(User):
    """A user whose class does not implement all of Starlette's interface."""

    @property
    def identity(self) -> str:  # type: ignore[override]
        raise NotImplementedError


class UserWithoutName(User):
    """A user of whom only the identity is implemented."""

    @property
    def display_name(self) -> str:  # type: ignore[override]
        raise NotImplementedError


class OfChannels:
    """A user of Django, which Channels puts into the scope."""

    is_authenticated = True


class Anonymous(User):
    """Nobody."""

    is_authenticated = False


class OfAnotherFramework:
    """A class whose attribute is a method, which is true."""

    def is_authenticated(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        (User(), {"id": "42", "name": "Ada"}),
        (UserWithoutIdentity(), {"id": "Ada", "name": "Ada"}),
        (UserWithoutName(), {"id": "42", "name": None}),
        (Anonymous(), None),
        (OfChannels(), None),
        (OfAnotherFramework(), None),
        ({"id": "root"}, None),
        (None, None),
    ],
)
async def test_user_of_starlette(telemetry: Telemetry, user: object, actor: object) -> None:
    """Middleware further in or further out puts the user into the scope. The owner of a token comes first."""
    app = App()

    async def authenticating(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = user
        await app(scope, receive, send)

    async with host_with(telemetry, VALID) as host:
        await call(HeliographMiddleware(authenticating, host), {}, authorization=None)
        await call(HeliographMiddleware(app, host), {"user": user}, authorization=None)
        await call(HeliographMiddleware(authenticating, host), {})
    assert app.actors == [actor, actor, VALID]


async def test_user_that_cannot_be_read_is_nobody(telemetry: Telemetry) -> None:
    """The request goes on, without an actor."""

    class Deleted(User):
        @property
        def display_name(self) -> str:  # type: ignore[override]
            raise LookupError

    app = App()
    async with host_with(telemetry, VALID) as host:
        await call(HeliographMiddleware(app, host), {"user": Deleted()}, authorization=None)
    assert app.actors == [None]


def test_attributes_of_a_request_come_from_its_scope() -> None:
    """Events that show their request have these attributes."""
    actor = ActorOfScope({"type": "http", "headers": [(b"user-agent", b"a browser")]})

    assert actor.attribute("user_agent.original") == "a browser"
    assert actor.attribute("http.route") is None


@pytest.mark.parametrize("wrong", [{"host": None}, {"host": Host}, {"required": "no"}, {"request_span": 1}])
def test_wrong_argument_is_an_error_at_the_start(wrong: dict[str, Any]) -> None:
    """Else each request would be an error."""
    [name] = wrong
    with pytest.raises(TypeError, match=f"the argument `{name}` must be "):
        HeliographMiddleware(None, **{"host": Host(Settings()), **wrong})  # type: ignore[arg-type]
