"""Plain values become the same attributes as by the complete way, and whatever needs a closer look is refused."""

from __future__ import annotations

import collections
import fractions
import types
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Privacy
from heliograph.values.attribute_names import MAX_REMEMBERED, AttributeNames
from heliograph.values.attributes import MAX_KEYS, Attributes, add_attributes, array_or_json
from heliograph.values.forms import form_of
from heliograph.values.plain import NotPlain
from heliograph.values.plain_attributes import (
    adder_of,
    forget,
    json_unless_text,
    list_attribute,
    put_dict,
    put_dict_form,
    put_form,
    put_json,
    put_value,
)
from heliograph.values.privacy import Protected
from values.plain_values import KEYS, SCALARS, VALUES

RESERVED = frozenset({"e.p.taken"})


def room() -> list[int]:
    return [10_000]


@given(st.dictionaries(KEYS, VALUES, max_size=4) | VALUES)
def test_attributes_are_the_same(value: Any) -> None:
    """Names, values and their order are those of the complete way. If the value is refused, what was added is the newest."""
    names = AttributeNames("e.p", RESERVED)
    expected: Attributes = {"before": 1}
    add_attributes(expected, "e.p", form_of(value), reserved=RESERVED)
    for put in (
        lambda attributes: put_value(attributes, "e.p", names, value, room()),
        lambda attributes: put_form(attributes, "e.p", names, form_of(value)),
    ):
        attributes: Attributes = {"before": 1}
        try:
            put(attributes)
        except NotPlain:
            forget(attributes, 1)
            assert attributes == {"before": 1}
        else:
            assert repr(list(attributes.items())) == repr(list(expected.items()))


@pytest.mark.parametrize(
    "value",
    [
        {"a.b": 1},
        {"": 1},
        {"": None},
        {"a": {"\n": 1}},
        {"\n": {"a": 1}},
        {"taken": 1},
        dict.fromkeys(map(str, range(MAX_KEYS)), 1),
        dict.fromkeys(map(str, range(MAX_KEYS + 1))),
        {str(outer): {str(inner): 1 for inner in range(9)} for outer in range(9)},
    ],
    ids=range(9),
)
def test_keys_that_need_a_closer_look_are_refused(value: dict[Any, object]) -> None:
    """The attributes are as before: nothing of the form was added."""
    attributes: Attributes = {}
    with pytest.raises(NotPlain):
        put_dict({}, AttributeNames("e.p", RESERVED), value, room())
    with pytest.raises(NotPlain):
        put_dict_form(attributes, AttributeNames("e.p", RESERVED), form_of(value))  # type: ignore[arg-type]
    with pytest.raises(NotPlain):
        put_dict({}, AttributeNames("e.p"), {1: 2}, room())
    assert attributes == {}


def test_shared_dicts_are_not_read_without_end() -> None:
    """A dict that holds another one several times, at each level, has few values and many paths to them."""
    value: dict[str, Any] = {}
    for _ in range(4):
        value = {str(number): value for number in range(60)}
    rest = room()
    with pytest.raises(NotPlain):
        put_dict({}, AttributeNames("e.p"), value, rest)

    assert -60 <= rest[0] < 0


def test_newest_attributes_are_forgotten() -> None:
    """The attributes that were there before remain."""
    attributes: Attributes = {"a": 1, "b": 2, "c": 3}
    forget(attributes, 1)

    assert attributes == {"a": 1}


def test_deepest_dict_is_json() -> None:
    """As everywhere, five levels of keys are flattened. An empty dict is omitted."""
    value: Any = {"a": {"b": {"c": {"d": {"e": {"f": 1}, "g": {}}}}}}
    for put in (lambda *arguments: put_dict(*arguments, room()), put_dict_form):
        attributes: Attributes = {}
        put(attributes, AttributeNames("e.p"), value)
        assert attributes == {"e.p.a.b.c.d.e": '{"f":1}'}


def test_protected_texts_become_plain_ones() -> None:
    """An attribute is of exactly the class `str`."""
    attributes: Attributes = {}
    put_dict_form(attributes, AttributeNames("e"), {"a": Protected("x"), "b": [Protected("y"), "z"]})

    assert [type(attributes["e.a"]), *map(type, attributes["e.b"])] == [str, str, str]  # type: ignore[arg-type]


def test_json_text() -> None:
    """A dict with data as keys is one text, and an empty one is omitted. A text stays as it is."""
    attributes: Attributes = {}
    put_json(attributes, "a", {"x": 1})
    put_json(attributes, "b", {})

    assert attributes == {"a": '{"x":1}'}
    assert json_unless_text("x") == "x"
    assert json_unless_text({"x": 1}) == '{"x":1}'


@pytest.mark.parametrize("values", [[], ["a", "ž"], ["a", "\x85"], ["\udc80"], [1, 2**63], [1, True], [None], (1, 2)])
def test_attribute_of_a_list(values: list[Any]) -> None:
    """The attribute is the same as that of the list's documented form."""
    assert list_attribute(values, room()) == array_or_json(form_of(values))  # type: ignore[arg-type]


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
    put_value(attributes, "e.p", names, value, room())
    return attributes


def expected(value: Any) -> Attributes:
    attributes: Attributes = {}
    add_attributes(attributes, "e.p", form_of(value), reserved=RESERVED)
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
def test_attributes_by_class_are_the_same(value: Any) -> None:
    """By a new adder and by one that is remembered, names, values and their order are those of the complete way."""
    names = AttributeNames("e.p", RESERVED)
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
    """Usual values are added by their class, and all of their attributes are there."""
    assert repr(list(added(value, AttributeNames("e.p")).items())) == repr(list(expected(value).items()))


@pytest.mark.parametrize("cls", [Secret, Unknown, Pair, fractions.Fraction])
def test_what_is_known_of_a_class_is_remembered(cls: type) -> None:
    """A class whose values need a closer look is remembered, too."""
    names = AttributeNames("e.p")
    found = adder_of(names, cls)

    assert (found is None) == (cls in {Secret, Unknown})
    assert names.adders == {cls: found}
    assert adder_of(names, cls) is found


def test_field_without_a_name_needs_a_closer_look() -> None:
    """A field may be named like a declared attribute, which no field of another object may take."""
    assert adder_of(AttributeNames("e.p", frozenset({"e.p.sku"})), Pair) is None


def test_number_of_classes_is_bounded() -> None:
    """A program may make classes without end."""
    names = AttributeNames("e.p")
    for number in range(MAX_REMEMBERED + 10):
        adder_of(names, make_dataclass(f"Class{number}", ["x"]))

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
