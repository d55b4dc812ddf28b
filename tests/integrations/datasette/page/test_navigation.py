"""A person sees links to the pages that they may open, and one entry in the menu."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

from heliograph.integrations.datasette.page.navigation import menu_links, pages_for

pytestmark = pytest.mark.anyio

TELEMETRY = {"href": "/-/heliograph", "label": "Telemetry"}
TOKENS = {"href": "/-/heliograph/tokens", "label": "Tokens"}


@pytest.fixture
async def with_tokens(instances: Callable[..., Any], telemetry: object, tmp_path: Path) -> Datasette:
    """A Datasette that keeps tokens in a database. `viewer` may view the page of telemetry."""
    config = {
        "permissions": {"heliograph-view": {"id": "viewer"}},
        "plugins": {"heliograph": {"token_handlers": ["database"], "token_database": str(tmp_path / "tokens.db")}},
    }
    return await instances(config=config, secret="secret")


@pytest.mark.parametrize(
    ("actor", "pages"),
    [
        (None, []),
        ({"name": "nobody"}, []),
        ({"id": "other"}, [TOKENS]),
        ({"id": "viewer"}, [TELEMETRY, TOKENS]),
    ],
    ids=["nobody", "no_id", "other", "viewer"],
)
async def test_pages_are_those_that_an_actor_may_open(
    with_tokens: Datasette, actor: dict[str, str] | None, pages: list[dict[str, str]]
) -> None:
    """The menu has the first of these pages."""
    assert await pages_for(with_tokens, actor) == pages
    assert await menu_links(with_tokens, actor) == pages[:1]


async def test_page_of_tokens_needs_tokens_in_a_database(instances: Callable[..., Any], telemetry: object) -> None:
    """Signed tokens are not in any list."""
    instance = await instances(secret="secret")

    assert await pages_for(instance, {"id": "other"}) == []


async def test_links_have_the_prefix_of_the_site(instances: Callable[..., Any], telemetry: object) -> None:
    """Datasette may be below a path of a web server."""
    config = {"permissions": {"heliograph-view": True}}
    instance = await instances(config=config, settings={"base_url": "/below/"})

    [link] = await menu_links(instance, {"id": "other"})
    assert link["href"] == "/below/-/heliograph"
