"""A FastAPI app: `HELIOGRAPH_SECRET=… uvicorn --app-dir examples fastapi_app:app`."""

from contextlib import asynccontextmanager

import forum
from fastapi import Depends, FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from heliograph import configure
from heliograph.integrations.asgi import HeliographMiddleware
from heliograph.integrations.fastapi import require_token

host = configure(plugins=[forum])


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with host:
        yield


app = FastAPI(lifespan=lifespan, dependencies=[Depends(require_token())])
app.add_middleware(HeliographMiddleware, host=host)
FastAPIInstrumentor.instrument_app(app)


@app.post("/users/{username}/ban", dependencies=[Depends(require_token("ban-user"))])
async def ban(username: str):
    await host.track_event(forum.BanUserEvent(user={"username": username}))
    return {"banned": username}


@app.post("/users/{username}/unban")
def unban(username: str):
    host.track(forum.UnbanUserEvent(user={"username": username}))
    return {"unbanned": username}
