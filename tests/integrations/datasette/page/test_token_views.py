"""The page of the tokens in a real Datasette: who sees, creates and ends which tokens, and what a token may not do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasette import hookimpl
from datasette.app import Datasette
from datasette.plugins import pm
from datasette.tokens import TokenHandler

from heliograph import tokens
from heliograph.integrations.datasette.page import token_views
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.stored.token_text import PATTERN

pytestmark = pytest.mark.anyio

PAGE = "/-/heliograph/tokens"


@pytest.fixture
async def ds(
    instances: Callable[..., Any], telemetry: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Datasette:
    """A Datasette that keeps tokens, in which `boss` manages those of everybody."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", str(tmp_path / "tokens.db"))
    return await instances(config={"permissions": {"heliograph-manage-all-tokens": {"id": "boss"}}})


class As:
    """Sends requests to the page as an actor: one who is signed in, or the holder of a token."""

    def __init__(self, ds: Datasette, actor_id: str | None = None, token: str | None = None) -> None:
        self.ds = ds
        self.cookies = {"ds_actor": ds.client.actor_cookie({"id": actor_id})} if actor_id else {}
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def get(self, path: str = PAGE) -> Any:
        return await self.ds.client.get(path, cookies=self.cookies, headers=self.headers)

    async def do(self, do: str, **fields: Any) -> Any:
        return await self.ds.client.post(PAGE, cookies=self.cookies, headers=self.headers, data={"do": do, **fields})

    async def ids(self) -> list[str]:
        return [each["id"] for each in (await self.get(f"{PAGE}.json")).json()["tokens"]]


def token_in(page: str) -> str:
    """Return the only token that is in a page."""
    [found] = set(PATTERN.findall(page))
    return found


async def verified(ds: Datasette, token: str) -> dict[str, Any] | None:
    response = await As(ds, token=token).get("/-/actor.json")
    return response.json()["actor"] if response.status_code == 200 else None


async def test_token_is_shown_once_and_works(ds: Datasette) -> None:
    alice = As(ds, "alice")
    created = await alice.do("create", label="<b>laptop</b>", number="2", unit="hours")

    assert created.status_code == 200
    assert created.headers["cache-control"] == "private, no-store"
    token = token_in(created.text)
    assert (await verified(ds, token) or {})["id"] == "alice"
    page = (await alice.get()).text
    assert PATTERN.search(page) is None
    assert "&lt;b&gt;laptop&lt;/b&gt;" in page
    [found] = await tokens.tokens(ds)
    assert found.expires == pytest.approx(found.created + 2 * 60 * 60)
    assert found.restrictions is None


async def test_token_may_be_restricted_when_it_is_created(ds: Datasette) -> None:
    created = await As(ds, "alice").do("create", allow=["view-instance", "view-table"])

    assert (await verified(ds, token_in(created.text)) or {})["_r"] == {"a": ["vi", "vt"]}


async def test_actor_manages_no_tokens_of_others(ds: Datasette) -> None:
    """Tokens of others do not exist for the actor: an id cannot be tried out."""
    theirs = await tokens.issue(ds, "bob")
    alice = As(ds, "alice")

    assert await alice.ids() == []
    for do, fields in (("revoke", {}), ("rotate", {}), ("restrict", {"allow": "view-instance"})):
        answers = [await alice.do(do, id=token_id, **fields) for token_id in (theirs.id, "000000000000")]
        assert [answer.status_code for answer in answers] == [400, 400]
        assert all("There is no such token." in answer.text for answer in answers)
    assert (await verified(ds, theirs.token) or {})["id"] == "bob"


async def test_manager_sees_revokes_and_restricts_all_tokens_and_gets_no_secret_of_others(ds: Datasette) -> None:
    first, second = await tokens.issue(ds, "alice"), await tokens.issue(ds, "bob")
    boss = As(ds, "boss")

    assert set(await boss.ids()) == {first.id, second.id}
    assert (await boss.do("rotate", id=first.id)).status_code == 403
    assert (await boss.do("restrict", id=first.id, allow="view-instance")).status_code == 200
    assert (await verified(ds, first.token) or {})["_r"] == {"a": ["vi"]}
    assert (await boss.do("revoke", id=second.id)).status_code == 200
    assert await verified(ds, second.token) is None
    revoked = await tokens.get(ds, second.id)
    assert revoked.revoked_by == "boss"
    assert "revoked by boss" in (await boss.get()).text


async def test_rotated_token_is_shown_once_and_the_old_one_ends(ds: Datasette) -> None:
    alice = As(ds, "alice")
    old = await tokens.issue(ds, "alice")
    new = token_in((await alice.do("rotate", id=old.id)).text)

    assert (await verified(ds, new) or {})["token_id"] == old.id
    assert await verified(ds, old.token) is None


async def test_old_token_may_live_on_after_a_rotation(ds: Datasette) -> None:
    old = await tokens.issue(ds, "alice")
    await As(ds, "alice").do("rotate", id=old.id, number="1", unit="days")

    assert (await verified(ds, old.token) or {})["id"] == "alice"


async def test_token_that_is_revoked_cannot_be_rotated(ds: Datasette) -> None:
    old = await tokens.issue(ds, "alice")
    await tokens.revoke(ds, old.id)

    response = await As(ds, "alice").do("rotate", id=old.id)
    assert (response.status_code, PATTERN.search(response.text)) == (400, None)


@pytest.mark.parametrize("restrictions", [None, TokenRestrictions().allow_all("view-instance")])
async def test_request_made_with_a_token_lists_and_revokes_and_does_nothing_else(
    ds: Datasette, restrictions: TokenRestrictions | None
) -> None:
    used, other = await tokens.issue(ds, "alice", restrictions=restrictions), await tokens.issue(ds, "alice")
    holder = As(ds, token=used.token)

    assert set(await holder.ids()) == {used.id, other.id}
    for do in ("create", "rotate", "restrict"):
        response = await holder.do(do, id=other.id, allow="view-instance")
        assert response.status_code == 403
    assert (await tokens.get(ds, other.id)).restrictions is None
    assert (await holder.do("revoke", id=other.id)).status_code == 200
    assert await verified(ds, other.token) is None
    assert "Create a token" not in (await holder.get()).text


async def test_token_that_a_plugin_verifies_is_a_token_too(ds: Datasette) -> None:
    """The actor of such a token looks like one who is signed in, and may not create tokens nevertheless."""

    class Handler(TokenHandler):
        name = "custom"

        async def create_token(self, *_: object, **__: object) -> str:
            return "custom"

        async def verify_token(self, _: object, token: str) -> dict[str, str] | None:
            return {"id": "alice"} if token == "custom" else None

    class Plugin:
        @hookimpl
        def register_token_handler(self) -> TokenHandler:
            return Handler()

    own = await tokens.issue(ds, "alice")
    added = Plugin()
    pm.register(added)
    try:
        holder = As(ds, token="custom")
        assert await holder.ids() == [own.id]
        assert (await holder.do("create")).status_code == 403
        assert (await holder.do("revoke", id=own.id)).status_code == 200
    finally:
        pm.unregister(added)


async def test_newest_tokens_are_listed(ds: Datasette, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says that there may be more."""
    monkeypatch.setattr(token_views, "MAX_TOKENS", 2)
    made = [(await tokens.issue(ds, "alice")).id for _ in range(3)]
    alice = As(ds, "alice")

    assert set(await alice.ids()) < set(made)
    assert "These are the newest 2" in (await alice.get()).text


async def test_restricted_token_of_a_manager_does_not_manage_all(ds: Datasette) -> None:
    issued = await tokens.issue(ds, "boss", restrictions=TokenRestrictions().allow_all("view-instance"))
    theirs = await tokens.issue(ds, "alice")

    assert theirs.id not in await As(ds, token=issued.token).ids()


async def test_what_a_token_allows_is_in_words(ds: Datasette) -> None:
    restrictions = TokenRestrictions().allow_all("view-instance").allow_database("data", "view-database")
    await tokens.issue(ds, "alice", restrictions=restrictions.allow_resource("data", "dogs", "unknown"))

    page = (await As(ds, "alice").get()).text
    assert "view-instance, view-database in data, unknown in data/dogs" in page


@pytest.mark.parametrize("path", [PAGE, f"{PAGE}.json"])
async def test_nobody_is_refused(ds: Datasette, path: str) -> None:
    assert (await As(ds).get(path)).status_code == 403


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"do": "create", "number": "-1"}, "whole number"),
        ({"do": "create", "number": "1", "unit": "years"}, "whole number"),
        ({"do": "create", "number": "9" * 30}, "whole number"),
        ({"do": "create", "number": "0"}, "whole number"),
        ({"do": "create", "allow": "view-instanze"}, "There is no action &#39;view-instanze&#39;."),
        ({"do": "create", "label": "x" * 201}, "A label has at most 200 characters."),
        ({"do": "explode"}, "names nothing to do"),
        ({}, "names nothing to do"),
        ({"do": "revoke"}, "There is no such token."),
    ],
)
async def test_mistake_is_explained_and_changes_nothing(ds: Datasette, fields: dict[str, str], message: str) -> None:
    alice = As(ds, "alice")
    response = await alice.do(**{"do": "", **fields})

    assert response.status_code == 400
    assert message in response.text
    assert await alice.ids() == []


async def test_restriction_needs_an_action_and_only_narrows(ds: Datasette) -> None:
    issued = await tokens.issue(ds, "alice", restrictions=TokenRestrictions().allow_all("view-instance"))
    alice = As(ds, "alice")

    assert "Choose the actions" in (await alice.do("restrict", id=issued.id)).text
    assert "only get narrower" in (await alice.do("restrict", id=issued.id, allow="view-table")).text
    assert (await tokens.get(ds, issued.id)).restrictions == {"a": ["vi"]}


async def test_forms_of_other_sites_are_refused(ds: Datasette) -> None:
    alice = As(ds, "alice")
    alice.headers = {"Origin": "https://example.com"}

    assert (await alice.do("create")).status_code == 403
    assert await alice.ids() == []


async def test_menu_has_an_entry_for_those_who_are_signed_in(ds: Datasette) -> None:
    pages = [(await each.get("/")).text for each in (As(ds), As(ds, "alice"))]

    assert [f'href="{PAGE}"' in page for page in pages] == [False, True]


async def test_menu_has_one_entry_and_the_pages_lead_to_each_other(
    instances: Callable[..., Any], telemetry: object, tmp_path: Path
) -> None:
    config = {
        "permissions": {"heliograph-view": True},
        "plugins": {"heliograph": {"token_handlers": "database", "token_database": str(tmp_path / "tokens.db")}},
    }
    ds = await instances(config=config)
    home, telemetry_page, tokens_page = [
        (await As(ds, "alice").get(path)).text for path in ("/", "/-/heliograph", PAGE)
    ]

    links = [re.findall(r'href="(/-/heliograph[^".]*)"', page) for page in (home, telemetry_page, tokens_page)]
    assert links == [["/-/heliograph"], ["/-/heliograph", PAGE], ["/-/heliograph", "/-/heliograph"]]
    assert PAGE not in (await As(ds).get("/-/heliograph")).text


async def test_datasette_that_keeps_no_tokens_has_no_page(instances: Callable[..., Any], telemetry: object) -> None:
    ds = await instances()
    alice = As(ds, "alice")

    assert (await alice.get()).status_code == 404
    assert not re.search(PAGE, (await alice.get("/")).text)
