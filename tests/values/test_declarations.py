"""Declarations inside of a value are found by its class, by its alias, and by the annotation around it."""

from __future__ import annotations

import collections
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, ParamSpec, TypeVar

import pytest
from typing_extensions import TypedDict, TypeVarTuple, Unpack

from heliograph import Attribute, Privacy
from heliograph.values import reports
from heliograph.values.declarations import NOWHERE, Declaration, Place, field_declarations, value_declaration
from heliograph.values.declared_attributes import attributes_in
from heliograph.values.fields import field_hints
from heliograph.values.forms import protected_form_of
from heliograph.values.privacy import PrivacyPolicy
from values.boxes import Attrs, Box, DictAttrs, Frozen, FrozenAttrs, Slotted, Struct

POLICY = PrivacyPolicy(key="key")
CANARY = "s3cr3t-c4n4ry"
MASK = Attribute(privacy=Privacy.MASK)
T = TypeVar("T")
P = ParamSpec("P")
Ts = TypeVarTuple("Ts")
Secret = Annotated[str, MASK]


@dataclass(frozen=True)
class Task(Generic[P, T]):
    function: Callable[P, T]
    number: int = 1


@dataclass(frozen=True)
class Items(Generic[Unpack[Ts]]):
    items: tuple[Unpack[Ts]]


@dataclass
class Outer:
    box: Box[Secret]
    many: list[Frozen[Secret]]
    plain: Frozen[str]
    other: Any = None


class Tags(list[Secret]):
    pass


class Many(list[T]):
    pass


class SlottedMany(list[T]):
    __slots__ = ()


class Mapped(dict[str, Box[Secret]]):
    pass


class Hidden(dict[str, Annotated[str, Attribute(privacy=Privacy.HASH)]]):
    pass


class Dropped(tuple[Annotated[str, Attribute(privacy=Privacy.DROP)], ...]):
    __slots__ = ()


class Pair(NamedTuple):
    name: Secret
    number: int = 1


class Wrapped(collections.UserDict[str, Box[Secret]]):
    pass


class Broken(list["not a type"]):  # type: ignore[misc]  # noqa: F722
    pass


@pytest.fixture(autouse=True)
def no_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the classes that were reported."""
    monkeypatch.setattr(reports, "_first_reports", {})


def form(value: object, place: Place = NOWHERE) -> object:
    return protected_form_of(value, POLICY, place)[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Tags([CANARY]), "<masked>"),
        (Many[Secret]([CANARY]), "<masked>"),
        (Many([1]), [1]),
        (Many[int]([1]), [1]),
        (SlottedMany[Secret]([CANARY]), "<masked>"),
        (Dropped((CANARY,)), None),
        (Pair(CANARY), "<masked>"),
        (Mapped(a=Box(CANARY)), {"a": {"content": "<masked>"}}),
        (Mapped(a=[Box(CANARY), None]), {"a": [{"content": "<masked>"}, None]}),  # type: ignore[arg-type]
        (Mapped(a=CANARY), "<masked>"),  # type: ignore[arg-type]
        (Wrapped(a=Box(CANARY)), {"a": {"content": "<masked>"}}),
        ({"a": [Tags([CANARY])]}, {"a": ["<masked>"]}),
    ],
    ids=repr,
)
def test_containers_with_a_private_argument(value: object, expected: object) -> None:
    """The declaration holds for the whole container; one inside of an object's class holds for that object."""
    assert form(value) == expected


def test_container_is_hashed_as_a_whole() -> None:
    """Equal containers have equal hashes, and nothing inside is masked first."""
    assert str(form(Hidden(a="x"))).startswith("hmac-sha256:")
    assert form(Hidden(a="x")) == form(Hidden(a="x")) != form(Hidden(a="y"))


@pytest.mark.parametrize("cls", [Frozen, Slotted, Struct, Attrs, FrozenAttrs])
def test_object_that_cannot_know_its_argument(cls: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The argument may ask for privacy, so the field is masked. One warning names the ways to declare it."""
    field_declarations((cls,))  # another test may have reported it
    assert form(cls[Secret](CANARY)) == form(cls("x")) == {"content": "<masked>"}
    assert form([cls("x")], Place(aliases={cls: (cls[str],)})) == [{"content": "x"}]
    assert form([cls("x")], Place(aliases={cls: (cls[str], cls[Secret])})) == [{"content": "<masked>"}]


def test_unknown_arguments_are_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """The warning names the class, and what to write."""

    @dataclass(frozen=True)
    class Odd(Generic[T]):
        content: T

    form([Odd(1), Odd(2)])

    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"{Odd.__qualname__}[…]" in record.message


@pytest.mark.parametrize("cls", [Box, DictAttrs])
def test_object_that_keeps_its_alias(cls: Any) -> None:
    """An object that has no alias was made by the class alone."""
    assert form(cls("x")) == form(cls[str]("x")) == {"content": "x"}
    assert form(cls[Secret](CANARY)) == {"content": "<masked>"}
    assert form(cls[Secret](CANARY), Place(aliases={cls: (cls[str],)})) == {"content": "<masked>"}
    assert form(cls(CANARY), Place(aliases={cls: (cls[Secret],)})) == {"content": "<masked>"}


def test_parameters_for_functions() -> None:
    """A parameter of this kind has no type that could be masked, so its field is masked. The other fields are exported."""
    assert form(Task(print)) == {"function": "<masked>", "number": 1}


def test_parameters_for_any_number_of_types() -> None:
    """Nothing is known of such parameters, not even their number. Python 3.10 cannot put anything in their place."""
    assert form(Items((1, CANARY))) == {"items": "<masked>"}
    if sys.version_info >= (3, 11):
        assert attributes_in(field_hints(Items, ["items"])["items"]) == [MASK]


def test_annotation_of_the_field_around() -> None:
    """The annotation knows the argument, for exactly the objects in that field."""
    assert form(Outer(Box(CANARY), [Frozen(CANARY)], Frozen("x"), [Frozen(CANARY)])) == {
        "box": {"content": "<masked>"},
        "many": [{"content": "<masked>"}],
        "plain": {"content": "x"},
        "other": [{"content": "<masked>"}],
    }


@pytest.mark.parametrize("value", [CANARY, {"content": CANARY}, [Box(CANARY), CANARY], {"a": [{"b": CANARY}]}])
def test_value_that_is_no_object_of_a_private_alias(value: Any) -> None:
    """Such a value is masked as a whole, because the private part may be anywhere."""
    assert form(Outer(value, [], Frozen("x"))) == {
        "box": "<masked>",
        "many": [],
        "plain": {"content": "x"},
        "other": None,
    }


@dataclass
class Card:
    pin: Secret
    number: int = 1


class SubCard(Card):
    pass


class Options(TypedDict):
    pin: Secret


@dataclass
class Wallet:
    card: Card | None = None
    cards: list[Card] = field(default_factory=list)
    options: Options | None = None
    number: int = 2


@dataclass
class Chain(Generic[T]):
    content: T
    below: Chain[list[T]] | None = None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"card": SubCard("p")}, {"card": {"pin": "<masked>", "number": 1}}),
        ({"card": {"pin": CANARY}}, {"card": "<masked>"}),
        ({"card": CANARY}, {"card": "<masked>"}),
        ({"cards": [Card("p"), None]}, {"cards": [{"pin": "<masked>", "number": 1}, None]}),
        ({"cards": [{"pin": CANARY}]}, {"cards": "<masked>"}),
        ({"options": {"pin": CANARY}}, {"options": "<masked>"}),
    ],
    ids=str,
)
def test_misshapen_values_where_no_type_is_declared(fields: dict[str, Any], expected: dict[str, object]) -> None:
    """A value of another shape is masked as a whole, because no type says which part is private."""
    plain = {"card": None, "cards": [], "options": None, "number": 2}

    assert form(Wallet(**fields)) == {**plain, **expected}


def test_misshapen_values_of_a_declared_type() -> None:
    """Such a value is left to the comparison with the type, which knows the names of its fields."""
    assert form(Wallet(card={"pin": "x"}), Place(is_typed=True))["card"] == {"pin": "x"}  # type: ignore[arg-type,index]


def test_class_inside_of_itself_with_ever_longer_arguments() -> None:
    """The search ends, and counts as private."""
    assert form(Chain(1)) == {"content": 1, "below": None}
    assert form(Chain(1, "x")) == {"content": 1, "below": "<masked>"}  # type: ignore[arg-type]


def test_declarations_that_cannot_be_evaluated_count_as_masked() -> None:
    """An annotation with an unknown name may ask for privacy."""

    class Bad(NamedTuple):
        name: missing  # type: ignore[name-defined]  # noqa: F821

    @dataclass
    class Odd:
        name: missing  # type: ignore[name-defined]  # noqa: F821

    assert form(Bad(CANARY)) == "<masked>"
    assert form(Odd(CANARY)) == {"name": "<masked>"}
    assert form(Broken(["x"])) == ["x"]


def test_declarations_of_several_hints_are_merged() -> None:
    """The stricter privacy holds."""
    assert field_declarations((Box[int], Box[Secret])) == {"content": Declaration(attribute=MASK)}
    assert field_declarations((Box[int],)) == {}
    assert value_declaration((Many[int], Many[Secret])).attribute == MASK


def test_place_describes_its_objects_alone() -> None:
    """The objects may be in containers of the standard library, at any depth."""
    place = Place(aliases={Box: (Box[Secret],)})

    assert place.describes([Box("x"), (None, {"a": {1: Box("y")}}), collections.OrderedDict(a=Box("z"))])
    assert not any(map(place.describes, ("x", [1], {"a": "x"}, Frozen("x"), {Box: 3})))
    assert not place.describes([[None] * 6_000] * 2)
