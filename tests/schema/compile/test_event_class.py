"""A class becomes a schema once, or an error that names the class and the mend."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import InitVar, dataclass, field, make_dataclass
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Event, SchemaError, Severity
from heliograph.schema.compile.event_class import compile_schema, compile_untyped, inherit_schema
from heliograph.schema.model.types import StringType
from heliograph.schema.read.event import EventReader
from heliograph.semconv import EVENT_NAME_PATTERN


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
class OrderEvent(Event, namespace="shop", severity=Severity.WARN, message="order {order[number]} by {actor[id]}"):
    name = "order-placed"
    order: Order
    when: dt.datetime | None = None
    kind: Literal["new", "again"] = "new"
    note: Annotated[str, msgspec.Meta(max_length=5)] = ""


def test_schema_says_what_the_class_says() -> None:
    """Names, fields, requirement and severity come from the class."""
    schema = compile_schema(BanUserEvent, namespace="app")

    assert (schema.event_class, schema.name, schema.event_name) == (BanUserEvent, "ban-user", "app.ban_user")
    assert schema.severity is Severity.INFO
    assert [(f.name, f.attribute, f.required) for f in schema.fields or ()] == [
        ("user", "app.ban_user.user", True),
        ("reason", "app.ban_user.reason", False),
    ]
    assert (schema.fields or ())[1].type == StringType()


def test_schema_is_frozen() -> None:
    """Nobody changes a contract."""
    schema = compile_schema(BanUserEvent, namespace="app")

    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.name = "other"  # type: ignore[misc]


def test_class_keywords_win_over_the_settings() -> None:
    """The class's namespace is the one on the wire."""
    schema = compile_schema(OrderEvent, namespace="app")

    assert (schema.event_name, schema.severity) == ("shop.order_placed", Severity.WARN)


def test_attributes_are_named_by_the_event_and_the_field() -> None:
    """Nested fields go below, and what is `None` is left out."""
    schema = compile_schema(OrderEvent, namespace="app")

    assert EventReader(schema).attributes(OrderEvent(order=Order(7, ["a"]))) == {
        "shop.order_placed.order.number": 7,
        "shop.order_placed.order.tags": ["a"],
        "shop.order_placed.kind": "new",
        "shop.order_placed.note": "",
    }


@pytest.mark.parametrize("value", [None, 7, 2**70, "é", "\udc80", True, 1.5, float("nan"), [1], {"a": 1}, object()])
def test_value_of_another_type_than_the_field_says_is_emitted_all_the_same(value: Any) -> None:
    """The type of a field is a promise of the program, which it may break without a loss of the event."""
    schema = compile_schema(BanUserEvent, namespace="app")
    event = BanUserEvent(user={"id": 1}, reason=value)

    attributes = EventReader(schema).attributes(event)

    assert attributes["app.ban_user.user.id"] == 1
    assert any(name.startswith("app.ban_user.reason") for name in attributes) is (value is not None)


def test_event_without_one_of_its_fields_has_the_others() -> None:
    """A field that was deleted, or a property that raises, costs no other."""
    schema = compile_schema(BanUserEvent, namespace="app")
    event = BanUserEvent(user={"id": 1}, reason="spam")
    del event.user

    assert EventReader(schema).attributes(event) == {"app.ban_user.reason": "spam"}


def test_event_without_fields_has_no_attributes() -> None:
    """An event may just say that it happened."""

    @dataclass
    class Happened(Event):
        name = "happened"

    assert EventReader(compile_schema(Happened, namespace="app")).attributes(Happened()) == {}


def test_class_variables_are_no_fields() -> None:
    """What belongs to the class is no property."""

    @dataclass
    class Counted(Event):
        name = "counted"
        limit: ClassVar[int] = 3
        count: int = 0

    assert EventReader(compile_schema(Counted, namespace="app")).attributes(Counted()) == {"app.counted.count": 0}


@pytest.mark.parametrize("name", ["class_", "_x", "ö", "put", "taken", "event", "attributes", "value_0", "read"])
def test_field_names_do_not_matter(name: str) -> None:
    """A field may have any name that Python takes, and has its value."""
    cls = make_dataclass("Odd", [(name, str), ("other", dict)], bases=(Event,), namespace={"name": "odd"})
    [attribute, _] = [f.attribute for f in compile_schema(cls, namespace="app").fields or ()]
    event = cls("x", {"k": 1})

    assert EventReader(compile_schema(cls, namespace="app")).attributes(event) == {attribute: "x", "app.odd.other.k": 1}


def test_slots_are_fine() -> None:
    """A dataclass with `__slots__` is an event class."""

    @dataclass(slots=True)
    class Slotted(Event):
        name = "slotted"
        size: int

    assert EventReader(compile_schema(Slotted, namespace="app")).attributes(Slotted(size=3)) == {"app.slotted.size": 3}


def test_class_of_the_right_shape_needs_no_base() -> None:
    """What counts is the shape: a dataclass with a name."""

    @dataclass
    class Shaped:
        name = "shaped"
        actor: dict | None
        created: dt.datetime
        size: int

    schema = compile_schema(Shaped, namespace="app")

    assert EventReader(schema).attributes(Shaped(None, dt.datetime.now(dt.timezone.utc), 3)) == {"app.shaped.size": 3}


def test_datasettes_own_events_have_their_namespace_and_the_names_of_the_conventions() -> None:
    """A table of ours says for Datasette's core events what they do not say themselves."""
    from datasette.events import DropTableEvent

    schema = compile_schema(DropTableEvent, namespace="app")

    assert schema.event_name == "datasette.drop_table"
    event = DropTableEvent(actor=None, database="content", table="docs")
    assert EventReader(schema).attributes(event) == {"db.namespace": "content", "db.collection.name": "docs"}


def test_every_event_of_datasettes_core_has_a_schema() -> None:
    """All eleven compile, each to a name of its own."""
    from datasette import events

    classes = events.register_events()
    names = {compile_schema(cls, namespace="app").event_name for cls in classes}

    assert names == {f"datasette.{cls.name.replace('-', '_')}" for cls in classes}
    assert len(names) == 11


# Mistakes: each is told with the class and the mend.


def refused(cls: type) -> str:
    with pytest.raises(SchemaError) as caught:
        compile_schema(cls, namespace="app")
    assert caught.value.event_class is cls
    assert str(caught.value).startswith(f"{cls.__module__}.{cls.__qualname__}: ")
    return caught.value.reason


def test_class_without_a_name() -> None:
    """The mend is a name."""

    @dataclass
    class Nameless(Event):
        user: dict

    assert refused(Nameless) == 'it has no name; give it one in its body, such as `name = "ban-user"`'


@pytest.mark.parametrize("name", ["", None, 7, property(lambda self: "x")])
def test_class_whose_name_is_none(name: object) -> None:
    """A name is a string that is there on the class."""
    assert "has no name" in refused(make_dataclass("Odd", [], bases=(Event,), namespace={"name": name}))


def test_class_that_is_no_dataclass() -> None:
    """The mend is the decorator; one on the parent alone would lose the class's own fields."""

    class Bare(Event):
        name = "bare"
        user: dict

    class Derived(BanUserEvent):
        name = "derived"

    assert refused(Bare) == refused(Derived) == "it is not a dataclass; put `@dataclass` above it"


@pytest.mark.parametrize(
    "name", ["Ban", "ban user", "9lives", "-ban", "ban--user", "bän", "ban-", "ban.", "a\n", "ban/user"]
)
def test_name_that_the_naming_policy_refuses(name: str) -> None:
    """OpenTelemetry's naming policy decides; nothing is mended in silence."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": name})
    if name == "9lives":  # after the namespace, a word may start with a digit
        assert compile_schema(cls, namespace="app").event_name == "app.9lives"
    else:
        assert repr(name) in refused(cls)


@pytest.mark.parametrize("namespace", ["Shop", "shop!", "1shop"])
def test_namespace_that_the_naming_policy_refuses(namespace: str) -> None:
    """A class's own namespace is checked too."""

    @dataclass
    class Odd(Event, namespace=namespace):
        name = "odd"

    assert repr(namespace) in refused(Odd)


def test_namespace_of_heliograph_is_taken() -> None:
    """Our own names are not to be had."""

    @dataclass
    class Odd(Event, namespace="heliograph"):
        name = "odd"

    assert "choose another" in refused(Odd)


def test_annotation_that_nobody_can_read() -> None:
    """A name that is not there is told with the class."""
    cls = type("Unreadable", (Event,), {"__annotations__": {"x": "NotThere"}, "name": "x", "x": None})

    assert "NotThere" in refused(dataclass(cls))


def test_field_type_without_a_schema() -> None:
    """The field is named."""
    cls = make_dataclass("Odd", [("x", 7)], bases=(Event,), namespace={"name": "odd"})

    assert "'x'" in refused(cls)


def test_init_var_is_no_property() -> None:
    """What no event keeps, no telemetry can show."""

    @dataclass
    class Odd(Event):
        name = "odd"
        x: InitVar[int]

    assert EventReader(compile_schema(Odd, namespace="app")).attributes(Odd(x=1)) == {}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("{usr}", "there is no field 'usr'; there are user, reason, actor[key]"),
        ("{}", "is not a field or a key"),
        ("{user.id}", "is not a field or a key"),
        ("{user!r}", "is not a field or a key"),
        ("{reason:>10}", "is not a field or a key"),
        ("{user[]}", "is not a field or a key"),
        ("{user", "expected '}'"),
        ("{actor}", "there is no field 'actor'"),
        ("{created}", "there is no field 'created'"),
    ],
)
def test_message_that_cannot_be_filled(message: str, problem: str) -> None:
    """A template is checked when the class is registered, not when an event happens."""
    cls = make_dataclass("Odd", [("user", dict), ("reason", str)], bases=(Event,), namespace={"name": "odd"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, message=message)

    reason = refused(cls)
    assert problem in reason
    assert repr(message) in reason


# Bodies


def body_of(message: str, actor: dict[str, object] | None = None, **values: object) -> str:
    cls = make_dataclass("Said", [(name, Any) for name in values], bases=(Event,), namespace={"name": "said"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, message=message)
    schema = compile_schema(cls, namespace="app")
    event = cls(**values)
    attributes = EventReader(schema).attributes(event)
    if actor is not None:
        attributes["user.id"] = str(actor["id"])
    return schema.body_text(attributes)


def test_body_is_the_name_without_a_message() -> None:
    """Always a display string: the name as written."""
    schema = compile_schema(BanUserEvent, namespace="app")

    assert schema.body_text({}) == "ban-user"


def test_body_is_filled_from_attributes() -> None:
    """Fields, keys, keys of keys, and the actor."""
    assert (
        body_of("{n} {user[id]} {user[a][b]} {actor[id]}", {"id": 5}, n=1, user={"id": 2, "a": {"b": 3}}) == "1 2 3 5"
    )


def test_body_shows_a_question_mark_for_what_is_not_there() -> None:
    """A key that the event does not have is no error."""
    assert body_of("{user[id]}, {user[name]}, {actor[id]}", user={"id": 1}) == "1, ?, ?"


def test_braces_are_doubled() -> None:
    """The template is one of `str.format`."""
    assert body_of("{{{n}}}", n=1) == "{1}"


def test_value_is_no_template() -> None:
    """What a value has of braces stays as it is."""
    assert body_of("{n}", n="{user[id]} {0.__class__}") == "{user[id]} {0.__class__}"


def test_body_escapes_control_characters_and_is_cut() -> None:
    """One line for a terminal or a log viewer, whatever a user wrote."""
    assert body_of("{n}", n="a\x1b[31m\nb\u202e\x00") == "a\\x1b[31m\\nb\\u202e\\x00"
    assert body_of("{n}", n="x" * 1000) == "x" * 256 + "…"


@given(st.text(st.characters(categories=None)))
def test_body_is_printable_whatever_a_value_is(value: str) -> None:
    """No character of a body moves a cursor or hides another."""
    body = body_of("<{n}>", n=value)

    assert body.isprintable()
    body.encode()


# Names by chance


@given(st.text(st.characters(categories=None), min_size=1, max_size=30))
def test_any_name_gives_a_legal_event_name_or_an_error(name: str) -> None:
    """There is no third way."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": name})
    try:
        schema = compile_schema(cls, namespace="app")
    except SchemaError as error:
        assert error.event_class is cls
        assert not EVENT_NAME_PATTERN.fullmatch(f"app.{name}".replace("-", "_"))
    else:
        assert EVENT_NAME_PATTERN.fullmatch(schema.event_name)
        assert schema.name == name


@given(st.text(st.characters(categories=None), max_size=30) | st.none() | st.integers())
def test_untyped_schema_has_a_legal_event_name_for_any_name(name: object) -> None:
    """Where no class may be refused, every name becomes a legal one."""
    schema = compile_untyped(type("Odd", (), {"name": name}), namespace="app")

    assert EVENT_NAME_PATTERN.fullmatch(schema.event_name)
    assert schema.event_name.startswith("app.")


def test_untyped_schema_takes_properties_as_they_come() -> None:
    """What `properties()` gives is flattened; one that raises gives way to the object's own values."""

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


def test_untyped_schema_of_an_object_without_anything() -> None:
    """Not even `properties()` or a `__dict__` is needed for an event to go out."""
    schema = compile_untyped(SimpleNamespace, namespace="app")

    assert EventReader(schema).attributes(object()) == {"app.simplenamespace": "{}"}  # type: ignore[arg-type]


def test_inherited_schema_adds_the_subclasss_fields() -> None:
    """An unregistered subclass has its ancestor's name, and shows what it adds."""

    @dataclass
    class Derived(BanUserEvent):
        extra: int = 1

    schema = inherit_schema(Derived, compile_schema(BanUserEvent, namespace="app"))

    assert schema.event_name == "app.ban_user"
    assert EventReader(schema).attributes(Derived(user={}, reason="r"))["app.ban_user.extra"] == 1


T = TypeVar("T")


def test_generic_field_types_are_fine() -> None:
    """A type that msgspec knows only in part has a schema."""

    @dataclass
    class Boxed(Event, Generic[T]):
        name = "boxed"
        value: T

    assert EventReader(compile_schema(Boxed, namespace="app")).attributes(Boxed(value=1)) == {"app.boxed.value": 1}
