"""Tokens in a database, in a real Datasette."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from datasette import hookimpl
from datasette.app import Datasette
from datasette.tokens import TokenHandler, TokenRestrictions
from datasette.utils import StartupError

from heliograph import tokens
from heliograph.integrations.datasette import plugin
from heliograph.integrations.datasette.instance_state import state_of
from threads import LIMIT_SECONDS

pytestmark = pytest.mark.anyio


async def actor(datasette: Datasette, token: str) -> tuple[int, object]:
    """Return the status of a request with a token, and the actor or the error."""
    response = await datasette.client.get("/-/actor.json", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json().get("actor", response.json().get("error"))


@pytest.fixture(params=["internal", "a file of its own", "memory"])
async def instance(request, instances, monkeypatch, tmp_path):
    """A Datasette whose tokens are in one of the possible places."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")
    arguments = {}
    if request.param == "internal":
        arguments["internal"] = str(tmp_path / "internal.db")
    else:
        own = ":memory:" if request.param == "memory" else str(tmp_path / "tokens.db")
        monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", own)
    return await instances(**arguments)


async def test_token_is_created_verified_and_revoked(instance) -> None:
    """New tokens are in the database. A revoked or forged one is HTTP 401, and not an anonymous request."""
    token = await instance.create_token("alice", expires_after=1000)
    [kept] = await tokens.tokens(instance)
    expected = {"id": "alice", "token": "hgtok", "token_id": kept.id, "token_expires": int(kept.expires)}

    assert await actor(instance, token) == (200, expected)
    assert await actor(instance, token[:-1] + "-") == (401, "Invalid token: wrong form or checksum")
    await tokens.revoke(instance, kept.id)
    assert await actor(instance, token) == (401, "Token has been revoked")


async def test_signed_tokens_stay(instance) -> None:
    """Datasette's own page and command ask for signed tokens by the name of their handler."""
    token = await instance.create_token("alice", handler="signed")

    assert token.startswith("dstok_")
    assert (await actor(instance, token))[0] == 200


async def test_restrictions_hold(instance) -> None:
    """A token that may do nothing cannot see the instance."""
    issued = await tokens.issue(
        instance, "root", restrictions=TokenRestrictions().allow_database("nowhere", "view-table")
    )

    response = await instance.client.get("/_memory.json", headers={"Authorization": f"Bearer {issued.token}"})

    assert response.status_code == 403


async def test_signed_token_is_the_default_if_it_is_first(instances, monkeypatch) -> None:
    """The order of the setting decides."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "signed,database")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", ":memory:")
    instance = await instances()

    assert (await instance.create_token("alice")).startswith("dstok_")
    assert (await instance.create_token("alice", handler="database")).startswith("hgtok_")


class Managed(TokenHandler):
    """A handler such as that of datasette-auth-tokens: it returns `None` for a token of its own that was revoked."""

    name = "dsatok"

    @hookimpl(tryfirst=True)
    def register_token_handler(self) -> TokenHandler:
        return self

    async def create_token(self, *_: object, **__: object) -> str:
        return "dsatok_1.x"

    async def verify_token(self, datasette: Datasette, token: str) -> dict[str, object] | None:
        return {"id": "carol", "token": "dsatok", "token_id": 1} if token == "dsatok_1.x" else None


@pytest.mark.parametrize(("handlers", "prefix"), [("database", "hgtok_"), ("signed,database", "dsatok_")])
async def test_handler_that_registers_first_is_the_default_unless_ours_is_first(
    instances, monkeypatch, handlers: str, prefix: str
) -> None:
    """Each recognizes its own tokens. One that the other handler refuses is anonymous, as without heliograph."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", handlers)
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", ":memory:")
    instance = await instances(Managed())
    ours = await instance.create_token("alice", handler="database")

    assert (await instance.create_token("alice")).startswith(prefix)
    assert (await actor(instance, ours))[1]["id"] == "alice"  # type: ignore[index]
    assert await actor(instance, "dsatok_1.x") == (200, {"id": "carol", "token": "dsatok", "token_id": 1})
    assert await actor(instance, "dsatok_2.x") == (200, None)


async def test_temporary_internal_database_fails_the_start(instances, monkeypatch) -> None:
    """The message names the ways out."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")

    with pytest.raises(StartupError, match=r"token_handlers: .* start Datasette with --internal FILE"):
        await instances()


async def test_served_database_fails_the_start(instances, monkeypatch, tmp_path) -> None:
    """Everybody could read the hashes of the tokens."""
    sqlite3.connect(tmp_path / "data.db").close()
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", str(tmp_path / "data.db"))

    with pytest.raises(StartupError, match=r"token_database: .*data.db is a database that this Datasette serves"):
        await instances(files=[str(tmp_path / "data.db")])


async def test_last_use_is_written_at_shutdown(instances, monkeypatch, tmp_path: Path) -> None:
    """The database of the tokens is closed then."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", str(tmp_path / "tokens.db"))
    instance = await instances()
    token = await instance.create_token("alice")
    for _ in range(2):
        assert (await actor(instance, token))[0] == 200
    used = state_of(instance).database_tokens.usage.last_used(token[6:18])
    assert used is not None

    await plugin.shutdown(instance)()

    with closing(sqlite3.connect(tmp_path / "tokens.db")) as connection:
        assert connection.execute("select last_used from heliograph_tokens").fetchall() == [(used,)]


async def test_database_that_fails_does_not_keep_datasette_from_stopping(instance, monkeypatch, warnings) -> None:
    """The database may be locked or gone by then."""

    async def flush() -> None:
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(state_of(instance).database_tokens, "flush", flush)

    await state_of(instance).end_tokens(100)

    assert "The last use of some tokens could not be written." in warnings.text


async def test_database_that_hangs_does_not_keep_datasette_from_stopping(instance, monkeypatch, warnings) -> None:
    """Another process may hold its lock for a long time."""
    monkeypatch.setattr(state_of(instance).database_tokens, "flush", asyncio.Event().wait)

    await asyncio.wait_for(state_of(instance).end_tokens(100), LIMIT_SECONDS)

    await state_of(instance).tracker.wait(LIMIT_SECONDS)
    assert "The last use of some tokens could not be written." in warnings.text


async def test_bad_text_is_no_server_error(instance) -> None:
    """Whatever follows `Bearer`, the response is 401 or that of an anonymous request."""
    good = await instance.create_token("alice")
    signed = await instance.create_token("alice", handler="signed")
    tails = [b"", b"\n", b"\x00", b" ", b"\xff", "é💥".encode(), b"x", b"=", b"x" * 2**20, b"." * 2**16]
    texts = [
        prefix + token.encode() + tail
        for prefix in (b"", b"hgtok_", b"dstok_")
        for token in ("", good, signed)
        for tail in tails
    ]
    others = [instance.sign({"a": "x", "t": 1, "d": life}, "token") for life in (-1, -(10**400), 10**400)]
    texts += [f"dstok_{other}".encode() for other in others]

    responses = [
        await instance.client.get("/-/actor.json", headers={"Authorization": b"Bearer " + text}) for text in texts
    ]

    assert {response.status_code for response in responses} == {200, 401}
    accepted = [text for text, response in zip(texts, responses) if (response.json().get("actor") or {}).get("id")]
    assert {good.encode(), signed.encode()} <= set(accepted)
    assert not any(text.startswith(b"hgtok_") and text != good.encode() for text in accepted)


@pytest.mark.parametrize("lifetime", ["-1", "9" * 30, "1e3", "\x00", "é"])
async def test_lifetime_of_the_page_is_no_server_error(instance, lifetime: str) -> None:
    """The page of Datasette's core creates tokens of the handler `signed`, whatever the default is."""
    cookies = {"ds_actor": instance.client.actor_cookie({"id": "root"})}
    data = {"expire_type": "minute", "expire_duration": lifetime}

    response = await instance.client.post("/-/create-token", cookies=cookies, data=data)

    assert response.status_code == 200
