"""A `track_event` hook that fails is logged and counted, and the hooks of other plugins still run."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from heliograph import Event, hookimpl
from recorder import Telemetry
from registrar import Registrar

FAILURES = "heliograph.hook.failures"


@dataclass
class PageEvent(Event):
    name = "page"
    number: int


PAGES = Registrar(PageEvent)


class Noting:
    """A plugin that records its calls in a list: at once, or in an async function that it returns."""

    def __init__(self, notes, name, form="sync"):
        self._notes, self._name, self._form = notes, name, form

    @hookimpl
    def track_event(self, datasette, event):
        async def note():
            self._notes.append((self._name, event.number))

        async def by_argument(event=event):
            self._notes.append((self._name, event.number))

        if self._form == "sync":
            self._notes.append((self._name, event.number))
            return None
        return {"function": lambda: note, "coroutine": note, "lambda": lambda: by_argument}[self._form]()


class Failing:
    """A plugin whose hook raises an error, in one of the ways in which a hook can."""

    def __init__(self, form, error=None):
        self._form, self._error = form, error or OSError("no such page")

    @hookimpl
    def track_event(self, datasette, event):
        async def fail():
            raise self._error

        def fail_at_once():
            raise self._error

        if self._form == "sync":
            raise self._error
        return {"function": lambda: fail, "coroutine": fail, "sync function": lambda: fail_at_once}[self._form]()


class Endless:
    """A plugin with an async hook that sets an event, and does not end."""

    def __init__(self, started):
        self._started = started

    @hookimpl
    def track_event(self):
        async def wait():
            self._started.set()
            await asyncio.sleep(3600)

        return wait


every_failure = pytest.mark.parametrize("form", ["sync", "function", "coroutine", "sync function"])


@every_failure
def test_a_failing_hook_of_track_is_logged_and_counted_and_the_others_run(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, form: str
) -> None:
    """The hooks before it and after it run, sync ones and async ones."""
    notes: list[object] = []
    plugins = [
        Noting(notes, "last async", "function"),
        Noting(notes, "last"),
        Failing(form),
        Noting(notes, "first"),
        Noting(notes, "first async", "function"),
    ]

    with telemetry.host(PAGES, *plugins) as host:
        host.track(PageEvent(1))
        assert host.flush()

    assert notes == [("first", 1), ("last", 1), ("first async", 1), ("last async", 1)]
    assert telemetry.counts(FAILURES) == {("OSError", "track_event"): 1}
    _assert_logged(warnings)


@every_failure
def test_a_failing_hook_of_track_event_is_logged_and_counted_and_the_others_run(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, form: str
) -> None:
    """`await host.track_event` isolates hooks in the same way."""
    notes: list[object] = []

    async def program():
        plugins = [Noting(notes, "last", "coroutine"), Failing(form), Noting(notes, "first", "lambda")]
        async with telemetry.host(PAGES, *plugins) as host:
            await host.track_event(PageEvent(1))
            assert notes == [("first", 1), ("last", 1)]

    asyncio.run(program())

    assert telemetry.counts(FAILURES) == {("OSError", "track_event"): 1}
    _assert_logged(warnings)


def test_a_hook_that_is_cancelled_from_within_does_not_end_the_others(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """A hook that awaits a cancelled task ends alone: the hooks for later events run."""
    notes: list[object] = []

    class Cancelled:
        @hookimpl
        def track_event(self, datasette, event):
            async def wait():
                if event.number == 1:
                    raise asyncio.CancelledError

            return wait

    with telemetry.host(PAGES, Noting(notes, "other", "function"), Cancelled()) as host:
        host.track(PageEvent(1))
        host.track(PageEvent(2))
        assert host.flush()

    assert ("other", 2) in notes
    assert "track_event" in warnings.text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 cannot tell this from a cancellation of the caller")
@pytest.mark.parametrize("method", ["track", "track_event"])
def test_a_hook_that_is_cancelled_from_within_is_a_failure_like_any_other(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, method: str
) -> None:
    """The hooks after it are awaited for the same event, too."""
    notes: list[object] = []

    class Cancelled:
        @hookimpl
        def track_event(self):
            async def wait():
                raise asyncio.CancelledError

            return wait

    with telemetry.host(PAGES, Noting(notes, "other", "function"), Cancelled()) as host:
        if method == "track":
            host.track(PageEvent(1))
            assert host.flush()
        else:
            asyncio.run(host.track_event(PageEvent(1)))

    assert notes == [("other", 1)]
    assert telemetry.counts(FAILURES) == {("asyncio.exceptions.CancelledError", "track_event"): 1}


def test_cancelling_the_caller_of_track_event_ends_its_hooks(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The hook that runs is cancelled, those after it are not awaited, and it is not a failure of the hook."""
    notes: list[object] = []

    async def program():
        started = asyncio.Event()

        async with telemetry.host(PAGES, Noting(notes, "after", "function"), Endless(started)) as host:
            task = asyncio.create_task(host.track_event(PageEvent(1)))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(program())

    assert notes == []
    assert telemetry.counts(FAILURES) == {}
    assert warnings.records == []


def generator_hook(event):
    yield event


async def async_generator_hook(event):
    yield event


def hook_that_returns_a_generator_function(event):
    def inner():
        yield event

    return inner


def hook_that_returns_an_async_generator_function(event):
    async def inner():
        yield event

    return inner


@pytest.mark.parametrize(
    "function",
    [
        generator_hook,
        async_generator_hook,
        hook_that_returns_a_generator_function,
        hook_that_returns_an_async_generator_function,
    ],
)
@pytest.mark.parametrize("method", ["track", "track_event"])
def test_a_hook_with_a_yield_is_a_failure(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, function, method
) -> None:
    """Python runs no line of a generator that nothing iterates. The failure is logged, and the other hooks run."""
    notes: list[object] = []
    module = types.ModuleType("a_plugin")
    module.track_event = hookimpl(function)

    with telemetry.host(PAGES, Noting(notes, "other", "function"), module) as host:
        if method == "track":
            host.track(PageEvent(1))
        else:
            asyncio.run(host.track_event(PageEvent(1)))
        assert host.flush()

    assert notes == [("other", 1)]
    assert telemetry.counts(FAILURES) == {("TypeError", "track_event"): 1}
    (record,) = warnings.records
    assert "contains `yield`" in str(record.exc_info[1])


def test_a_flush_that_waits_for_a_hook_is_false_when_a_shutdown_cancels_it(telemetry: Telemetry) -> None:
    """The hook of the event did not run to its end, so the flush in the other thread must not report success."""
    started = threading.Event()

    host = telemetry.host(PAGES, Endless(started))
    host.track(PageEvent(1))
    assert started.wait(20)
    with ThreadPoolExecutor(1) as threads:
        flushed = threads.submit(host.flush, 60_000)
        assert not host.shutdown(200)
        assert flushed.result(20) is False


def test_a_program_without_async_hooks_has_no_thread(telemetry: Telemetry) -> None:
    """The background loop starts with the first async function."""
    notes: list[object] = []

    with telemetry.host(PAGES, Noting(notes, "sync")) as host:
        asyncio.run(host.track_event(PageEvent(1)))
        before = [thread.name for thread in threading.enumerate()]
        host.track(PageEvent(2))
        assert [thread.name for thread in threading.enumerate()] == before


def test_failures_are_counted_by_their_class(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """The attribute is the class of the error, and never its message, which may quote a secret."""
    failing = [Failing("sync"), Failing("sync", ArithmeticError("sesame")), Failing("function", LookupError("sesame"))]
    with telemetry.host(PAGES, *failing) as host:
        for number in range(3):
            host.track(PageEvent(number))
        host.flush()

    assert telemetry.counts(FAILURES) == {
        ("OSError", "track_event"): 3,
        ("ArithmeticError", "track_event"): 3,
        ("LookupError", "track_event"): 3,
    }
    assert "sesame" not in telemetry.everything()


def test_without_failures_nothing_is_counted(telemetry: Telemetry) -> None:
    """A hook that succeeds is neither counted nor logged."""
    with telemetry.host(PAGES, Noting([], "good", "function")) as host:
        host.track(PageEvent(1))

    assert telemetry.counts(FAILURES) == {}


def test_hooks_are_called_in_pluggys_order(telemetry: Telemetry) -> None:
    """The plugin that was registered last is called first; `tryfirst` and `trylast` have their effect."""
    notes: list[object] = []

    class Late:
        @hookimpl(trylast=True)
        def track_event(self, event):
            notes.append(("trylast", event.number))

    class Early:
        @hookimpl(tryfirst=True)
        def track_event(self, event):
            notes.append(("tryfirst", event.number))

    with telemetry.host(PAGES, Early(), Noting(notes, "a"), Noting(notes, "b"), Late()) as host:
        host.track(PageEvent(1))

    assert [name for name, _ in notes] == ["tryfirst", "b", "a", "trylast"]


def test_a_wrapper_wraps_each_call_of_a_hook(telemetry: Telemetry) -> None:
    """New-style and old-style wrappers wrap the call of every plugin, a failing one included."""
    notes: list[object] = []

    class Wrapping:
        @hookimpl(wrapper=True)
        def track_event(self, event):
            notes.append("before")
            try:
                return (yield)
            finally:
                notes.append("after")

    class OldWrapping:
        @hookimpl(hookwrapper=True)
        def track_event(self, event):
            notes.append("old before")
            yield
            notes.append("old after")

    with telemetry.host(PAGES, Noting(notes, "plugin"), Failing("sync"), OldWrapping(), Wrapping()) as host:
        host.track(PageEvent(1))

    around = ["before", "old before", "old after", "after"]
    assert notes == [*around, *around[:2], ("plugin", 1), *around[2:]]
    assert telemetry.counts(FAILURES) == {("OSError", "track_event"): 1}


def test_a_wrapper_that_fails_is_a_failure_of_the_call_it_wraps(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The hooks have run, and the program gets no error."""
    notes: list[object] = []

    class Wrapping:
        @hookimpl(wrapper=True)
        def track_event(self, event):
            yield
            raise OSError("no such page")

    with telemetry.host(PAGES, Noting(notes, "a"), Noting(notes, "b"), Wrapping()) as host:
        host.track(PageEvent(1))

    assert notes == [("b", 1), ("a", 1)]
    assert telemetry.counts(FAILURES) == {("OSError", "track_event"): 2}


def test_a_hook_may_take_any_of_the_arguments(telemetry: Telemetry) -> None:
    """A hook may take both arguments, one or none, by Datasette's names."""
    seen = []

    class None_:
        @hookimpl
        def track_event(self):
            seen.append(())

    class Both:
        @hookimpl
        def track_event(self, event, datasette):
            seen.append((datasette, event))

    event = PageEvent(1)
    with telemetry.host(PAGES, None_(), Both()) as host:
        host.track(event)

    assert seen == [(host, event), ()]


def test_other_results_of_a_hook_are_ignored(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """A hook may return a value that is neither a function nor awaitable."""

    class Returning:
        @hookimpl
        def track_event(self, event):
            return {"number": event.number}

    with telemetry.host(PAGES, Returning()) as host:
        host.track(PageEvent(1))
        assert host.flush()

    assert warnings.records == []


def test_a_plugin_that_is_registered_later_is_called_with_later_events(telemetry: Telemetry) -> None:
    """The calls of the plugins are cached until a plugin is registered."""
    notes: list[object] = []

    with telemetry.host(PAGES, Noting(notes, "a")) as host:
        host.track(PageEvent(1))
        host.register(Noting(notes, "b"))
        host.track(PageEvent(2))

    assert notes == [("a", 1), ("b", 2), ("a", 2)]


def test_coroutines_are_awaited_each_once(telemetry: Telemetry) -> None:
    """Python would warn about a coroutine that is never awaited."""
    notes: list[object] = []

    with telemetry.host(PAGES, Noting(notes, "a", "coroutine"), Failing("coroutine")) as host:
        for number in range(10):
            host.track(PageEvent(number))
        assert host.flush()
    gc.collect()

    assert notes == [("a", number) for number in range(10)]


def _assert_logged(warnings: pytest.LogCaptureFixture) -> None:
    (record,) = warnings.records
    assert record.levelno == logging.ERROR
    assert record.name == "heliograph"
    assert record.getMessage().startswith("The hook track_event of the plugin ")
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "no such page"
