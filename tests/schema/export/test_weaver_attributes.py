"""Definitions of attributes in a Weaver registry, when the versions of an event differ."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import make_dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.schema.export.weaver_attributes import definitions, deprecation, describe_definition
from heliograph.values.privacy import HASH_PREFIX
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
    """The common type has the members of all enums, is the wider of two types, or accepts any value."""
    assert describe_definition(definition_of(*hints)) == described


def test_example_of_one_version_is_no_example_of_any_value() -> None:
    """The examples of the last version are kept only if their type is that of all."""
    example = Annotated[str, Attribute(examples=["a"])]

    assert definition_of(str, example)["examples"] == ["a"]
    assert "examples" not in definition_of(int, example)
    assert "examples" not in definition_of(example, int)


Odd = enum.Enum("Odd", {"Red": "r", "RED": "R", "rED": "D", "red_2": "x"})  # the same in lower case


class Nothing(enum.Enum):
    SOME = "some"
    NONE = None


def members_of(hint: Any) -> list[tuple[str, object, str]]:
    """Return the id, the value and the brief of each member of an enum."""
    return [(each["id"], each["value"], each["brief"]) for each in definition_of(hint)["type"]["members"]]


def test_members_of_an_enum() -> None:
    """Each has an id of its own, an empty text has a brief, and `None` is no member."""
    assert members_of(Literal["a", ""] | None) == [("a", "a", "a"), ("empty", "", "(empty)")]
    assert members_of(Literal[1, 2] | None) == [("1", 1, "1"), ("2", 2, "2")]
    assert members_of(Nothing) == [("some", "some", "SOME")]
    assert members_of(Odd) == [
        ("red", "r", "Red"),
        ("red_2", "R", "RED"),
        ("red_3", "D", "rED"),
        ("red_2_2", "x", "red_2"),
    ]


@pytest.mark.parametrize(
    ("hint", "described"),
    [
        (Literal[True, False], "boolean"),
        (Literal[1, "a"], "template[any]"),
        (Annotated[Literal["a", "b"], Attribute(privacy=Privacy.MASK)], "string"),
        (Annotated[Literal[1, 2], Attribute(privacy=Privacy.HASH)], "string"),
    ],
)
def test_values_that_weaver_has_no_enum_for_have_a_simple_type(hint: Any, described: str) -> None:
    """Members are texts or integers, and the members of a protected enum would be a promise about what is exported."""
    assert describe_definition(definition_of(hint)) == described


@pytest.mark.parametrize(
    ("hint", "examples"),
    [
        (Annotated[str, Attribute(privacy=Privacy.MASK, examples=["secret"])], ["<masked>"]),
        (Annotated[str, Attribute(privacy=Privacy.HASH, examples=["secret"])], [f"{HASH_PREFIX}{'0' * 64}"]),
        (Annotated[str, Attribute(privacy=Privacy.DROP, examples=["secret"])], ["<text>"]),
        (Annotated[list[str], Attribute(privacy=Privacy.DROP)], [["<text>"]]),
        (Annotated[int, Attribute(privacy=Privacy.DROP)], None),
        (Annotated[int, Attribute(examples=["text", 7])], [7]),
        (Annotated[int, Attribute(examples=[True])], None),
        (Annotated[float, Attribute(examples=[1])], [1.0]),
        (Annotated[list[int], Attribute(examples=[[1, 2]])], [[1, 2]]),
        (Annotated[list[int] | None, Attribute(examples=[None, [1]])], [[1]]),
        (Annotated[bool, Attribute(examples=[True])], [True]),
        (Annotated[Any, Attribute(examples=[1])], ["1"]),
        (Literal["a", "b"], None),
        (int, None),
    ],
)
def test_examples_are_values_as_they_are_exported(hint: Any, examples: list[object] | None) -> None:
    """Weaver requires one of each text. Examples that violate the type are omitted, and so is `None`."""
    assert definition_of(hint).get("examples") == examples


def test_text_without_an_example_gets_one_of_its_type() -> None:
    """A type for which no text can be made has no example."""
    made = definition_of(Annotated[str, msgspec.Meta(min_length=3, max_length=4)])["examples"]

    assert [3 <= len(each) <= 4 for each in made] == [True]
    assert "examples" not in definition_of(Annotated[str, msgspec.Meta(pattern="^(?=a)b$")])


def test_deprecation_says_why() -> None:
    """Weaver requires a note, unless there is a new name."""
    assert deprecation(Deprecated()) == {"deprecated": {"reason": "obsoleted", "note": "It has no successor."}}
    assert deprecation(Deprecated(renamed_to="a.b")) == {"deprecated": {"reason": "renamed", "renamed_to": "a.b"}}
    assert deprecation(Deprecated(renamed_to="a.b", note="n"))["deprecated"]["note"] == "n"


def test_unit_and_privacy_are_annotations() -> None:
    """A declaration that is empty is left out."""
    hint = Annotated[int, Attribute(unit="s", privacy=Privacy.MASK)]

    assert definition_of(hint)["annotations"] == {"privacy": {"action": "mask"}, "unit": "s"}
    assert not {"annotations", "note"} & definition_of(Annotated[int, Attribute(note="")]).keys()
