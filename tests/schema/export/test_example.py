"""Examples of events are valid by their schemas."""

from __future__ import annotations

import enum
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from heliograph import Attribute, Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.example import example_properties
from heliograph.schema.read.validation import violations_of_fields
from schema.typed_values import FITTING


class Reply(enum.Enum):
    NONE = None
    YES = "yes"


@dataclass
class Tree:
    value: int
    left: Tree | None = None
    children: list[Tree] | None = None
    by_name: dict[str, Tree] | None = None


@dataclass
class Link:
    next: Link | int


@dataclass
class Branch:
    next: Branch | list[Branch]


@dataclass
class Named:
    next: Named | dict[str, Named]


@dataclass
class Inner:
    outer: Outer


@dataclass
class Outer:
    inner: Inner | bool


@dataclass
class Endless:
    next: Endless


@dataclass
class Egg:
    next: Egg | Hen


@dataclass
class Hen:
    next: Egg


EXAMPLES: list[tuple[Any, object]] = [
    (Any, "<x>"),
    (None, None),
    (bool, True),
    (int, 1),
    (float, 1.5),
    (str, "<x>"),
    (int | str, 1),
    (Literal["b", "a"], "b"),
    (Reply, "yes"),
    (Annotated[int, Meta(gt=5, lt=8)], 6),
    (Annotated[int, Meta(gt=5, lt=7)], 6),
    (Annotated[int, Meta(gt=10)], 11),
    (Annotated[int, Meta(lt=-10)], -11),
    (Annotated[int, Meta(multiple_of=3)], 0),
    (Annotated[int, Meta(ge=10, multiple_of=7)], 14),
    (Annotated[int, Meta(gt=14, multiple_of=7)], 21),
    (Annotated[int, Meta(le=-10, multiple_of=7)], -14),
    (Annotated[int, Meta(lt=-14, multiple_of=7)], -21),
    (Annotated[float, Meta(gt=0, lt=0.1)], 0.05),
    (Annotated[float, Meta(gt=8, lt=8.25)], 8.125),
    (Annotated[float, Meta(lt=-3)], -4),
    (Annotated[str, Meta(min_length=5)], "<x>……"),
    (Annotated[str, Meta(max_length=1)], "<"),
    (Annotated[str, Meta(pattern="^a+$", min_length=3)], "aaa"),
    (Annotated[str, Meta(pattern="^[0-9]$")], "1"),
    (list[int], [1]),
    (tuple[int, str], [1, "<x>"]),
    (Annotated[list[int], Meta(min_length=3)], [1, 1, 1]),
    (Annotated[list[int], Meta(max_length=0)], []),
    (Annotated[list[int], Meta(max_length=3)], [1]),
    (dict[str, int], {"<key>": 1}),
    (dict[int, bool], {"1": True}),
    (Annotated[dict[str, int], Meta(max_length=0)], {}),
    (Annotated[dict[str, int], Meta(max_length=1)], {"<key>": 1}),
    (Tree, {"value": 1, "children": [], "by_name": {}}),
    (list[Tree], [{"value": 1, "children": [], "by_name": {}}]),
    (Link, {"next": 1}),
    (Branch, {"next": []}),
    (Named, {"next": {}}),
    (Outer, {"inner": True}),
]
"""Annotations, each with the example that is made for it."""


def fields_of(hint: Any):
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    return compile_schema(cls, namespace="app").fields


@pytest.mark.parametrize(("hint", "example"), EXAMPLES, ids=str)
def test_an_example_is_made_from_the_type(hint: Any, example: object) -> None:
    """An example has the type of the field, and is as simple as the bounds, lengths and patterns allow."""
    made = example_properties(fields_of(hint))["x"]

    assert (made, type(made)) == (example, type(example))


@pytest.mark.parametrize(
    ("hint", "example"), [(Endless, {"next": {}}), (Egg, {"next": {}}), (Hen, {"next": {"next": {}}})]
)
def test_an_example_of_a_class_that_always_holds_itself_ends(hint: Any, example: object) -> None:
    """No valid example of such a class exists, so the inner instance is empty."""
    assert example_properties(fields_of(hint)) == {"x": example}


@pytest.mark.parametrize("hint", [hint for hint, _ in (*FITTING, *EXAMPLES) if hint is not None], ids=str)
def test_an_example_is_valid(hint: Any) -> None:
    """Required and optional fields have a valid example, unless a pattern is declared, for which no text is generated."""
    for each in (hint, hint | None if hint is not Any else hint):
        fields = fields_of(each)
        found = list(violations_of_fields(example_properties(fields), fields))
        assert not found or "pattern" in str(hint)


def test_a_declared_example_is_used_if_it_is_valid() -> None:
    """Other examples are made from the type. A text with a pattern matches it, if one can be made."""
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no", 7])])) == {"x": 7}
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no"])])) == {"x": 1}
    assert example_properties(fields_of(Annotated[str, Meta(pattern="^a")])) == {"x": "a"}
    assert example_properties(fields_of(Annotated[str, Meta(pattern="^a(?=b)c")])) == {"x": "<x>"}
