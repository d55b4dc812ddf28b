"""Mistakes of newcomers: each ends in one or two lines that name the mistake and the fix."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import warnings as python_warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pluggy
import pytest
from opentelemetry.sdk.trace import TracerProvider

from heliograph import (
    Attribute,
    Event,
    Host,
    OutboxError,
    OutboxLogRecordProcessor,
    PluginError,
    Privacy,
    RequestActor,
    SchemaError,
    Settings,
    SettingsError,
    SignedTokenHandler,
    TokenHandler,
    TokenHandlerNotFound,
    TokenRestrictions,
    UnregisteredEvent,
    acting_as,
    configure,
    hookimpl,
    keep_context,
    set_actor,
)
from recorder import Telemetry, without_uid
from scripts import python


@dataclass
class Tick(Event, namespace="test"):
    name = "tick"
    secret: str = "a private value"


@dataclass
class Other(Event):
    name = "other"


class WithoutDecorator(Event):
    name = "without-decorator"
    n: int


@dataclass
class WithoutName(Event):
    n: int


class Ticks:
    @hookimpl
    def register_events(self) -> list[type]:
        return [Tick]


class WithoutMark:
    def register_events(self) -> list[type]:
        return [Tick]


class MarkedForAnother:
    @pluggy.HookimplMarker("heliograph")
    def track_event(self, event: object) -> None: ...


class WrongArgument:
    @hookimpl
    def track_event(self, evnt: object) -> None: ...


class WithoutSelf:
    @hookimpl
    def track_event(event: object) -> None: ...  # noqa: N805 — the mistake


class WithoutArguments:
    @hookimpl
    def register_events() -> None: ...  # type: ignore[misc]


class NotAWrapper:
    @hookimpl(wrapper=True)
    def track_event(self, event: object) -> None: ...


class Registers:
    """A plugin with the mistake in the result of its hook."""

    def __init__(self, result: object) -> None:
        self.result = result

    @hookimpl
    def register_events(self) -> object:
        return self.result() if callable(self.result) and not isinstance(self.result, type) else self.result


class Handler(TokenHandler):
    name = "handler"


class Handles:
    def __init__(self, result: object) -> None:
        self.result = result

    @hookimpl
    def register_token_handler(self) -> object:
        return self.result


def misspelled() -> object:
    return Tikc  # type: ignore[name-defined]  # noqa: F821 — the mistake


def event_class(annotation: object = str, /, **body: Any) -> type:
    """Return an event class with one field."""
    options = body.pop("options", {})
    namespace = {"__annotations__": {"field": annotation}, "__module__": __name__, "name": "event", **body}
    return dataclass(type("AnEvent", (Event,), namespace, **options))


def class_with(**options: Any) -> type:
    return type("AnEvent", (Event,), {}, **options)


def host_of(*plugins: object, **arguments: Any) -> Host:
    return Host(Settings(), plugins=plugins, **arguments)


def create(host: Host, *arguments: Any, **keywords: Any) -> str:
    return host.call(host.create_token, *arguments, **keywords)


async def await_track(host: Host) -> None:
    await host.track(Tick())  # type: ignore[func-returns-value, misc]


Mistake = Callable[[Host], object]

MISTAKES: dict[str, tuple[Mistake, type[Exception], str]] = {
    # Event classes
    "no @dataclass": (
        lambda _: host_of(events=[WithoutDecorator]),
        SchemaError,
        "WithoutDecorator: it is not a dataclass; put `@dataclass` above it",
    ),
    "no @dataclass, created": (
        lambda _: WithoutDecorator(n=1),  # type: ignore[call-arg]
        TypeError,
        "WithoutDecorator is not a dataclass; put `@dataclass` above it",
    ),
    "no name": (lambda _: host_of(events=[WithoutName]), SchemaError, "it has no name; give it one in its body"),
    "name annotated": (
        lambda _: host_of(events=[dataclass(type("X", (Event,), {"__annotations__": {"name": str}, "name": "x"}))]),
        SchemaError,
        'its name is a field; write `name = "x"` without an annotation',
    ),
    "name with a space": (lambda _: host_of(events=[event_class(name="Ban User")]), SchemaError, "'Ban User'"),
    "name as an option": (lambda _: class_with(name="x"), TypeError, 'write `name = "…"` in the body of the class'),
    "unknown option": (
        lambda _: class_with(nmespace="x"),
        TypeError,
        "there is no option 'nmespace' of an event class; the options are: namespace, version, severity",
    ),
    "severity as text": (
        lambda _: host_of(events=[event_class(options={"severity": "WARN"})]),
        SchemaError,
        "its severity is 'WARN'; use one of Severity",
    ),
    "message with a typo": (
        lambda _: host_of(events=[event_class(options={"message": "{feild}"})]),
        SchemaError,
        "there is no field 'feild'; use one of field",
    ),
    "Attribute as a type": (
        lambda _: host_of(events=[event_class(Attribute("x.y"))]),
        SchemaError,
        "an Attribute is not a type; write Annotated[str, Attribute(…)]",
    ),
    "Attribute as a default": (
        lambda _: host_of(events=[event_class(str, field=Attribute("x.y"))]),
        SchemaError,
        "its default is an Attribute; write it into the annotation",
    ),
    "Attribute as a class": (
        lambda _: host_of(events=[event_class(Annotated[str, Attribute])]),
        SchemaError,
        "the class Attribute alone declares nothing; write Attribute(…)",
    ),
    "Privacy alone": (
        lambda _: host_of(events=[event_class(Annotated[str, Privacy.MASK])]),
        SchemaError,
        "Privacy.MASK alone protects nothing; write Attribute(privacy=Privacy.MASK)",
    ),
    "Privacy alone, inside": (
        lambda _: host_of(events=[event_class(list[Annotated[str, Privacy.HASH]])]),
        SchemaError,
        "Privacy.HASH alone protects nothing",
    ),
    "privacy as text": (
        lambda _: host_of(events=[event_class(Annotated[str, Attribute(privacy="msk")])]),  # type: ignore[arg-type]
        SchemaError,
        "the privacy of 'field' is 'msk'; use one of Privacy",
    ),
    # Events
    "wrong keyword": (lambda _: Tick(n=1), TypeError, "unexpected keyword argument 'n'"),  # type: ignore[call-arg]
    "class tracked": (
        lambda host: host.track(Tick),  # type: ignore[arg-type]
        UnregisteredEvent,
        "an event class was tracked, not an event; create an object of the class",
    ),
    "name tracked": (
        lambda host: host.track("tick"),  # type: ignore[arg-type]
        UnregisteredEvent,
        "an object of builtins.str was tracked, which is not an event",
    ),
    "dict tracked": (
        lambda host: host.track({"name": "tick"}),  # type: ignore[arg-type]
        UnregisteredEvent,
        "an object of builtins.dict was tracked, which is not an event",
    ),
    "unregistered": (
        lambda host: host.track(Other()),
        UnregisteredEvent,
        f"{__name__}.Other is not registered: return it from a plugin's `register_events` hook",
    ),
    "unregistered, async": (
        lambda host: asyncio.run(host.track_event(Other())),
        UnregisteredEvent,
        f"{__name__}.Other is not registered",
    ),
    "await track": (lambda host: asyncio.run(await_track(host)), TypeError, "'await' expression"),
    # Actors
    "actor is text": (
        lambda _: acting_as("alice").__enter__(),  # type: ignore[arg-type]
        TypeError,
        "take an actor's mapping, such as {'id': 'root'}, or a function that returns one, not builtins.str",
    ),
    "actor is a number": (
        lambda _: set_actor(5),  # type: ignore[arg-type]
        TypeError,
        "or a function that returns one, not builtins.int",
    ),
    "actor is a class": (
        lambda _: acting_as(RequestActor).__enter__(),  # type: ignore[arg-type]
        TypeError,
        "or a function that returns one, not the class heliograph.ambient_actor.RequestActor",
    ),
    "keep_context: a result": (
        lambda _: keep_context(None),  # type: ignore[arg-type]
        TypeError,
        "keep_context() takes a function, not builtins.NoneType; pass it without calling it",
    ),
    # Plugins
    "plugins: an event class": (
        lambda _: host_of(Tick),
        PluginError,
        f"the plugin {__name__}.Tick has no function that is marked with @hookimpl; events are not plugins: write events=[Tick]",
    ),
    "plugins: an event": (lambda _: host_of(Tick()), PluginError, "events are not plugins: write events=[Tick]"),
    "plugins: not a list": (
        lambda _: Host(Settings(), plugins=Ticks()),  # type: ignore[arg-type]
        PluginError,
        f"the argument `plugins` is an object of {__name__}.Ticks, not a list of plugins; write plugins=[…]",
    ),
    "plugins: text": (lambda _: Host(Settings(), plugins="forum"), PluginError, "write plugins=[…]"),
    "plugins: a name": (lambda _: host_of("forum"), PluginError, "import the module of that name"),
    "plugins: a list in the list": (lambda _: host_of([Ticks()]), PluginError, "register each of its items"),
    "plugins: a class": (lambda _: host_of(Ticks), PluginError, "is a class; register an instance of it: Ticks()"),
    "plugins: positional": (
        lambda _: Host([Ticks()]),  # type: ignore[arg-type]
        TypeError,
        "settings must be an object of Settings, not of builtins.list; pass plugins as plugins=[…]",
    ),
    "plugins: positional, configure": (
        lambda _: configure([Ticks()]),  # type: ignore[arg-type]
        TypeError,
        "pass plugins as plugins=[…]",
    ),
    "plugins: twice": (lambda host: [host.register(plugin) for plugin in [Ticks()] * 2], PluginError, "registered already"),
    "plugin": (lambda _: Host(plugin=[]), TypeError, "unexpected keyword argument 'plugin'"),  # type: ignore[call-arg]
    "no @hookimpl": (
        lambda _: host_of(WithoutMark()),
        PluginError,
        "write @hookimpl, of heliograph or of Datasette, above `register_events`",
    ),
    "another project's mark": (lambda _: host_of(MarkedForAnother()), PluginError, "above `track_event`"),
    "wrong argument of a hook": (
        lambda _: host_of(WrongArgument()),
        PluginError,
        "its function `track_event` has the argument 'evnt', and the hook has only: datasette, event",
    ),
    "no self": (
        lambda _: host_of(WithoutSelf()),
        PluginError,
        "write `self` before the argument 'event' of its method `track_event`",
    ),
    "no argument at all": (
        lambda _: host_of(WithoutArguments()),
        PluginError,
        "write `self` as the first argument of its method `register_events`",
    ),
    "hook that fails": (
        lambda _: host_of(Registers(misspelled)),
        PluginError,
        f"the hook register_events of the plugin {__name__}.Registers failed: NameError",
    ),
    "hook returns an event": (
        lambda _: host_of(Registers([Tick()])),
        PluginError,
        f"the hook register_events returned an object of {__name__}.Tick, not an event class; write the class itself",
    ),
    "hook returns a name": (lambda _: host_of(Registers("tick")), PluginError, "an object of builtins.str, not an event"),
    "events: an event": (
        lambda _: host_of(events=[Tick()]),
        PluginError,
        f"the argument `events` has an object of {__name__}.Tick, not an event class; write the class itself",
    ),
    "events: a plugin": (lambda _: host_of(events=[Ticks()]), PluginError, "not an event class"),
    "events: None": (
        lambda _: host_of(events=None),
        PluginError,
        "the argument `events` is None, not a list of event classes; write events=[…]",
    ),
    "events: text": (lambda _: host_of(events="tick"), PluginError, "not an event class"),
    # Settings
    "settings: positional": (lambda _: Settings("app"), TypeError, "positional argument"),  # type: ignore[misc]
    "settings: unknown": (lambda _: Settings(namspace="x"), TypeError, "'namspace'"),  # type: ignore[call-arg]
    "settings: a class": (lambda _: Host(Settings), TypeError, "write Settings()"),  # type: ignore[arg-type]
    "settings: a dict": (
        lambda _: Host({"namespace": "x"}),  # type: ignore[arg-type]
        TypeError,
        "write Settings(signals='log')",
    ),
    "settings: a number as text": (
        lambda _: Settings(token_ttl="1h"),  # type: ignore[arg-type]
        SettingsError,
        "Settings(token_ttl=…): '1h' must be a whole number above 0",
    ),
    "settings: an unknown word": (
        lambda _: Settings(validation="stric"),  # type: ignore[arg-type]
        SettingsError,
        "Settings(validation=…): 'stric' must be one of off, warn, quarantine, strict",
    ),
    "settings: a path that is a number": (
        lambda _: Settings(outbox=7),  # type: ignore[arg-type]
        SettingsError,
        "Settings(outbox=…): 7 must be a path",
    ),
    "outbox: a file": (
        lambda _: configure(Settings(outbox=Path(__file__))),
        OutboxError,
        "test_mistakes.py cannot be used as an outbox: it is a file; name a directory in HELIOGRAPH_OUTBOX",
    ),
    "databases: a list": (
        lambda _: host_of(databases=["data.db"]),
        TypeError,
        "must map names to files, such as databases={'data': 'data.db'}",
    ),
    "databases: a number": (lambda _: host_of(databases={"data": 1}), TypeError, "must map names to files"),
    "databases: a number as a name": (lambda _: host_of(databases={1: "data.db"}), TypeError, "must map names to files"),
    # Providers
    "provider: a class": (
        lambda _: host_of(tracer_provider=TracerProvider),
        TypeError,
        "the argument `tracer_provider` must be a provider of OpenTelemetry, with a method get_tracer(), not the class",
    ),
    "provider: another kind": (
        lambda _: host_of(logger_provider=TracerProvider()),
        TypeError,
        "the argument `logger_provider` must be a provider of OpenTelemetry, with a method get_logger(), not an object of",
    ),
    "outbox: an endpoint": (
        lambda _: OutboxLogRecordProcessor("outbox", destination="http://localhost:4318"),  # type: ignore[arg-type]
        TypeError,
        "the argument `destination` must be an object of Destination, or None for that of the OTEL_* variables",
    ),
    # Functions
    "call: a coroutine": (
        lambda host: host.call(host.verify_token("x")),  # type: ignore[arg-type]
        TypeError,
        "takes an async function and its arguments, like call(host.verify_token, token), not builtins.coroutine",
    ),
    "call: a sync function": (
        lambda host: host.call(host.sign, "x"),  # type: ignore[arg-type]
        TypeError,
        "is not async; call it without call()",
    ),
    "call: a name": (
        lambda host: host.call("verify_token", "x"),  # type: ignore[arg-type]
        TypeError,
        "like call(host.verify_token, token), not builtins.str",
    ),
    "at_shutdown: a result": (
        lambda host: host.at_shutdown(None),  # type: ignore[arg-type]
        TypeError,
        "at_shutdown() takes a function, not NoneType; pass it without calling it",
    ),
    "at_restart: a result": (lambda host: host.at_restart(None), TypeError, "at_restart() takes a function"),  # type: ignore[arg-type]
    "unknown database": (lambda host: host.get_database("data"), KeyError, "Host(databases={'data': 'path/to/file.db'})"),
    # Tokens
    "handler: a typo": (
        lambda host: create(host, "root", handler="databse"),
        TokenHandlerNotFound,
        "Token handler 'databse' not found. Available handlers: ['signed']",
    ),
    "handler: an object": (
        lambda host: create(host, "root", handler=SignedTokenHandler()),
        TypeError,
        "handler is the name of a token handler, not SignedTokenHandler; pass its `name`",
    ),
    "actor_id: an actor": (
        lambda host: create(host, {"id": "root"}),
        TypeError,
        "actor_id is the id of an actor, not dict; pass its id: actor['id']",
    ),
    "actor_id: None": (lambda host: create(host, None), TypeError, "pass the id as text"),
    "expires_after: a timedelta": (
        lambda host: create(host, "root", expires_after=dt.timedelta(days=1)),
        ValueError,
        "expires_after must be a whole number of seconds above 0",
    ),
    "restrictions: a list": (
        lambda host: create(host, "root", restrictions=["view-table"]),
        TypeError,
        "restrictions is an object of TokenRestrictions, not list; write TokenRestrictions().allow_all('view-table')",
    ),
    "restrictions: a text": (
        lambda host: create(host, "root", restrictions=TokenRestrictions(all="view-table")),  # type: ignore[arg-type]
        TypeError,
        'the argument `all` must be a list of actions, such as ["view-table"], not an object of builtins.str',
    ),
    "replay: a name": (
        lambda host: host.replay("tick"),  # type: ignore[arg-type]
        TypeError,
        "the argument `record` must be an InvalidRecord of the quarantine, not an object of builtins.str",
    ),
    "from_env: a prefix": (
        lambda _: Settings.from_env("FORUM_"),  # type: ignore[arg-type]
        TypeError,
        "the argument `environ` must be a mapping of variables, such as os.environ, not an object of builtins.str",
    ),
    "verify: bytes": (
        lambda host: host.call(host.verify_token, b"x"),  # type: ignore[arg-type]
        TypeError,
        "a token is a string, not bytes",
    ),
    "verify: None": (
        lambda host: host.call(host.verify_token, None),  # type: ignore[arg-type]
        TypeError,
        "a token is a string, not NoneType",
    ),
    "token handler: a class": (
        lambda host: [host.register(Handles(Handler)), create(host, "root")],
        PluginError,
        f"the class {__name__}.Handler, which is not a token handler; return an instance of a class with the methods "
        "create_token and verify_token, such as Handler()",
    ),
    "token handler: a name": (
        lambda host: [host.register(Handles(["handler"])), create(host, "root")],
        PluginError,
        "returned an object of builtins.str, which is not a token handler",
    ),
}  # fmt: skip


@pytest.fixture
def host(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    for signal in ("TRACES", "METRICS"):
        monkeypatch.setenv(f"OTEL_{signal}_EXPORTER", "none")
    with telemetry.host(Ticks()) as running:
        yield running


@pytest.mark.parametrize("name", MISTAKES)
def test_error_names_the_mistake_and_the_fix(name: str, host: Host) -> None:
    """A message has two lines at most, no id of an object in place of a name, and no private value of an event."""
    mistake, kind, text = MISTAKES[name]

    with python_warnings.catch_warnings(record=True) as warned, pytest.raises(kind) as caught:
        mistake(host)

    message = str(caught.value)
    assert text in message
    assert len(message.splitlines()) <= 2
    assert not re.search(r"'\d{6,}'", message)
    assert "private value" not in message
    assert not [each for each in warned if "never awaited" in str(each.message)]


def test_cause_is_shown_only_if_it_is_the_programs_own(host: Host) -> None:
    """A second traceback helps with a hook that failed, and with nothing else."""
    with_cause = set()
    for name, (mistake, kind, _) in MISTAKES.items():
        with pytest.raises(kind) as caught:
            mistake(host)
        if caught.value.__cause__ is not None:
            with_cause.add(name)

    assert with_cause == {"hook that fails"}


class MisspelledHook:
    @hookimpl
    def track_events(self, event: object) -> None: ...


class OneWithoutMark(Ticks):
    def track_event(self, event: object) -> None: ...


def misspelled_variable() -> Settings:
    return Settings.from_env({"HELIOGRAPH_OUTBOX_MAX_BYTE": "1"})


WARNINGS: dict[str, tuple[Callable[[], object], str]] = {
    "misspelled hook": (
        lambda: host_of(MisspelledHook()),
        "'track_events', which is not a hook, so it is never called; did you mean 'track_event'?",
    ),
    "one function without @hookimpl": (
        lambda: host_of(OneWithoutMark()),
        "has a function 'track_event' without @hookimpl, so it is never called; write @hookimpl above it.",
    ),
    "misspelled variable": (
        misspelled_variable,
        "HELIOGRAPH_OUTBOX_MAX_BYTE is not a setting; did you mean HELIOGRAPH_OUTBOX_MAX_BYTES?",
    ),
    "set_actor outside of a request": (
        lambda: set_actor({"id": "root"}),
        "set_actor() was called outside of a request, so it has no effect. Run the request in `with acting_as(RequestActor()):`. "
        "In Flask, set flask.g.actor instead.",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warning_names_the_mistake_and_the_fix(name: str, warnings: pytest.LogCaptureFixture) -> None:
    """A warning is one line in the log: the program may intend what it is about, or does not depend on it."""
    mistake, text = WARNINGS[name]

    mistake()

    [message] = warnings.messages
    assert text in message
    assert len(message.splitlines()) == 1


def test_awaited_track_has_emitted_the_event(host: Host, telemetry: Telemetry) -> None:
    """The error of the `await` comes after the event."""
    with pytest.raises(TypeError):
        asyncio.run(await_track(host))

    assert [log.log_record.event_name for log in telemetry.logs] == ["test.tick"]


def test_track_event_without_await_is_a_warning_of_python(host: Host, telemetry: Telemetry) -> None:
    """Nothing has run, and Python's own warning says so."""
    with pytest.warns(RuntimeWarning, match=r"Host\.track_event' was never awaited"):
        host.track_event(Tick())  # type: ignore[unused-coroutine]

    assert telemetry.logs == []


def test_one_event_class_is_as_good_as_a_list_of_one(telemetry: Telemetry) -> None:
    """A single class in place of the list can mean nothing else."""
    with telemetry.host(events=Tick) as host:
        host.track(Tick())

    assert [log.log_record.event_name for log in telemetry.logs] == ["test.tick"]


def test_actor_that_is_text_is_the_id(host: Host, telemetry: Telemetry) -> None:
    """The event is worth more than the form of its actor."""
    host.track(Tick(actor="alice"))  # type: ignore[arg-type]

    assert without_uid(telemetry.logs[0].log_record.attributes)["user.id"] == "alice"


def test_host_that_is_used_after_its_end_says_so() -> None:
    """Two hosts of one process are none of its problems: the second one joins the providers of the first."""
    ran = python(
        """
first, second = configure(plugins=[Plugin()]), configure(plugins=[Plugin()])
second.track(Tick(n=1))
report(flushed=second.flush())
first.shutdown()
second.shutdown()
second.track(Tick(n=2))
report(flushed=second.flush())
""",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )

    assert [report["flushed"] for report in ran.reports] == [True, False]
    [line] = ran.stderr.splitlines()
    assert line.endswith("and is lost. Enter the host again, or shut it down later.")
