"""The events in the life of a token, in a real Datasette."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from datasette import hookimpl
from datasette.app import Datasette
from datasette.utils.asgi import Response

from heliograph import tokens
from heliograph.integrations.datasette import plugin
from heliograph.integrations.datasette.instance_state import state_of

pytestmark = pytest.mark.anyio

ID = "heliograph.token.id"
TARGET = "heliograph.token.target.id"
REASON = "heliograph.token_rejected.reason"


class Pages:
    """A plugin with a page that creates a token, and a hook that keeps the names of the events."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.later: list[asyncio.Task[str]] = []

    @hookimpl
    def register_routes(self):
        async def page(datasette):
            await datasette.create_token("bob")
            seen = list(self.names)
            self.later.append(asyncio.ensure_future(create_later(datasette)))
            return Response.json(seen)

        async def create_later(datasette):
            await asyncio.sleep(0.01)
            return await datasette.create_token("later")

        return [("^/make$", page)]

    @hookimpl
    def track_event(self, event):
        self.names.append(event.name)


class Failing:
    """A plugin whose hook fails for the events of tokens."""

    @hookimpl(trylast=True)
    def track_event(self, event):
        if event.name.startswith("token-"):
            raise RuntimeError("a hook that fails")


@pytest.fixture
async def instance(instances, monkeypatch, tmp_path: Path, telemetry) -> Datasette:
    """A Datasette with tokens in a file."""
    monkeypatch.setenv("HELIOGRAPH_TOKEN_HANDLERS", "database,signed")
    monkeypatch.setenv("HELIOGRAPH_TOKEN_DATABASE", str(tmp_path / "tokens.db"))
    return await instances(Failing())


async def status(instance: Datasette, token: str) -> int:
    """Return the status of a request with a token."""
    response = await instance.client.get("/-/actor.json", headers={"Authorization": f"Bearer {token}"})
    return int(response.status_code)


async def settled(instance: Datasette) -> None:
    """Wait until the events of verifications were tracked."""
    await state_of(instance).tracker.wait(60)


async def test_life_of_a_token(instance, telemetry, warnings) -> None:
    """A failing hook of another plugin changes no answer, and is logged once."""
    issued = await tokens.issue(instance, "alice")
    statuses = [await status(instance, issued.token) for _ in range(2)]
    await settled(instance)
    await tokens.rotate(instance, issued.id, grace=60)
    await tokens.revoke(instance, issued.id)
    statuses += [await status(instance, issued.token), await status(instance, "dstok_x")]
    await settled(instance)

    assert statuses == [200, 200, 401, 401]
    assert [(name, each.get(ID), each.get("user.id"), each.get(REASON)) for name, each in telemetry.events] == [
        ("heliograph.token_created", issued.id, None, None),
        ("heliograph.token_first_used", issued.id, "alice", None),
        ("heliograph.token_rotated", issued.id, None, None),
        ("heliograph.token_revoked", issued.id, None, None),
        ("heliograph.token_rejected", issued.id, None, "revoked"),
        ("heliograph.token_rejected", None, None, "invalid"),
    ]
    assert [message for message in warnings.messages if "token" in message] == [
        "An event about a token could not be tracked."
    ]


@pytest.mark.parametrize("way", ["issue", "default handler", "named handler", "signed"])
async def test_creation_has_one_span_and_one_event_whichever_way_it_takes(instance, telemetry, way: str) -> None:
    """The span and the event have the id of the token."""
    handler = {"issue": None, "default handler": None, "named handler": "database", "signed": "signed"}[way]
    if way == "issue":
        token = (await tokens.issue(instance, "alice")).token
    else:
        token = await instance.create_token("alice", handler=handler)
    actor = await instance.verify_token(token)

    [span] = [span for span in telemetry.spans if span.name == "token.create"]
    [event] = [each for name, each in telemetry.events if name == "heliograph.token_created"]
    assert span.attributes[ID] == event[TARGET] == actor["token_id"]


async def test_event_of_a_verification_has_the_trace_of_the_request(instance, telemetry) -> None:
    """The event is tracked in a task of its own, in the context of the request."""
    await status(instance, "dstok_x")
    await settled(instance)

    [record] = [log.log_record for log in telemetry.logs]
    traces = {span.context.trace_id for span in telemetry.spans if span.name == "token.verify"}
    assert {record.trace_id} == traces


async def test_page_of_the_core_has_one_event(instance, telemetry) -> None:
    """The event is the core's, with the id of the token."""
    cookies = {"ds_actor": instance.client.actor_cookie({"id": "root"})}
    instance.root_enabled = True

    page = await instance.client.post("/-/create-token", cookies=cookies, data={"expire_type": ""})
    token = next(word for word in page.text.split('"') if word.startswith("dstok_"))
    actor = await instance.verify_token(token)

    [(name, attributes)] = telemetry.events
    assert (name, attributes["user.id"]) == ("datasette.create_token", "root")
    assert (attributes[ID], attributes["heliograph.token.handler"]) == (actor["token_id"], "signed")


async def test_token_of_another_page_has_an_event_when_its_request_ends(instances, telemetry) -> None:
    """A task that outlives the request has one at once."""
    pages = Pages()
    instance = await instances(pages)

    response = await instance.client.get("/make")
    await asyncio.gather(*pages.later)

    assert response.json() == []
    assert pages.names == ["token-created", "token-created"]
    assert [name for name, _ in telemetry.events] == ["heliograph.token_created"] * 2


async def test_function_with_a_delay_runs_later_and_nobody_waits_for_it(instance) -> None:
    """The last use of a token is written in this way, a minute after it."""
    ran = asyncio.Event()

    async def run() -> None:
        ran.set()

    tracker = state_of(instance).tracker
    tracker.run_later(run, 0.01)
    await tracker.wait(60)
    assert not ran.is_set()
    await asyncio.wait_for(ran.wait(), 60)


async def test_shutdown_waits_for_the_events(instance, telemetry) -> None:
    """Events of verifications may still wait when the server stops."""
    await status(instance, "dstok_x")
    await plugin.shutdown(instance)()

    assert [name for name, _ in telemetry.events] == ["heliograph.token_rejected"]
