"""Values become attributes by their class, as by the complete way."""

from __future__ import annotations

import collections
import fractions
import types
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Privacy
from heliograph.values.attribute_names import MAX_REMEMBERED, AttributeNames
from heliograph.values.attributes import Attributes, add_attributes
from heliograph.values.forms import form_of
from heliograph.values.plain import NotPlain
from heliograph.values.plain_attributes import put_item, put_plain, put_value
from heliograph.values.plain_classes import adder_of
from values.plain_values import SCALARS, VALUES


@dataclass
class Pair:
    sku: object
    count: object


@dataclass
class Secret:
    key: Annotated[str, Attribute(privacy=Privacy.MASK)]


class Unknown:
    pass


def added(value: Any, names: AttributeNames) -> Attributes:
    attributes: Attributes = {}
    put_value(attributes, "e.p", names, value, [10_000])
    return attributes


def expected(value: Any) -> Attributes:
    attributes: Attributes = {}
    add_attributes(attributes, "e.p", form_of(value), reserved=frozenset({"e.p.taken"}))
    return attributes


@given(
    st.builds(Pair, VALUES, VALUES)
    | st.builds(Pair, st.builds(Pair, SCALARS, VALUES), SCALARS)
    | st.builds(types.SimpleNamespace, a=VALUES, b=SCALARS)
    | st.dictionaries(st.text(max_size=2), VALUES, max_size=3).map(collections.UserDict)
    | st.lists(VALUES, max_size=3).map(collections.UserList)
    | st.lists(st.dictionaries(st.text(max_size=1), SCALARS, max_size=2), min_size=1, max_size=2).map(
        lambda maps: collections.ChainMap(*maps)
    )
    | st.builds(range, st.integers(-3, 3), st.integers(-3, 3))
    | st.fractions()
)
def test_attributes_are_the_same(value: Any) -> None:
    """By a new adder and by one that is remembered, names, values and their order are those of the complete way."""
    names = AttributeNames("e.p", frozenset({"e.p.taken"}))
    for _ in range(2):
        try:
            attributes = added(value, names)
        except NotPlain:
            return
        assert repr(list(attributes.items())) == repr(list(expected(value).items()))


USUAL = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text("abc é", max_size=5)
"""Values that most events have."""


@given(
    st.builds(Pair, USUAL, USUAL)
    | st.builds(Pair, st.builds(Pair, USUAL, USUAL), USUAL)
    | st.builds(types.SimpleNamespace, a=USUAL, b=USUAL)
    | st.dictionaries(st.sampled_from(["a", "b", "c"]), USUAL, min_size=1).map(collections.UserDict)
    | st.lists(USUAL, min_size=1, max_size=3).map(collections.UserList)
    | st.builds(range, st.integers(0, 3), st.integers(4, 6))
    | st.fractions()
)
def test_usual_values_need_no_closer_look(value: Any) -> None:
    """They are added by their class, and all of their attributes are there."""
    assert repr(list(added(value, AttributeNames("e.p")).items())) == repr(list(expected(value).items()))


@pytest.mark.parametrize("cls", [Secret, Unknown, Pair, fractions.Fraction])
def test_what_is_known_of_a_class_is_remembered(cls: type) -> None:
    """A class whose values need a closer look is remembered, too."""
    names = AttributeNames("e.p")
    found = adder_of(names, cls, put_item, put_plain)

    assert (found is None) == (cls in {Secret, Unknown})
    assert names.adders == {cls: found}
    assert adder_of(names, cls, put_item, put_plain) is found


def test_field_without_a_name_needs_a_closer_look() -> None:
    """It has the name of a declared attribute, which no field of another object may take."""
    assert adder_of(AttributeNames("e.p", frozenset({"e.p.sku"})), Pair, put_item, put_plain) is None


@pytest.mark.parametrize("field", ["class", "a b", "x\n    raise KeyError"])
def test_name_of_a_field_is_never_source(field: str) -> None:
    """Pydantic's fields may have any name. Objects with such a field are read with care."""
    cls = pydantic.create_model("Model", **{field: (int, 1)})  # type: ignore[call-overload]

    assert adder_of(AttributeNames("e.p"), cls, put_item, put_plain) is None


def test_number_of_classes_is_bounded() -> None:
    """A program may make classes without end."""
    names = AttributeNames("e.p")
    for number in range(MAX_REMEMBERED + 10):
        adder_of(names, make_dataclass(f"Class{number}", ["x"]), put_item, put_plain)

    assert len(names.adders) <= MAX_REMEMBERED


def test_too_many_values_need_a_closer_look() -> None:
    """The fields of an object count, too."""
    for put in (
        lambda: put_value({}, "e.p", AttributeNames("e.p"), Pair(1, 2), [1]),
        lambda: put_value(
            {}, "e.p", AttributeNames("e.p"), make_dataclass("Wide", map("f{}".format, range(64)))(*range(64)), [99]
        ),
    ):
        with pytest.raises(NotPlain):
            put()
