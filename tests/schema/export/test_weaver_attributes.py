"""Definitions of attributes in a Weaver registry, when the versions of an event differ."""

from __future__ import annotations

import dataclasses
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal

import pytest

from heliograph import Attribute, Event
from heliograph.schema.export.weaver_attributes import definitions, describe_type
from schema.shop_events import schemas


def definition_of(*hints: Any) -> dict[str, Any]:
    """Return the definition of an attribute that has one of the types in each version of its event."""
    classes = []
    for version, hint in enumerate(hints):
        cls = make_dataclass("SaleEvent", [("x", hint)], bases=(Event,), namespace={"name": "sale"})
        cls.__event_options__ = dataclasses.replace(cls.__event_options__, version=str(version))
        classes.append(cls)
    return definitions(schemas(*classes))["app.sale.x"]


@pytest.mark.parametrize(
    ("hints", "described"),
    [
        ([int, float], "double"),
        ([str, int], "template[any]"),
        ([Literal["a"], Literal["b"]], "an enum of a, b"),
        ([Literal["a"], Literal["a"]], "an enum of a"),
        ([Literal[1], Literal[2], Literal[1]], "an enum of 2, 1"),
        ([Literal["a"], Literal[1]], "template[any]"),
        ([Literal["a"], str], "string"),
        ([int, Literal[1]], "int"),
        ([Literal[1], float], "double"),
    ],
)
def test_common_type_accepts_the_values_of_all_versions(hints: list[Any], described: str) -> None:
    """The members of all enums, the wider of two types, or any value."""
    assert describe_type(definition_of(*hints)) == described


def test_example_of_one_version_is_no_example_of_any_value() -> None:
    """The examples of the last version are kept only if their type is that of all."""
    example = Annotated[str, Attribute(examples=["a"])]

    assert definition_of(str, example)["examples"] == ["a"]
    assert "examples" not in definition_of(int, example)
    assert "examples" not in definition_of(example, int)
