"""Mistakes of programs and plugins, and attacks: each causes a clear error, or none at all."""

from __future__ import annotations

import asyncio
import enum
import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from types import MappingProxyType

import pytest

from heliograph import (
    Event,
    Host,
    PluginError,
    SchemaError,
    Settings,
    UnregisteredEvent,
    acting_as,
    default_actor,
    hookimpl,
)
from heliograph.schema.compile.event_class import compile_untyped
from heliograph.telemetry import emitter
from heliograph.telemetry.metrics import error_type
from heliograph.values.forms import MAX_VALUES, form_of
from scripts import python
from threads import join, no_more_threads


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
        join(*threads)
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
        join(thread)


def values_in(form: object) -> int:
    """Return the number of lists and other values in a form."""
    return 1 + sum(map(values_in, form)) if isinstance(form, list) else 1


def test_value_that_doubles_at_each_level_is_limited():
    """Of nested lists, a limited number of values is read in all. Each list that has more ends with one mark."""
    value: list[object] = [1]
    for _ in range(30):
        value = [value, value]
    form = form_of(value)
    assert "<too large>" in str(form)
    assert values_in(form) <= MAX_VALUES + 31
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


# Code of the program that fails inside of `track`

FAILURES = [RuntimeError("s3cret"), asyncio.CancelledError("s3cret")]
NO_FAILURES = [KeyboardInterrupt(), SystemExit(3), GeneratorExit()]


class Raising(Event):
    """An event whose actor or time raises."""

    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__()
        self._failing, self._error = name, error

    def __getattribute__(self, name: str) -> object:
        if name == object.__getattribute__(self, "__dict__").get("_failing"):
            raise self._error
        return object.__getattribute__(self, name)


@dataclass
class RaisingPing(Raising, Ping):
    def __init__(self, name: str, error: BaseException) -> None:
        super().__init__(name, error)


class Logs(logging.Filter):
    """A filter that fails."""

    def filter(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("filter")


@pytest.fixture
def failing_log() -> Iterator[None]:
    """Let each line of the log fail."""
    failing = Logs()
    logging.getLogger("heliograph").addFilter(failing)
    yield
    logging.getLogger("heliograph").removeFilter(failing)


@pytest.mark.parametrize("name", ["actor", "created"])
@pytest.mark.parametrize("error", FAILURES)
def test_event_goes_out_without_what_fails(telemetry, warnings, name, error):
    """One line names it, without the text of the exception, which may be private."""
    with telemetry.host(Pings()) as host:
        for _ in range(3):
            host.track(RaisingPing(name, error))
    assert len(telemetry.events) == 3
    assert warnings.text.count(f"`{name}` of an event app.ping cannot be read: ") == 1
    assert telemetry.counts("heliograph.emit.failures") == {(error_type(error), name): 3}
    assert "s3cret" not in warnings.text


class FailingActor(Mapping[str, object]):
    """An actor whose own code fails."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __getitem__(self, key: str) -> object:
        raise self._error

    def __iter__(self) -> Iterator[str]:
        raise self._error

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("error", FAILURES)
def test_actors_that_fail_are_counted(telemetry, error):
    """Each kind of code has a series of its own, whether an event asks for its actor or a request knows it."""

    def who() -> None:
        raise error

    with telemetry.host(Pings()) as host:
        host.track(Ping(actor=FailingActor(error)))
        with acting_as(who):
            host.track(Ping())
            host.track(Ping())
        remove = default_actor(who)
        host.track(Ping())
        remove()
    assert len(telemetry.events) == 4
    name = error_type(error)
    assert telemetry.counts("heliograph.emit.failures") == {
        (name, "actor"): 1,
        (name, "acting_as"): 2,
        (name, "default_actor"): 1,
    }


def test_properties_that_fail_are_counted(telemetry, warnings):
    """An event without a schema goes out with its attributes, and one line names the class of the exception."""

    class Loose:
        name = "loose"
        actor = created = None

        def __init__(self) -> None:
            self.size = 3

        def properties(self) -> dict[str, object]:
            raise RuntimeError("s3cret")

    with telemetry.host() as host:
        host.schemas.register_untyped(Loose)
        host.track(Loose())
        host.track(Loose())
    assert [attributes["app.loose.size"] for _, attributes in telemetry.events] == [3, 3]
    assert telemetry.counts("heliograph.emit.failures") == {("RuntimeError", "properties"): 2}
    assert warnings.text.count("`properties()` of an event") == 1
    assert "s3cret" not in warnings.text


@pytest.mark.parametrize("error", NO_FAILURES)
def test_exceptions_that_are_no_failures_pass(telemetry, error):
    """A signal handler, a timeout or a test runner raised them in our frames. The host works afterwards."""
    with telemetry.host(Pings()) as host:
        with pytest.raises(type(error)):
            host.track(RaisingPing("actor", error))
        host.track(Ping())
        assert host.flush(20_000)
    assert len(telemetry.events) == 1


@pytest.mark.parametrize("error", FAILURES)
def test_hook_that_fails_in_track(telemetry, warnings, error):
    """In sync code, a CancelledError is a failure as well, also if a coroutine tracks the event."""

    class Failing:
        @hookimpl
        def track_event(self) -> None:
            raise error

    with telemetry.host(Pings(), Failing()) as host:
        host.track(Ping())
        asyncio.run(host.track_event(Ping()))
    assert len(telemetry.events) == 2
    assert warnings.text.count("The hook track_event of the plugin") == 1


def test_hook_whose_result_cannot_be_asked_for_its_class(telemetry, warnings):
    """A result whose `__class__` raises is a failure of the hook, which `track` does not raise."""

    class Odd:
        __class__ = property(lambda _: 1 / 0)

        def __call__(self) -> None:
            pass

    plugin = Pings()
    with telemetry.host(plugin) as host:
        plugin.result = Odd()
        host.track(Ping())
    assert "ZeroDivisionError" in warnings.text


def test_async_hook_without_a_thread_is_a_failure_of_the_hook(telemetry, warnings):
    """The system may have too many threads, and an interpreter that exits starts none."""

    async def nothing() -> None:
        pass

    with telemetry.host(Pings(nothing)) as host:
        host._background.stop()
        with no_more_threads():
            host.track(Ping())
        assert "can't start new thread" in warnings.text
        host.track(Ping())
        assert host.flush(20_000)
    assert telemetry.counts("heliograph.hook.failures")[("RuntimeError", "track_event")] == 1


@pytest.mark.parametrize("error", FAILURES)
def test_context_that_cannot_be_read(telemetry, warnings, monkeypatch, error):
    """Whatever else fails is logged once and counted."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(emitter, "get_current", fail)
    with telemetry.host(Pings()) as host:
        host.track(Ping())
        host.track(Ping())
    assert sum(telemetry.counts("heliograph.emit.failures").values()) == 4
    assert warnings.text.count("failed to emit an event as 'log'") == 1


def test_filter_of_the_log_that_fails(telemetry, failing_log, capsys):
    """An exception of a logging filter does not reach `track`, and does not end the loop of the hooks."""
    seen = []

    async def fail() -> None:
        raise SystemExit

    async def work() -> None:
        seen.append("worked")

    plugin = Pings(fail)
    with telemetry.host(plugin) as host:
        host.track(RaisingPing("actor", RuntimeError()))
        plugin.result = work
        host.track(Ping())
        assert host.flush(20_000)
    assert seen == ["worked"]
    assert telemetry.counts("heliograph.emit.failures")["RuntimeError", "logging"] >= 1
    assert "the program's logging failed" in capsys.readouterr().err


def test_subclass_whose_metaclass_fails_is_masked(telemetry, warnings):
    """The declarations of such a class cannot be read, and may ask for privacy."""

    @dataclass
    class Note(Event):
        name = "note"
        text: str = ""

    class Meta(type):
        def __hash__(cls) -> int:
            raise RuntimeError

    class Odd(Note, metaclass=Meta):
        pass

    with telemetry.host() as host:
        host.schemas.register(Note)
        host.track(Odd(text="s3cret"))
        with pytest.raises(UnregisteredEvent):
            host.track(Meta("Other", (Event,), {})())
    [(_, attributes)] = telemetry.events
    assert attributes["app.note.text"] == "<masked>"
    assert "s3cret" not in telemetry.everything()
    assert "cannot be read, so its events are masked" in warnings.text
    assert telemetry.counts("heliograph.emit.failures") == {("RuntimeError", "event_class"): 1}


def test_naive_time_of_a_subclass_runs_none_of_its_code(telemetry):
    """A time without a zone is in UTC, whatever its class."""

    class Odd(datetime):
        @property
        def tzinfo(self) -> None:
            raise RuntimeError

        def replace(self, **_: object) -> datetime:
            raise RuntimeError

    with telemetry.host(Pings()) as host:
        host.track(Ping(created=Odd(2026, 1, 2)))
    [log] = telemetry.logs
    assert log.log_record.timestamp == datetime(2026, 1, 2, tzinfo=timezone.utc).timestamp() * 1e9


def test_nothing_is_done_while_the_interpreter_ends():
    """The modules that telemetry needs are being taken down. CPython 3.13 crashed here."""
    ran = python(
        """
        import asyncio
        host = Host(Settings(), plugins=[Plugin()])
        host.track(Tick(1))
        class AtTheEnd:
            def __del__(self):
                host.track(Tick(2))
                try:
                    host.track_event(Tick(3)).send(None)
                except StopIteration:
                    report(ended=True)
        keep = AtTheEnd()
        """,
        fresh=True,
        HELIOGRAPH_SIGNALS="log",
    )
    assert ran.only == {"ended": True}
