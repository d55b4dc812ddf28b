"""Events say what happened, who did it, and when."""

from __future__ import annotations

import contextvars
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated

import anyio
import anyio.lowlevel
import pytest

from heliograph import Attribute, Deprecated, Event, Severity, acting_as, current_actor, hookimpl
from recorder import Telemetry


@dataclass
class BanUserEvent(Event):
    name = "ban-user"
    user: dict


def test_fields_may_be_given_by_position_and_the_base_fields_are_left_out() -> None:
    """The class's own fields come first; `actor` and `created` have defaults."""
    before = datetime.now(timezone.utc)
    event = BanUserEvent({"id": 1})

    assert (event.name, event.user, event.actor) == ("ban-user", {"id": 1}, None)
    assert before <= event.created <= datetime.now(timezone.utc)
    assert event.created.utcoffset() == timedelta(0)


def test_base_fields_are_keyword_only() -> None:
    """Nobody becomes the actor by position."""
    with pytest.raises(TypeError, match="positional"):
        BanUserEvent({"id": 1}, {"id": "root"})  # type: ignore[misc]


def test_given_actor_and_time_win() -> None:
    """What the program says is kept as it is."""
    created = datetime(2020, 1, 2, tzinfo=timezone.utc)

    with acting_as({"id": "ambient"}):
        event = BanUserEvent(user={}, actor={"id": "root"}, created=created)

    assert (event.actor, event.created) == ({"id": "root"}, created)


def test_properties_are_the_rest_as_a_new_dict() -> None:
    """`properties()` has neither actor nor time, and shares nothing with the event."""
    event = BanUserEvent(user={"id": 1}, actor={"id": "root"})

    properties = event.properties()
    properties["user"]["id"] = 2  # type: ignore[index]

    assert event.properties() == {"user": {"id": 1}}


def test_properties_contain_nested_dataclasses_as_dicts() -> None:
    """A nested dataclass becomes a dict, as it does in Datasette."""

    @dataclass
    class Inner:
        size: int

    @dataclass
    class OuterEvent(Event):
        name = "outer"
        inner: Inner

    assert OuterEvent(inner=Inner(3)).properties() == {"inner": {"size": 3}}


def test_event_can_be_changed_as_a_plain_dataclass() -> None:
    """An event is mutable, as Datasette's are."""
    event = BanUserEvent(user={})
    event.user = {"id": 2}

    assert event == BanUserEvent(user={"id": 2}, created=event.created)


def test_keywords_of_the_class_are_inherited_one_by_one() -> None:
    """A subclass takes over what it does not say itself, and its parent keeps its own."""

    class Base(Event, namespace="forum", severity=Severity.WARN, message="{a}"):
        pass

    class Derived(Base, severity=Severity.ERROR):
        pass

    options = Derived.__event_options__
    assert (options.namespace, options.severity, options.message) == ("forum", Severity.ERROR, "{a}")
    assert Base.__event_options__.severity is Severity.WARN
    assert Event.__event_options__.severity is Severity.INFO


def test_unknown_keyword_of_the_class_is_an_error() -> None:
    """A misspelt keyword of the class statement is told at once."""
    with pytest.raises(TypeError):

        class Misspelt(Event, namspace="forum"):
            pass


def test_severities_are_those_of_opentelemetry() -> None:
    """The numbers are OpenTelemetry's."""
    assert {level.name: level.value for level in Severity} == {
        "TRACE": 1,
        "DEBUG": 5,
        "INFO": 9,
        "WARN": 13,
        "ERROR": 17,
        "FATAL": 21,
    }


def test_acting_as_holds_for_its_block_and_nests() -> None:
    """The innermost block decides, and nothing is left after it, errors included."""
    assert current_actor() is None
    with acting_as({"id": "outer"}):
        with pytest.raises(ZeroDivisionError), acting_as({"id": "inner"}):
            assert current_actor() == {"id": "inner"}
            raise ZeroDivisionError
        with acting_as(None):
            assert BanUserEvent(user={}).actor is None
        assert BanUserEvent(user={}).actor == {"id": "outer"}
    assert current_actor() is None


def test_acting_as_a_function_asks_it_each_time() -> None:
    """A middleware may name somebody who is not known yet."""
    known: list[dict[str, object] | None] = [None]

    with acting_as(lambda: known[0]):
        early = BanUserEvent(user={})
        known[0] = {"id": "late"}
        late = BanUserEvent(user={})

    assert (early.actor, late.actor) == (None, {"id": "late"})


def test_acting_as_refuses_what_is_no_actor() -> None:
    """A string in place of a mapping is a mistake that is told where it is made."""
    with pytest.raises(TypeError, match=r"acting_as\(\) takes an actor's mapping, such as \{'id': 'root'\}, not str"):
        with acting_as("root"):  # type: ignore[arg-type]
            pass


def test_ambient_actor_does_not_leak_into_other_threads() -> None:
    """Another thread has an actor of its own, unless it copies the context."""
    seen: list[object] = []

    with acting_as({"id": "root"}):
        context = contextvars.copy_context()
        for target in (lambda: seen.append(current_actor()), lambda: context.run(lambda: seen.append(current_actor()))):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

    assert seen == [None, {"id": "root"}]


@pytest.mark.anyio
async def test_ambient_actor_belongs_to_its_task() -> None:
    """Tasks that run side by side each have their own actor."""
    seen: dict[str, object] = {}

    async def work(name: str) -> None:
        with acting_as({"id": name}):
            await anyio.lowlevel.checkpoint()
            seen[name] = current_actor()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work, "a")
        tasks.start_soon(work, "b")

    assert seen == {"a": {"id": "a"}, "b": {"id": "b"}}


# Declarations on the wire


class Plugin:
    def __init__(self, *event_classes: type) -> None:
        self._event_classes = event_classes

    @hookimpl
    def register_events(self):
        return list(self._event_classes)


def test_version_is_an_attribute_of_each_event(telemetry: Telemetry) -> None:
    """Events of two versions of one contract can be distinguished."""

    @dataclass
    class FirstEvent(Event, version="1"):
        name = "thing"
        a: int = 1

    @dataclass
    class SecondEvent(Event, version="2"):
        name = "thing"
        b: int = 2

    with telemetry.host(Plugin(FirstEvent, SecondEvent)) as host:
        host.track(FirstEvent())
        host.track(SecondEvent())

    assert telemetry.events == [
        ("app.thing", {"app.thing.a": 1, "heliograph.event.version": "1"}),
        ("app.thing", {"app.thing.b": 2, "heliograph.event.version": "2"}),
    ]


def test_deprecated_event_can_be_emitted_under_both_names(telemetry: Telemetry) -> None:
    """Each record has its own unique id, so that no receiver discards one of them as a duplicate."""

    @dataclass
    class BanEvent(Event, deprecated=Deprecated(renamed_to="forum.block_user", emit_both=True), message="{user}"):
        name = "ban-user"
        user: str

    with telemetry.host(Plugin(BanEvent)) as host:
        host.track(BanEvent(user="cleverbot", actor={"id": "root"}))

    assert telemetry.events == [
        ("app.ban_user", {"app.ban_user.user": "cleverbot", "user.id": "root"}),
        ("forum.block_user", {"forum.block_user.user": "cleverbot", "user.id": "root"}),
    ]
    assert len({log.log_record.attributes["log.record.uid"] for log in telemetry.logs}) == 2  # type: ignore[index]
    assert {log.log_record.body for log in telemetry.logs} == {"cleverbot"}
    assert telemetry.counts("heliograph.events") == {("app.ban_user",): 1, ("forum.block_user",): 1}


def test_property_cannot_replace_an_attribute_of_the_actor(telemetry: Telemetry) -> None:
    """A property with the name of an attribute of the actor goes below the name of the event."""

    @dataclass
    class AboutEvent(Event):
        name = "about"
        user: Annotated[str, Attribute("user.id")]

    with telemetry.host(Plugin(AboutEvent)) as host:
        host.track(AboutEvent(user="cleverbot", actor=None))
        host.track(AboutEvent(user="cleverbot", actor={"id": "root"}))

    assert telemetry.events == [
        ("app.about", {"user.id": "cleverbot"}),
        ("app.about", {"user.id": "root", "app.about.user": "cleverbot"}),
    ]
