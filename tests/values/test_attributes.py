"""Forms become attributes, flattened by key within bounds."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import ChainMap, OrderedDict, UserDict
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.values.attributes import (
    MAX_DEPTH,
    MAX_KEY_LENGTH,
    MAX_KEYS,
    Attributes,
    add_attributes,
    add_overflow,
    merge_attributes,
    without_opted_out,
)
from heliograph.values.forms import form_of
from heliograph.values.privacy import PrivacyPolicy, Protected

OVERFLOW = "heliograph.event.overflow"


def attributes_of(value: object, name: str = "e.p", reserved: frozenset[str] = frozenset()) -> Attributes:
    attributes: Attributes = {}
    add_attributes(attributes, name, form_of(value), reserved=reserved)
    return attributes


class Color(enum.Enum):
    DEEP = {"r": 1}


@dataclasses.dataclass
class Point:
    x: int
    y: int | None = None


class Struct(msgspec.Struct):
    x: int


ODD_TEXT = st.text(st.characters(categories=None), max_size=40)  # with surrogates and control characters


def test_none_is_omitted_and_null_inside_json() -> None:
    """`None` is no attribute. Inside a list it is `null`."""
    assert attributes_of(None) == {}
    assert attributes_of({"a": None, "b": [None]}) == {"e.p.b": "[null]"}


@pytest.mark.parametrize(
    "mapping",
    [
        {"a": 1, "b": 2},
        OrderedDict(a=1, b=2),
        UserDict(a=1, b=2),
        MappingProxyType({"a": 1, "b": 2}),
        ChainMap({"a": 1, "b": 2}),
    ],
    ids=lambda mapping: type(mapping).__name__,
)
def test_every_mapping_is_flattened_by_key(mapping: object) -> None:
    """Each key becomes an attribute below the property."""
    assert attributes_of(mapping) == {"e.p.a": 1, "e.p.b": 2}


def test_objects_with_fields_are_flattened_by_field() -> None:
    """Dataclasses and structs are flattened as dicts are; inside a list they are JSON text."""
    assert attributes_of(Point(1)) == {"e.p.x": 1}
    assert attributes_of(Struct(1)) == {"e.p.x": 1}
    assert attributes_of([Point(1, 2)]) == {"e.p": '[{"x":1,"y":2}]'}
    assert attributes_of(Color.DEEP) == {"e.p.r": 1}


def test_keys_that_cannot_name_an_attribute_are_in_the_overflow() -> None:
    """A key that is empty, too long or not printable is in the JSON object of the overflow."""
    long = "k" * (MAX_KEY_LENGTH + 1)
    attributes = attributes_of({"": 1, long: 2, "a\nb": 3, "\udc80": 4, "fine": 5})

    assert attributes.pop("e.p.fine") == 5
    assert attributes.pop("e.p.\\udc80") == 4
    assert json.loads(str(attributes.pop(OVERFLOW))) == {"e.p": {"": 1, long: 2, "a\nb": 3}}
    assert attributes == {}


def test_dict_is_flattened_five_levels_deep() -> None:
    """A dict below the fifth level is JSON text under its own key."""
    deep: dict[str, object] = {"leaf": 1}
    for _ in range(MAX_DEPTH):
        deep = {"d": deep}

    assert attributes_of(deep) == {"e.p.d.d.d.d.d": '{"leaf":1}'}


def test_dict_becomes_at_most_64_attributes() -> None:
    """All values after the sixty-fourth are in the overflow."""
    attributes = attributes_of({f"k{index}": index for index in range(100)})

    rest = json.loads(str(attributes.pop(OVERFLOW)))["e.p"]
    assert len(attributes) == MAX_KEYS
    assert {**{key.removeprefix("e.p."): value for key, value in attributes.items()}, **rest} == {
        f"k{index}": index for index in range(100)
    }


def test_two_paths_with_one_name_are_both_kept() -> None:
    """The first path becomes the attribute; all others are in the overflow, where no two paths have one name."""
    assert attributes_of({"a": {"b": 1}, "a.b": 2}) == {"e.p.a.b": 1, OVERFLOW: '{"e.p":{"a.b":2}}'}
    assert attributes_of({"a": {"b": {"c": 1}, "b.c": 2}, "a.b": {"c": 3}, "a.b.c": 4}) == {
        "e.p.a.b.c": 1,
        OVERFLOW: '{"e.p":{"a":{"b.c":2},"a.b":{"c":3},"a.b.c":4}}',
    }


def test_empty_dicts_are_omitted() -> None:
    """An empty dict is omitted at any depth: a name below which there are attributes never has a value itself."""
    assert attributes_of({}) == {}
    assert attributes_of({"a": {}, "b": {"c": {}}, "d": 1}) == {"e.p.d": 1}
    assert attributes_of([{}]) == {"e.p": "[{}]"}


def test_overflows_are_joined() -> None:
    """The overflows of several properties, and of several groups of attributes, become one JSON object."""
    attributes = attributes_of({"": 1}, "e.p")
    add_attributes(attributes, "e.q", {"": 2})
    add_overflow(attributes, {"e.r": [1]})
    merge_attributes(attributes, {"user.id": "a", OVERFLOW: '{"heliograph.actor":{"":3}}'})

    overflow = json.loads(str(attributes.pop(OVERFLOW)))
    assert overflow == {"e.p": {"": 1}, "e.q": {"": 2}, "e.r": [1], "heliograph.actor": {"": 3}}
    assert attributes == {"user.id": "a"}


def test_key_cannot_take_a_reserved_name() -> None:
    """A key with the name of a declared attribute is in the overflow."""
    assert attributes_of({"x": 1, "y": 2}, reserved=frozenset({"e.p.x"})) == {"e.p.y": 2, OVERFLOW: '{"e.p":{"x":1}}'}


def test_keys_at_the_bounds_are_attributes() -> None:
    """A key of 128 characters and a value on the fifth level are attributes; one more character is not."""
    assert attributes_of({"k" * MAX_KEY_LENGTH: 1}) == {"e.p." + "k" * MAX_KEY_LENGTH: 1}
    assert list(attributes_of({"k" * (MAX_KEY_LENGTH + 1): 1})) == [OVERFLOW]
    assert attributes_of({"a": {"b": {"c": {"d": {"e": 1}}}}}) == {"e.p.a.b.c.d.e": 1}
    assert len(attributes_of({f"k{index}": index for index in range(MAX_KEYS)})) == MAX_KEYS


def test_protected_text_becomes_plain_text() -> None:
    """The mark of protected text is for our own steps only: encoders know exact classes."""
    attributes: Attributes = {}
    add_attributes(attributes, "a", Protected("<masked>"))
    add_attributes(attributes, "b", [Protected("<masked>"), "c"])
    add_attributes(attributes, "d", [[Protected("<masked>")]])

    assert attributes == {"a": "<masked>", "b": ["<masked>", "c"], "d": '[["<masked>"]]'}
    assert type(attributes["a"]) is str
    assert {type(item) for item in attributes["b"]} == {str}  # type: ignore[union-attr]


@given(
    st.dictionaries(
        ODD_TEXT, st.integers(min_value=0, max_value=9) | st.dictionaries(ODD_TEXT, st.integers(0, 9)), max_size=100
    )
)
def test_every_value_of_a_dict_is_exported(value: dict[str, Any]) -> None:
    """Each value is an attribute, or in the overflow. Empty dicts have no values."""
    attributes = attributes_of(value)

    rest = json.loads(str(attributes.pop(OVERFLOW, "{}"))).get("e.p", {})
    count = sum(len(item) if isinstance(item, dict) else 1 for item in rest.values())
    assert len(attributes) + count == sum(len(item) if isinstance(item, dict) else 1 for item in value.values())


def test_empty_dict_at_the_last_level_is_omitted() -> None:
    """The rule is the same at every level."""
    assert attributes_of({"a": {"b": {"c": {"d": {"e": {}}}}}}) == {}


def test_opted_out_attributes_are_removed_from_the_overflow() -> None:
    """An overflow in which nothing remains is removed, too."""
    policy = PrivacyPolicy(opt_out=("e.p",))
    attributes: Attributes = {"e.p.x": 1, "e.q": 2, OVERFLOW: '{"e.p":{"":1},"e.r":3}'}

    assert without_opted_out(attributes, policy) == {"e.q": 2, OVERFLOW: '{"e.r":3}'}
    assert without_opted_out({"e.p": 1, "e.q": 2}, policy) == {"e.q": 2}
    assert without_opted_out({"e.q": 2, OVERFLOW: '{"e.p":{"":1}}'}, policy) == {"e.q": 2}


def test_policy_without_opt_outs_changes_nothing() -> None:
    attributes: Attributes = {"e.p.x": 1, OVERFLOW: '{"e.p":{"":1}}'}

    assert without_opted_out(attributes, PrivacyPolicy()) == {"e.p.x": 1, OVERFLOW: '{"e.p":{"":1}}'}
