"""The links to the pages: their addresses, the entry in Datasette's menu, and the links from one page to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from heliograph.integrations.datasette.instance_state import state_of

if TYPE_CHECKING:
    from datasette.app import Datasette

VIEW: Final = "heliograph-view"
"""The permission to view the page of telemetry."""
PATH: Final = "-/heliograph"
TOKENS_PATH: Final = "-/heliograph/tokens"


async def pages_for(datasette: Datasette, actor: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return a link to each page that an actor may open: the page of telemetry needs a permission, the page of tokens an actor's id."""
    links = []
    if await datasette.allowed(action=VIEW, actor=actor):
        links.append({"href": datasette.urls.path(PATH), "label": "Telemetry"})
    if actor and actor.get("id") is not None and state_of(datasette).database_tokens is not None:
        links.append({"href": datasette.urls.path(TOKENS_PATH), "label": "Tokens"})
    return links


async def menu_links(datasette: Datasette, actor: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return the entry of the menu: a link to the first page that an actor may open, which has a link to the other."""
    return (await pages_for(datasette, actor))[:1]
