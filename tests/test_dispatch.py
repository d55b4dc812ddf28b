"""The `track_event` hooks of plugins run each on its own feet."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest
from recorder import Telemetry

from heliograph import Event, Host, hookimpl

variable: ContextVar[str] = ContextVar("variable", default="nobody's")


@dataclass
class Happened(Event):
    name = "happened"
    number: int = 0


class Registers:
    @hookimpl
    def register_events(self) -> list[type]:
        return [Happened]


class Hook:
    """A plugin whose hook is a function."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function

    @hookimpl
    def track_event(self, event: Event) -> object:
        return self._function(event)


def tracked(host: Host, *, in_loop: bool, event: Event | None = None) -> None:
    """Track, in one of the two ways, and see it through."""
    event = event or Happened()
    if in_loop:
        asyncio.run(host.track_event(event))
    else:
        host.track(event)
        assert host.flush()


both_ways = pytest.mark.parametrize("in_loop", [False, True], ids=["track", "track_event"])


@both_ways
def test_hooks_get_the_event_and_the_host(telemetry: Telemetry, in_loop: bool) -> None:
    """By the names of Datasette's arguments; what is emitted is emitted before."""
    seen: list[Any] = []

    class Plugin(Registers):
        @hookimpl
        def track_event(self, datasette: Host, event: Event) -> None:
            seen.append((datasette, event, len(telemetry.logs)))

    event = Happened(number=7)
    with telemetry.host(Plugin()) as host:
        tracked(host, in_loop=in_loop, event=event)

    assert seen == [(host, event, 1)]


@both_ways
def test_hook_that_fails_is_logged_and_counted_and_the_others_run(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, in_loop: bool
) -> None:
    """Sync and async ones; nothing reaches the program."""
    seen: list[str] = []

    async def fail(_: Event) -> None:
        raise LookupError("async")

    async def append(event: Event) -> None:
        seen.append("async")

    plugins = [
        Hook(lambda event: functools.partial(append, event)),
        Hook(lambda event: functools.partial(fail, event)),
        Hook(lambda _: seen.append("sync")),
        Hook(lambda _: 1 / 0),
    ]
    with telemetry.host(Registers(), *plugins) as host:
        tracked(host, in_loop=in_loop)
        tracked(host, in_loop=in_loop)

    assert seen == ["sync", "async"] * 2
    assert telemetry.counts("heliograph.hook.failures") == {
        ("builtins.ZeroDivisionError", "track_event"): 2,
        ("builtins.LookupError", "track_event"): 2,
    }
    assert len(warnings.records) == 4
    assert warnings.messages[0].startswith("The hook track_event of the plugin ")
    assert {record.exc_info[0] for record in warnings.records} == {ZeroDivisionError, LookupError}  # type: ignore[index]


@both_ways
def test_async_hooks_run_in_order_and_in_the_callers_context(telemetry: Telemetry, in_loop: bool) -> None:
    """One after the other, each to its end."""
    seen: list[str] = []

    def slow(name: str) -> Hook:
        async def inner() -> None:
            seen.append(f"{name} begins for {variable.get()}")
            await asyncio.sleep(0.001)
            seen.append(f"{name} ends")

        return Hook(lambda _: inner)

    variable.set("the caller")
    with telemetry.host(Registers(), slow("b"), slow("a")) as host:
        tracked(host, in_loop=in_loop)

    assert seen == ["a begins for the caller", "a ends", "b begins for the caller", "b ends"]


@both_ways
def test_hook_may_return_a_coroutine_or_a_value_of_no_use(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, in_loop: bool
) -> None:
    """A coroutine is awaited, as in Datasette; anything else is let be."""
    seen: list[int] = []

    async def append(event: Happened) -> None:
        seen.append(event.number)

    with telemetry.host(Registers(), Hook(append), Hook(lambda _: "of no use"), Hook(lambda _: [1])) as host:  # type: ignore[arg-type]
        tracked(host, in_loop=in_loop, event=Happened(number=3))

    assert seen == [3]
    assert warnings.records == []


def test_cancelled_hook_ends_no_later_event(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """A hook that awaits something cancelled fails alone."""
    seen: list[int] = []

    class Plugin(Registers):
        @hookimpl
        def track_event(self, event: Happened) -> object:
            async def inner() -> None:
                if event.number == 0:
                    raise asyncio.CancelledError
                seen.append(event.number)

            return inner

    with telemetry.host(Plugin()) as host:
        host.track(Happened(number=0))
        host.track(Happened(number=1))
        assert host.flush()

    assert seen == [1]
    assert len(warnings.records) == 1


@pytest.mark.anyio
async def test_cancelled_caller_of_track_event_is_cancelled(telemetry: Telemetry) -> None:
    """A hook that hangs does not keep a request that was given up."""

    async def hang() -> None:
        await asyncio.sleep(3600)

    async with telemetry.host(Registers(), Hook(lambda _: hang)) as host:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(host.track_event(Happened()), 0.01)


def test_plugin_without_the_hook_is_not_called(telemetry: Telemetry) -> None:
    """Events go out without any hook, and no thread is started for them."""
    with telemetry.host(Registers()) as host:
        host.track(Happened())

    assert [name for name, _ in telemetry.events] == ["app.happened"]
    assert telemetry.counts("heliograph.hook.failures") == {}
