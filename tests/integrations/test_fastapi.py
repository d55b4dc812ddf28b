"""`require_token`: accepts and refuses requests, and is in the OpenAPI document."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response, WebSocket
from fastapi.exceptions import FastAPIError

from heliograph import Host, current_actor, set_actor
from heliograph.integrations.asgi import HeliographMiddleware
from heliograph.integrations.fastapi import require_token
from recorder import Telemetry
from tokens.scripted import Handlers, Scripted

pytestmark = pytest.mark.anyio


def app_with(*dependencies: Any, host: Host | None = None) -> FastAPI:
    """Return an app whose endpoint returns the ambient actor."""
    app = FastAPI(dependencies=[Depends(each) for each in dependencies])

    @app.get("/")
    async def endpoint() -> Any:
        return current_actor()

    @app.websocket("/")
    async def socket(websocket: WebSocket) -> None:
        """Accept nothing."""

    if host is not None:
        app.add_middleware(HeliographMiddleware, host=host)
    return app


async def get(app: FastAPI, path: str = "/", token: str | None = "x") -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        return await client.get(path, headers=headers)


def host_with(telemetry: Telemetry, outcome: object) -> Host:
    return telemetry.host(Handlers([Scripted(outcome)]))


@pytest.mark.parametrize("has_middleware", [False, True])
async def test_token_is_required(telemetry: Telemetry, has_middleware: bool) -> None:
    """The errors are those of RFC 6750. The token is verified once, whatever number of dependencies asks for it."""
    async with host_with(telemetry, {"id": "root", "_r": {"a": ["ir"]}}) as host:
        own, by_middleware = (None, host) if has_middleware else (host, None)
        app = app_with(require_token(host=own), require_token("insert-row", host=own), host=by_middleware)
        accepted = await get(app)
        assert (accepted.status_code, accepted.json()["id"]) == (200, "root")
        assert len(telemetry.spans) == 1
        missing = await get(app, token=None)
        app = app_with(require_token("insert-row", "drop-table", host=own), host=by_middleware)
        forbidden = await get(app)
    assert (missing.status_code, missing.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (forbidden.status_code, forbidden.headers["WWW-Authenticate"]) == (403, 'Bearer error="insufficient_scope"')
    assert forbidden.json() == {"detail": "The token does not allow this action"}


@pytest.mark.parametrize(("outcome", "status"), [(None, 401), (RuntimeError("s3cr3t"), 503)])
async def test_token_that_is_not_accepted(telemetry: Telemetry, outcome: object, status: int) -> None:
    """A handler that fails is no fault of the token."""
    async with host_with(telemetry, outcome) as host:
        response = await get(app_with(require_token(host=host)), token="s3cr3t")
    assert response.status_code == status
    assert response.headers.get("WWW-Authenticate") == ('Bearer error="invalid_token"' if status == 401 else None)
    assert "s3cr3t" not in response.text


async def test_host_of_the_dependency_comes_first(telemetry: Telemetry) -> None:
    """The endpoint has the actor of the dependency, although the middleware found another one."""
    async with host_with(telemetry, {"id": "a"}) as host, host_with(telemetry, {"id": "b"}) as other:
        response = await get(app_with(require_token(host=other), host=host))
    assert response.json() == {"id": "b"}


@pytest.mark.parametrize("has_middleware", [False, True])
async def test_dependency_after_it_may_name_another_actor(telemetry: Telemetry, has_middleware: bool) -> None:
    """A service may act for a user."""

    def acting_for() -> None:
        set_actor({"id": "ada"})

    async with host_with(telemetry, {"id": "service"}) as host:
        own, by_middleware = (None, host) if has_middleware else (host, None)
        response = await get(app_with(require_token(host=own), acting_for, host=by_middleware))
    assert response.json() == {"id": "ada"}


async def test_websocket_is_closed(telemetry: Telemetry) -> None:
    """FastAPI has no response for a websocket."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with host_with(telemetry, None) as host:
        scope = {"type": "websocket", "path": "/", "headers": [], "query_string": b"", "subprotocols": []}
        await app_with(require_token(host=host))(scope, None, send)  # type: ignore[arg-type]
    assert sent == [{"type": "websocket.close", "code": 1008, "reason": "A token is required"}]


async def test_security_scheme_is_in_the_openapi_document(telemetry: Telemetry) -> None:
    """All dependencies share one scheme, and add no parameter."""
    document = app_with(require_token(), require_token("insert-row")).openapi()
    assert document["components"]["securitySchemes"] == {
        "APIToken": {"type": "http", "scheme": "bearer", "description": "An API token."}
    }
    # Older versions of FastAPI name it once for each dependency.
    assert {str(each) for each in document["paths"]["/"]["get"]["security"]} == {"{'APIToken': []}"}
    assert "parameters" not in document["paths"]["/"]["get"]


async def test_mistakes_are_reported() -> None:
    """No mistake lets requests pass."""
    with pytest.raises(RuntimeError, match="add HeliographMiddleware to the app, or pass host="):
        await get(app_with(require_token()))
    with pytest.raises(TypeError, match="takes the names of actions, not dict"):
        require_token({"a": 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"the argument `host` must be a heliograph\.Host"):
        require_token(host=FastAPI())  # type: ignore[arg-type]
    with pytest.raises(FastAPIError):  # without the call
        app_with(require_token)


@pytest.mark.parametrize("is_wrapped", [False, True])
async def test_handler_of_unexpected_exceptions(telemetry: Telemetry, is_wrapped: bool) -> None:
    """The handler runs outside of every middleware, but inside of what is around the application."""
    actors: list[Any] = []

    async def handle(request: Request, error: Exception) -> Response:
        actors.append(current_actor())
        return Response(status_code=500)

    async def fail() -> None:
        raise RuntimeError("failed")

    async with host_with(telemetry, {"id": "root"}) as host:
        app = FastAPI(exception_handlers={Exception: handle})
        app.get("/")(fail)
        if not is_wrapped:
            app.add_middleware(HeliographMiddleware, host=host)
        with pytest.raises(RuntimeError):  # Starlette raises it after the response, for the server to log
            await get(HeliographMiddleware(app, host) if is_wrapped else app)  # type: ignore[arg-type]
    assert actors == [{"id": "root"} if is_wrapped else None]
