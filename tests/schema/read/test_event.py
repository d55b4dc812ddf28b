"""An event is read as attributes, as a body, and as protected properties, and no value makes that fail."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import InitVar, dataclass, field, make_dataclass
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.delivery.encoding.declared import DeclaredAttributes
from heliograph.schema.compile.derived import inherit_schema
from heliograph.schema.compile.event_class import compile_schema, compile_untyped
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.validation import Violation, ViolationKind
from heliograph.schema.registry import SchemaRegistry
from heliograph.values.privacy import PrivacyPolicy
from values.boxes import Box, Frozen

POLICY = PrivacyPolicy(key="key")
SECRET = "s3cr3t-c4n4ry"

Masked = Annotated[str, Attribute(privacy=Privacy.MASK)]


@dataclass
class BanUserEvent(Event):
    name = "ban-user"
    user: dict
    reason: str = ""


@dataclass
class Order:
    number: int
    tags: list[str] = field(default_factory=list)


@dataclass
class OrderEvent(Event, namespace="shop"):
    name = "order-placed"
    order: Order
    when: dt.datetime | None = None
    kind: Literal["new", "again"] = "new"
    note: Annotated[str, msgspec.Meta(max_length=5)] = ""


@dataclass(frozen=True)
class Card:
    number: Masked
    owner: Annotated[str, Attribute(privacy=Privacy.HASH)]
    pin: Annotated[int, Attribute(privacy=Privacy.DROP)]


@dataclass
class PaidEvent(Event, namespace="shop", message="{card[number]} {card[pin]} {note}"):
    name = "paid"
    card: Card
    note: Masked = ""


T = TypeVar("T")


def read(schema: EventSchema, event: Any) -> tuple[dict[str, Any], list[Violation]]:
    violations: list[Violation] = []
    return EventReader(schema).attributes(event, violations), violations


def body_of_paid(number: str, pin: int, note: str) -> str:
    schema = compile_schema(PaidEvent, namespace="app", policy=POLICY)
    reader = EventReader(schema)
    return reader.body_text(reader.attributes(PaidEvent(card=Card(number, "Ada", pin), note=note)))


def test_attributes_are_named_by_event_and_field() -> None:
    """Nested fields go below, and `None` is omitted."""
    schema = compile_schema(OrderEvent, namespace="app")

    assert EventReader(schema).attributes(OrderEvent(order=Order(7, ["a"]))) == {
        "shop.order_placed.order.number": 7,
        "shop.order_placed.order.tags": ["a"],
        "shop.order_placed.kind": "new",
        "shop.order_placed.note": "",
    }


@dataclass
class Person:
    firstName: Masked  # noqa: N815 — the style is tested
    HTTPStatus: int = 200
    given: Annotated[str, Attribute("shop.person.given")] = "Ada"


@dataclass
class CamelEvent(
    Event,
    namespace="shop",
    message="{customerId} {class_} {buyer[firstName]} {buyer[HTTPStatus]} {buyer[given]} {meta[aB]}",
):
    name = "camel"
    customerId: int  # noqa: N815
    class_: str
    buyer: Person
    meta: dict[str, int]
    größe: float = 1.5  # noqa: PLC2401


def test_names_of_attributes_keep_the_naming_rules() -> None:
    """Fields of any style become lower-case words, where that is possible. Keys of a dict are data, and remain as they are."""
    reader = EventReader(compile_schema(CamelEvent, namespace="app"))
    event = CamelEvent(customerId=1, class_="a", buyer=Person("Ada"), meta={"aB": 2})

    attributes = reader.attributes(event)

    assert attributes == {
        "shop.camel.customer_id": 1,
        "shop.camel.class": "a",
        "shop.camel.buyer.first_name": "<masked>",
        "shop.camel.buyer.http_status": 200,
        "shop.person.given": "Ada",
        "shop.camel.meta.aB": 2,
        "shop.camel.größe": 1.5,
    }
    assert {each.name for each in reader.schema.wire_attributes()} == {name.removesuffix(".aB") for name in attributes}
    assert reader.body_text(attributes) == "1 a <masked> 200 Ada 2"


@pytest.mark.parametrize("value", [None, 7, 2**70, "é", "\udc80", True, 1.5, float("nan"), [1], {"a": 1}, object()])
def test_value_of_a_wrong_type_is_exported(value: Any) -> None:
    """A program may break its contract without losing the event."""
    schema = compile_schema(BanUserEvent, namespace="app")
    event = BanUserEvent(user={"id": 1}, reason=value)

    attributes = EventReader(schema).attributes(event)

    assert attributes["app.ban_user.user.id"] == 1
    assert any(name.startswith("app.ban_user.reason") for name in attributes) is (value is not None)


def test_event_with_a_deleted_field_keeps_the_others() -> None:
    """A program may have deleted a field of an event, even a required one."""
    schema = compile_schema(BanUserEvent, namespace="app")
    event = BanUserEvent(user={"id": 1}, reason="spam")
    del event.user

    assert EventReader(schema).attributes(event) == {"app.ban_user.reason": "spam"}


def test_event_without_fields_has_no_attributes() -> None:
    """An event may only report that it happened."""

    @dataclass
    class Happened(Event):
        name = "happened"

    assert EventReader(compile_schema(Happened, namespace="app")).attributes(Happened()) == {}


def test_class_variables_are_not_fields() -> None:
    """A value that belongs to the class is not a property."""

    @dataclass
    class Counted(Event):
        name = "counted"
        limit: ClassVar[int] = 3
        count: int = 0

    assert EventReader(compile_schema(Counted, namespace="app")).attributes(Counted()) == {"app.counted.count": 0}


@pytest.mark.parametrize("name", ["class_", "_x", "ö", "put", "taken", "event", "attributes", "value_0", "read"])
def test_field_may_have_any_name(name: str) -> None:
    """Any identifier of Python works, whatever names the generated function uses."""
    cls = make_dataclass("Odd", [(name, str), ("other", dict)], bases=(Event,), namespace={"name": "odd"})
    [attribute, _] = [f.attribute for f in compile_schema(cls, namespace="app").fields or ()]
    event = cls("x", {"k": 1})

    assert EventReader(compile_schema(cls, namespace="app")).attributes(event) == {attribute: "x", "app.odd.other.k": 1}


def test_slotted_class() -> None:
    """A dataclass with `__slots__` can be an event class."""

    @dataclass(slots=True)
    class Slotted(Event):
        name = "slotted"
        size: int

    assert EventReader(compile_schema(Slotted, namespace="app")).attributes(Slotted(size=3)) == {"app.slotted.size": 3}


def test_class_without_our_base() -> None:
    """A dataclass with a name, an actor and a time can be an event class."""

    @dataclass
    class Shaped:
        name = "shaped"
        actor: dict | None
        created: dt.datetime
        size: int

    schema = compile_schema(Shaped, namespace="app")

    assert EventReader(schema).attributes(Shaped(None, dt.datetime.now(dt.timezone.utc), 3)) == {"app.shaped.size": 3}


def test_init_var_is_not_a_property() -> None:
    """A value that the event does not keep cannot be exported."""

    @dataclass
    class Odd(Event):
        name = "odd"
        x: InitVar[int]

    assert EventReader(compile_schema(Odd, namespace="app")).attributes(Odd(x=1)) == {}


def test_generic_field() -> None:
    """A type variable is read as any value."""

    @dataclass
    class Boxed(Event, Generic[T]):
        name = "boxed"
        value: T

    assert EventReader(compile_schema(Boxed, namespace="app")).attributes(Boxed(value=1)) == {"app.boxed.value": 1}


def test_untyped_event_is_exported_by_its_properties() -> None:
    """If `properties()` raises, the values of the object are exported instead."""

    class Loose:
        name = "Loose Thing"
        actor = created = None

        def __init__(self) -> None:
            self.size, self.actor = 3, {"id": "root"}

        def properties(self) -> dict[str, object]:
            return {"weight": 5}

    class Broken(Loose):
        def properties(self) -> dict[str, object]:
            raise RuntimeError

    schema = compile_untyped(Loose, namespace="app")
    assert schema.event_name == "app.loose_thing"
    assert EventReader(schema).attributes(Loose()) == {"app.loose_thing.weight": 5}
    assert EventReader(schema).attributes(Broken()) == {"app.loose_thing.size": 3}


def test_untyped_event_without_properties() -> None:
    """An event without `properties()` and `__dict__` is exported without attributes of its own."""
    schema = compile_untyped(SimpleNamespace, namespace="app")

    assert EventReader(schema).attributes(object()) == {}  # type: ignore[arg-type]


def test_untyped_events_are_protected() -> None:
    """The declarations of a class without a schema apply, too. A field whose declaration cannot be read is masked."""

    @dataclass
    class UntypedEvent(Event):
        name = "Not A Name"
        card: Annotated[Card, Attribute()]
        note: Annotated[str, Attribute(privacy=Privacy.MASK)]
        odd: NotThere  # type: ignore[name-defined]  # noqa: F821

    event = UntypedEvent(card=Card(SECRET, SECRET, 1), note=SECRET, odd=SECRET)

    assert SECRET not in str(
        EventReader(compile_untyped(UntypedEvent, namespace="app", policy=POLICY)).attributes(event)
    )
    closed = compile_untyped(UntypedEvent, namespace="app", policy=PrivacyPolicy(default=Privacy.DROP))
    assert SECRET not in str(EventReader(closed).attributes(event))


def test_property_that_raises_counts_as_missing() -> None:
    """An exception while a field is read does not affect the other fields."""

    class Broken:
        def __get__(self, instance: object, owner: object) -> object:
            raise RuntimeError

    cls = make_dataclass(
        "GeneratedEvent", [("field_0", int), ("field_1", str)], bases=(Event,), namespace={"name": "generated"}
    )
    cls.field_0 = Broken()  # type: ignore[attr-defined]
    event = object.__new__(cls)
    event.field_1 = "here"
    schema = compile_schema(
        make_dataclass(
            "GeneratedEvent", [("field_0", int), ("field_1", str)], bases=(Event,), namespace={"name": "generated"}
        ),
        namespace="app",
    )

    assert read(schema, event) == (
        {"app.generated.field_1": "here"},
        [Violation(ViolationKind.REQUIRED_MISSING, "field_0")],
    )


# Bodies


def body_of(message: str, actor: dict[str, object] | None = None, **values: object) -> str:
    cls = make_dataclass("Odd", [(name, Any) for name in values], bases=(Event,), namespace={"name": "odd"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, message=message)
    schema = compile_schema(cls, namespace="app")
    event = cls(**values)
    attributes = EventReader(schema).attributes(event)
    if actor is not None:
        attributes["user.id"] = str(actor["id"])
    return schema.body_text(attributes)


def test_body_without_a_message_is_the_name() -> None:
    """The body is the name as the class has written it."""
    schema = compile_schema(BanUserEvent, namespace="app")

    assert schema.body_text({}) == "ban-user"


def test_body_is_filled_from_attributes() -> None:
    """A message may name fields, keys, keys of keys, and the actor."""
    assert (
        body_of("{n} {user[id]} {user[a][b]} {actor[id]}", {"id": 5}, n=1, user={"id": 2, "a": {"b": 3}}) == "1 2 3 5"
    )


def test_body_shows_a_question_mark_for_a_missing_attribute() -> None:
    """A key that the event does not have is no error."""
    assert body_of("{user[id]}, {user[name]}, {actor[id]}", user={"id": 1}) == "1, ?, somebody"


def test_doubled_braces_are_literal() -> None:
    """The rule is that of `str.format`."""
    assert body_of("{{{n}}}", n=1) == "{1}"


def test_value_is_not_a_template() -> None:
    """Braces in a value are unchanged."""
    assert body_of("{n}", n="{user[id]} {0.__class__}") == "{user[id]} {0.__class__}"


def test_body_escapes_control_characters_and_is_cut() -> None:
    """A body is one short line, whatever a user wrote."""
    assert body_of("{n}", n="a\x1b[31m\nb\u202e\x00") == "a\\x1b[31m\\nb\\u202e\\x00"
    assert body_of("{n}", n="x" * 1000) == "x" * 256 + "…"


@given(st.text(st.characters(categories=None)))
def test_body_is_printable_for_any_value(value: str) -> None:
    """No character moves a cursor or hides another."""
    body = body_of("<{n}>", n=value)

    assert body.isprintable()
    body.encode()


def test_body_contains_only_exported_values() -> None:
    """A template that names a private field shows `<masked>`, or a question mark if the field is dropped."""
    assert body_of_paid(SECRET, 1234, SECRET) == "<masked> ? <masked>"


def test_reader_and_schema_have_the_same_body() -> None:
    """The reader keeps the display string of the name; the result is the same, and printable."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": "a\u202eb"})
    schema = compile_untyped(cls, namespace="app")

    assert EventReader(schema).body_text({}) == schema.body_text({}) == "a\\u202eb"


def test_protected_properties_contain_no_private_value() -> None:
    """The quarantine stores the result. Dropped fields are absent, masked and hashed ones are text, others have their forms."""
    reader = EventReader(compile_schema(PaidEvent, namespace="app", policy=POLICY))
    properties = reader.protected_properties(PaidEvent(card=Card(SECRET, "Ada", 1), note=SECRET))

    assert properties == {"card": {"number": "<masked>", "owner": POLICY.hash_form("Ada")}, "note": "<masked>"}


def test_protected_properties_of_a_dropped_field_and_a_broken_one() -> None:
    """A field whose value cannot be read is `None`."""
    hint = Annotated[str, Attribute(privacy=Privacy.DROP)]
    cls = make_dataclass("Odd", [("a", hint), ("b", str), ("c", str)], bases=(Event,), namespace={"name": "odd"})
    event = cls(SECRET, "x", "y")
    del event.b

    assert EventReader(compile_schema(cls, namespace="app")).protected_properties(event) == {"b": None, "c": "y"}


def test_untyped_properties_are_protected_by_the_objects_themselves() -> None:
    """`properties()` turns an object into a dict without declarations; the field of the same name still has the object."""
    untyped = EventReader(compile_untyped(PaidEvent, namespace="app", policy=POLICY))
    properties = untyped.protected_properties(PaidEvent(card=Card(SECRET, "Ada", 1), note=SECRET))

    assert properties == {"card": {"number": "<masked>", "owner": POLICY.hash_form("Ada")}, "note": "<masked>"}


def test_opt_in_field_of_an_untyped_event() -> None:
    """A field that the setting names is exported, even if fields that declare nothing are dropped."""

    @dataclass
    class UntypedEvent(Event):
        name = "Not A Name"
        sql: Annotated[str, Attribute("a.sql", requirement="opt_in")]
        other: str

    event = UntypedEvent(sql="select", other="x")
    for opt_in, properties in (((), {}), (("a.sql",), {"sql": "select"})):
        policy = PrivacyPolicy(default=Privacy.DROP, opt_in=opt_in)
        schema = compile_untyped(UntypedEvent, namespace="app", policy=policy)
        assert EventReader(schema).protected_properties(event) == properties


def test_reader_of_a_renamed_event() -> None:
    """The reader reads the same event under the new name, too."""

    @dataclass
    class OldEvent(Event, deprecated=Deprecated(renamed_to="app.new", emit_both=True)):
        name = "old"
        x: int

    reader = EventReader(compile_schema(OldEvent, namespace="app"))
    assert reader.attributes(OldEvent(x=1)) == {"app.old.x": 1}
    assert reader.renamed is not None
    assert reader.renamed.attributes(OldEvent(x=1)) == {"app.new.x": 1}
    assert reader.renamed.renamed is None


def test_inherited_schema_reads_the_subclasss_fields() -> None:
    """An unregistered subclass has its ancestor's name, and its own fields."""

    @dataclass
    class Derived(BanUserEvent):
        extra: int = 1

    schema = inherit_schema(Derived, compile_schema(BanUserEvent, namespace="app"))

    assert EventReader(schema).attributes(Derived(user={}, reason="r"))["app.ban_user.extra"] == 1


# Declared names


@dataclass
class Customer:
    name: Annotated[str, Attribute("shop.customer.name")]
    age: int | None = None


@dataclass
class PlacedEvent(Event, namespace="shop"):
    name = "placed"
    total: Annotated[int, Attribute("shop.order.total")]
    customer: Customer
    database: Annotated[str, Attribute("db.namespace")] = "shop"


def event_class(**annotations: Any) -> type:
    return make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})


def test_attributes_have_the_declared_names() -> None:
    """Objects, and dicts in their place, have the same attributes."""
    schema = compile_schema(PlacedEvent, namespace="app")
    expected = {"shop.order.total": 3, "shop.customer.name": "Ada", "db.namespace": "shop"}

    assert EventReader(schema).attributes(PlacedEvent(total=3, customer=Customer("Ada"))) == expected
    assert EventReader(schema).attributes(PlacedEvent(total=3, customer={"name": "Ada"})) == expected  # type: ignore[arg-type]


def test_key_of_a_dict_cannot_replace_a_declared_attribute() -> None:
    """The keys of a dict may come from outside."""

    @dataclass
    class TakenEvent(Event):
        name = "taken"
        options: dict[str, str]
        kind: Annotated[str, Attribute("app.taken.options.kind")] = "declared"

    schema = compile_schema(TakenEvent, namespace="app")
    attributes = EventReader(schema).attributes(TakenEvent(options={"kind": "forged", "size": "1"}))

    assert attributes["app.taken.options.kind"] == "declared"
    assert attributes["heliograph.event.overflow"] == '{"app.taken.options":{"kind":"forged"}}'


def test_deprecated_attribute_can_be_emitted_under_both_names() -> None:
    """A violation of the value is reported once."""
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


@dataclass
class ChangedEvent(Event, Generic[T], message="now {new}"):
    name = "changed"
    new: T


@dataclass
class SecretChangedEvent(ChangedEvent[Masked]):
    name = "secret-changed"


@dataclass
class CountChangedEvent(ChangedEvent[Annotated[int, msgspec.Meta(ge=0), Attribute("shop.order.count")]]):
    name = "count-changed"


@dataclass
class OptInChangedEvent(ChangedEvent[Annotated[str, Attribute("shop.order.sql", requirement="opt_in")]]):
    name = "opt-in-changed"


def registered(*classes: type) -> SchemaRegistry:
    registry = SchemaRegistry(namespace="app", policy=POLICY)
    for cls in classes:
        registry.register(cls)
    return registry


def test_declarations_through_a_type_parameter() -> None:
    """Type, bounds, name, privacy and opt-in hold as if the class itself had written them."""
    registry = registered(SecretChangedEvent, CountChangedEvent, OptInChangedEvent)
    violations: list[Violation] = []

    assert registry.reader(SecretChangedEvent).attributes(SecretChangedEvent(SECRET)) == {
        "app.secret_changed.new": "<masked>"
    }
    assert registry.reader(OptInChangedEvent).attributes(OptInChangedEvent(SECRET)) == {}
    assert registry.reader(CountChangedEvent).attributes(CountChangedEvent(-5), violations) == {"shop.order.count": -5}
    assert violations == [Violation(ViolationKind.CONSTRAINT_VIOLATED, "new")]


def test_event_that_an_alias_of_its_class_made() -> None:
    """Every path of reading knows the argument of the type parameter."""
    registry = registered(ChangedEvent)
    reader = registry.reader(ChangedEvent)
    event = ChangedEvent[Masked](SECRET)
    violations: list[Violation] = []

    assert reader.attributes(event) == {"app.changed.new": "<masked>"}
    assert reader.protected_properties(event) == {"new": "<masked>"}
    assert reader.attributes(ChangedEvent("x")) == {"app.changed.new": "x"}
    assert reader.attributes(ChangedEvent[int]("x"), violations) == {"app.changed.new": "x"}  # type: ignore[arg-type]
    assert violations == [Violation(ViolationKind.DATATYPE_MISMATCH, "new")]
    assert reader.attributes(ChangedEvent[Annotated[str, Attribute("Not A Name")]](SECRET)) == {  # type: ignore[arg-type]
        "app.changed.new": "<masked>"
    }
    unhashable = Annotated[str, Attribute(privacy=Privacy.MASK, examples=["a"])]
    assert reader.attributes(ChangedEvent[unhashable](SECRET)) == {"app.changed.new": "<masked>"}  # type: ignore[valid-type]


def test_number_of_remembered_aliases_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further ones are read in the same way, without being remembered."""
    monkeypatch.setattr("heliograph.schema.read.event.MAX_CACHED_CLASSES", 1)
    reader = registered(ChangedEvent).reader(ChangedEvent)

    for _ in range(2):
        assert reader.attributes(ChangedEvent[int](1)) == {"app.changed.new": 1}
        assert reader.attributes(ChangedEvent[Masked](SECRET)) == {"app.changed.new": "<masked>"}
    assert len(reader._by_alias) == 1


def test_unregistered_subclass_adds_privacy() -> None:
    """A subclass has its ancestor's contract, and what it declares private stays private."""
    registry = registered(ChangedEvent)

    @dataclass
    class BoxChangedEvent(ChangedEvent[Box[Masked]]):
        pass

    for event in (SecretChangedEvent(SECRET), BoxChangedEvent(Box(SECRET)), BoxChangedEvent({"content": SECRET})):  # type: ignore[arg-type]
        reader = registry.reader(type(event))
        assert SECRET not in f"{reader.attributes(event)} {reader.protected_properties(event)}"
        assert "<masked>" in str(reader.attributes(event))


Hidden = typing_extensions.TypeAliasType("Hidden", Masked)
"""As ``type Hidden = Masked`` of Python 3.12 makes it; `Several` has a parameter."""
Several = typing_extensions.TypeAliasType("Several", list[T], type_params=(T,))


@pytest.mark.parametrize(
    "hint",
    [Box[Masked], Box[Masked] | None, list[Box[Masked]], dict[str, Box[Masked]], Box[Hidden], Several[Box[Hidden]]],
    ids=str,
)
@pytest.mark.parametrize("value", [Box(SECRET), [Box(SECRET)], {"a": Box(SECRET)}, {"content": SECRET}, SECRET])
def test_privacy_inside_of_a_generic_class(hint: Any, value: object) -> None:
    """The fields of its objects are protected, whatever is in their place."""
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    reader = EventReader(compile_schema(cls, namespace="app"))

    encoded = reader.encoding(DeclaredAttributes())

    assert encoded is not None
    assert SECRET not in f"{reader.attributes(cls(value))} {reader.protected_properties(cls(value))}"
    assert SECRET.encode() not in b"".join(encoded(cls(value), []) or [])


@pytest.mark.parametrize("value", [Box[Masked](SECRET), [Box[Masked](SECRET)], {"a": (Box[Masked](SECRET),)}])
def test_privacy_of_an_object_that_knows_its_alias(value: object) -> None:
    """The argument of the alias counts even where no type is declared."""
    cls = make_dataclass("E", [("x", Any)], bases=(Event,), namespace={"name": "e"})
    attributes = EventReader(compile_schema(cls, namespace="app")).attributes(cls(value))

    assert SECRET not in str(attributes)
    assert "<masked>" in str(attributes)


class Tags(list[Masked]):
    pass


class Sizes(list[Annotated[int, msgspec.Meta(ge=0)]]):
    pass


class Named(list[Annotated[str, Attribute("shop.order.tags", requirement="opt_in")]]):
    pass


class Boxes(dict[str, Box[Masked]]):
    pass


@dataclass
class Outer:
    box: Box[Masked]
    number: int = 1


def attributes_and_violations(hint: Any, value: object) -> tuple[dict[str, Any], list[Violation]]:
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    reader = EventReader(compile_schema(cls, namespace="app", policy=POLICY))
    violations: list[Violation] = []
    by_field_violations: list[Violation] = []
    found = reader.attributes(cls(value), violations), violations
    assert found == (reader._attributes_by_field(cls(value), by_field_violations), by_field_violations)
    return found


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (Tags, Tags([SECRET]), {"app.e.x": "<masked>"}),
        (Tags | None, [SECRET], {"app.e.x": "<masked>"}),
        (Boxes, {"a": {"content": SECRET}}, {"app.e.x.a.content": "<masked>"}),
        (Named, Named([SECRET]), {}),
        (Frozen[str], Frozen("a"), {"app.e.x.content": "a"}),
        (list[Frozen[str]], [Frozen("a")], {"app.e.x": '[{"content":"a"}]'}),
        (Frozen, Frozen("a"), {"app.e.x.content": "<masked>"}),
        (Any, Frozen[Masked](SECRET), {"app.e.x.content": "<masked>"}),
        (dict[str, Any] | Frozen[str], {"a": Frozen[Masked](SECRET)}, {"app.e.x": '{"a":{"content":"<masked>"}}'}),
        (Box[str], Box[Masked](SECRET), {"app.e.x.content": "<masked>"}),
        (Outer, Outer(Box(SECRET)), {"app.e.x.box.content": "<masked>", "app.e.x.number": 1}),
        (Any, Outer(Box(SECRET)), {"app.e.x.box.content": "<masked>", "app.e.x.number": 1}),
    ],
    ids=str,
)
def test_privacy_by_the_arguments_of_classes(hint: Any, value: object, expected: dict[str, object]) -> None:
    """Arguments count in containers, too, and both ways of reading give each attribute the same name."""
    assert attributes_and_violations(hint, value) == (expected, [])


def test_bounds_by_the_argument_of_a_container() -> None:
    """The bounds hold for each item, as if the field were a list of such items."""
    assert attributes_and_violations(Sizes, Sizes([1, -1])) == (
        {"app.e.x": [1, -1]},
        [Violation(ViolationKind.CONSTRAINT_VIOLATED, "x[1]")],
    )
