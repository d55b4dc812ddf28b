"""An event has properties, an actor and a time, and its class declares how it is exported."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Annotated

import pytest

from heliograph import Attribute, Deprecated, Event, Privacy, Severity, acting_as, hookimpl
from heliograph.events import severity_text
from recorder import Telemetry


@dataclass
class BanUserEvent(Event):
    name = "ban-user"
    user: dict


def test_own_fields_come_first_and_base_fields_have_defaults() -> None:
    """The fields of an event class can be given by position."""
    before = datetime.now(timezone.utc)
    event = BanUserEvent({"id": 1})

    assert (event.name, event.user, event.actor) == ("ban-user", {"id": 1}, None)
    assert before <= event.created <= datetime.now(timezone.utc)
    assert event.created.utcoffset() == timedelta(0)


def test_base_fields_are_keyword_only() -> None:
    """An actor cannot be given by position, so it cannot be confused with a property."""
    with pytest.raises(TypeError, match="positional"):
        BanUserEvent({"id": 1}, {"id": "root"})  # type: ignore[misc]


def test_given_actor_and_time_beat_the_defaults() -> None:
    """The ambient actor and the current time are defaults only."""
    created = datetime(2020, 1, 2, tzinfo=timezone.utc)

    with acting_as({"id": "ambient"}):
        event = BanUserEvent(user={}, actor={"id": "root"}, created=created)

    assert (event.actor, event.created) == ({"id": "root"}, created)


def test_properties_are_all_other_fields_as_a_new_dict() -> None:
    """`properties()` has neither actor nor time, and changes to it do not change the event."""
    event = BanUserEvent(user={"id": 1}, actor={"id": "root"})

    properties = event.properties()
    properties["user"]["id"] = 2  # type: ignore[index]

    assert event.properties() == {"user": {"id": 1}}


def test_properties_contain_nested_dataclasses_as_dicts() -> None:
    """Nested dataclasses become dicts in `properties()`, as in Datasette."""

    @dataclass
    class Inner:
        size: int

    @dataclass
    class OuterEvent(Event):
        name = "outer"
        inner: Inner

    assert OuterEvent(inner=Inner(3)).properties() == {"inner": {"size": 3}}


def test_event_is_mutable() -> None:
    """The fields of an event can be assigned, as those of Datasette's events can."""
    event = BanUserEvent(user={})
    event.user = {"id": 2}

    assert event == BanUserEvent(user={"id": 2}, created=event.created)


def test_keywords_of_the_class_are_inherited_one_by_one() -> None:
    """A subclass inherits each keyword that it does not set, and does not change those of its parent."""

    class Base(Event, namespace="forum", severity=Severity.WARN, message="{a}"):
        pass

    class Derived(Base, severity=Severity.ERROR):
        pass

    options = Derived.__event_options__
    assert (options.namespace, options.severity, options.message) == ("forum", Severity.ERROR, "{a}")
    assert Base.__event_options__.severity is Severity.WARN
    assert Event.__event_options__.severity is Severity.INFO


def test_unknown_keyword_of_the_class_is_an_error() -> None:
    """A misspelt keyword is an error of the class statement."""
    with pytest.raises(TypeError):

        class Misspelt(Event, namspace="forum"):
            pass


def test_severities_are_those_of_opentelemetry() -> None:
    """Each severity has the first number of its range in OpenTelemetry's data model."""
    assert {level.name: level.value for level in Severity} == {
        "TRACE": 1,
        "DEBUG": 5,
        "INFO": 9,
        "WARN": 13,
        "ERROR": 17,
        "FATAL": 21,
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "TRACE (1)"),
        (2, "TRACE2 (2)"),
        (4, "TRACE4 (4)"),
        (5, "DEBUG (5)"),
        (9, "INFO (9)"),
        (12, "INFO4 (12)"),
        (Severity.WARN, "WARN (13)"),
        (14, "WARN2 (14)"),
        (17, "ERROR (17)"),
        (21, "FATAL (21)"),
        (24, "FATAL4 (24)"),
    ],
)
def test_severity_text(number: int, text: str) -> None:
    """The names are OpenTelemetry's short names of all 24 numbers."""
    assert severity_text(number) == text


def test_upcaster_belongs_to_its_class() -> None:
    """A subclass and the parent do not share upcasters, and the decorated function is returned unchanged."""

    @dataclass
    class ParentEvent(Event, version="2"):
        name = "parent"

    @dataclass
    class ChildEvent(ParentEvent, version="3"):
        name = "child"

    @ParentEvent.upcast(from_version="1")
    def from_1(properties: dict[str, object]) -> dict[str, object]:
        return {**properties, "version": 2}

    assert from_1({}) == {"version": 2}
    assert ParentEvent.__event_options__.upcasters == {"1": from_1}
    assert ChildEvent.__event_options__.upcasters == Event.__event_options__.upcasters == {}


def test_properties_of_an_event_whose_actor_cannot_be_copied() -> None:
    """The actor may be any mapping, such as one that holds a lock."""
    event = BanUserEvent(user={"id": 1}, actor={"lock": threading.Lock()})

    assert event.properties() == {"user": {"id": 1}}
    assert event.actor is not None


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
    """A property that declares an attribute of the actor is always exported below the name of the event."""

    @dataclass
    class AboutEvent(Event):
        name = "about"
        user: Annotated[str, Attribute("user.id")]

    with telemetry.host(Plugin(AboutEvent)) as host:
        host.track(AboutEvent(user="cleverbot", actor=None))
        host.track(AboutEvent(user="cleverbot", actor={"id": "root"}))

    assert telemetry.events == [
        ("app.about", {"app.about.user": "cleverbot"}),
        ("app.about", {"user.id": "root", "app.about.user": "cleverbot"}),
    ]


def test_error_of_another_base_class_is_raised_unchanged() -> None:
    """Only an option that nobody knows is explained."""

    class Strict:
        def __init_subclass__(cls, level: int) -> None:
            raise TypeError(f"{level} is too high")

    with pytest.raises(TypeError, match="5 is too high"):
        type("BothEvent", (Event, Strict), {}, level=5)


def test_dataclass_that_keeps_the_constructor_of_the_base_class() -> None:
    """A wrong argument of such a class is Python's own error."""

    @dataclass(init=False)
    class KeptEvent(Event):
        name = "kept"

    with pytest.raises(TypeError, match="unexpected keyword argument 'wrong'"):
        KeptEvent(wrong=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("privacy", Privacy)
def test_word_of_a_privacy_is_the_privacy(privacy: Privacy) -> None:
    """Python keeps one object for equal annotations: no other class has an error because one has the word."""
    by_word = Attribute(privacy=privacy.value)  # type: ignore[arg-type]

    assert type(by_word.privacy) is Privacy
    assert by_word == Attribute(privacy=privacy)
