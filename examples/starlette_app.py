"""A Starlette app: `HELIOGRAPH_SECRET=… uvicorn --app-dir examples starlette_app:app`."""

from contextlib import asynccontextmanager

import forum
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from heliograph import configure
from heliograph.integrations.asgi import HeliographMiddleware

host = configure(plugins=[forum])


@asynccontextmanager
async def lifespan(app):
    async with host:
        yield


async def ban(request):
    username = request.path_params["username"]
    await host.track_event(forum.BanUserEvent(user={"username": username}))
    return JSONResponse({"banned": username})


def unban(request):
    username = request.path_params["username"]
    host.track(forum.UnbanUserEvent(user={"username": username}))
    return JSONResponse({"unbanned": username})


app = Starlette(
    routes=[
        Route("/users/{username}/ban", ban, methods=["POST"]),
        Route("/users/{username}/unban", unban, methods=["POST"]),
    ],
    middleware=[Middleware(HeliographMiddleware, host=host, required=True)],
    lifespan=lifespan,
)
