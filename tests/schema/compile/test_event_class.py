"""A class is compiled into its schema, or rejected with an error that names the class, the problem and the fix."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Deprecated, Event, SchemaError, Severity
from heliograph.schema.compile.event_class import compile_schema, compile_untyped
from heliograph.schema.model.types import StringType
from heliograph.semconv import EVENT_NAME_PATTERN
from schema.placed_event import Customer, PlacedEvent


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


def test_schema_of_a_class() -> None:
    """Names, fields, requirements and severity come from the class."""
    schema = compile_schema(BanUserEvent, namespace="app")

    assert (schema.event_class, schema.name, schema.event_name) == (BanUserEvent, "ban-user", "app.ban_user")
    assert schema.severity is Severity.INFO
    assert [(f.name, f.attribute, f.required) for f in schema.fields or ()] == [
        ("user", "app.ban_user.user", True),
        ("reason", "app.ban_user.reason", False),
    ]
    assert (schema.fields or ())[1].type == StringType()


def test_fields_whose_names_become_the_same_attribute_are_rejected() -> None:
    """The message names both fields."""
    cls = make_dataclass(
        "Twice", [("firstName", str), ("first_name", str)], bases=(Event,), namespace={"name": "twice"}
    )

    with pytest.raises(SchemaError, match="its fields 'firstName' and 'first_name' become one attribute"):
        compile_schema(cls, namespace="app")


def test_schema_is_frozen() -> None:
    """A schema cannot be changed."""
    schema = compile_schema(BanUserEvent, namespace="app")

    with pytest.raises(dataclasses.FrozenInstanceError):
        schema.name = "other"  # type: ignore[misc]


def test_namespace_of_the_class_beats_the_settings() -> None:
    """The namespace that the class declares is used."""
    schema = compile_schema(OrderEvent, namespace="app")

    assert (schema.event_name, schema.severity) == ("shop.order_placed", Severity.WARN)


def rejection(cls: type) -> str:
    with pytest.raises(SchemaError) as caught:
        compile_schema(cls, namespace="app")
    assert caught.value.event_class is cls
    assert str(caught.value).startswith(f"{cls.__module__}.{cls.__qualname__}: ")
    return caught.value.reason


def test_class_without_a_name_is_rejected() -> None:
    """The message says how to give the class a name."""

    @dataclass
    class Nameless(Event):
        user: dict

    assert rejection(Nameless) == 'it has no name; give it one in its body, such as `name = "ban-user"`'


@pytest.mark.parametrize("name", ["", None, 7, property(lambda self: "x")])
def test_class_with_an_invalid_name_is_rejected(name: object) -> None:
    """A name is non-empty text on the class itself."""
    assert "has no name" in rejection(make_dataclass("Odd", [], bases=(Event,), namespace={"name": name}))


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (("name", str, "sold"), 'name = "sold"'),
        (("name", str), 'name = "ban-user"'),
        (("name", Final, "sold"), 'name = "sold"'),
        (("name", int, 3), 'name = "ban-user"'),
    ],
)
def test_name_that_is_a_field_is_rejected(field: Any, written: str) -> None:
    """The author meant the name of the class. The fix is to remove the annotation."""
    cls = make_dataclass("Sold", [field, ("price", int, 0)], bases=(Event,))

    assert f"write `{written}` without an annotation" in rejection(cls)


def test_name_as_a_class_variable() -> None:
    """The name of an event is no field, although it has an annotation."""

    @dataclass
    class Sold(Event):
        name: ClassVar[str] = "sold"  # type: ignore[misc]

    assert compile_schema(Sold, namespace="app").event_name == "app.sold"


def test_class_that_is_not_a_dataclass_is_rejected() -> None:
    """The fix is the decorator. A parent that has it would lose the fields of the class."""

    class Bare(Event):
        name = "bare"
        user: dict

    class Derived(BanUserEvent):
        name = "derived"

    assert rejection(Bare) == rejection(Derived) == "it is not a dataclass; put `@dataclass` above it"


@pytest.mark.parametrize(
    "name", ["Ban", "ban user", "9lives", "-ban", "ban--user", "bän", "ban-", "ban.", "a\n", "ban/user"]
)
def test_illegal_name_is_rejected(name: str) -> None:
    """OpenTelemetry's naming rules apply, and a name is never changed silently."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": name})
    if name == "9lives":  # after the namespace, a word may start with a digit
        assert compile_schema(cls, namespace="app").event_name == "app.9lives"
    else:
        assert repr(name) in rejection(cls)


@pytest.mark.parametrize("namespace", ["Shop", "shop!", "1shop"])
def test_illegal_namespace_is_rejected(namespace: str) -> None:
    """The namespace of a class is checked, too."""

    @dataclass
    class Odd(Event, namespace=namespace):
        name = "odd"

    assert repr(namespace) in rejection(Odd)


def test_namespace_of_heliograph_is_rejected() -> None:
    """The namespace `heliograph` is reserved for heliograph's own names."""

    @dataclass
    class Odd(Event, namespace="heliograph"):
        name = "odd"

    assert "choose another" in rejection(Odd)


def test_event_name_below_which_the_unique_id_is_is_rejected() -> None:
    """An event would have two unique ids, if a property has the name `uid`."""

    @dataclass
    class Odd(Event, namespace="log"):
        name = "record"

    @dataclass
    class Old(Event, deprecated=Deprecated(renamed_to="log.record")):
        name = "old"

    for cls in (Odd, Old):
        assert "is reserved, because a property could become 'log.record.uid'" in rejection(cls)


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("{usr}", "there is no field 'usr'; use one of user, reason, actor[key]"),
        ("{}", "is not a field or a key"),
        ("{user.id}", "is not a field or a key"),
        ("{user!r}", "has a format, which a message cannot have; write {user}"),
        ("{reason:>10}", "has a format, which a message cannot have; write {reason}"),
        ("{user[]}", "is not a field or a key"),
        ("{user", "expected '}'"),
        ("{actor}", "there is no field 'actor'"),
        ("{created}", "there is no field 'created'"),
    ],
)
def test_message_with_an_unknown_field_is_rejected(message: str, problem: str) -> None:
    """A message is checked when the class is registered, not when an event happens."""
    cls = make_dataclass("Odd", [("user", dict), ("reason", str)], bases=(Event,), namespace={"name": "odd"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, message=message)

    reason = rejection(cls)
    assert problem in reason
    assert repr(message) in reason


@given(st.text(st.characters(categories=None), min_size=1, max_size=30))
def test_any_name_is_legal_or_an_error(name: str) -> None:
    """A name that is not legal is never changed into one that is."""
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
    """A host that must not reject a class still emits only legal names."""
    schema = compile_untyped(type("Odd", (), {"name": name}), namespace="app")

    assert EVENT_NAME_PATTERN.fullmatch(schema.event_name)
    assert schema.event_name.startswith("app.")


def event_class(**annotations: Any) -> type:
    return make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})


def test_schema_has_the_docstring_and_the_keywords() -> None:
    """The first line of the docstring is the brief, the rest is the note."""
    schema = compile_schema(PlacedEvent, namespace="app")

    assert (schema.brief, schema.note) == ("An order was placed.", "By the shop, or by telephone.")
    assert (schema.version, schema.stability, schema.deprecated) == ("2", "stable", None)


def test_keywords_of_a_slotted_class_are_kept() -> None:
    """`dataclass(slots=True)` creates the class a second time."""

    @dataclass(slots=True)
    class SlottedEvent(Event, namespace="shop", version="3", deprecated=Deprecated(note="gone")):
        name = "slotted"
        size: int

    schema = compile_schema(SlottedEvent, namespace="app")
    assert (schema.event_name, schema.version, schema.deprecated) == ("shop.slotted", "3", Deprecated(note="gone"))


def test_version_and_deprecation_are_not_inherited() -> None:
    """A version and a deprecation belong to one contract; a namespace belongs to a family of events."""

    @dataclass
    class ChildEvent(PlacedEvent):
        name = "child"

    schema = compile_schema(ChildEvent, namespace="app")
    assert (schema.event_name, schema.version, schema.stability) == ("shop.child", None, "stable")


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
def test_invalid_keyword_is_rejected(keywords: dict[str, Any], problem: str) -> None:
    """The keywords of the class statement are checked like the declarations of a field."""

    @dataclass
    class OddEvent(Event, **keywords):
        name = "odd"

    assert problem in rejection(OddEvent)


def test_two_fields_with_one_attribute_are_rejected() -> None:
    """One of the values would be lost."""
    hint = Annotated[str, Attribute("shop.x.y")]

    assert "'a' and 'b' become one attribute, 'shop.x.y'" in rejection(event_class(a=hint, b=hint))
    assert "become one attribute" in rejection(event_class(a=Customer, b=Customer))


@pytest.mark.parametrize("severity", [0, 25, "WARN", None])
def test_severity_out_of_range_is_rejected(severity: Any) -> None:
    """OpenTelemetry's severity numbers are 1 to 24."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": "odd"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, severity=severity)

    assert rejection(cls) == f"its severity is {severity!r}; use one of Severity, or 1 to 24"


def test_message_that_is_not_text_is_rejected() -> None:
    """The error names the value."""
    cls = make_dataclass("Odd", [], bases=(Event,), namespace={"name": "odd"})
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, message=7)  # type: ignore[arg-type]

    assert rejection(cls) == "its message is 7; write it as text"


def test_untyped_schema_uses_the_namespace_of_the_class_only_if_it_is_legal() -> None:
    """In all other cases the namespace of the settings is used."""

    @dataclass
    class LegalEvent(Event, namespace="forum"):
        name = "Not Legal"

    @dataclass
    class IllegalEvent(Event, namespace="Forum!"):
        name = "x"

    untyped = compile_untyped(LegalEvent, namespace="app")
    assert (untyped.event_name, untyped.fields, untyped.is_declared) == ("forum.not_legal", None, False)
    assert compile_untyped(IllegalEvent, namespace="app").event_name == "app.x"


def test_all_problems_of_a_class_are_reported_at_once() -> None:
    """The class statement, the name and each field may have problems; one problem is one line."""
    cls = make_dataclass(
        "Broken",
        [
            ("one", Annotated[str, Attribute("ONE")]),
            ("two", Annotated[str | None, Attribute(requirement="required")]),
            ("three", int),
        ],
        bases=(Event,),
        namespace={"name": "No Name"},
    )
    cls.__event_options__ = dataclasses.replace(cls.__event_options__, severity=99, version=2, stability="so so")

    with pytest.raises(SchemaError) as caught:
        compile_schema(cls, namespace="app")

    found = caught.value.reasons
    starts = ["its severity", "its stability", "its version", "its name", "its field 'one'", "its field 'two'"]
    assert len(found) == len(starts)
    assert all(reason.startswith(start) for reason, start in zip(found, starts))
    assert str(caught.value).split("\n- ")[1:] == list(found)
    assert caught.value.reason == "; ".join(found)


def test_all_problems_of_attributes_are_reported_at_once() -> None:
    """Wrong types of conventions, and fields that become one attribute."""
    cls = make_dataclass(
        "Broken",
        [
            ("status", Annotated[str, Attribute("http.response.status_code")]),
            ("one", Annotated[str, Attribute("shop.same")]),
            ("two", Annotated[str, Attribute("shop.same")]),
        ],
        bases=(Event,),
        namespace={"name": "broken"},
    )

    with pytest.raises(SchemaError) as caught:
        compile_schema(cls, namespace="app")

    assert [reason.split(":")[0] for reason in caught.value.reasons] == [
        "its field 'status'",
        "its fields 'one' and 'two' become one attribute, 'shop.same'; rename one",
    ]
