"""Event classes are registered when a host is made, and a startup hook that fails costs only its plugin."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from heliograph import Event, Host, PluginError, SchemaError, SchemaErrors, Settings, hookimpl
from recorder import Telemetry
from scripts import python

FAILURES = "heliograph.hook.failures"


@dataclass
class PageEvent(Event):
    name = "page"
    number: int = 0


@dataclass
class OtherEvent(Event):
    name = "other"


@dataclass
class SameName(Event):
    name = "page"


class NoDataclass(Event):
    name = "no-dataclass"
    number: int


class Plugin:
    """Registers and starts as the test says, and notes the events that its hook gets."""

    def __init__(
        self, events: Callable[[], Any] = lambda: [PageEvent], startup: Callable[[], Any] = lambda: None
    ) -> None:
        self.events, self.on_startup, self.seen = events, startup, 0

    @hookimpl
    def register_events(self) -> Any:
        return self.events()

    @hookimpl
    def startup(self) -> Any:
        return self.on_startup()

    @hookimpl
    def track_event(self) -> None:
        self.seen += 1


def heliograph_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("heliograph")]


# Registration


def test_all_problems_of_all_plugins_are_one_error(telemetry: Telemetry) -> None:
    """The error is raised where the host is made, and not by the first event."""
    with pytest.raises(SchemaErrors) as caught:
        telemetry.host(Plugin(lambda: [PageEvent, SameName]), Plugin(lambda: [NoDataclass]), events=[OtherEvent])
    assert {error.event_class for error in caught.value.errors} == {SameName, NoDataclass}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (PageEvent(1), "the hook register_events returned an object of .*PageEvent, not an event class"),
        ([7], "the hook register_events returned an object of builtins.int"),
    ],
)
def test_result_that_is_no_event_class_is_an_error(telemetry: Telemetry, result: object, message: str) -> None:
    """`register_events` must return classes, not events."""
    with pytest.raises(PluginError, match=message):
        telemetry.host(Plugin(lambda: result))


def test_hook_that_fails_is_an_error(telemetry: Telemetry) -> None:
    """The error names the hook, the plugin and the problem."""

    def fail() -> None:
        raise OSError("no such table")

    with pytest.raises(PluginError, match=r"register_events of the plugin [\w.<>]+ failed: OSError\('no such table'\)"):
        telemetry.host(Plugin(fail))


def test_configure_raises_before_any_provider_is_set() -> None:
    """A program with a broken class does not start."""
    ran = python(
        """
        from heliograph import SchemaError
        from opentelemetry.trace import get_tracer_provider
        before = get_tracer_provider()
        @dataclass
        class Same(Event, namespace="test"):
            name = "tick"
        class Broken:
            @hookimpl
            def register_events(self):
                return [Tick, Same]
        try:
            configure(plugins=[Broken()])
        except SchemaError as error:
            report(error=str(error), unset=get_tracer_provider() is before, threads=threading.active_count())
        """
    )
    assert "'test.tick' is already used by __main__.Tick" in ran.only["error"]
    assert ran.only["unset"]
    assert ran.only["threads"] == 1


def test_events_without_a_plugin(telemetry: Telemetry) -> None:
    """A small program passes its event classes to the host."""
    with telemetry.host(events=[PageEvent, OtherEvent]) as host:
        host.track(PageEvent(1))
        assert host.event_classes == (PageEvent, OtherEvent)
    assert len(telemetry.events) == 1
    assert telemetry.host(events=PageEvent).event_classes == (PageEvent,)
    with pytest.raises(PluginError, match=r"the argument `events` has an object of builtins\.str"):
        Host(Settings(), events=["page"])  # type: ignore[list-item]


async def one_class() -> list[type]:
    return [PageEvent]


@pytest.mark.parametrize(
    "events",
    [
        lambda: [PageEvent],
        lambda: (PageEvent,),
        lambda: {PageEvent},
        lambda: (each for each in [PageEvent]),
        lambda: PageEvent,
        lambda: lambda: [PageEvent],
    ],
)
def test_sync_results_are_registered_at_once(telemetry: Telemetry, events: Callable[[], Any]) -> None:
    """Any iterable of classes is accepted, as in Datasette. No thread is needed for it."""
    host = telemetry.host(Plugin(events))
    assert host.event_classes == (PageEvent,)
    host.track(PageEvent())
    assert heliograph_threads() == []
    host.shutdown()


@pytest.mark.parametrize("events", [lambda: one_class, one_class])
def test_async_results_are_registered_at_startup(telemetry: Telemetry, events: Callable[[], Any]) -> None:
    """The classes are registered before the first event, in whichever thread or loop it is tracked."""
    with telemetry.host(Plugin(events)) as host:
        assert host.event_classes == (PageEvent,)
    host = telemetry.host(Plugin(events))
    asyncio.run(host.track_event(PageEvent()))
    assert len(telemetry.events) == 1
    host.shutdown()


def test_async_registration_that_is_cancelled_is_done_by_the_next_caller(telemetry: Telemetry) -> None:
    """The hook is called again, because its coroutine has ended."""
    calls = []
    began = asyncio.Event()

    async def events() -> list[type]:
        calls.append(1)
        began.set()
        await asyncio.sleep(30 if len(calls) == 1 else 0)
        return [PageEvent]

    host = telemetry.host(Plugin(events))

    async def program() -> None:
        task = asyncio.ensure_future(host.track_event(PageEvent()))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await host.track_event(PageEvent())

    asyncio.run(program())
    assert len(telemetry.events) == 1
    host.shutdown()


# Startup


async def failing() -> None:
    raise OSError("not now")


async def cancelled() -> None:
    raise asyncio.CancelledError


async def generator() -> AsyncIterator[None]:
    yield


def sync_generator() -> Iterator[None]:
    yield


def broken() -> None:
    raise OSError("not now")


@pytest.mark.parametrize("startup", [broken, failing, lambda: failing, sync_generator, generator, lambda: generator])
@pytest.mark.parametrize("entered", ["sync", "async", "track", "track_event"])
def test_plugin_whose_startup_fails_is_removed(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, startup: Callable[[], Any], entered: str
) -> None:
    """The failure is logged once and counted. The host goes on with the other plugins, and with the event classes."""
    bad, good = Plugin(lambda: [OtherEvent], startup), Plugin()
    host = telemetry.host(good, bad)

    async def program() -> None:
        if entered == "async":
            async with host:
                pass
        await host.track_event(PageEvent())

    if entered == "sync":
        with host:
            pass
    if entered in {"sync", "track"}:
        host.track(PageEvent())
    else:
        asyncio.run(program())
    host.track(OtherEvent())
    host.shutdown()

    assert (len(telemetry.events), good.seen, bad.seen) == (2, 2, 0)
    assert warnings.text.count("The hook startup of the plugin") == 1
    assert sum(telemetry.counts(FAILURES).values()) == 1


@pytest.mark.parametrize("events", [failing, lambda: failing, lambda: asyncio.sleep(0, [SameName])])
def test_plugin_whose_async_registration_fails_is_removed(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, events: Callable[[], Any]
) -> None:
    """The failure is a warning, because by then the program serves requests."""
    bad, good = Plugin(events), Plugin()
    with telemetry.host(good, bad) as host:
        host.track(PageEvent())
    assert (len(telemetry.events), good.seen, bad.seen) == (1, 1, 0)
    assert warnings.text.count("The hook register_events of the plugin") == 1


@pytest.mark.skipif("sys.version_info < (3, 11)", reason="Python 3.10 cannot tell who is cancelled")
def test_startup_that_cancels_itself_is_a_failure_of_the_plugin(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The caller, whom nobody has cancelled, goes on."""
    with telemetry.host(Plugin(startup=cancelled)) as host:
        host.track(PageEvent())
    assert len(telemetry.events) == 1
    assert "CancelledError" in warnings.text


def test_startup_goes_on_where_it_was_interrupted(telemetry: Telemetry) -> None:
    """The hooks that have run do not run again."""
    started: list[str] = []

    def second() -> None:
        started.append("second")
        if started.count("second") == 1:
            raise KeyboardInterrupt

    host = telemetry.host(Plugin(startup=second), Plugin(lambda: None, lambda: started.append("first")))
    with pytest.raises(KeyboardInterrupt):
        host.track(PageEvent())
    host.track(PageEvent())
    assert started == ["first", "second", "second"]
    assert len(telemetry.events) == 1
    host.shutdown()


def test_sync_startup_needs_no_thread_and_may_track(telemetry: Telemetry) -> None:
    """The same holds inside of a running loop."""
    plugin = Plugin(startup=lambda: host.track(PageEvent(0)))
    host = telemetry.host(plugin)

    async def program() -> None:
        host.track(PageEvent(1))

    asyncio.run(program())
    assert heliograph_threads() == []
    assert [attributes["app.page.number"] for _, attributes in telemetry.events] == [0, 1]
    host.shutdown()


# Plugins that are added


def test_plugin_that_is_added_before_startup(telemetry: Telemetry) -> None:
    """The events of the plugin are registered at once, and its startup hook waits."""
    started: list[int] = []
    host = telemetry.host()
    host.register(Plugin(startup=lambda: started.append(1)))
    assert (host.event_classes, started) == ((PageEvent,), [])
    host.track(PageEvent())
    assert started == [1]
    host.shutdown()


@pytest.mark.parametrize("startup", [broken, failing])
def test_plugin_that_is_added_to_a_running_host_and_fails(telemetry: Telemetry, startup: Callable[[], Any]) -> None:
    """The call that adds it raises the error, and the plugin is removed. It can be added again."""
    plugin = Plugin(one_class, startup)
    with telemetry.host() as host:
        with pytest.raises(OSError, match="not now"):
            host.register(plugin)
        plugin.on_startup = lambda: None
        host.track(PageEvent())
        assert plugin.seen == 0
        host.register(plugin)
        host.track(PageEvent())
    assert plugin.seen == 1


def test_plugin_with_a_broken_class_is_not_added(telemetry: Telemetry) -> None:
    """Registering the plugin raises the error, before the startup as well, and none of its hooks is called."""
    host = telemetry.host(Plugin())
    bad = Plugin(lambda: [SameName])
    with pytest.raises(SchemaError):
        host.register(bad)
    host.track(PageEvent())
    assert bad.seen == 0
    host.shutdown()


# Plugins that are removed


@pytest.mark.parametrize("events", [lambda: one_class, one_class])
def test_plugin_that_is_removed_before_startup_registers_nothing(
    telemetry: Telemetry, events: Callable[[], Any]
) -> None:
    """Its async hook is not awaited, and its startup hook is not called."""
    started: list[int] = []
    plugin = Plugin(events, lambda: started.append(1))
    host = telemetry.host(plugin)
    host.unregister(plugin)
    with host:
        assert host.event_classes == ()
    assert started == []


def test_plugin_that_failed_leaves_nothing_to_the_next_one_with_its_name(telemetry: Telemetry) -> None:
    """The hook of the next one is called once."""
    calls: list[int] = []

    def events() -> list[type]:
        calls.append(1)
        return [PageEvent]

    with telemetry.host() as host:
        with pytest.raises(OSError, match="not now"):
            host.register(Plugin(failing))
        host.register(Plugin(events))
    assert calls == [1]


def test_plugin_may_remove_itself_while_it_registers(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """This is no failure, and the classes that it has returned are registered."""

    async def events() -> list[type]:
        host.unregister(plugin)
        return [PageEvent]

    plugin = Plugin(events)
    host = telemetry.host(plugin)
    with host:
        host.track(PageEvent())
    assert (len(telemetry.events), plugin.seen) == (1, 0)
    assert warnings.messages == []
