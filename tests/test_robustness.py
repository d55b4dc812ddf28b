"""Mistakes of programs and plugins, and attacks: each causes a clear error, or none at all."""

from __future__ import annotations

import asyncio
import enum
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from heliograph import Event, Host, PluginError, SchemaError, Settings, UnregisteredEvent, hookimpl
from heliograph.schema.compile.event_class import compile_untyped
from heliograph.values.forms import MAX_VALUES, form_of


@dataclass
class Ping(Event):
    name = "ping"


class Pings:
    """Registers `Ping`. Its hook returns what the test sets."""

    def __init__(self, result: object = None) -> None:
        self.result = result

    @hookimpl
    def register_events(self) -> list[type]:
        return [Ping]

    @hookimpl
    def track_event(self) -> object:
        return self.result


class Key(enum.Enum):
    TOKEN = "token"


class TextKey(str, enum.Enum):
    TOKEN = "token"


def test_hook_that_exits_does_not_end_the_loop(telemetry, warnings):
    """An async hook that raises SystemExit is logged. Later events are handled, and the flush returns True."""
    seen = []

    async def leave() -> None:
        raise SystemExit(3)

    async def stay() -> None:
        seen.append("stayed")

    plugin = Pings(leave)
    with telemetry.host(plugin) as host:
        host.track(Ping())
        plugin.result = stay
        host.track(Ping())
        assert host.flush(20_000)
    assert seen == ["stayed"]
    assert "SystemExit" in warnings.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot tell who is cancelled")
def test_hook_that_cancels_itself_is_a_failure_of_the_hook(telemetry, warnings):
    """A hook that raises CancelledError, although its caller was not cancelled, is logged, and the next hooks run."""
    seen = []

    class After:
        @hookimpl
        def track_event(self) -> object:
            async def run() -> None:
                seen.append("after")

            return run

    async def cancelled() -> None:
        raise asyncio.CancelledError

    with telemetry.host(After(), Pings(cancelled)) as host:
        asyncio.run(host.track_event(Ping()))
        assert seen == ["after"]
        host.track(Ping())
        assert host.flush(20_000)
    assert seen == ["after", "after"]
    assert "The hook track_event of the plugin" in warnings.text


def test_cancelled_caller_cancels_the_hook(telemetry):
    """Cancelling a task that awaits track_event cancels the hook that it waits for."""

    async def program(host: Host) -> None:
        task = asyncio.ensure_future(host.track_event(Ping()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with telemetry.host(Pings(lambda: asyncio.sleep(30))) as host:
        asyncio.run(program(host))


def test_events_can_be_tracked_during_a_shutdown(telemetry):
    """Threads that track while another one shuts the host down get no exception, and no flush waits for a lost job."""
    failures = []

    async def nothing() -> None:
        pass

    for _ in range(10):
        host = telemetry.host(Pings(nothing))

        def work(host: Host = host) -> None:
            try:
                for _ in range(20):
                    host.track(Ping())
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        host.shutdown()
        for thread in threads:
            thread.join()
        host.shutdown()
    assert failures == []


def test_shutdown_on_the_hosts_own_loop_is_an_error(telemetry, warnings):
    """A hook that shuts down its host on the host's own loop gets an error at once, and no deadlock."""
    plugin = Pings()
    with telemetry.host(plugin) as host:

        async def shut_down() -> None:
            host.shutdown()

        plugin.result = shut_down
        host.track(Ping())
        assert host.flush(20_000)
    assert "cannot be shut down by a function that runs on its own loop" in warnings.text


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (dataclass(type("Unhashable", (Pings,), {}))(), "unhashable"),
        (Pings, "register an instance"),
        ("a name", "no function that is marked with @hookimpl"),
        (None, "no function that is marked with @hookimpl"),
    ],
)
def test_object_that_is_no_plugin_is_an_error(plugin, reason):
    """An object that pluggy cannot call, or would silently ignore, is rejected with a reason."""
    with pytest.raises(PluginError, match=reason):
        Host(Settings(), plugins=[plugin])


def test_plugin_that_cannot_be_started_is_removed(telemetry):
    """On a running host, no hook of a plugin whose event class has no schema is called."""
    called = []

    class Bad:
        @hookimpl
        def register_events(self) -> list[type]:
            return [int]

        @hookimpl
        def track_event(self) -> None:
            called.append("bad")

    with telemetry.host(Pings()) as host:
        bad = Bad()
        with pytest.raises(SchemaError):
            host.register(bad)
        host.track(Ping())
    assert called == []


def test_hook_that_is_a_generator_is_logged(telemetry, warnings):
    """A `yield` in a hook that is not marked as a wrapper is a failure, since no line of it was executed."""

    def generator() -> Iterator[None]:
        yield

    with telemetry.host(Pings(generator())) as host:
        host.track(Ping())
    assert "wrapper=True" in warnings.text


@pytest.mark.parametrize(
    "actor",
    [
        {"id": "root", Key.TOKEN: "s3cret"},
        {"id": "root", TextKey.TOKEN: "s3cret"},
        {"id": "root", b"token": "s3cret"},
        {"id": "root", "nested": {"token": "s3cret", "list": [{"_r": "s3cret"}]}},
        MappingProxyType({"id": "root", "token": "s3cret"}),
    ],
)
def test_token_of_an_actor_is_never_exported(telemetry, actor):
    """The actor's secrets are not exported, with any kind of key and at any depth."""
    with telemetry.host(Pings()) as host:
        host.track(Ping(actor=actor))
    [(_, attributes)] = telemetry.events
    assert attributes["user.id"] == "root"
    assert "s3cret" not in telemetry.everything()


def test_actor_that_another_thread_changes_is_no_error(telemetry):
    """The actor is exported as it was at one moment."""
    actor = {"id": "root"}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            actor[f"key{number % 50}"] = "value"
            actor.pop(f"key{(number + 25) % 50}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        with telemetry.host(Pings()) as host:
            for _ in range(500):
                host.track(Ping(actor=actor))
    finally:
        stop.set()
        thread.join()


def test_value_that_doubles_at_each_level_is_limited():
    """A list of lists is read up to a limit, and quickly."""
    value: list[object] = [1]
    for _ in range(30):
        value = [value, value]
    started = time.monotonic()
    form = form_of(value)
    assert time.monotonic() - started < 5
    assert "<too large>" in str(form)
    assert len(form_of(range(10**12))) == MAX_VALUES + 1


@pytest.mark.parametrize("severity", [0, 25, -1, "WARN"])
def test_unknown_severity_is_an_error(telemetry, severity):
    """A severity that OpenTelemetry does not have is an error when the class is registered."""

    @dataclass
    class Odd(Event, severity=severity):
        name = "odd"

    with pytest.raises(SchemaError, match="severity"):
        Host(Settings()).schemas.register(Odd)


def test_untyped_event_has_a_valid_and_stable_name():
    """If its name is a property or not a word, it is emitted under the name of the class, or as `event`."""

    class Strange:
        @property
        def name(self) -> str:
            return "strange"

    assert compile_untyped(Strange, namespace="app").event_name == "app.strange"
    assert compile_untyped(type("日本", (), {"name": "日本"}), namespace="app").event_name == "app.event"


def test_properties_with_any_mapping_as_the_actor():
    """An actor that cannot be copied deeply does not keep an event from returning its properties."""
    assert Ping(actor=MappingProxyType({"id": 1})).properties() == {}


def test_unregistered_event_is_an_error_without_telemetry_too():
    """The error does not depend on the providers."""
    host = Host(Settings())
    with pytest.raises(UnregisteredEvent, match="Ping"):
        host.track(Ping())
    host.shutdown()
