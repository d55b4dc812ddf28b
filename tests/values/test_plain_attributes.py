"""Plain values become the same attributes as by the complete way, and whatever needs a closer look is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import MAX_KEYS, Attributes, add_attributes, array_or_json
from heliograph.values.forms import form_of
from heliograph.values.plain import NotPlain
from heliograph.values.plain_attributes import (
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
from values.plain_values import KEYS, VALUES

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
    """Nothing of a form was added then."""
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
    """Those that were there before remain."""
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
    """It is that of its form."""
    assert list_attribute(values, room()) == array_or_json(form_of(values))  # type: ignore[arg-type]
