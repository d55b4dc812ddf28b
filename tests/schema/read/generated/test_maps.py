"""The source that flattens a dict adds the same attributes as the slower way, or refuses the dict."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from heliograph.schema.compile.annotations import read_type
from heliograph.schema.model.types import MapType
from heliograph.schema.read.generated.forms import FormWriter
from heliograph.schema.read.generated.maps import MapWriter
from heliograph.schema.read.generated.source import Source
from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import MAX_KEYS, Attributes, add_attributes
from heliograph.values.forms import form_of
from heliograph.values.plain import NotPlain
from schema.read.generated.generated_code import NOT_COMMON, POLICY, run

RESERVED = frozenset({"a.taken"})
KEYS = st.text("ab.ö \ud800", max_size=2) | st.sampled_from(["taken", "a" * 300])
SCALARS = st.integers() | st.text(max_size=2) | st.booleans() | st.none() | st.floats()


def flattened(hint: Any, value: object) -> object:
    """Return the attributes by the source for a type, or `NOT_COMMON` if it refuses the value, or there is none."""
    kind = read_type(hint)
    assert isinstance(kind, MapType)
    source = Source()
    names = source.constant("names", AttributeNames("a", RESERVED))
    steps = MapWriter(source, FormWriter(source, POLICY)).steps(kind, "value", names, "attributes")
    if steps is None:
        return NOT_COMMON
    body = ["size = len(attributes)", *steps.lines, "return attributes"]
    room = [10_000]
    try:
        return run(source, "value, attributes, room", body, value, {"before": 1}, room)
    except NotPlain:
        return NOT_COMMON
    finally:
        assert steps.uses_room or room == [10_000]


def by_the_slower_way(value: object) -> Attributes:
    attributes: Attributes = {"before": 1}
    add_attributes(attributes, "a", form_of(value), reserved=RESERVED)
    return attributes


@given(
    st.dictionaries(KEYS, SCALARS | st.lists(st.integers(), max_size=2) | st.dictionaries(KEYS, SCALARS), max_size=4)
)
def test_any_dict_has_the_attributes_of_the_slower_way(value: dict[str, Any]) -> None:
    """No key takes a reserved name, and none is lost."""
    found = flattened(dict[str, Any], value)

    assert found is NOT_COMMON or repr(found) == repr(by_the_slower_way(value))


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, st.integers(), max_size=3), max_size=3))
def test_nested_dicts_of_one_type_have_the_attributes_of_the_slower_way(value: dict[str, Any]) -> None:
    """Keys of inner dicts are below those of outer ones."""
    found = flattened(dict[str, dict[str, int]], value)

    assert found is NOT_COMMON or repr(found) == repr(by_the_slower_way(value))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (dict, {}),
        (dict[str, Any], {"b": 1, "c": "d", "e": None}),
        (dict[str, Any], {"b": {"c": [1, 2]}}),
        (dict[str, int], {"b": 1, "c": 2}),
        (dict[int, str], {1: "b"}),
        (dict[str, list[str]], {"b": ["c", "d"]}),
        (dict[str, dict[str, int]], {"b": {"c": 1}}),
        (Annotated[dict[str, int], Meta(min_length=1)], {"b": 1}),
    ],
)
def test_usual_dicts_are_common(hint: Any, value: dict[Any, Any]) -> None:
    """The generated function flattens usual dicts."""
    assert flattened(hint, value) == by_the_slower_way(value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (dict[str, int], {"b": "c"}),
        (dict[str, int], {1: 2}),
        (dict[str, int], {"taken": 1}),
        (dict[str, int], {f"key_{number}": 1 for number in range(MAX_KEYS + 1)}),
        (dict[str, Any], {f"key_{number}": 1 for number in range(MAX_KEYS + 1)}),
        (dict[str, dict[str, int]], {f"key_{n}": {f"key_{m}": 1 for m in range(9)} for n in range(MAX_KEYS // 8)}),
        (Annotated[dict[str, int], Meta(min_length=1)], {}),
    ],
)
def test_other_dicts_are_refused(hint: Any, value: dict[Any, Any]) -> None:
    """Such dicts are invalid, or have more keys than become attributes, or a key whose name is not its own."""
    assert flattened(hint, value) is NOT_COMMON
