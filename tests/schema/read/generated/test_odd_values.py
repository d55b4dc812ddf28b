"""Odd values are read by a generated function, with the same result as by the reader of the field."""

from __future__ import annotations

import collections
import datetime as dt
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from typing_extensions import NotRequired, TypedDict

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.generated import odd_values
from heliograph.schema.read.validation import Violation
from schema.typed_values import Text


class Tags(list[Any]):
    """A list of a program's own."""


class Settings(dict[str, Any]):
    """A dict of a program's own."""


class Count(int):
    """An integer of a program's own."""


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    first: Line
    others: list[Line] = field(default_factory=list)
    note: str | None = None


@dataclass
class Tree:
    label: str
    below: list[Tree] = field(default_factory=list)


@dataclass
class Person:
    email: Annotated[str, Attribute(privacy=Privacy.MASK)]
    city: str


@dataclass
class Shipped:
    day: dt.date


class Options(TypedDict):
    size: int
    color: NotRequired[str]


class Pair(NamedTuple):
    left: Line
    right: int


def schema_of(hint: Any) -> EventSchema:
    cls = make_dataclass("OddEvent", [("x", hint)], bases=(Event,), namespace={"name": "odd"})
    return compile_schema(cls, namespace="app")


def both_ways(hint: Any, value: object) -> list[str]:
    """Return what the generated functions and the readers of fields return, as text."""
    found = []
    for way in ("attributes", "_attributes_by_field"):
        schema, violations = schema_of(hint), []  # type: tuple[EventSchema, list[Violation]]
        attributes = getattr(EventReader(schema), way)(schema.event_class(value), violations)
        found.append(repr((list(attributes.items()), sorted(map(str, violations)))))
    return found


ODD = [
    (str, Text("a")),
    (str | None, Text("a")),
    (Annotated[str, msgspec.Meta(max_length=2)], Text("ab")),
    (list[str], Tags(["a"])),
    (list[str], ["a", Text("b")]),
    (list[float], Tags([1, 2.5])),
    (list[Line], [{"sku": "a", "count": 1}]),
    (list[Line], [Line("a"), {"sku": "b"}]),
    (list[Line], Tags([Line("a")])),
    (dict[str, Any], Settings(a=1, b={"c": [1]})),
    (dict[str, int], Settings(a=1)),
    (dict[str, int], {"a": Count(1)}),
    (dict[str, Line], {"a": {"sku": "b", "count": 1}}),
    (Line, {"sku": "a", "count": 1}),
    (Line, {"sku": "a"}),
    (Line, Line(Text("a"))),
    (Line | None, {"sku": "a", "count": 1}),
    (Line, {"count": 1, "more": [1, "x"], "sku": "a", "z": None}),
    (Order, {"first": {"sku": "a"}, "others": [{"sku": "b"}], "note": None}),
    (Options, {"size": 1, "color": "red", "more": 1}),
]
"""Values that are legal, and are read without the reader of their field."""

CAREFUL = [
    (str, 3),
    (str, dt.date(2026, 1, 2)),
    (Annotated[str, msgspec.Meta(max_length=2)], Text("abc")),
    (Annotated[str, msgspec.Meta(pattern="^a$")], Text("b")),
    (str, Text("\udc80")),
    (dt.date, Text("2026-01-02")),
    (Options, {"size": 1, "more": {"a": 1}}),
    (Tree, {"label": "a"}),
    (Line | dict[str, int], {"a": Count(1)}),
    (list[str], Tags(["a", 1])),
    (list[str], 3),
    (list[str], "text"),
    (list[Line], [{"sku": 1}]),
    (Line, {"sku": "a", "count": 1, 1: 2}),
    (Line, {"sku": 1, "count": 1, "more": 1}),
    (Line, {"sku": "a", "count": 1, "line\nbreak": 1}),
    (Line, {"sku": "a", "count": 1, **{f"key_{number}": number for number in range(70)}}),
    (Line, {}),
    (Line, []),
    (Order, {"first": {"sku": "a"}, "more": 1}),
    (Shipped, {"day": "2026-01-02"}),
    (Shipped, {"day": "soon"}),
    (Tree, {"label": "a", "below": [{"label": "b", "below": []}]}),
    (dict[int, str], Settings({1: Text("a")})),
    (tuple[Line, int], ({"sku": "a"}, 1)),
    (Pair, Pair({"sku": "a"}, 1)),  # type: ignore[arg-type]
    (set[int], {Count(2), Count(1)}),
    (list[int], collections.UserList([1, Count(2)])),
    (Annotated[list[str], msgspec.Meta(max_length=2)], Tags("abc")),
    (Person, {"email": "ada@example.com", "city": "London"}),
    (Annotated[list[str], Attribute(privacy=Privacy.MASK)], Tags(["secret"])),
]
"""Values that are invalid, private or odder."""


@pytest.mark.parametrize(("hint", "value"), [*ODD, *CAREFUL], ids=range(len(ODD) + len(CAREFUL)))
def test_both_ways_return_the_same(hint: Any, value: object) -> None:
    generated, by_field = both_ways(hint, value)
    assert generated == by_field


@pytest.mark.parametrize(("hint", "value"), ODD, ids=range(len(ODD)))
def test_odd_value_is_read_by_a_generated_function(hint: Any, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of(hint)
    reader = EventReader(schema)
    monkeypatch.setattr(FieldReader, "__call__", lambda *_: pytest.fail("the field was read with care"))
    violations: list[Violation] = []

    assert reader.attributes(schema.event_class(value), violations)
    assert not violations


@pytest.mark.parametrize("count", [60, 61, 62, 63, 64, 65])
def test_limit_of_more_keys(count: int) -> None:
    generated, by_field = both_ways(Line, {"sku": "a", "count": 1, **{f"key_{number}": 1 for number in range(count)}})
    assert generated == by_field


def test_function_is_generated_once_and_only_for_an_odd_value(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of(Line)
    reader = EventReader(schema)
    generated: list[object] = []
    real = odd_values._of_dicts
    monkeypatch.setattr(odd_values, "_of_dicts", lambda *kind: generated.append(kind) or real(*kind))
    reader.attributes(schema.event_class(Line("a")), [])
    assert not generated

    reader.attributes(schema.event_class({"sku": "a"}), [])
    count = len(generated)
    reader.attributes(schema.event_class({"sku": "b"}), [])
    assert len(generated) == count > 0
