"""A Litestar app, for uvicorn, with an endpoint of each kind. It is not among the examples, which are for the other frameworks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import forum
from litestar import Litestar, post
from litestar.background_tasks import BackgroundTask
from litestar.middleware import DefineMiddleware
from litestar.response import Response, Stream

from heliograph import configure
from heliograph.integrations.asgi import HeliographMiddleware

host = configure(plugins=[forum])


def ban(username: str) -> None:
    host.track(forum.BanUserEvent(user={"username": username}))


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    async with host:
        yield


@post("/async/{username:str}", status_code=200)
async def async_handler(username: str) -> None:
    await asyncio.sleep(0)
    ban(username)


@post("/sync/{username:str}", status_code=200, sync_to_thread=True)
def sync_handler(username: str) -> None:
    ban(username)


@post("/background/{username:str}", status_code=200)
async def with_background_task(username: str) -> Response[None]:
    return Response(None, background=BackgroundTask(ban, username))


@post("/stream/{username:str}", status_code=200)
async def stream(username: str) -> Stream:
    async def rows() -> AsyncIterator[str]:
        for number in range(2):
            await asyncio.sleep(0)
            ban(f"{username}-{number}")
            yield f"{number}\n"

    return Stream(rows())


app = Litestar(
    [async_handler, sync_handler, with_background_task, stream],
    lifespan=[lifespan],
    middleware=[DefineMiddleware(HeliographMiddleware, host=host, required=True)],
)
