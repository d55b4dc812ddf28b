"""The routes of the page, their permissions, and the form that requeues dead letters.

Like all permissions without a default, those of the page are denied unless they are granted. Datasette protects forms against other sites.

Threads: a view runs in Datasette's event loop, and reads or changes files in another thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from datasette.permissions import Action
from datasette.utils.asgi import Response
from jinja2 import BaseLoader, ChoiceLoader, PackageLoader

from heliograph.errors import OutboxError, OutboxFull
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.integrations.datasette.page.navigation import PATH, VIEW, pages_for
from heliograph.integrations.datasette.page.token_views import MANAGE_ALL_ACTION, PRIVATE, tokens_json, tokens_page
from heliograph.settings import Settings
from heliograph.values.text import counted

if TYPE_CHECKING:
    from datasette.app import Datasette
    from datasette.utils.asgi import Request

    from heliograph.integrations.datasette.page.report import Json

View: TypeAlias = "Callable[[Datasette, Request], Awaitable[Response]]"

REQUEUE: Final = "heliograph-requeue"

ACTIONS: Final = (
    Action(name=VIEW, description="View the state of telemetry, recent events, and the catalogue of events"),
    Action(name=REQUEUE, description="Send dead letters of the outbox again", also_requires=VIEW),
    MANAGE_ALL_ACTION,
)


def with_templates(loader: BaseLoader | None) -> BaseLoader:
    """Return a template loader that also finds the templates of the pages. Those of the given loader take precedence."""
    ours = PackageLoader("heliograph.integrations.datasette.page")
    return ours if loader is None else ChoiceLoader([loader, ours])


async def page(datasette: Datasette, request: Request) -> Response:
    """Return the page.

    Raises:
        Forbidden: The actor may not view it.
    """
    from heliograph.integrations.datasette.page.recent import charts  # here, as in `_report`

    found = await _report(datasette, request)
    recent = found["recent"]
    context = {
        "report": found,
        "charts": charts(recent) if recent and "problem" not in recent else {},
        "may_requeue": await datasette.allowed(action=REQUEUE, actor=request.actor),
        "path": datasette.urls.path(PATH),
        "query": request.query_string,
        "pages": await pages_for(datasette, request.actor),
    }
    html = await datasette.render_template("heliograph.html", context, request=request, view_name="heliograph")
    return Response.html(html, headers=PRIVATE)


async def page_json(datasette: Datasette, request: Request) -> Response:
    """Return the content of the page as JSON.

    Raises:
        Forbidden: The actor may not view it.
    """
    return Response.json(await _report(datasette, request), headers=PRIVATE)


async def _report(datasette: Datasette, request: Request) -> Json:
    # Imported here, because most processes never show the page, and not in the thread, because a fork in the middle of an import would
    # block the child.
    from heliograph.integrations.datasette.page.recent import EventFilter
    from heliograph.integrations.datasette.page.report import report

    await datasette.ensure_permission(action=VIEW, actor=request.actor)
    state = state_of(datasette)
    wanted = EventFilter(**{name: request.args.get(name, "") for name in ("event", "actor", "token")})
    schemas = [*state.schemas.values(), *state.schemas.own]
    return await asyncio.to_thread(report, state.settings, schemas, state.recent, wanted)


async def requeue_letters(datasette: Datasette, request: Request) -> Response:
    """Requeue the dead letter with the number in the form's field ``id``, or all if it has none, and redirect to the page.

    Raises:
        Forbidden: The actor may not do it.
    """
    if request.method != "POST":
        return Response.text("Use POST.", status=405, headers={"Allow": "POST"})
    await datasette.ensure_permission(action=REQUEUE, actor=request.actor)
    number = (await request.form()).get("id", "")
    try:
        count = await asyncio.to_thread(_requeue, state_of(datasette).settings, number)
    except OutboxFull as error:
        room = f"The outbox has no room for them within its maximum size of {error.max_bytes} bytes."
        datasette.add_message(request, f"{room} Nothing was changed.", datasette.ERROR)
    except (OutboxError, OSError) as error:
        datasette.add_message(request, f"The outbox cannot be changed ({type(error).__name__}).", datasette.ERROR)
    else:
        datasette.add_message(request, f"{counted(count, 'dead letter')} will be sent again.")
    return Response.redirect(datasette.urls.path(PATH))


def _requeue(settings: Settings, number: str) -> int:
    """Requeue the dead letter with this number, or all of them if it is empty. Return how many there were.

    Raises:
        OSError: The disk is full or fails.
        OutboxError: The outbox cannot be used.
    """
    from heliograph.delivery.outbox.requeue import requeue  # here, as in `_report`
    from heliograph.integrations.datasette.page.report import open_outbox

    outbox = open_outbox(settings)
    if outbox is None or (number and not _NUMBER.fullmatch(number)):
        return 0
    letters = list(outbox.dead_letters.find([int(number)] if number else []))
    requeue(outbox, letters)
    return len(letters)


# Each number of 18 digits is an integer of SQLite, which has 64 bits. Some of 19 digits are too large.
_NUMBER: Final = re.compile("[0-9]{1,18}")


ROUTES: Final[tuple[tuple[str, View], ...]] = (
    (r"^/-/heliograph$", page),
    (r"^/-/heliograph\.json$", page_json),
    (r"^/-/heliograph/requeue$", requeue_letters),
    (r"^/-/heliograph/tokens$", tokens_page),
    (r"^/-/heliograph/tokens\.json$", tokens_json),
)
