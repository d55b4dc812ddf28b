"""What a class says of itself and of its fields is in its schema; what it cannot mean is an error with the mend."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import msgspec
import pytest

from heliograph import Attribute, Deprecated, Event, Privacy, SchemaError, hookimpl
from heliograph.errors import DuplicateEventName
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.read.event import EventReader
from heliograph.schema.registry import SchemaRegistry
from recorder import Telemetry


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name", brief="What the customer is called.")]
    age: int | None = None


@dataclass
class OrderEvent(Event, namespace="shop", version="2", stability="stable"):
    """An order was placed.

    By the shop, or by telephone.
    """

    name = "order-placed"
    total: Annotated[
        int,
        msgspec.Meta(ge=0),
        Attribute(
            "shop.order.total",
            brief="What it costs.",
            note="With taxes.",
            examples=[1250],
            requirement="conditionally_required: when it is not free",
            unit="{cent}",
        ),
    ]
    customer: Customer
    database: Annotated[str, Attribute("db.namespace")] = "shop"


class Plugin:
    def __init__(self, *event_classes: type) -> None:
        self._event_classes = event_classes

    @hookimpl
    def register_events(self):
        return list(self._event_classes)


def event_class(**annotations: Any) -> type:
    return make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})


def refused(cls: type) -> str:
    with pytest.raises(SchemaError) as caught:
        compile_schema(cls, namespace="app")
    assert caught.value.event_class is cls
    return caught.value.reason


def test_schema_has_what_the_class_says() -> None:
    """The docstring's first line is the brief, its rest the note; keywords are what they are called."""
    schema = compile_schema(OrderEvent, namespace="app")

    assert (schema.brief, schema.note) == ("An order was placed.", "By the shop, or by telephone.")
    assert (schema.version, schema.stability, schema.deprecated) == ("2", "stable", None)


def test_leaves_are_the_attributes_that_arrive() -> None:
    """Names, types and requirements of each, fields of inner classes too."""
    found = [
        (attribute.name, attribute.path, attribute.wire_type, attribute.required, attribute.field.requirement)
        for attribute in compile_schema(OrderEvent, namespace="app").wire_attributes()
    ]

    assert found == [
        ("shop.order.total", "total", "int", False, "conditionally_required: when it is not free"),
        ("shop.customer.name", "customer.name", "string", True, "required"),
        ("shop.order_placed.customer.age", "customer.age", "int", False, "recommended"),
        ("db.namespace", "database", "string", False, "recommended"),
    ]


def test_attributes_have_the_declared_names() -> None:
    """At the top and inside of a dataclass; a dict in its place has them, too."""
    schema = compile_schema(OrderEvent, namespace="app")
    expected = {"shop.order.total": 3, "shop.customer.name": "Ada", "db.namespace": "shop"}

    assert EventReader(schema).attributes(OrderEvent(total=3, customer=Customer("Ada"))) == expected
    assert EventReader(schema).attributes(OrderEvent(total=3, customer={"name": "Ada"})) == expected  # type: ignore[arg-type]


def test_keywords_of_a_slotted_class_are_kept() -> None:
    """`dataclass(slots=True)` makes the class a second time."""

    @dataclass(slots=True)
    class SlottedEvent(Event, namespace="shop", version="3", deprecated=Deprecated(note="gone")):
        name = "slotted"
        size: int

    schema = compile_schema(SlottedEvent, namespace="app")
    assert (schema.event_name, schema.version, schema.deprecated) == ("shop.slotted", "3", Deprecated(note="gone"))


def test_version_and_deprecation_are_not_inherited() -> None:
    """They are said of one contract; a namespace is said of a family."""

    @dataclass
    class ChildEvent(OrderEvent):
        name = "child"

    schema = compile_schema(ChildEvent, namespace="app")
    assert (schema.event_name, schema.version, schema.stability) == ("shop.child", None, "stable")


def test_datasettes_core_events_are_described() -> None:
    """Every event and every field of the eleven has a brief, and nothing is missing in the table."""
    from datasette.events import register_events

    schemas = [compile_schema(cls, namespace="app") for cls in register_events()]

    assert len(schemas) == 11
    assert all(schema.brief.endswith(".") for schema in schemas)
    for attribute in (attribute for schema in schemas for attribute in schema.wire_attributes()):
        assert attribute.field.declared.brief, attribute
        assert attribute.field.declared.examples, attribute
        is_opt_in = attribute.field.name in {"schema", "before_schema", "after_schema", "pks"}
        assert attribute.field.requirement == ("opt_in" if is_opt_in else attribute.field.requirement)
        assert (attribute.field.declared.privacy is Privacy.PLAIN) is not is_opt_in


# What cannot be meant


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (Annotated[str, Attribute("db.namespase")], "db.namespace"),
        (Annotated[int, Attribute("db.namespace")], "is string, not int"),
        (Annotated[str, Attribute("Bad Name")], "'Bad Name' is not an attribute name"),
        (Annotated[str, Attribute("single")], "with a namespace"),
        (Annotated[str, Attribute("heliograph.x")], "reserved for heliograph"),
        (Annotated[str, Attribute("log.record.uid")], "reserved for heliograph"),
        (Annotated[str, Attribute(requirement="sometimes")], "conditionally_required: <when>"),
        (Annotated[str, Attribute(requirement="conditionally_required: ")], "conditionally_required: <when>"),
        (Annotated[str | None, Attribute(requirement="required")], "is required, but may be None"),
        (Annotated[str, Attribute(privacy="secret")], "use one of Privacy"),  # type: ignore[arg-type]
        (Annotated[str, Attribute(deprecated=Deprecated(emit_both=True))], "renamed_to"),
        (Annotated[str, Attribute(deprecated="old")], "write Deprecated"),  # type: ignore[arg-type]
        (Annotated[str, Attribute(deprecated=Deprecated(renamed_to="X"))], "'X' is not an attribute name"),
        (list[Customer], "attribute names of their own"),
        (dict[tuple[int, int], str], "keys"),
    ],
)
def test_declaration_that_means_nothing(hint: Any, problem: str) -> None:
    """The error names the field, what is wrong, and the mend."""
    reason = refused(event_class(x=hint))

    assert "'x'" in reason
    assert problem in reason


@pytest.mark.parametrize(
    ("keywords", "problem"),
    [
        ({"stability": "solid"}, "use one of development, alpha"),
        ({"version": 2}, 'version="2"'),
        ({"version": " "}, "version"),
        ({"deprecated": "yes"}, "write Deprecated"),
        ({"deprecated": Deprecated(emit_both=True)}, "renamed_to"),
        ({"deprecated": Deprecated(renamed_to="Not A Name")}, "'Not A Name'"),
    ],
)
def test_keyword_that_means_nothing(keywords: dict[str, Any], problem: str) -> None:
    """A class statement is checked as a field is."""

    @dataclass
    class OddEvent(Event, **keywords):
        name = "odd"

    assert problem in refused(OddEvent)


def test_two_fields_of_one_attribute_are_refused() -> None:
    """One of them would be lost."""
    hint = Annotated[str, Attribute("shop.x.y")]

    assert "'a' and 'b' become one attribute, 'shop.x.y'" in refused(event_class(a=hint, b=hint))
    assert "become one attribute" in refused(event_class(a=Customer, b=Customer))


def test_key_of_a_dict_never_takes_a_declared_name() -> None:
    """Who chooses the keys of a dict cannot overwrite a field."""

    @dataclass
    class TakenEvent(Event):
        name = "taken"
        options: dict[str, str]
        kind: Annotated[str, Attribute("app.taken.options.kind")] = "declared"

    schema = compile_schema(TakenEvent, namespace="app")
    attributes = EventReader(schema).attributes(TakenEvent(options={"kind": "forged", "size": "1"}))

    assert attributes["app.taken.options.kind"] == "declared"
    assert attributes["app.taken.options"] == '{"kind":"forged"}'


# On the wire


def test_version_is_an_attribute(telemetry: Telemetry) -> None:
    """Events of two versions of one contract can be told apart."""

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


def test_one_version_twice_is_refused() -> None:
    """Side by side stand versions, not copies."""
    registry = SchemaRegistry(namespace="app")
    registry.register(OrderEvent)
    twin = dataclass(type("TwinEvent", (Event,), {"name": "order-placed"}, namespace="shop", version="2"))

    with pytest.raises(DuplicateEventName):
        registry.register(twin)


def test_deprecated_event_is_emitted_under_both_names_by_choice(telemetry: Telemetry) -> None:
    """Each with an id of its own, so that no receiver takes one for the other."""

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


def test_deprecated_attribute_is_emitted_under_both_names_by_choice() -> None:
    """And what is wrong with its value is told once."""
    hint = Annotated[
        int, Attribute("shop.order.total", deprecated=Deprecated(renamed_to="shop.order.sum", emit_both=True))
    ]
    cls = event_class(total=hint, any=Any)
    schema = compile_schema(cls, namespace="app")
    violations: list[object] = []

    assert EventReader(schema).attributes(cls(3, None)) == {"shop.order.total": 3, "shop.order.sum": 3}
    assert EventReader(schema).attributes(cls("3", None), violations) == {
        "shop.order.total": "3",
        "shop.order.sum": "3",
    }
    assert len(violations) == 1


def test_actor_stays_who_did_it(telemetry: Telemetry) -> None:
    """A property that is called as the actor's attribute goes below the event's name, when there is an actor."""

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
