"""A form is added by its declared type: each attribute always has one type, and one of another type is added as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute
from heliograph.schema.compile.annotations import read_type
from heliograph.schema.read.typed_attributes import typed_adder
from heliograph.values.attributes import Attributes, add_attributes
from schema.typed_values import Color, Level, Line, Point

RESERVED = frozenset({"a.taken"})


def added(hint: Any, form: object) -> Attributes:
    """Return the attributes that a form of this type becomes."""
    attributes: Attributes = {}
    typed_adder(read_type(hint), "a", RESERVED)(attributes, form)
    return attributes


@pytest.mark.parametrize(
    ("hint", "form", "attributes"),
    [
        (str, "text", {"a": "text"}),
        (int | None, None, {}),
        (float, 7, {"a": 7.0}),
        (float, 2**53 + 1, {"a": 2**53 + 1}),
        (int, 7.0, {"a": 7}),
        (int, 7.5, {"a": 7.5}),
        (int, 1e300, {"a": 1e300}),
        (Level, 1.0, {"a": 1}),
        (Color, "red", {"a": "red"}),
        (list[float], [1, 2.5], {"a": [1.0, 2.5]}),
        (list[int], [1.0, 2], {"a": [1, 2]}),
        (tuple[int, float], [1, 2], {"a": "[1,2]"}),
        (list[list[int]], [], {"a": "[]"}),
        (list[list[int]], [[1]], {"a": "[[1]]"}),
        (dict[str, int], {"b": 1, "c": 2}, {"a.b": 1, "a.c": 2}),
        (int | str, "text", {"a": "text"}),
        (Point | str, {"x": 1}, {"a": '{"x":1}'}),
        (Point | str, "text", {"a": "text"}),
    ],
)
def test_form_has_the_type_of_its_attribute(hint: Any, form: object, attributes: Attributes) -> None:
    """A backend keeps one type per name. A number that would change is left alone."""
    found = added(hint, form)

    assert found == attributes
    assert [type(value) for value in found.values()] == [type(value) for value in attributes.values()]


@pytest.mark.parametrize("hint", [str, int, float, list[int], dict[str, int], Point, int | list[str]])
@given(form=st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.text(max_size=2), max_size=2))
def test_form_of_another_type_is_not_lost(hint: Any, form: object) -> None:
    """An invalid value is exported, because a person has to find out why it is invalid."""
    found = added(hint, form)

    assert bool(found) is (form is not None)
    assert set(found) <= {"a"}


@dataclass
class Placed:
    total: Annotated[float, Attribute("shop.total")]
    at: Point
    note: str | None = None


def test_fields_have_the_names_that_they_declare() -> None:
    """Names below the attribute of the object are the rule. Each field has its own type, at every depth."""
    form = {"total": 7, "at": {"x": 1.0, "y": 2, "label": None}, "note": None}

    assert added(Placed, form) == {"shop.total": 7.0, "a.at.x": 1, "a.at.y": 2.0}


def test_keys_that_a_class_does_not_have_are_kept() -> None:
    """A dict may be in the place of an object."""
    assert added(Placed, {"total": 7, "extra": [1]}) == {"shop.total": 7.0, "a.extra": [1]}


def test_inner_object_may_be_missing() -> None:
    """An object that is `None` has no attributes."""
    form = {"start": {"x": 1, "y": 0.0, "label": "b"}, "end": None, "weight": 1}

    assert added(Line, form) == {"a.start.x": 1, "a.start.y": 0.0, "a.start.label": "b", "a.weight": 1.0}


def test_key_never_takes_a_reserved_name() -> None:
    """The value is where any dict with such a key has it."""
    expected: Attributes = {}
    add_attributes(expected, "a", {"taken": 1, "free": 2}, reserved=RESERVED)
    found = added(dict[str, int], {"taken": 1, "free": 2})

    assert found == expected
    assert "a.taken" not in found
