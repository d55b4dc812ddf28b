"""The fields of an object become attributes by a function that is generated for its class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pydantic
import pytest

from heliograph.values.attribute_names import AttributeNames
from heliograph.values.plain import NotPlain
from heliograph.values.plain_attributes import adder_of
from heliograph.values.plain_objects import fields_adder

NAMES = AttributeNames("e")


@dataclass
class Pair:
    sku: object
    count: object


def add(pair: Pair, room: list[int]) -> tuple[dict[str, Any], list[Any]]:
    """Return the attributes that were added, and the arguments for values that are no scalars."""
    flat: dict[str, Any] = {}
    others: list[Any] = []
    fields_adder(Pair, lambda *arguments: others.append(arguments[1:]))(NAMES, ["e.sku", "e.count"], flat, pair, room)
    return flat, others


def test_scalars_are_added_and_other_values_are_handed_over() -> None:
    """Each field counts as one value."""
    room = [10]

    assert add(Pair("a", 3), room) == ({"e.sku": "a", "e.count": 3}, [])
    assert add(Pair([1], 3), room) == ({"e.count": 3}, [(NAMES, "sku", [1], room)])
    assert room == [6]


def test_too_many_fields_need_a_closer_look() -> None:
    with pytest.raises(NotPlain):
        add(Pair(1, 2), [1])


@pytest.mark.parametrize("field", ["class", "a b", "x\n    raise KeyError"])
def test_name_of_a_field_is_never_source(field: str) -> None:
    """Pydantic's fields may have any name. Objects with such a field are read with care."""
    cls = pydantic.create_model("Model", **{field: (int, 1)})  # type: ignore[call-overload]

    assert adder_of(AttributeNames("e.p"), cls) is None
