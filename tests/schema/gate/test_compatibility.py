"""Compare two JSON Schemas: does the reader accept every value that the writer accepts?"""

from __future__ import annotations

import json
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Literal

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta

from heliograph import Event
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.gate.compatibility import rejections
from heliograph.values.forms import form_of
from heliograph.values.text import to_json
from profiles import examples
from schema.typed_values import FITTING, Line, Node, Point


def schema_of(hint: Any) -> dict[str, Any]:
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    return json_schema(compile_schema(cls, namespace="app"))


@st.composite
def hints_and_values(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Two annotations, and a value that usually fits the first."""
    old, values = draw(st.sampled_from(FITTING))
    new, others = draw(st.sampled_from(FITTING))
    old, new = (hint | None if hint is not Any and draw(st.booleans()) else hint for hint in (old, new))
    return old, new, draw(values | others | st.none())


@settings(max_examples=examples(400))
@given(hints_and_values())
def test_if_nothing_is_rejected_the_reader_accepts_every_value(case: tuple[Any, Any, Any]) -> None:
    """An independent validator of JSON Schema is the judge."""
    writer, reader, value = case
    document = json.loads(to_json({"x": form_of(value)}))
    is_accepted = jsonschema.Draft202012Validator(schema_of(writer)).is_valid(document)

    if is_accepted and not rejections(schema_of(writer), schema_of(reader)):
        jsonschema.Draft202012Validator(schema_of(reader)).validate(document)


@pytest.mark.parametrize("hint", [hint for hint, _ in FITTING], ids=str)
def test_a_schema_accepts_its_own_values(hint: Any) -> None:
    """A schema that also permits `None` accepts the same values, too."""
    assert rejections(schema_of(hint), schema_of(hint)) == []
    assert rejections(schema_of(hint), schema_of(hint | None if hint is not Any else hint)) == []


Wide = make_dataclass("Wide", [("a", int), ("b", str, "")])
Narrow = make_dataclass("Narrow", [("a", int), ("b", str)])
Short = Annotated[str, Meta(max_length=3)]
Lower = Annotated[str, Meta(pattern="^[a-z]+$")]


@pytest.mark.parametrize(
    ("writer", "reader", "path", "reason"),
    [
        (int, str, "x", "integer is not accepted, only string"),
        (float, int, "x", "number is not accepted, only integer"),
        (int | None, int, "x", "null is not accepted, only integer"),
        (int | str, int, "x", "string is not accepted, only integer"),
        (bool, int | str, "x", "boolean is not accepted, only integer or string"),
        (Any, int, "x", "anything is not accepted, only integer"),
        (Literal["a", "b"], Literal["a"], "x", "'b' is not accepted"),
        (Literal["a", "b", "c"], Literal["a"], "x", "'b', 'c' are not accepted"),
        (Literal["long"], Short, "x", "'long' is not accepted"),
        (Literal["A"], Lower, "x", "'A' is not accepted"),
        (str, Literal["a"], "x", "string is not accepted, only one of 'a'"),
        (int, Annotated[int, Meta(ge=0)], "x", "numbers below 0 are not accepted"),
        (int, Annotated[int, Meta(gt=0)], "x", "numbers up to 0 are not accepted"),
        (Annotated[int, Meta(ge=0)], Annotated[int, Meta(gt=0)], "x", "numbers up to 0 are not accepted"),
        (int, Annotated[int, Meta(le=9)], "x", "numbers above 9 are not accepted"),
        (Annotated[int, Meta(le=9)], Annotated[int, Meta(lt=9)], "x", "numbers from 9 are not accepted"),
        (int, Annotated[int, Meta(multiple_of=2)], "x", "only multiples of 2 are accepted"),
        (
            Annotated[int, Meta(multiple_of=3)],
            Annotated[int, Meta(multiple_of=2)],
            "x",
            "only multiples of 2 are accepted",
        ),
        (str, Annotated[str, Meta(pattern="^a")], "x", "only text that matches '^a' is accepted"),
        (str, Annotated[str, Meta(min_length=2)], "x", "lengths below 2 characters are not accepted"),
        (str, Annotated[str, Meta(max_length=2)], "x", "lengths above 2 characters are not accepted"),
        (list[int], Annotated[list[int], Meta(min_length=2)], "x", "lengths below 2 items are not accepted"),
        (list[int], Annotated[list[int], Meta(max_length=2)], "x", "lengths above 2 items are not accepted"),
        (dict[str, int], Annotated[dict[str, int], Meta(min_length=2)], "x", "lengths below 2 keys are not accepted"),
        (dict[str, int], Annotated[dict[str, int], Meta(max_length=2)], "x", "lengths above 2 keys are not accepted"),
        (list[int], list[str], "x[]", "integer is not accepted, only string"),
        (list[int], tuple[int, int], "x", "a list of any length is not accepted, only one of a fixed length"),
        (list[int], tuple[str, int], "x[0]", "integer is not accepted, only string"),
        (tuple[int, str], tuple[int, int], "x[1]", "string is not accepted, only integer"),
        (tuple[int, str], list[int], "x[1]", "string is not accepted, only integer"),
        (tuple[int, int], tuple[int], "x", "lengths above 1 item are not accepted"),
        (tuple[int], tuple[int, int], "x", "lengths below 2 items are not accepted"),
        (dict[str, int], dict[str, str], "x{}", "integer is not accepted, only string"),
        (dict[str, int], Point, "x", "a dict with any keys is not accepted, only one with the fields of a class"),
        (Point, dict[str, int | float | None], "x{}", "string is not accepted, only integer or number or null"),
        (Wide, Narrow, "x.b", "the field is required, and may be missing"),
        (list[Wide], list[Narrow], "x[].b", "the field is required, and may be missing"),
    ],
)
def test_rejected_values_are_named(writer: Any, reader: Any, path: str, reason: str) -> None:
    """The rejection has the path of the values and says which they are."""
    found = [(each.path, each.reason) for each in rejections(schema_of(writer), schema_of(reader))]

    assert (path, reason) in found


@pytest.mark.parametrize(
    ("writer", "reader", "reason"),
    [
        (str, Literal["a", "b"], "as a key, string is not accepted, only one of 'a', 'b'"),
        (Literal["a", "b"], Literal["a"], "as a key, 'b' is not accepted"),
        (str, Lower, "as a key, only text that matches '^[a-z]+$' is accepted"),
        (str, Short, "as a key, lengths above 3 characters are not accepted"),
        (Short, Annotated[str, Meta(max_length=2)], "as a key, lengths above 2 characters are not accepted"),
        (str, Annotated[str, Meta(min_length=1)], "as a key, lengths below 1 character are not accepted"),
    ],
)
def test_keys_of_dicts_are_compared(writer: Any, reader: Any, reason: str) -> None:
    """The type, pattern and lengths of keys are compared; the other way round, nothing is rejected."""
    old, new = schema_of(dict[writer, int]), schema_of(dict[reader, int])

    assert [(each.path, each.reason) for each in rejections(old, new)] == [("x{}", reason)]
    assert rejections(new, old) == []


def test_fields_of_a_class_are_the_keys_of_a_dict() -> None:
    """A class that became a dict must have fields that the dict accepts as keys."""
    assert rejections(schema_of(Wide), schema_of(dict[Literal["a", "b"], int | str])) == []
    assert [each.reason for each in rejections(schema_of(Wide), schema_of(dict[Literal["a"], int | str]))] == [
        "as a key, 'b' is not accepted"
    ]


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (int, float),
        (int, int | str),
        (int, Any),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a"], str),
        (Literal["a"], Annotated[str, Meta(min_length=1, max_length=1, pattern="a")]),
        (Literal[True], bool),
        (Literal[1], float),
        (Annotated[int, Meta(gt=0)], Annotated[int, Meta(ge=0)]),
        (Annotated[int, Meta(lt=9)], Annotated[int, Meta(le=9)]),
        (Annotated[int, Meta(ge=1, le=8)], Annotated[int, Meta(ge=0, le=9)]),
        (Annotated[int, Meta(multiple_of=6)], Annotated[int, Meta(multiple_of=3)]),
        (Annotated[int, Meta(multiple_of=6)], int),
        (Annotated[str, Meta(pattern="^a")], str),
        (Annotated[str, Meta(min_length=2, max_length=3)], Annotated[str, Meta(min_length=1, max_length=4)]),
        (Annotated[dict[str, int], Meta(min_length=2, max_length=3)], dict[str, int]),
        (Annotated[list[int], Meta(min_length=2, max_length=3)], list[int]),
        (Narrow, Wide),
        (Point, dict[str, int | float | str | None]),
        (Line, Line),
        (Node, Node),
        (tuple[int, int], list[int]),
    ],
)
def test_a_wider_schema_rejects_nothing(writer: Any, reader: Any) -> None:
    """A wider type, a wider bound, a field that is no longer required."""
    assert rejections(schema_of(writer), schema_of(reader)) == []


@pytest.mark.parametrize(
    ("reader", "accepted", "rejected"),
    [
        ({"type": "integer", "minimum": 3}, 3, 2),
        ({"type": "integer", "exclusiveMinimum": 3}, 4, 3),
        ({"type": "integer", "maximum": 3}, 3, 5),
        ({"type": "integer", "exclusiveMaximum": 3}, 2, 3),
        ({"type": "integer", "multipleOf": 3}, 6, 5),
        ({"type": "number", "multipleOf": 0.1}, 0.5, 0.3),  # by division, as validators do it
        ({"type": "integer"}, 1, True),
        ({"type": "integer"}, 1, 1.5),
        ({"type": "boolean"}, True, 1),
        ({"type": "null"}, None, 0),
        ({"type": "string", "minLength": 1}, "a", ""),
        ({"type": "string", "maxLength": 1}, "a", "aa"),
        ({"type": "string", "pattern": "b", "allOf": [{"pattern": "a"}]}, "ab", "b"),
        ({"type": "string", "pattern": "b", "allOf": [{"pattern": "a"}]}, "ab", "a"),
        ({"enum": [1]}, 1, True),
        ({"enum": [1]}, 1, 1.0),
    ],
)
def test_each_value_of_an_enum_is_checked(reader: dict[str, Any], accepted: object, rejected: object) -> None:
    """Type, bounds, lengths and patterns are checked."""
    assert rejections({"enum": [accepted]}, reader) == []
    assert rejections({"enum": [accepted, rejected]}, reader) != []


def test_values_of_an_enum_are_neither_lists_nor_dicts() -> None:
    """A reader that wants a list or a dict rejects the values of an enum."""
    assert rejections({"enum": ["a"]}, {"type": "array", "items": {}})
    assert rejections({"enum": ["a"]}, {"type": "object", "additionalProperties": {}})


def test_upper_bound_of_an_enum() -> None:
    """A value of the enum above the reader's maximum is rejected."""
    assert rejections({"enum": [5]}, {"type": "integer", "maximum": 3})


def test_a_union_reports_the_details_of_the_option_with_the_same_type() -> None:
    """If several options have the same type, or none has, the option is reported as a whole."""
    positive, small = Annotated[int, Meta(ge=1)], Annotated[int, Meta(le=9)]

    assert [each.reason for each in rejections(schema_of(int | str), schema_of(positive | str))] == [
        "numbers below 1 are not accepted"
    ]
    several = {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 9}]}
    assert [each.reason for each in rejections({"type": "integer"}, several)] == [
        "integer is not accepted, only integer"
    ]
    assert rejections(schema_of(positive), schema_of(small)) != []


def test_a_rejected_class_is_reported_at_each_place() -> None:
    """The places are a field, a union, and a list of the same event."""
    old = make_dataclass("Old", [("first", Wide), ("second", Wide | None), ("third", list[Wide])])
    new = make_dataclass("New", [("first", Narrow), ("second", Narrow | None), ("third", list[Narrow])])

    found = rejections(schema_of(old), schema_of(new))

    assert [each.path for each in found] == ["x.first.b", "x.second.b", "x.third[].b"]


@dataclass
class Tree:
    value: int
    left: Tree | None = None
    children: list[Tree] | None = None


@dataclass
class Bush:
    value: str
    left: Bush | None = None
    children: list[Bush] | None = None


def test_a_class_that_holds_itself_is_compared() -> None:
    """The comparison ends, and reports a difference once."""
    assert rejections(schema_of(Tree), schema_of(Tree)) == []
    assert [each.path for each in rejections(schema_of(Tree), schema_of(Bush))] == ["x.value"]


@pytest.mark.parametrize("more", [False, True])
def test_a_result_that_rests_on_an_assumption_is_not_kept(*, more: bool) -> None:
    """Two classes hold each other. The pair of the second ones is compared first inside the pair of the first ones.

    There, the first pair is assumed to be accepted. It is not, but a union has another option for it; so nothing is
    reported there, and the second pair must be compared again at its next occurrence. A third pair, which is compared in between and
    rests on nothing, does not change that.
    """

    def object_of(**properties: Any) -> dict[str, Any]:
        return {"type": "object", "properties": properties, "required": list(properties)}

    def reference(name: str) -> dict[str, Any]:
        return {"$ref": f"#/$defs/{name}"}

    def optional(name: str) -> dict[str, Any]:
        return {"anyOf": [reference(name), {"type": "null"}]}

    any_dict = {"type": "object", "additionalProperties": {}}
    writer = object_of(x=reference("A"), y=reference("C"))
    other = {"e": reference("E")} if more else {}
    writer["$defs"] = {"A": object_of(c=optional("C")), "C": object_of(a=optional("A"), **other), "E": object_of()}
    reader = object_of(x={"anyOf": [reference("B"), any_dict]}, y=reference("D"))
    reader["$defs"] = {
        "B": object_of(c=optional("D"), more={"type": "integer"}),
        "D": object_of(a=optional("B"), **other),
        "E": object_of(),
    }

    found = rejections(writer, reader)

    assert [(each.path, each.reason) for each in found] == [
        ("y.a.more", "the field is required, and is always missing")
    ]


def test_two_classes_are_compared_once() -> None:
    """Each class of this chain holds itself, and the next one twice.

    Without the cache, 2 to the power of 60 comparisons would be made.
    """
    definitions: dict[str, Any] = {"C60": {"type": "integer"}}
    for number in range(60):
        own, below = {"$ref": f"#/$defs/C{number}"}, {"$ref": f"#/$defs/C{number + 1}"}
        definitions[f"C{number}"] = {"type": "object", "properties": {"own": own, "left": below, "right": below}}
    document = {"$ref": "#/$defs/C0", "$defs": definitions}

    assert rejections(document, document) == []


def test_a_new_required_field_rejects_values_without_it() -> None:
    """No older value has the field."""
    old = make_dataclass("Old", [("a", int)])
    new = make_dataclass("New", [("a", int), ("b", int)])

    assert [(each.path, each.reason) for each in rejections(schema_of(old), schema_of(new))] == [
        ("x.b", "the field is required, and is always missing")
    ]
