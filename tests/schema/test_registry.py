"""A registry has one schema per class, and one class per event name and version."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest

from heliograph import (
    Attribute,
    Deprecated,
    DuplicateEventName,
    Event,
    Privacy,
    SchemaError,
    SchemaErrors,
    Settings,
    UnregisteredEvent,
)
from heliograph.schema.compile.derived import inherit_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import MAX_INHERITED, SchemaRegistry, on_register
from threads import LIMIT_SECONDS, join


@dataclass
class First(Event):
    name = "first"
    a: int = 1


@dataclass
class Child(First):
    b: int = 2


@dataclass
class Middle(First):
    name = "middle"


@dataclass
class ChildOfMiddle(Middle):
    b: int = 2


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
    """The order of the classes is that of registration."""
    registry = SchemaRegistry(namespace="app")
    first, second = registry.register(First), registry.register(Second)

    assert dict(registry) == {First: first, Second: second}
    assert list(registry) == [First, Second]
    assert First in registry
    assert FirstAgain not in registry


def test_same_class_can_be_registered_twice() -> None:
    """Two plugins may share a class."""
    registry = SchemaRegistry(namespace="app")

    assert registry.register(First) is registry.register(First)
    assert len(registry) == 1


def test_second_class_with_the_same_event_name_is_rejected() -> None:
    """The error names both classes; another namespace is a way out."""
    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    with pytest.raises(DuplicateEventName, match=r"FirstAgain: .*'app\.first'.*\.First; change the `name`"):
        registry.register(FirstAgain)
    registry.register(FirstElsewhere)

    assert list(registry) == [First, FirstElsewhere]


@dataclass
class Purchase(Event, namespace="shop", deprecated=Deprecated(renamed_to="shop.sale", emit_both=True)):
    name = "purchase"
    total: int
    note: str = ""


@dataclass
class Order(Event, namespace="shop", deprecated=Deprecated(renamed_to="shop.sale", emit_both=True)):
    name = "order"
    total: str


@dataclass
class Sale(Event, namespace="shop"):
    name = "sale"
    total: int
    currency: str = "EUR"


@dataclass
class SaleInTexts(Event, namespace="shop"):
    name = "sale"
    total: str


@dataclass
class SaleOfAnything(Event, namespace="shop"):
    name = "sale"
    total: Any


@dataclass
class SaleInTextsAgain(Event, namespace="shop", version="2"):
    name = "sale"
    total: str


@pytest.mark.parametrize(
    "classes",
    [
        (Purchase, Sale),
        (Sale, Purchase),
        (Purchase, SaleOfAnything),
        (Purchase, SaleInTextsAgain),
        (Order, SaleInTexts),
    ],
)
def test_class_of_the_new_name_may_be_registered_beside_the_old_one(classes: tuple[type, ...]) -> None:
    """Attributes of both have one type. Further attributes, and those of another version, may be different."""
    registry = SchemaRegistry(namespace="app")
    registry.register_all(classes)

    assert tuple(registry) == classes


@pytest.mark.parametrize("classes", [(Purchase, SaleInTexts), (SaleInTexts, Purchase), (Purchase, Order)])
def test_attribute_of_one_event_has_one_type(classes: tuple[type, type]) -> None:
    """Events of two classes have one name. The error names the attribute, both types and the other class."""
    registry = SchemaRegistry(namespace="app")
    first, second = classes
    registry.register(first)

    with pytest.raises(SchemaError) as caught:
        registry.register(second)

    message = str(caught.value)
    assert f"{second.__name__}: its attribute 'shop.sale.total' is of type" in message
    assert f"{first.__name__}, which have the name 'shop.sale', too" in message
    assert {"type int", "type string"} <= set(re.findall("type (?:int|string)", message))
    assert list(registry) == [first]


def test_names_that_differ_in_a_separator_are_the_same() -> None:
    """Names are compared as they are on the wire."""

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


def test_rejected_class_does_not_change_the_registry() -> None:
    """After an error, the fixed class can be registered."""

    class Bare(Event):
        name = "bare"

    registry = SchemaRegistry(namespace="app")
    with pytest.raises(SchemaError):
        registry.register(Bare)

    assert not registry
    registry.register(dataclass(Bare))


def test_unregistered_subclass_has_the_schema_of_its_nearest_ancestor() -> None:
    """Datasette looks for an ancestor, too, but not for the nearest one first. Once registered, the subclass has its own."""

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


def test_subclass_that_is_not_a_dataclass_has_the_fields_of_its_ancestor() -> None:
    """A class statement without `@dataclass` adds no fields."""

    class Child(First):
        pass

    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    assert registry.reader(Child).attributes(Child()) == {"app.first.a": 1}


def test_readers_of_unregistered_subclasses_are_bounded() -> None:
    """A program that creates subclasses without end does not fill the memory."""
    registry = SchemaRegistry(namespace="app")

    @dataclass
    class BaseEvent(Event):
        name = "base"

    registry.register(BaseEvent)
    for index in range(MAX_INHERITED + 5):
        assert registry[type(f"E{index}", (BaseEvent,), {})].event_name == "app.base"

    assert len(registry._inherited) == MAX_INHERITED


def test_unregistered_class() -> None:
    """The error names the class and the fix, and is a `KeyError`."""
    registry = SchemaRegistry(namespace="app")
    registry.register(First)

    with pytest.raises(
        UnregisteredEvent, match=r"Second is not registered: return it from a plugin's `register_events`"
    ):
        registry[Second]
    assert registry.get(Second) is None


def test_untyped_class_may_share_an_event_name() -> None:
    """A host that must not reject a class emits both under the same name."""
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


def test_new_class_replaces_a_cached_ancestor() -> None:
    """A subclass that was looked up before has the schema of a nearer ancestor from then on."""

    registry = SchemaRegistry(namespace="app")
    registry.register(First)
    assert registry[ChildOfMiddle].event_name == "app.first"

    registry.register(Middle)
    assert registry[ChildOfMiddle].event_name == "app.middle"


def test_class_that_is_registered_during_a_look_up_replaces_the_ancestor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread has found the former ancestor just before. It does not keep it for later look-ups."""

    def inherit_and_register(event_class: type, ancestor: EventSchema) -> EventSchema:
        monkeypatch.undo()
        registry.register(Middle)
        return inherit_schema(event_class, ancestor)

    registry = SchemaRegistry(namespace="app")
    registry.register(First)
    monkeypatch.setattr("heliograph.schema.registry.inherit_schema", inherit_and_register)

    assert registry[ChildOfMiddle].event_name == "app.first"
    assert registry[ChildOfMiddle].event_name == "app.middle"


def test_threads_that_look_up_a_subclass_share_one_reader() -> None:
    """Events of a subclass are counted together, whichever thread looked it up."""

    registry = SchemaRegistry(namespace="app")
    registry.register(First)
    start = threading.Barrier(8, timeout=LIMIT_SECONDS)
    readers: list[EventReader] = []

    def look_up() -> None:
        start.wait()
        readers.append(registry.reader(Child))

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert len(readers) == 8
    assert {id(reader) for reader in readers} == {id(registry.reader(Child))}


def test_versions_of_an_event() -> None:
    """Each version of an event is found, for events of an older version in the quarantine."""
    second = dataclass(type("SecondVersion", (Event,), {"name": "version"}, version="1"))
    registry = SchemaRegistry(namespace="app")
    registry.register(VersionEvent)
    registry.register(second)

    assert {version: reader.schema.event_class for version, reader in registry.versions("app.version").items()} == {
        "2": VersionEvent,
        "1": second,
    }
    assert registry.versions("app.other") == {}


def test_registration_is_observed() -> None:
    """Tools that watch a process, such as the pytest plugin, see the reader of each registered class once."""
    seen: list[EventReader] = []
    on_register.append(seen.append)
    try:
        registry = SchemaRegistry(namespace="app")
        registry.register(First)
        registry.register(First)
        registry.register_untyped(FirstAgain)
    finally:
        on_register.remove(seen.append)

    assert seen == [registry.reader(First), registry.reader(FirstAgain)]


def test_registry_from_settings() -> None:
    """The namespace and the privacy are those of the settings."""
    settings = Settings(secret=("x",), namespace="forum", privacy_default="drop", privacy_key="key", opt_in="a.b")
    registry = SchemaRegistry.from_settings(settings)
    hash_attribute = Attribute(privacy=Privacy.HASH)

    assert registry.register(First).event_name == "forum.first"
    assert registry.reader(First).attributes(First()) == {}
    assert registry.policy.privacy_of(hash_attribute, None) is Privacy.HASH
    assert registry.policy.privacy_of(Attribute(requirement="opt_in"), "a.b") is Privacy.PLAIN


def test_problems_of_several_classes_are_reported_at_once() -> None:
    """The classes without a problem are registered; one problem is raised as it is."""
    registry = SchemaRegistry(namespace="app")

    with pytest.raises(SchemaErrors) as caught:
        registry.register_all([First, FirstAgain, dict, Second])

    first, second = caught.value.errors
    assert isinstance(first, DuplicateEventName)
    assert (first.event_class, second.event_class) == (FirstAgain, dict)
    assert (caught.value.event_class, caught.value.reasons) == (FirstAgain, first.reasons)
    assert str(caught.value) == f"{first}\n{second}"
    assert list(registry) == [First, Second]
    with pytest.raises(DuplicateEventName):
        registry.register_all([FirstAgain])


def test_fields_named_like_the_actor_are_one_warning(warnings: pytest.LogCaptureFixture) -> None:
    """The warning names the class, each field and the name below which they are exported."""
    fields = [("who", Annotated[str, Attribute("user.id")]), ("by", Annotated[str, Attribute("user.name")])]
    cls = make_dataclass("Grant", fields, bases=(Event,), namespace={"name": "grant"})
    registry = SchemaRegistry(namespace="acl")

    registry.register(cls)
    registry.register(cls)

    [record] = warnings.records
    assert "Grant declares fields under attributes that always mean the actor: who (user.id), by (user.name)" in (
        record.getMessage()
    )
    assert "below acl.grant instead" in record.getMessage()
