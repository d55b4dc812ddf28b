"""One field of an event is validated, protected and added to attributes, whatever its value is."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pytest
from pydantic import SecretStr

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.schema.compile.annotations import read_type
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import IntegerType, UnionType
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.field import field_readers, protect
from heliograph.schema.read.validation import Violation
from heliograph.values.attributes import Attributes, add_attributes
from heliograph.values.forms import form_of
from heliograph.values.privacy import DROPPED, PrivacyPolicy
from schema.private_events import KEY, POLICY, SECRET, Card, Masked, PaidEvent, Person, hashed
from schema.typed_values import Level

T = TypeVar("T")
SCHEMA = compile_schema(PaidEvent, namespace="app", policy=POLICY)


def attributes_of(**values: Any) -> dict[str, Any]:
    violations: list[object] = []
    attributes = EventReader(SCHEMA).attributes(PaidEvent(**{"person": Person("Ada"), **values}), violations)
    assert violations == []
    return {name.removeprefix("shop.paid."): value for name, value in attributes.items()}


def test_each_privacy_has_its_form() -> None:
    """Masked, hashed, dropped and plain fields of an object inside of an event."""
    found = attributes_of(person=Person("Ada", Card("4711", "Ada", 1234)), note="private")

    assert found == {
        "person.name": "Ada",
        "person.card.number": "<masked>",
        "person.card.owner": hashed("Ada"),
        "person.card.kind": "debit",
        "note": "<masked>",
        "cards": "[]",
    }


def test_private_class_is_protected_wherever_an_instance_is() -> None:
    """The instance may be in lists, dicts, unions and fields without a type."""
    card = Card(SECRET, SECRET, 1234)
    protected = f'{{"number":"<masked>","owner":"{hashed(SECRET)}","kind":"debit"}}'
    found = attributes_of(cards=[card], anything=[card], by_name={"a": card}, either=card)

    assert found["cards"] == found["anything"] == f"[{protected}]"
    assert found["by_name.a.number"] == "<masked>"
    assert found["either"] == protected
    assert SECRET not in str(found)
    assert "1234" not in str(found)


def test_dict_in_place_of_a_private_class_is_protected_by_its_keys() -> None:
    """The declarations of the class apply to the keys of a dict in the place of an instance."""
    found = attributes_of(
        person={"name": "Ada", "card": {"number": SECRET, "owner": SECRET, "pin": 1234, "kind": "x"}},
        login={"user": "ada", "password": SECRET},
    )

    assert found["person.card.number"] == "<masked>"
    assert found["login.user"] == "ada"
    assert SECRET not in str(found)
    assert "1234" not in str(found)


@pytest.mark.parametrize("value", [SECRET, [SECRET], [[SECRET]], 1234, {"x": [SECRET]}])
def test_value_of_another_shape_than_a_private_class_is_masked_as_a_whole(value: Any) -> None:
    """The private part could be anywhere in the value."""
    violations: list[object] = []
    attributes = EventReader(SCHEMA).attributes(PaidEvent(person=Person("Ada", value), cards=value), violations)  # type: ignore[arg-type]

    found = str(attributes)
    assert violations
    if not isinstance(value, dict):
        assert SECRET not in found
        assert "1234" not in found


def test_private_object_as_a_key_is_protected() -> None:
    """A key is exported like a value."""
    assert SECRET not in str(attributes_of(anything={Card(SECRET, SECRET, 1): 1}))


def test_equal_values_have_equal_hashes() -> None:
    """A hash can be used to join events, and depends on the key."""

    @dataclass
    class HashedEvent(Event):
        name = "hashed"
        user: Annotated[Any, Attribute(privacy=Privacy.HASH)]

    def of(user: object, key: str = KEY) -> object:
        schema = compile_schema(HashedEvent, namespace="app", policy=PrivacyPolicy(key=key))
        return EventReader(schema).attributes(HashedEvent(user=user))["app.hashed.user"]

    assert of("ada") == of("ada") == hashed("ada")
    assert of("ada", "other") == hashed("ada", "other")
    assert of({"b": 1, "a": 2}) == of({"a": 2, "b": 1}) != of({"a": 2})
    assert len({str(of(value)) for value in ("1", 1, [1], "ada")}) == 3  # a text and the number it shows are one


def test_hash_without_a_key_is_dropped_with_one_warning(warnings: pytest.LogCaptureFixture) -> None:
    """A hash without a key could be reversed by guessing."""
    schema = compile_schema(PaidEvent, namespace="app", policy=PrivacyPolicy())
    attributes = EventReader(schema).attributes(PaidEvent(person=Person("Ada", Card("1", SECRET, 1))))

    assert "shop.paid.person.card.owner" not in attributes
    assert "HELIOGRAPH_PRIVACY_KEY" in "".join(warnings.messages)
    assert len(warnings.messages) == 1


@pytest.mark.parametrize("privacy", [Privacy.DROP, Privacy.MASK, Privacy.HASH])
@pytest.mark.parametrize("hint", [int, Annotated[str, msgspec.Meta(max_length=2)], list[int], dict[str, int], Card])
def test_privacy_never_makes_an_event_invalid(privacy: Privacy, hint: Any) -> None:
    """The value itself is validated, not its masked or hashed text."""
    values = {int: 3, list[int]: [3], dict[str, int]: {"a": 1}, Card: Card("1", "2", 3)}
    cls = make_dataclass(
        "E", [("x", Annotated[hint, Attribute(privacy=privacy)])], bases=(Event,), namespace={"name": "e"}
    )
    schema = compile_schema(cls, namespace="app", policy=POLICY)
    good: list[Any] = []
    bad: list[Any] = []
    EventReader(schema).attributes(cls(values.get(hint, "ab")), good)
    EventReader(schema).attributes(cls(1.5), bad)

    assert good == []
    assert [str(violation) for violation in bad] == ["datatype-mismatch: x"]


def test_opt_in_attributes_are_exported_if_the_setting_names_them() -> None:
    """The setting has their names on the wire, or `*` for all."""

    @dataclass
    class OptInEvent(Event):
        name = "opt-in"
        sql: Annotated[str, Attribute(requirement="opt_in")] = "select"

    def left(*names: str) -> dict[str, Any]:
        return EventReader(compile_schema(OptInEvent, namespace="app", policy=PrivacyPolicy(opt_in=names))).attributes(
            OptInEvent()
        )

    assert left() == left("sql") == {}
    assert left("app.opt_in.sql") == left("*") == {"app.opt_in.sql": "select"}


def test_attribute_anywhere_in_an_annotation_applies_to_the_whole_field() -> None:
    """`Masked | None` and `list[Masked]` are masked: the way an annotation is written cannot lose privacy."""
    cls = make_dataclass("E", [("a", Masked | None), ("b", list[Masked])], bases=(Event,), namespace={"name": "e"})
    schema = compile_schema(cls, namespace="app", policy=POLICY)

    assert EventReader(schema).attributes(cls(SECRET, [SECRET])) == {"app.e.a": "<masked>", "app.e.b": "<masked>"}


# A field by itself


def event_schema(policy: PrivacyPolicy = POLICY, **annotations: Any) -> EventSchema:
    cls = make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})
    return compile_schema(cls, namespace="app", policy=policy)


@dataclass
class Left:
    a: Annotated[str, Attribute(privacy=Privacy.MASK)]
    common: str = ""


@dataclass
class Right:
    b: Annotated[str, Attribute(privacy=Privacy.DROP)]
    common: str = ""


def test_dict_in_the_place_of_a_union_is_protected_by_all_its_classes() -> None:
    """The dict could be an instance of any of the classes, so the declarations of all of them apply."""
    kind = UnionType(options=(read_type(Left), read_type(Right), IntegerType()))

    assert protect({"a": SECRET, "b": SECRET, "common": "c"}, kind, POLICY) == {"a": "<masked>", "common": "c"}
    assert protect([SECRET], kind, POLICY) == "<masked>"
    assert protect(7, kind, POLICY) == 7


def test_null_and_protected_forms_are_unchanged() -> None:
    """`None` has nothing to protect, and protected text is not protected again."""
    [reader] = field_readers(event_schema(x=list[Left] | None))

    assert reader.read(None) is None
    assert protect(DROPPED, reader.field.type, POLICY) is DROPPED
    assert reader.read([Left("a")]) == [{"a": "<masked>", "common": ""}]


def test_hash_of_a_field_covers_private_values_inside() -> None:
    """Two values that differ only in a masked part have different hashes."""
    [reader] = field_readers(event_schema(x=Annotated[Any, Attribute(privacy=Privacy.HASH)]))

    assert reader.read(Left("a")) == reader.read(Left("a")) != reader.read(Left("b"))
    attributes: Attributes = {}
    reader(attributes, Left("a"), None)
    assert attributes == {"app.odd.x": reader.read(Left("a"))}


def test_hash_of_a_private_class_is_not_masked() -> None:
    """The hash is text in the place of a list or an object, and already protected."""
    [reader] = field_readers(event_schema(x=Annotated[list[Left], Attribute(privacy=Privacy.HASH)]))
    expected = POLICY.hash_form([{"a": "a", "common": ""}])

    assert reader.read([Left("a")]) == expected
    assert protect(expected, reader.field.type, POLICY) == expected
    [masked] = field_readers(event_schema(x=Annotated[Left, Attribute(privacy=Privacy.DROP)]))
    assert masked.read(Left("a")) is DROPPED


def test_private_value_is_validated_as_it_is() -> None:
    """Violations are those of the value, not of its masked form, and only a list is filled."""
    [reader] = field_readers(event_schema(x=list[Left]))
    violations: list[Violation] = []
    reader({}, [Left(a=1)], violations)  # type: ignore[arg-type]
    reader({}, [Left(a="a")], violations)
    reader({}, [Left(a=1)], None)  # type: ignore[arg-type]

    assert list(map(str, violations)) == ["datatype-mismatch: x[0].a"]


def test_second_reader_of_a_field_does_not_validate() -> None:
    """A field that is emitted under two names has one violation."""
    hint = Annotated[int, Attribute("a.old", deprecated=Deprecated(renamed_to="a.new", emit_both=True))]
    first, second = field_readers(event_schema(x=hint))
    violations: list[Violation] = []
    attributes: Attributes = {}
    first(attributes, "one", violations)
    second(attributes, "one", violations)

    assert attributes == {"a.old": "one", "a.new": "one"}
    assert len(violations) == 1


def test_object_is_added_under_the_names_of_its_fields() -> None:
    """Keys that the class does not declare are added below the field."""
    schema = event_schema(x=Left)
    [reader] = field_readers(schema)
    attributes: Attributes = {}
    reader.add(attributes, {"common": "c", "more": {"y": 1}})

    assert attributes == {f"{reader.attribute}.common": "c", f"{reader.attribute}.more.y": 1}


def test_class_inside_of_itself_is_flattened_by_keys() -> None:
    """The attributes of such a class cannot be listed in advance, so the bounds of a dict apply."""
    schema = event_schema(x=Tree)
    attributes = EventReader(schema).attributes(schema.event_class(Tree(1, Tree(2))), [])

    assert attributes == {"app.odd.x.value": 1, "app.odd.x.below.value": 2}

    deep = None
    for level in range(8):
        deep = Tree(level, deep)
    expected: Attributes = {}
    add_attributes(expected, "app.odd.x", form_of(deep))
    assert EventReader(schema).attributes(schema.event_class(deep), []) == expected
    assert str(expected["app.odd.x.below.below.below.below.below"]).startswith('{"value":2,')


def test_undeclared_key_cannot_take_a_declared_name() -> None:
    """A dict in the place of an object may have further keys; they must not replace another field."""
    schema = event_schema(x=Left, other=Annotated[str, Attribute("app.odd.x.more")])
    event = schema.event_class({"common": "c", "more": "forged"}, "declared")

    assert EventReader(schema).attributes(event, []) == {
        "app.odd.x.common": "c",
        "heliograph.event.overflow": '{"app.odd.x":{"more":"<masked>"}}',
        "app.odd.x.more": "declared",
    }


@dataclass
class Tree:
    value: int
    below: Tree | None = None


@dataclass
class Twig:
    length: int


@dataclass
class Holder(Generic[T]):
    content: T


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3.0, 3),
        (int, 3.5, 3.5),
        (float, 3, 3.0),
        (float, 2**53 + 1, 2**53 + 1),
        (float, True, True),
        (int | float, 3, 3.0),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (tuple[int, float], (1.0, 2), "[1.0,2]"),
        (list[list[int]], [], "[]"),
        (list[int], "text", "text"),
        (int, 1e308, 1e308),
        (int, float(2**63), float(2**63)),
        (int, float(-(2**63)), -(2**63)),
        (list[int], [1e308, 1.0], "[1e308,1]"),
        (Literal[1, 2], 1.0, 1),
        (Literal[1.5, 2], 2, 2.0),
        (Level | None, 1.0, 1),
        (Level | int, 3.0, 3),
        (Level | float, Level.LOW, 1.0),
        (list[Level], [1.0], [1]),
        (list[int] | tuple[int, ...], [1.0], [1]),
        (list[float] | tuple[float, ...], [1, 2.5], [1.0, 2.5]),
        (list[float] | tuple[float, ...], (1,), [1.0]),
        (list[float] | tuple[float, ...], "text", "text"),
        (Tree | Twig, Tree(1), '{"value":1,"below":null}'),
        (Tree | Twig | None, {"value": 1}, '{"value":1}'),
        (Tree | Twig, 3, "3"),
        (Tree | Twig, [], "[]"),
        (Tree | Twig, "text", "text"),
        (Tree | dict[str, int], {}, "{}"),
        (Tree | str, "text", "text"),
        (Tree | int, 3, "3"),
        (list[Tree | Twig], [], "[]"),
        (list[Tree | None], [], "[]"),
        (tuple[Tree | Twig, int], (Twig(1), 2), '[{"length":1},2]'),
        (tuple[Tree | str, int], ("a", 2), '["a",2]'),
    ],
)
def test_value_has_the_type_of_its_attribute(hint: Any, value: object, expected: object) -> None:
    """A backend keeps one type per attribute: whole numbers are converted, and a union with a class is one JSON text."""
    schema = event_schema(x=hint)
    [reader] = field_readers(schema)
    attributes: Attributes = {}
    reader(attributes, value, None)

    assert repr(attributes) == repr({"app.odd.x": expected})
    assert repr(EventReader(schema).attributes(schema.event_class(value))) == repr(attributes)


@dataclass
class Inner:
    token: Annotated[str, Attribute(privacy=Privacy.MASK)] = ""
    pin: Annotated[str, Attribute(privacy=Privacy.DROP)] = ""
    size: int = 0


@dataclass
class Open:
    size: int = 0


class Word(enum.Enum):
    A = "a"


MISSHAPEN = [
    SECRET,
    [SECRET],
    (SECRET, 1),
    {"tokn": SECRET},
    {"token": SECRET},
    {"size": 1, "pin": {"token": SECRET}},
    {"a": {"token": SECRET}},
    {"a": [{"pin": SECRET}]},
    [{"token": SECRET, "more": SECRET}],
    [[{"token": SECRET}]],
    (1, {"token": SECRET}),
    (Inner(), 1, {"token": SECRET}),
    Inner(token=SECRET, pin=SECRET),
    {"x": Inner(token=SECRET)},
]


@pytest.mark.parametrize(
    "hint",
    [
        Inner,
        Inner | None,
        Inner | int,
        Inner | float | bool,
        Inner | Word,
        Inner | Literal["a"],
        Inner | dt.datetime,
        Inner | Annotated[str, msgspec.Meta(max_length=3)],
        Inner | Open,
        Inner | dict[str, int],
        Inner | list[int],
        list[Inner],
        tuple[Inner, ...],
        tuple[Inner, int],
        tuple[int, Inner],
        dict[str, Inner],
        list[Inner] | int,
        list[dict[str, Inner]],
        dict[str, list[Inner]] | None,
        Inner | Tree | Twig,
        list[Inner | Tree],
        Holder[Inner],
        list[Holder[Inner]] | int,
        SecretStr,
        SecretStr | int,
        list[SecretStr],
        list[SecretStr] | int,
        dict[str, SecretStr],
        tuple[SecretStr, int],
    ],
    ids=str,
)
def test_misshapen_private_values_stay_private(hint: Any) -> None:
    """Whatever is in the place of a private class, its text is not exported."""
    schema = event_schema(x=hint, other=Any)
    for value in MISSHAPEN:
        event = schema.event_class(value, None)
        reader = EventReader(schema)
        exported = [reader.attributes(event, []), reader.attributes(event), reader.protected_properties(event)]
        assert SECRET not in repr(exported), value


@pytest.mark.parametrize(
    ("hint", "value", "exported"),
    [
        (Inner | int, 3, 3),
        (Inner | str, "text", "text"),
        (Inner | Word, Word.A, "a"),
        (list[Inner] | list[int], [1, 2], [1, 2]),
        (Inner | dict[str, int], {"a": 1}, {"a": 1}),
        (Inner | Open, Open(3), {"size": 3}),
        (tuple[Inner, int], (Inner(size=2), 3), [{"token": "<masked>", "size": 2}, 3]),
        (Inner | Any, "text", "text"),
        (SecretStr | int, 3, 3),
        (list[SecretStr], [SecretStr("a")], ["<masked>"]),
        (
            dict[str, SecretStr | int],
            {"a": SecretStr("a"), "b": 3, "c": "d"},
            {"a": "<masked>", "b": 3, "c": "<masked>"},
        ),
    ],
    ids=str,
)
def test_options_without_private_fields_are_exported(hint: Any, value: object, exported: object) -> None:
    """A value that one of them accepts is not masked."""
    schema = event_schema(x=hint, other=Any)

    assert EventReader(schema).protected_properties(schema.event_class(value, None))["x"] == exported
