"""Examples of events: they fit their schemas."""

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


MORE = [
    Tree,
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
def test_example_fits_its_type(hint: Any) -> None:
    """Alone, and where it may be left out; a pattern alone is beyond it."""
    for each in (hint, hint | None if hint is not Any else hint):
        fields = fields_of(each)
        found = list(violations_of_fields(example_properties(fields), fields))
        assert not found or "pattern" in str(hint)


def test_declared_example_is_taken_if_it_fits() -> None:
    """Else one is made; a text with a pattern is named."""
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no", 7])])) == {"x": 7}
    assert example_properties(fields_of(Annotated[int, Attribute(examples=["no"])])) == {"x": 1}
    assert example_properties(fields_of(Annotated[str, Meta(pattern="^a")])) == {"x": "<x>"}
