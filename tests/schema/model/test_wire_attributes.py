"""The attributes that the fields of a class become on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.annotations import read_type
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.types import ObjectType
from heliograph.schema.model.wire_attributes import (
    expands,
    has_names_inside,
    privacy_by_path,
    wire_type,
)
from heliograph.values.attributes import MAX_KEYS
from heliograph.values.privacy import PrivacyPolicy
from schema.placed_event import Customer, PlacedEvent


def test_wire_attributes_of_a_class() -> None:
    """Names, paths, types and requirements are listed, with the fields of inner classes."""
    found = [
        (attribute.name, attribute.path, attribute.wire_type, attribute.required, attribute.field.requirement)
        for attribute in compile_schema(PlacedEvent, namespace="app").wire_attributes()
    ]

    assert found == [
        ("shop.order.total", "total", "int", False, "conditionally_required: if it is not free"),
        ("shop.customer.name", "customer.name", "string", True, "required"),
        ("shop.order_placed.customer.age", "customer.age", "int", False, "recommended"),
        ("db.namespace", "database", "string", False, "recommended"),
    ]


@dataclass
class Tree:
    value: int
    below: list[Tree] = field(default_factory=list)
    parent: Tree | None = None


class Words(TypedDict, total=False):
    word: str


class Empty(TypedDict):
    pass


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (bool, "boolean"),
        (int, "int"),
        (float, "double"),
        (str, "string"),
        (str | None, "string"),
        (bytes, "string"),
        (Literal["a", "b"], "string"),
        (Literal[1] | None, "int"),
        (Literal[1, "a"], "any"),
        (Literal[1, 2.5], "double"),
        (int | float, "double"),
        (list[int] | tuple[int, ...], "int[]"),
        (int | str, "any"),
        (list[int], "int[]"),
        (list[float], "double[]"),
        (list[int | None], "any"),
        (list[int | str], "any"),
        (list[list[int]], "string"),
        (list[Tree], "string"),
        (list[Tree | None], "string"),
        (list[Tree | Customer], "string"),
        (list[Tree | str], "string"),
        (tuple[Tree | str, str], "string"),
        (Tree | Customer, "string"),
        (Tree | Customer | None, "string"),
        (Tree | str, "string"),
        (dict[str, int] | list[str], "string"),
        (Tree | Any, "any"),
        (Tree | None, "any"),
        (list[Any], "any"),
        (tuple[int, int], "int[]"),
        (tuple[int, str], "string"),
        (tuple[()], "any"),
        (dict[str, int], "any"),
        (Tree, "any"),
        (Any, "any"),
        (None, "any"),
    ],
)
def test_wire_type(hint: Any, expected: str) -> None:
    """The type on the wire is fixed by the annotation, or `any`."""
    assert wire_type(read_type(hint)) == expected


def nested(levels: int) -> type:
    """A class with one field, which has a class with one field, and so on."""
    inner: type = int
    for _ in range(levels):
        inner = make_dataclass("Nested", [("x", inner)])
    return inner


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (nested(1), True),
        (nested(5), True),
        (nested(6), False),
        (make_dataclass("Wide", [(f"x{index}", int) for index in range(MAX_KEYS)]), True),
        (make_dataclass("Wider", [(f"x{index}", int) for index in range(MAX_KEYS + 1)]), False),
        (make_dataclass("Empty", []), False),
        (Tree, False),
    ],
    ids=["one level", "five levels", "six levels", "64 fields", "65 fields", "no field", "inside of itself"],
)
def test_class_expands_within_the_bounds_of_flattening(cls: type, expected: bool) -> None:
    """The fields of a class become attributes if its value would be flattened to the same ones."""
    kind = read_type(cls)

    assert isinstance(kind, ObjectType)
    assert expands(kind) is expected


def test_names_inside() -> None:
    """A declared name is found at any depth, also inside of a class that is inside of itself."""
    assert has_names_inside(read_type(list[Customer]))
    assert not has_names_inside(read_type(Tree))


def test_masked_and_hashed_attributes_are_text() -> None:
    """The type of the field does not matter. An object that is protected as a whole is one attribute."""
    hints = {
        "a": Annotated[int, Attribute(privacy=Privacy.MASK)],
        "b": Annotated[Customer, Attribute(privacy=Privacy.HASH)],
        "c": Annotated[int, Attribute(privacy=Privacy.DROP)],
    }
    cls = make_dataclass("OddEvent", hints.items(), bases=(Event,), namespace={"name": "odd"})
    found = list(compile_schema(cls, namespace="app").wire_attributes())

    assert [(each.name, each.wire_type) for each in found] == [
        ("app.odd.a", "string"),
        ("app.odd.b", "string"),
        ("app.odd.c", "int"),
    ]


def test_privacy_by_path() -> None:
    """Each field has a path, at any depth, without indices.

    Below a protected value there is nothing, and a recursion ends.
    """

    @dataclass
    class Card:
        number: str
        pin: str

    Card.__annotations__ = {"number": Annotated[str, Attribute(privacy=Privacy.MASK)], "pin": str}
    hints = {
        "cards": list[Card],
        "card": Annotated[Card, Attribute(privacy=Privacy.DROP)],
        "tree": Tree,
        "plain": int,
    }
    cls = make_dataclass("OddEvent", hints.items(), bases=(Event,), namespace={"name": "odd"})
    fields = compile_schema(cls, namespace="app").fields or ()

    assert dict(privacy_by_path(fields, PrivacyPolicy())) == {
        "cards.number": Privacy.MASK,
        "cards.pin": Privacy.PLAIN,
        "card": Privacy.DROP,
        "tree.value": Privacy.PLAIN,
        "tree.below": Privacy.PLAIN,
        "tree.parent": Privacy.PLAIN,
        "plain": Privacy.PLAIN,
    }
