"""FastAPI apps, for uvicorn, that make an event in every place that code of a request runs in.

Each event has the id of the actor that it should have as its property `expected`: an empty text for nobody.
"""

# Annotations are not postponed: FastAPI cannot resolve those of functions inside of functions.

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Header, WebSocket
from fastapi.responses import StreamingResponse
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware

from heliograph import Event, configure, set_actor
from heliograph.integrations.asgi import HeliographMiddleware
from heliograph.integrations.fastapi import require_token


@dataclass
class Made(Event):
    """An event was made."""

    name = "made"
    where: str
    expected: str


host = configure(events=[Made])


def make(where: str, expected: str) -> None:
    host.track(Made(where=where, expected=expected))


class Deleted(BaseUser):
    """A user whose row in the database is gone."""

    @property
    def is_authenticated(self) -> bool:
        raise LookupError("no such user")


class Sessions(AuthenticationBackend):
    """Finds the user in the header `x-session`."""

    async def authenticate(self, conn):
        session = conn.headers.get("x-session")
        if session is None:
            return None
        if session == "broken":
            raise RuntimeError("the session store is down")
        await asyncio.sleep(0)
        return AuthCredentials(), Deleted() if session == "deleted" else SimpleUser(session)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with host:
        yield


async def unchanged(request, call_next):
    """Middleware of the kind that runs the rest of the application in a task of its own."""
    return await call_next(request)


User = Annotated[str, Header(alias="x-user")]


async def async_dependency(user: User) -> str:
    await asyncio.sleep(0)
    set_actor({"id": user})
    return user


def sync_dependency(user: User) -> str:
    set_actor({"id": user})
    return user


def yielding_dependency(user: User) -> Iterator[str]:
    set_actor({"id": user})
    yield user
    make("end of the dependency", user)


async def async_yielding_dependency(user: User) -> AsyncIterator[str]:
    set_actor({"id": user})
    yield user
    make("end of the dependency", user)


async def async_task(where: str, user: str) -> None:
    await asyncio.sleep(0)
    make(where, user)


async def async_rows(where: str, user: str) -> AsyncIterator[str]:
    for number in range(3):
        await asyncio.sleep(0)
        make(where, user)
        yield f"{number}\n"


def sync_rows(where: str, user: str) -> Iterator[str]:
    for number in range(3):
        make(where, user)
        yield f"{number}\n"


def add_routes(app: FastAPI, prefix: str, dependency) -> None:
    """Add a route for each kind of endpoint, with a dependency that says which actor is expected."""
    Expected = Annotated[str, Depends(dependency)]  # noqa: N806 — it is a type

    @app.get(f"{prefix}/async")
    async def async_endpoint(user: Expected) -> None:
        await asyncio.sleep(0)
        make(f"{prefix}/async", user)

    @app.get(f"{prefix}/sync")
    def sync_endpoint(user: Expected) -> None:
        make(f"{prefix}/sync", user)

    @app.get(f"{prefix}/background")
    async def with_background_tasks(user: Expected, tasks: BackgroundTasks) -> None:
        tasks.add_task(async_task, f"{prefix}/background", user)
        tasks.add_task(make, f"{prefix}/background", user)

    @app.get(f"{prefix}/stream")
    async def stream(user: Expected) -> StreamingResponse:
        return StreamingResponse(async_rows(f"{prefix}/stream", user))

    @app.get(f"{prefix}/sync-stream")
    def sync_stream(user: Expected) -> StreamingResponse:
        return StreamingResponse(sync_rows(f"{prefix}/sync-stream", user))

    @app.websocket(f"{prefix}/socket")
    async def socket(websocket: WebSocket, user: Expected) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            make(f"{prefix}/socket", user)
            await websocket.send_text(message)


async def expected_user(user: Annotated[str, Header(alias="x-user")] = "") -> str:
    return user


async def token_owner(actor: Annotated[dict, Depends(require_token())]) -> str:
    return actor["id"]


async def token_owner_by_itself(actor: Annotated[dict, Depends(require_token(host=host))]) -> str:
    return actor["id"]


app = FastAPI(lifespan=lifespan)
app.add_middleware(AuthenticationMiddleware, backend=Sessions())
app.add_middleware(BaseHTTPMiddleware, dispatch=unchanged)
app.add_middleware(HeliographMiddleware, host=host)
add_routes(app, "/async-dependency", async_dependency)
add_routes(app, "/sync-dependency", sync_dependency)
add_routes(app, "/yielding-dependency", yielding_dependency)
add_routes(app, "/async-yielding-dependency", async_yielding_dependency)
add_routes(app, "/authenticated", expected_user)
add_routes(app, "/token", token_owner)

app_without_middleware = FastAPI(lifespan=lifespan)
add_routes(app_without_middleware, "/token", token_owner_by_itself)
