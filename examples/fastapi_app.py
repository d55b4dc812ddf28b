"""A FastAPI app: `HELIOGRAPH_SECRET=… uvicorn --app-dir examples fastapi_app:app`."""

from contextlib import asynccontextmanager
from typing import Annotated

import forum
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

from heliograph import TokenInvalid, acting_as, configure

host = configure(plugins=[forum])


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with host:
        yield


async def authenticate(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
    """Make the owner of the token the actor of the events that the request tracks."""
    try:
        actor = await host.verify_token(credentials.credentials)
    except TokenInvalid as rejected:
        raise HTTPException(401, rejected.message) from None
    if actor is None:
        raise HTTPException(401, "Unknown token")
    with acting_as(actor):
        yield


app = FastAPI(lifespan=lifespan, dependencies=[Depends(authenticate)])
FastAPIInstrumentor.instrument_app(app)


@app.post("/users/{username}/ban")
async def ban(username: str):
    await host.track_event(forum.BanUserEvent(user={"username": username}))
    return {"banned": username}


@app.post("/users/{username}/unban")
async def unban(username: str):
    await host.track_event(forum.UnbanUserEvent(user={"username": username}))
    return {"unbanned": username}
