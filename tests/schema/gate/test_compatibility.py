"""Whether one JSON Schema accepts all that another accepts."""

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
from heliograph.schema.gate.compatibility import refusals
from heliograph.values.forms import form_of
from heliograph.values.text import to_json
from schema.typed_values import FITTING, Line, Node, Point


def written(hint: Any) -> dict[str, Any]:
    cls = make_dataclass("E", [("x", hint)], bases=(Event,), namespace={"name": "e"})
    return json_schema(compile_schema(cls, namespace="app"))


@st.composite
def hints_and_values(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Two annotations, and a value that mostly fits the first."""
    old, values = draw(st.sampled_from(FITTING))
    new, others = draw(st.sampled_from(FITTING))
    old, new = (hint | None if hint is not Any and draw(st.booleans()) else hint for hint in (old, new))
    return old, new, draw(values | others | st.none())


@settings(max_examples=1000)
@given(hints_and_values())
def test_where_nothing_is_refused_every_accepted_value_is_accepted(case: tuple[Any, Any, Any]) -> None:
    """Judged by an independent validator."""
    old, new, value = case
    document = json.loads(to_json({"x": form_of(value)}))

    if jsonschema.Draft202012Validator(written(old)).is_valid(document) and not refusals(written(old), written(new)):
        jsonschema.Draft202012Validator(written(new)).validate(document)


@pytest.mark.parametrize("hint", [hint for hint, _ in FITTING], ids=str)
def test_schema_refuses_nothing_of_itself(hint: Any) -> None:
    """Nor one that admits `None` besides."""
    assert refusals(written(hint), written(hint)) == []
    assert refusals(written(hint), written(hint | None if hint is not Any else hint)) == []


Wide = make_dataclass("Wide", [("a", int), ("b", str, "")])
Narrow = make_dataclass("Narrow", [("a", int), ("b", str)])


@pytest.mark.parametrize(
    ("old", "new", "path", "reason"),
    [
        (int, str, "x", "integer is not accepted any more, now string"),
        (float, int, "x", "number is not accepted any more, now integer"),
        (int | None, int, "x", "null is not accepted any more, now integer"),
        (int | str, int, "x", "string is not accepted any more, now integer"),
        (Any, int, "x", "anything is not accepted any more, now integer"),
        (Literal["a", "b"], Literal["a"], "x", "'b' is not accepted any more"),
        (str, Literal["a"], "x", "string is not accepted any more, now one of 'a'"),
        (int, Annotated[int, Meta(ge=0)], "x", "numbers that were large enough are too small now"),
        (
            Annotated[int, Meta(le=9)],
            Annotated[int, Meta(lt=9)],
            "x",
            "numbers that were small enough are too large now",
        ),
        (int, Annotated[int, Meta(multiple_of=2)], "x", "only multiples of 2 are accepted now"),
        (str, Annotated[str, Meta(pattern="^a")], "x", "only texts with '^a' are accepted now"),
        (str, Annotated[str, Meta(min_length=2)], "x", "minLength is 2, and was 0"),
        (list[int], Annotated[list[int], Meta(max_length=2)], "x", "maxItems is 2, and was open"),
        (list[int], list[str], "x[]", "integer is not accepted any more, now string"),
        (list[int], tuple[int, int], "x", "a list of any length was accepted, now one of a fixed length"),
        (tuple[int, str], tuple[int, int], "x[1]", "string is not accepted any more, now integer"),
        (dict[str, int], dict[str, str], "x{}", "integer is not accepted any more, now string"),
        (dict[str, int], Point, "x", "any keys were accepted, now those of a class"),
        (Wide, Narrow, "x.b", "it is required now, and it was optional"),
        (list[Wide], list[Narrow], "x[].b", "it is required now, and it was optional"),
    ],
)
def test_what_is_refused_is_named(old: Any, new: Any, path: str, reason: str) -> None:
    """With the path, and the values that it is about."""
    found = [(each.path, each.reason) for each in refusals(written(old), written(new))]

    assert (path, reason) in found


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (int, float),
        (int, int | str),
        (Literal["a"], Literal["a", "b"]),
        (Literal["a"], str),
        (Annotated[int, Meta(gt=0)], Annotated[int, Meta(ge=0)]),
        (Annotated[int, Meta(multiple_of=6)], Annotated[int, Meta(multiple_of=3)]),
        (Narrow, Wide),
        (Point, dict[str, int | float | str | None]),
        (Line, Line),
        (Node, Node),
        (tuple[int, int], list[int]),
    ],
)
def test_what_accepts_more_refuses_nothing(old: Any, new: Any) -> None:
    """A wider type, a wider bound, a field that is not required any more."""
    assert refusals(written(old), written(new)) == []


def test_class_that_is_refused_is_refused_wherever_it_stands() -> None:
    """As a field, and inside of a union, of one event."""
    old = make_dataclass("Old", [("first", Wide), ("second", Wide | None), ("third", list[Wide])])
    new = make_dataclass("New", [("first", Narrow), ("second", Narrow | None), ("third", list[Narrow])])

    assert [each.path for each in refusals(written(old), written(new))] == ["x.first.b", "x.second.b", "x.third[].b"]


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


def test_class_that_holds_itself_is_compared() -> None:
    """Also where it may be `None`."""
    assert refusals(written(Tree), written(Tree)) == []
    assert [each.path for each in refusals(written(Tree), written(Bush))] == ["x.value"]


def test_field_that_is_new_and_required_is_refused() -> None:
    """Since older values do not have it."""
    old = make_dataclass("Old", [("a", int)])
    new = make_dataclass("New", [("a", int), ("b", int)])

    assert [str(each.reason) for each in refusals(written(old), written(new))] == ["it is required now, and it is new"]
