"""Each capability of tokens in a database holds in a `Host` and in a Datasette, with the same calls."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.tokens import TokenInvalid as DatasetteTokenInvalid

from heliograph import Settings, TokenInvalid, TokenRestrictions, acting_as, tokens
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.tokens.rejections import rejection_result
from heliograph.tokens.stored import token_text
from heliograph.tokens.stored.operations import handler_of
from recorder import Telemetry

pytestmark = pytest.mark.anyio

ID = "heliograph.token.id"


@dataclass
class Deployment:
    """A host with tokens in a file.

    Attributes:
        host: The host.
        file: The file.
        now: The time that its tokens see.
    """

    host: Any
    file: Path
    now: float = 1_000_000.0

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(sql).fetchall()

    async def result(self, token: str) -> str:
        """Verify a token, wait for what follows, and return the result."""
        try:
            verdict = "unrecognized" if await self.host.verify_token(token) is None else "valid"
        except (TokenInvalid, DatasetteTokenInvalid) as error:
            verdict = rejection_result(error)
        await self.settled()
        return verdict

    async def settled(self) -> None:
        if isinstance(self.host, Datasette):
            await state_of(self.host).tracker.wait(60)
        else:
            assert await asyncio.to_thread(self.host.flush, 60_000)


@pytest.fixture(params=["Host", "Datasette"])
async def deployed(
    request: pytest.FixtureRequest,
    instances: Any,
    telemetry: Telemetry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Deployment]:
    """A `Host` or a Datasette with a clock that the test sets. Its telemetry is recorded."""
    file = tmp_path / "tokens.db"
    if request.param == "Host":
        with telemetry.host(settings=Settings(token_handlers=("database",), token_database=file)) as host:
            yield _with_clock(Deployment(host, file))
        return
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", str(file))
    instance = await instances()
    yield _with_clock(Deployment(instance, file))
    await state_of(instance).end_tokens(60_000)


def _with_clock(deployed: Deployment) -> Deployment:
    handler_of(deployed.host).clock = lambda: deployed.now
    return deployed


async def test_format(deployed: Deployment) -> None:
    """A token is ``hgtok_``, an id, a secret, and a checksum."""
    issued = await tokens.issue(deployed.host, "alice")

    body, checksum = issued.token[:-6], issued.token[-6:]
    assert token_text.PATTERN.fullmatch(issued.token)
    assert body[6:18] == issued.id
    assert len(body[18:]) == 43
    assert token_text.checksum(body) == checksum


async def test_secret_of_its_own_is_hashed_at_rest(deployed: Deployment) -> None:
    """Nobody who can sign can make one, and nobody who can read the file."""
    token = (await tokens.issue(deployed.host, "alice")).token

    assert deployed.rows("select hash from heliograph_token_secrets") == [(hashlib.sha256(token.encode()).digest(),)]
    kept = b"".join(each.read_bytes() for each in deployed.file.parent.iterdir())
    assert token[18:61].encode() not in kept


async def test_prefix_and_checksum_are_refused_offline(deployed: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that only looks like a token costs no query, and one without the prefix is not ours."""
    token = (await tokens.issue(deployed.host, "alice")).token
    monkeypatch.setattr(handler_of(deployed.host), "store", None)
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")

    assert [await deployed.result(each) for each in (changed, token[6:])] == ["invalid", "unrecognized"]


async def test_id_that_is_no_secret_is_in_telemetry(deployed: Deployment, telemetry: Telemetry) -> None:
    """Spans have the id of the token, and nothing has its secret."""
    issued = await tokens.issue(deployed.host, "alice")
    await deployed.result(issued.token)

    spans = {span.name: span.attributes[ID] for span in telemetry.spans if span.name.startswith("token.")}
    assert spans == {"token.create": issued.id, "token.verify": issued.id}
    assert issued.token[18:61] not in telemetry.everything()


async def test_label_and_last_use(deployed: Deployment) -> None:
    """The use is written after the verification."""
    issued = await tokens.issue(deployed.host, "alice", label="nightly export")
    deployed.now += 5
    await deployed.result(issued.token)

    token = await tokens.get(deployed.host, issued.id)
    assert (token.label, token.last_used) == ("nightly export", 1_000_005.0)


async def test_expiry_and_idle_expiry(deployed: Deployment) -> None:
    """A token ends at its time, or after a time without use, and the result is ``expired``."""
    expiring = await tokens.issue(deployed.host, "alice", expires_after=600)
    idle = await tokens.issue(deployed.host, "alice", unused_after=300)
    results = []
    for _ in range(3):
        deployed.now += 250
        results.append([await deployed.result(each.token) for each in (expiring, idle)])
    deployed.now += 301

    assert results == [["valid", "valid"], ["valid", "valid"], ["expired", "valid"]]
    assert await deployed.result(idle.token) == "expired"


async def test_rotation_with_overlap_and_without(deployed: Deployment) -> None:
    """The old secret ends some time after the first use of the new one, or at once."""
    first = await tokens.issue(deployed.host, "alice")
    second = await tokens.rotate(deployed.host, first.id, grace=60)
    results = [await deployed.result(first.token), await deployed.result(second.token)]
    deployed.now += 61
    results.append(await deployed.result(first.token))
    third = await tokens.rotate(deployed.host, first.id, grace=0)

    assert results == ["valid", "valid", "revoked"]
    assert [await deployed.result(each.token) for each in (second, third)] == ["revoked", "valid"]


async def test_restrictions_are_narrowed_later(deployed: Deployment) -> None:
    """The restrictions of a token never get wider."""
    issued = await tokens.issue(deployed.host, "alice")
    await tokens.restrict(deployed.host, issued.id, TokenRestrictions().allow_all("view-instance"))

    assert (await deployed.host.verify_token(issued.token))["_r"] == {"a": ["vi"]}
    with pytest.raises(ValueError, match="can only get narrower"):
        await tokens.restrict(deployed.host, issued.id, TokenRestrictions().allow_all("view-table"))
    await deployed.settled()


async def test_one_token_those_of_an_actor_and_all_are_revoked(deployed: Deployment) -> None:
    """Revoked tokens are invalid at once in this process, although they were in the cache."""
    issued = [await tokens.issue(deployed.host, name) for name in ("alice", "alice", "bob", "carol")]
    assert {await deployed.result(each.token) for each in issued} == {"valid"}
    results = []
    for revoke in (tokens.revoke(deployed.host, issued[0].id), tokens.revoke_all(deployed.host, "alice")):
        await revoke
        results.append([await deployed.result(each.token) for each in issued])
    await tokens.revoke_all(deployed.host)

    assert results == [["revoked", *["valid"] * 3], ["revoked", "revoked", "valid", "valid"]]
    assert {await deployed.result(each.token) for each in issued} == {"revoked"}


async def test_revoked_token_is_told_from_an_unknown_one(deployed: Deployment, telemetry: Telemetry) -> None:
    """The verdict of a revoked one has its id. Datasette answers both with 401."""
    issued = await tokens.issue(deployed.host, "alice")
    await tokens.revoke(deployed.host, issued.id)
    unknown = token_text.new_token(issued.id)

    assert [await deployed.result(token) for token in (issued.token, unknown)] == ["revoked", "invalid"]
    verdicts = [span.attributes.get(ID) for span in telemetry.spans if span.name == "token.verify"]
    assert verdicts == [issued.id, None]
    if isinstance(deployed.host, Datasette):
        for token in (issued.token, unknown):
            headers = {"Authorization": f"Bearer {token}"}
            assert (await deployed.host.client.get("/-/actor.json", headers=headers)).status_code == 401
        await deployed.settled()


async def test_audit_events_and_the_token_of_each_event(deployed: Deployment, telemetry: Telemetry) -> None:
    """An event names the token that its actor has used."""
    used, changed = [await tokens.issue(deployed.host, name) for name in ("admin", "alice")]
    actor = await deployed.host.verify_token(used.token)
    await deployed.settled()
    with acting_as(actor):
        await tokens.rotate(deployed.host, changed.id, grace=0)
        await tokens.revoke(deployed.host, changed.id)
    await deployed.result(changed.token)

    assert [(name, each.get(ID)) for name, each in telemetry.events] == [
        ("heliograph.token_created", used.id),
        ("heliograph.token_created", changed.id),
        ("heliograph.token_first_used", used.id),
        ("heliograph.token_rotated", used.id),
        ("heliograph.token_revoked", used.id),
        ("heliograph.token_rejected", changed.id),
    ]


async def test_verification_is_one_indexed_read_and_cached(
    deployed: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The read comes once in the time of the cache."""
    token = (await tokens.issue(deployed.host, "alice")).token
    await deployed.result(token)
    deployed.now += 6
    database = handler_of(deployed.host).store._database
    statements: list[str] = []
    execute = database.execute

    async def observed(sql: str, *arguments: Any) -> Any:
        statements.append(sql)
        return await execute(sql, *arguments)

    monkeypatch.setattr(database, "execute", observed)
    assert [await deployed.result(token) for _ in range(3)] == ["valid"] * 3

    [statement] = statements
    plan = [row[3] for row in deployed.rows(f"explain query plan {statement.replace('?', 'x' + repr('00'))}")]
    assert all(line.startswith("SEARCH") for line in plan), plan
