"""Recent events on the page of a real Datasette: what telemetry carries, filtered, escaped, and only if somebody asks for it."""

from __future__ import annotations

import json
import re
import sqlite3
import stat
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from datasette.app import Datasette
from datasette.events import LogoutEvent
from datasette.utils import StartupError

from heliograph import Attribute, Event, Privacy
from heliograph.integrations.datasette import plugin
from heliograph.integrations.datasette.instance_state import state_of
from heliograph.recent_events.store import CountKind
from recorder import Telemetry
from registrar import Registrar

pytestmark = pytest.mark.anyio

PAGE = "/-/heliograph"
EVIL = "</title><script>alert(1)</script>\"'><b>&"


@dataclass
class Order(Event, namespace="demo", message="{note}"):
    name = "order"
    note: str
    card: Annotated[str, Attribute(privacy=Privacy.MASK)] = "a private canary"
    pin: Annotated[str, Attribute(privacy=Privacy.DROP)] = "a private canary"


@pytest.fixture
async def start(
    instances: Callable[..., Any], telemetry: Telemetry, tmp_path: Path
) -> AsyncIterator[Callable[..., Any]]:
    """A function that starts a Datasette that keeps recent events, in which everybody may view the page."""
    started: list[Datasette] = []

    async def start(**settings: str) -> Datasette:
        ours = {"recent_events": str(tmp_path / "recent.db"), **settings}
        config = {"permissions": {"heliograph-view": True}, "plugins": {"heliograph": ours}}
        ds: Datasette = await instances(Registrar(Order), config=config)
        started.append(ds)
        return ds

    yield start
    for ds in started:
        await plugin.shutdown(ds)()


async def recent_of(ds: Datasette, query: str = "") -> dict[str, Any]:
    found: dict[str, Any] = (await ds.client.get(f"{PAGE}.json{query}")).json()["recent"]
    return found


async def test_events_are_not_kept_unless_a_file_is_named(instances: Callable[..., Any], telemetry: Telemetry) -> None:
    ds = await instances(config={"permissions": {"heliograph-view": True}})
    await ds.track_event(LogoutEvent(actor={"id": "alice"}))

    assert await recent_of(ds) is None
    assert "HELIOGRAPH_RECENT_EVENTS" in (await ds.client.get(PAGE)).text


async def test_variable_names_the_file(
    instances: Callable[..., Any], telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELIOGRAPH_RECENT_EVENTS", str(tmp_path / "recent.db"))
    ds = await instances(config={"permissions": {"heliograph-view": True}})

    assert (await recent_of(ds))["file"] == str(tmp_path / "recent.db")


async def test_event_is_as_its_log_record(start: Callable[..., Any], telemetry: Telemetry, tmp_path: Path) -> None:
    """Masked and dropped fields, and the actor's secrets, are in neither. The file is private."""
    ds = await start(actor="id,name:mask")
    actor = {"id": "alice", "name": "a private canary", "token": "a private canary", "token_id": "t1"}
    with telemetry.tracer.start_as_current_span("request"):
        await ds.track_event(Order(note="hello", actor=actor))

    [event] = (await recent_of(ds))["events"]
    [log] = telemetry.logs
    assert event["attributes"] == dict(log.log_record.attributes or {})
    assert (event["event"], event["body"], event["actor"], event["token"]) == ("demo.order", "hello", "alice", "t1")
    assert event["trace"] == f"{log.log_record.trace_id:032x}"
    assert event["attributes"]["demo.order.card"] == "<masked>"
    path = tmp_path / "recent.db"
    assert b"canary" not in path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    page = (await ds.client.get(PAGE)).text
    assert "canary" not in page
    assert event["attributes"]["log.record.uid"] in page


async def test_events_are_kept_where_nothing_is_exported(
    start: Callable[..., Any], set_globally: Callable[..., None]
) -> None:
    set_globally()
    ds = await start()
    await ds.track_event(Order(note="hello", actor=None))

    [event] = (await recent_of(ds))["events"]
    assert (event["body"], event["trace"]) == ("hello", None)


async def test_filters_select_by_event_actor_and_token(start: Callable[..., Any]) -> None:
    ds = await start()
    for note, actor in (("a", {"id": "alice"}), ("b", {"id": "bob/&?"}), ("c", {"id": "bob/&?", "token_id": "t1"})):
        await ds.track_event(Order(note=note, actor=actor))

    async def notes(query: str) -> list[str]:
        return [event["body"] for event in (await recent_of(ds, query))["events"]]

    assert await notes("") == ["c", "b", "a"]
    assert await notes("?actor=alice") == ["a"]
    assert await notes("?token=t1&actor=bob/%26%3F") == ["c"]
    assert await notes("?event=demo.order&token=t2") == []
    page = (await ds.client.get(f"{PAGE}?actor=alice")).text
    assert "Only events with actor <code>alice</code>" in page
    assert f'href="{PAGE}.json?actor=alice"' in page
    links = re.findall(r'href="/-/heliograph(\?actor=bob[^"#]*)#recent"', (await ds.client.get(PAGE)).text)
    assert await notes(links[0].replace("&amp;", "&")) == ["c", "b"]


async def test_texts_are_escaped_and_charts_are_well_formed(start: Callable[..., Any]) -> None:
    """Nothing runs a script, asks for anything from another place, or has a style that a policy may forbid."""
    ds = await start()
    await ds.track_event(Order(note=EVIL, actor={"id": EVIL, "token_id": EVIL}))
    state = state_of(ds)
    assert state.recent is not None
    state.recent._count(CountKind.EVENT, EVIL)

    page = (await ds.client.get(f"{PAGE}?event={EVIL}")).text + (await ds.client.get(PAGE)).text
    assert "alert(1)" in page
    assert not re.search(r"<script[^>]*>alert|<b>&", page)
    ours = "".join(re.findall('<div class="heliograph">.*?<footer', page, re.DOTALL))
    assert not re.search(r"<script|\son\w+=|\sstyle=|src=|https?:(?!//www.w3.org)", ours)
    drawn = [ET.fromstring(each) for each in re.findall(r'<svg role="img".*?</svg>', page, re.DOTALL)]
    assert [each.find("title").text for each in drawn] == 2 * [
        "Events per minute, by name",
        "Verified tokens per minute, by result",
    ]
    assert f"{EVIL}: 1." in drawn[0].find("desc").text


async def test_counts_are_those_of_events_and_of_verifications(start: Callable[..., Any]) -> None:
    ds = await start()
    for _ in range(3):
        await ds.track_event(Order(note="x", actor=None))
    await ds.client.get("/", headers={"Authorization": "Bearer dstok_forged"})
    valid = await ds.create_token("alice")
    await ds.client.get("/", headers={"Authorization": f"Bearer {valid}"})

    minutes = (await recent_of(ds))["minutes"]
    assert len(minutes) == 60
    events = [each["events"] for each in minutes if each["events"]]
    assert sum(each.get("demo.order", 0) for each in events) == 3
    tokens = [each["tokens"] for each in minutes if each["tokens"]]
    assert {name: sum(each.get(name, 0) for each in tokens) for name in ("valid", "invalid")} == {
        "valid": 1,
        "invalid": 1,
    }
    page = (await ds.client.get(PAGE)).text
    assert '<td class="number">3</td>' in page


async def test_events_that_were_not_kept_are_counted(start: Callable[..., Any], tmp_path: Path) -> None:
    ds = await start()
    state = state_of(ds)
    assert state.recent is not None
    with state.recent._lock:
        state.recent._count(CountKind.NOT_KEPT, "")
    page = (await ds.client.get(PAGE)).text

    assert "1 of these events are not in the list" in page


async def test_file_that_cannot_be_read_is_a_problem(start: Callable[..., Any], tmp_path: Path) -> None:
    ds = await start()
    (tmp_path / "recent.db").write_bytes(b"garbage" * 1000)

    assert (await recent_of(ds))["problem"] == "FileFormatError"
    assert "cannot be read (FileFormatError)" in (await ds.client.get(PAGE)).text


async def test_long_attributes_are_named_as_missing(start: Callable[..., Any]) -> None:
    ds = await start()
    await ds.track_event(Order(note="x" * 10_000, actor=None))

    [event] = (await recent_of(ds))["events"]
    assert event["omitted"] == 1
    assert "1 more are too long" in (await ds.client.get(PAGE)).text


async def test_wrong_file_ends_the_start(start: Callable[..., Any], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "recent.db")) as connection:
        connection.execute("create table own (x)")

    with pytest.raises(StartupError, match=r"recent_events: .* an SQLite file of another program"):
        await start()


async def test_end_of_the_server_writes_what_waits(start: Callable[..., Any], tmp_path: Path) -> None:
    ds = await start()
    state = state_of(ds)
    assert state.recent is not None
    with state.recent._writing:  # the thread cannot write it before
        await ds.track_event(Order(note="last", actor=None))
    await plugin.shutdown(ds)()

    assert "last" in json.dumps([vars(each.event) for each in state.recent.store.find()])
