"""The code blocks of the hooks' documentation run as written: in a `Host` and in a real Datasette.

Each code block is a file in `seed`. For a `Host`, ``from datasette import`` is replaced by ``from heliograph import``.
"""

from __future__ import annotations

import ast
import inspect
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from datasette.app import Datasette
from datasette.plugins import pm

from heliograph import Event, Settings, TokenHandler, TokenRestrictions, hookimpl
from recorder import SECRET, Telemetry
from registrar import Registrar

SEED = Path(__file__).parent / "seed"

pytestmark = pytest.mark.anyio


def load(name: str, package: str) -> ModuleType:
    """Return a code block as a plugin module, which imports from the given package."""
    module = ModuleType(f"seed_{name}_{package}")
    source = (SEED / f"{name}.py").read_text().replace("from datasette import", f"from {package} import")
    exec(compile(source, SEED / f"{name}.py", "exec", dont_inherit=True), vars(module))
    return module


async def run(name: str, **names: object) -> dict[str, Any]:
    """Run a code block that awaits at its top level, with the given names. Return all its names."""
    path, flags = SEED / f"{name}.py", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    result = eval(compile(path.read_text(), path, "exec", flags, dont_inherit=True), names)
    if inspect.isawaitable(result):
        await result
    return names


class Recorder:
    """A plugin that records the events of its hook."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    @hookimpl
    def track_event(self, event):
        self.events.append(event)


class Instances:
    """Creates Datasettes with plugins, and removes the plugins after the test."""

    def __init__(self) -> None:
        self._plugins: list[object] = []
        self._made: list[Datasette] = []

    def __call__(self, *plugins: object, **kwargs: Any) -> Datasette:
        for plugin in plugins:
            pm.register(plugin)
            self._plugins.append(plugin)
        self._made.append(Datasette(memory=True, **kwargs))
        return self._made[-1]

    def close(self) -> None:
        for instance in self._made:
            instance.close()
        for plugin in self._plugins:
            pm.unregister(plugin)


@pytest.fixture
def datasettes() -> Iterator[Instances]:
    """Creates Datasettes."""
    instances = Instances()
    yield instances
    instances.close()


@pytest.fixture
def events_db(tmp_path: Path) -> Path:
    """An empty SQLite file named `events`."""
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("vacuum")
    return path


# register_events


async def test_host_tracks_the_registered_event(telemetry: Telemetry) -> None:
    """The event classes are registered. The call, without an actor, is accepted and emitted."""
    plugin, recorder = load("register_events", "heliograph"), Recorder()

    async with telemetry.host(plugin, recorder) as host:
        assert set(host.event_classes) == {plugin.BanUserEvent, plugin.UnbanUserEvent}
        await run("track", datasette=host, BanUserEvent=plugin.BanUserEvent)

    [event] = recorder.events
    assert (event.name, event.actor) == ("ban-user", None)
    assert event.properties() == {"user": {"id": 1, "username": "cleverbot"}}
    [(name, attributes)] = telemetry.events
    assert name == "app.ban_user"
    assert "cleverbot" in str(attributes)


async def test_datasette_tracks_the_registered_event(datasettes: Instances) -> None:
    """The event classes are registered as written. The call is accepted if it has an actor."""
    plugin, recorder = load("register_events", "datasette"), Recorder()
    datasette = datasettes(plugin, recorder)
    await datasette.invoke_startup()

    assert {plugin.BanUserEvent, plugin.UnbanUserEvent} <= set(datasette.event_classes)
    await datasette.track_event(plugin.BanUserEvent(user={"id": 1}, actor={"id": "root"}))

    [event] = recorder.events
    assert (event.name, event.actor, event.properties()) == ("ban-user", {"id": "root"}, {"user": {"id": 1}})


async def test_datasettes_own_event_requires_an_actor(datasettes: Instances) -> None:
    """The call of the documentation raises with Datasette's own base class, whose actor has no default."""
    plugin = load("register_events", "datasette")

    with pytest.raises(TypeError, match="actor"):
        await run("track", datasette=datasettes(plugin), BanUserEvent=plugin.BanUserEvent)


async def test_datasette_accepts_an_event_of_heliograph_without_an_actor(datasettes: Instances) -> None:
    """With heliograph's base class, the call of the documentation is accepted in Datasette too."""
    plugin, recorder = load("register_events", "heliograph"), Recorder()
    datasette = datasettes(plugin, recorder)
    await datasette.invoke_startup()

    await run("track", datasette=datasette, BanUserEvent=plugin.BanUserEvent)

    [event] = recorder.events
    assert (event.name, event.actor) == ("ban-user", None)
    assert timedelta(0) <= datetime.now(timezone.utc) - event.created < timedelta(minutes=1)


# register_token_handler


async def test_handler_of_a_plugin_is_the_default_of_a_host(telemetry: Telemetry) -> None:
    """The handler of a plugin comes before the built-in one. Its `...` returns None."""
    plugin = load("register_token_handler", "heliograph")

    async with telemetry.host(plugin) as host:
        assert await host.create_token("user123") is None
        assert await host.create_token("user123", handler="database") is None
        assert (await host.create_token("user123", handler="signed")).startswith("dstok_")


class MemoryTokens(TokenHandler):
    """The handler of the code block, with the bodies that its comments describe."""

    name = "database"

    def __init__(self) -> None:
        self.created: dict[str, tuple[str, TokenRestrictions | None]] = {}
        self.asked: list[str] = []

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        token = f"memory_{len(self.created)}"
        self.created[token] = (actor_id, restrictions)
        return token

    async def verify_token(self, datasette, token):
        self.asked.append(token)
        return {"id": self.created[token][0]} if token in self.created else None

    @hookimpl
    def register_token_handler(self, datasette):
        return self


async def test_host_runs_the_token_calls(telemetry: Telemetry) -> None:
    """The three calls of the documentation: the default handler, a handler by name, and verification."""
    handler = MemoryTokens()

    async with telemetry.host(handler) as host:
        names = await run("tokens", datasette=host)

    assert names["token"] == "memory_1"
    assert names["actor"] == {"id": "user123"}
    assert [actor for actor, _ in handler.created.values()] == ["user123", "user123"]


async def test_datasette_runs_the_token_calls(datasettes: Instances) -> None:
    """The same calls run in Datasette, which requires handlers of its own base class."""
    plugin, verified = load("register_token_handler", "datasette"), []

    class Stored(plugin.DatabaseTokenHandler):
        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            await super().create_token(datasette, actor_id, expires_after=expires_after, restrictions=restrictions)
            return "database_1"

        async def verify_token(self, datasette, token):
            verified.append(token)
            return await super().verify_token(datasette, token)

    class Plugin:
        @hookimpl
        def register_token_handler(self, datasette):
            return Stored()

    datasette = datasettes(plugin, Plugin())
    await datasette.invoke_startup()

    names = await run("tokens", datasette=datasette)

    assert names["token"] == "database_1"
    assert names["actor"] is None
    assert verified == ["database_1"]


async def test_datasette_registers_the_handler_as_written(datasettes: Instances) -> None:
    """The handler is found by its name. Its `...` returns None."""
    datasette = datasettes(load("register_token_handler", "datasette"))
    await datasette.invoke_startup()

    assert await datasette.create_token("user123", handler="database") is None
    assert (await datasette.create_token("user123", handler="signed")).startswith("dstok_")


async def test_host_verifies_with_all_handlers(telemetry: Telemetry) -> None:
    """The next handler is asked for a token that the first one does not recognize."""
    handler = MemoryTokens()

    async with telemetry.host(load("register_token_handler", "heliograph"), handler) as host:
        signed = await host.create_token("ada", handler="signed")
        assert (await host.verify_token(signed) or {})["id"] == "ada"
        assert await host.verify_token("unknown") is None

    assert handler.asked == [signed, "unknown"]


async def test_host_passes_restrictions_to_the_handler(telemetry: Telemetry) -> None:
    """`restrictions` is the argument of the caller, or None."""
    handler, restrictions = MemoryTokens(), TokenRestrictions().allow_all("view-instance")

    async with telemetry.host(handler) as host:
        await host.create_token("ada", restrictions=restrictions)
        await host.create_token("ada")

    assert [given for _, given in handler.created.values()] == [restrictions, None]


async def test_unknown_handler_is_a_value_error(telemetry: Telemetry, datasettes: Instances) -> None:
    """An unknown name of a handler is a `ValueError` in both hosts."""
    async with telemetry.host(load("register_token_handler", "heliograph")) as host:
        with pytest.raises(ValueError, match="nowhere"):
            await host.create_token("user123", handler="nowhere")

    datasette = datasettes(load("register_token_handler", "datasette"))
    await datasette.invoke_startup()
    with pytest.raises(ValueError, match="nowhere"):
        await datasette.create_token("user123", handler="nowhere")


async def test_no_handler_is_a_runtime_error(telemetry: Telemetry) -> None:
    """Without a handler, creating a token raises RuntimeError, and no token is recognized."""
    settings = Settings(secret=(SECRET,), allow_signed_tokens=False)

    async with telemetry.host(settings=settings) as host:
        with pytest.raises(RuntimeError, match="oken"):
            await host.create_token("user123")
        assert await host.verify_token("dstok_x") is None


# track_event


async def test_host_prints_the_event(telemetry: Telemetry, capsys: pytest.CaptureFixture[str]) -> None:
    """The hook prints the event to stderr as one line of JSON."""
    events = load("register_events", "heliograph")

    async with telemetry.host(events, load("track_event_stderr", "heliograph")) as host:
        await host.track_event(events.BanUserEvent(user={"id": 1}))
        host.track(events.UnbanUserEvent(user={"id": 1}, actor={"id": "root"}))

    assert [json.loads(line) for line in capsys.readouterr().err.splitlines()] == [
        {"name": "ban-user", "actor": None, "properties": {"user": {"id": 1}}},
        {"name": "unban-user", "actor": {"id": "root"}, "properties": {"user": {"id": 1}}},
    ]


async def test_datasette_prints_the_event(datasettes: Instances, capsys: pytest.CaptureFixture[str]) -> None:
    """The code block, as written, prints the same line in Datasette."""
    events = load("register_events", "datasette")
    datasette = datasettes(events, load("track_event_stderr", "datasette"))
    await datasette.invoke_startup()

    await datasette.track_event(events.BanUserEvent(user={"id": 1}, actor=None))

    assert json.loads(capsys.readouterr().err) == {
        "name": "ban-user",
        "actor": None,
        "properties": {"user": {"id": 1}},
    }


def rows(path: Path) -> list[tuple[Any, ...]]:
    """Return the rows that the hook wrote, without their times, which must have the right format."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(
            "select created, event_type, actor, properties from datasette_events order by id"
        ).fetchall()
    for created, *_ in found:
        datetime.strptime(created, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    return [row[1:] for row in found]


EXPECTED_ROWS = [
    ("ban-user", "null", '{"user": {"id": 1, "username": "cleverbot"}}'),
    ("unban-user", '{"id": "root"}', '{"user": {"id": 1}}'),
]


async def test_host_writes_events_into_a_database(telemetry: Telemetry, events_db: Path) -> None:
    """The startup hook creates the table, and the other hook has written a row when track_event returns."""
    events = load("register_events", "heliograph")
    plugin = load("track_event_database", "heliograph")

    async with telemetry.host(events, plugin, databases={"events": events_db}) as host:
        await run("track", datasette=host, BanUserEvent=events.BanUserEvent)
        assert rows(events_db) == EXPECTED_ROWS[:1]
        await host.track_event(events.UnbanUserEvent(user={"id": 1}, actor={"id": "root"}))
        assert rows(events_db) == EXPECTED_ROWS


def test_sync_host_writes_events_into_a_database(telemetry: Telemetry, events_db: Path) -> None:
    """The rows are in the database after the `with` block."""
    events = load("register_events", "heliograph")

    with telemetry.host(events, load("track_event_database", "heliograph"), databases={"events": events_db}) as host:
        host.track(events.BanUserEvent(user={"id": 1, "username": "cleverbot"}))
        host.track(events.UnbanUserEvent(user={"id": 1}, actor={"id": "root"}))

    assert rows(events_db) == EXPECTED_ROWS


async def test_datasette_writes_events_into_a_database(datasettes: Instances, events_db: Path) -> None:
    """The code block, as written, writes the rows in Datasette."""
    events = load("register_events", "datasette")
    datasette = datasettes(events, load("track_event_database", "datasette"), files=[str(events_db)])
    await datasette.invoke_startup()

    await datasette.track_event(events.BanUserEvent(user={"id": 1, "username": "cleverbot"}, actor=None))
    await datasette.track_event(events.UnbanUserEvent(user={"id": 1}, actor={"id": "root"}))

    assert rows(events_db) == EXPECTED_ROWS


@dataclass
class LoginEvent(Event):
    name = "login"
    method: str


async def test_event_is_the_same_for_the_hooks_of_both_hosts(telemetry: Telemetry, datasettes: Instances) -> None:
    """The hooks of a `Host` and of Datasette get an equal name, actor, time and properties."""
    event, of_host, of_datasette = LoginEvent(method="password", actor={"id": "ada"}), Recorder(), Recorder()

    async with telemetry.host(Registrar(LoginEvent), of_host) as host:
        await host.track_event(event)
    datasette = datasettes(Registrar(LoginEvent), of_datasette)
    await datasette.invoke_startup()
    await datasette.track_event(event)

    assert of_host.events == of_datasette.events == [event]
    assert event.created.utcoffset() == timedelta(0)
