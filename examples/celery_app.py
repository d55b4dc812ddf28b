"""Tasks of Celery, and a web app that sends them: `celery --workdir examples --app celery_app worker` and
`uvicorn --app-dir examples celery_app:web`, both with the same `HELIOGRAPH_SECRET`.

The tasks wait in a directory, `FORUM_QUEUE`, so that no broker has to run.
"""

import os
from contextlib import asynccontextmanager
from pathlib import Path

import celery
import forum
from fastapi import Depends, FastAPI

from heliograph import configure
from heliograph.integrations.asgi import HeliographMiddleware
from heliograph.integrations.celery import init_app
from heliograph.integrations.fastapi import require_token

# Both programs need the same directory, and the worker runs in another one: its `--workdir`.
QUEUE = Path(os.environ.get("FORUM_QUEUE", Path(__file__).with_name("queue")))
QUEUE.mkdir(exist_ok=True)

host = configure(plugins=[forum])

app = celery.Celery("forum", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": str(QUEUE),
    "data_folder_out": str(QUEUE),
    "control_folder": str(QUEUE / "control"),
}
app.conf.task_ignore_result = True
init_app(app, host)


@app.task
def ban(username):
    """Ban a user, as whoever sent the task."""
    host.track(forum.BanUserEvent(user={"username": username}))


@app.task
def unban(username):
    host.track(forum.UnbanUserEvent(user={"username": username}))


@asynccontextmanager
async def lifespan(web):
    async with host:
        yield


web = FastAPI(lifespan=lifespan)
web.add_middleware(HeliographMiddleware, host=host)


@web.post("/users/{username}/ban", dependencies=[Depends(require_token())])
def ban_later(username: str):
    ban.delay(username)
    return {"will_be_banned": username}


@web.post("/users/{username}/suspend", dependencies=[Depends(require_token())])
def suspend_later(username: str):
    """Ban a user, and lift the ban after that."""
    celery.chain(ban.si(username), unban.si(username)).delay()
    return {"will_be_suspended": username}


@web.post("/users/{username}/unban")
def unban_later(username: str):
    """Anybody may ask for it."""
    unban.delay(username)
    return {"will_be_unbanned": username}
