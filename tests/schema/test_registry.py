"""A registry keeps one schema for each class, and one class for each event name."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from heliograph import DuplicateEventName, Event, SchemaError, UnregisteredEvent
from heliograph.schema.registry import SchemaRegistry


@dataclass
class First(Event):
    name = "first"
    a: int = 1


@dataclass
class Second(Event):
    name = "second"


@dataclass
class FirstAgain(Event):
    name = "first"


@dataclass
class FirstElsewhere(Event, namespace="elsewhere"):
    name = "first"


def test_registry_is_a_mapping_from_class_to_schema() -> None:
    """In the order of registration."""
    registry = SchemaRegistry(namespace="app")
    first, second = registry.register(First), registry.register(Second)

    assert dict(registry) == {First: first, Second: second}
    assert list(registry) == [First, Second]
    assert First in registry
    assert FirstAgain not in registry


def test_same_class_may_come_twice() -> None:
    """Two plugins may share a class."""
    registry = SchemaRegistry(namespace="app")

    assert registry.register(First) is registry.register(First)
    assert len(registry) == 1


def test_two_classes_with_one_event_name() -> None:
    """The second is refused, naming both classes; another namespace mends it."""
    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    with pytest.raises(DuplicateEventName, match=r"FirstAgain: .*'app\.first'.*\.First; change the `name`"):
        registry.register(FirstAgain)
    registry.register(FirstElsewhere)

    assert list(registry) == [First, FirstElsewhere]


def test_spelling_with_another_separator_is_the_same_event_name() -> None:
    """What counts is the name on the wire."""

    @dataclass
    class Dashed(Event):
        name = "a-b"

    @dataclass
    class Underlined(Event):
        name = "a_b"

    registry = SchemaRegistry(namespace="app")
    registry.register(Dashed)

    with pytest.raises(DuplicateEventName):
        registry.register(Underlined)


def test_refused_class_leaves_nothing_behind() -> None:
    """After an error the registry is as it was."""

    class Bare(Event):
        name = "bare"

    registry = SchemaRegistry(namespace="app")
    with pytest.raises(SchemaError):
        registry.register(Bare)

    assert not registry
    registry.register(dataclass(Bare))


def test_subclass_is_taken_by_its_nearest_registered_ancestor() -> None:
    """As Datasette's `isinstance` does, but nearest first; registering it later makes it its own."""

    @dataclass
    class Child(First):
        b: int = 2

    @dataclass
    class Grandchild(Child):
        name = "grandchild"
        c: int = 3

    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    assert registry[Grandchild].event_name == "app.first"
    assert registry.reader(Grandchild).attributes(Grandchild()) == {
        "app.first.a": 1,
        "app.first.b": 2,
        "app.first.c": 3,
    }
    assert registry[Grandchild] is registry[Grandchild]
    assert list(registry) == [First]

    registry.register(Grandchild)
    assert registry[Grandchild].event_name == "app.grandchild"
    assert registry[Child].event_name == "app.first"


def test_subclass_that_is_no_dataclass_is_taken_as_its_ancestor() -> None:
    """It has no fields of its own to show."""

    class Child(First):
        pass

    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    assert registry.reader(Child).attributes(Child()) == {"app.first.a": 1}


def test_unregistered_class() -> None:
    """The error names the class and the mend, and is a `KeyError`."""
    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    with pytest.raises(
        UnregisteredEvent, match=r"Second is not registered: return it from a plugin's `register_events`"
    ):
        registry[Second]
    assert registry.get(Second) is None


def test_untyped_class_may_share_an_event_name() -> None:
    """Where no class may be refused, a second one of a name goes out under it."""
    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    assert registry.register_untyped(FirstAgain).event_name == "app.first"
    assert registry[FirstAgain].fields is None


@dataclass
class VersionEvent(Event, version="2"):
    name = "version"


def test_same_version_twice_is_rejected() -> None:
    """Different versions of an event can be registered side by side, but each only once."""
    registry = SchemaRegistry(namespace="app")
    registry.register(VersionEvent)
    twin = dataclass(type("TwinEvent", (Event,), {"name": "version"}, version="2"))

    with pytest.raises(DuplicateEventName):
        registry.register(twin)
