"""Examples of events are valid by their schemas."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
from msgspec import Meta

from heliograph import Attribute, Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.example import example_properties
from heliograph.schema.read.validation import violations_of_fields
from schema.typed_values import FITTING


@dataclass
class Tree:
    value: int
    left: Tree | None = None
    children: list[Tree] | None = None


@dataclass
class Link:
    next: Link | int


@dataclass
class Branch:
    next: Branch | list[Branch]


@dataclass
class Inner:
    outer: Outer


@dataclass
class Outer:
    inner: Inner | bool


MORE = [
    Tree,
    Link,
    Branch,
    Outer,
    Annotated[int, Meta(gt=5, lt=8)],
    Annotated[int, Meta(ge=10, multiple_of=7)],
    Annotated[int, Meta(le=-10, multiple_of=7)],
    Annotated[float, Meta(gt=0, lt=0.1)],
    Annotated[float, Meta(lt=-3)],
    Annotated[str, Meta(min_length=20)],
    Annotated[str, Meta(max_length=1)],
    Annotated[list[int], Meta(min_length=3)],
    Annotated[list[int], Meta(max_length=0)],
]


def fields_of(hint: Any):
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    return compile_schema(cls, namespace="app").fields


@pytest.mark.parametrize("hint", [*(hint for hint, _ in FITTING), *MORE], ids=str)
def test_an_example_is_valid(hint: Any) -> None:
    """For required and for optional fields. The exception is a declared pattern, for which no text is generated."""
    for each in (hint, hint | None if hint is not Any else hint):
        fields = fields_of(each)
        found = list(violations_of_fields(example_properties(fields), fields))
        assert not found or "pattern" in str(hint)


def test_a_declared_example_is_used_if_it_is_valid() -> None:
    """Otherwise one is made from the type. A text with a pattern matches it, if one can be made."""
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no", 7])])) == {"x": 7}
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no"])])) == {"x": 1}
    assert example_properties(fields_of(Annotated[str, Meta(pattern="^a")])) == {"x": "a"}
    assert example_properties(fields_of(Annotated[str, Meta(pattern="^a(?=b)c")])) == {"x": "<x>"}
