"""The source of a form is right for every value that it accepts: the form is that of the slower way, and fits the type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import Attribute, Privacy
from heliograph.schema.compile.annotations import read_type
from heliograph.schema.model.types import MapType, ObjectType, Type, without_null
from heliograph.schema.read.generated.forms import FormWriter
from heliograph.schema.read.generated.source import Source
from heliograph.schema.read.validation import violations_of
from heliograph.values.forms import form_of
from heliograph.values.privacy import MASKED, PrivacyPolicy
from schema.read.generated.generated_code import NOT_COMMON, POLICY, form_by
from schema.typed_values import Color, Line, Node, Point, annotated_values


class Size(TypedDict, total=False):
    width: int
    height: int | None


@dataclass
class SubPoint(Point):
    z: int = 0


@dataclass
class Person:
    name: Annotated[str, Attribute(privacy=Privacy.MASK)]
    email: Annotated[str, Attribute(privacy=Privacy.HASH)]
    note: Annotated[str, Attribute(privacy=Privacy.DROP)]
    city: str


def form(kind: Type, value: object, policy: PrivacyPolicy | None = None) -> object:
    """Return the form by the source for a type, or `NOT_COMMON`."""
    source = Source()
    code = FormWriter(source, policy).code_of(kind, "value")
    return NOT_COMMON if code is None else form_by(source, code, value)


@given(annotated_values())
def test_form_of_a_common_value_is_that_of_the_slower_way(pair: tuple[Any, Any]) -> None:
    """A form that the generated code makes has no violations: an invalid value is not common."""
    hint, value = pair
    kind = without_null(read_type(hint))
    found = form(kind, value)

    if found is not NOT_COMMON:
        assert repr(found) == repr(form_of(value))
        assert list(violations_of(found, kind, "value")) == []


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (list[str], ["a", "ö"]),
        (list[int], []),
        (list[Point], [Point(1), Point(2, 0.5, "a")]),
        (list[Any], [1, "a", None, {"b": [2]}]),
        (set[int], {3, 1, 2}),
        (tuple[int, str], (1, "a")),
        (tuple[int, ...], (1, 2)),
        (dict[str, int], {"a": 1}),
        (dict[int, str], {1: "a"}),
        (dict[str, Any], {"a": {"b": 1}}),
        (Point, Point(1, 2.0, "a")),
        (Line, Line(Point(1), None)),
        (Size, {"width": 1}),
        (Size, {"height": None, "width": 1}),
        (int | str, "a"),
        (Color | int, Color.RED),
        (Any, {"a": [1, {"b": None}]}),
    ],
)
def test_usual_values_are_common(hint: Any, value: object) -> None:
    """The generated function makes the forms of usual values."""
    assert form(read_type(hint), value) == form_of(value)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (list[str], ("a",)),
        (list[str], ["a", 1]),
        (tuple[int, str], (1, "a", 2)),
        (dict[str, int], {1: 1}),
        (dict[str, int], {"a": "b"}),
        (Point, SubPoint(1)),
        (Point, Point("x")),  # type: ignore[arg-type]
        (Size, {"width": 1, "depth": 2}),
        (int | str, 1.5),
    ],
)
def test_value_of_another_class_or_shape_is_left_to_the_slower_way(hint: Any, value: object) -> None:
    """An object of a subclass may have more fields, which are not to be lost."""
    assert form(read_type(hint), value) is NOT_COMMON


def test_items_of_a_set_are_sorted() -> None:
    """Equal sets look equal, whatever order they have in this process."""
    words = [f"word {number:03}" for number in range(100)]

    assert form(read_type(set[str]), set(words)) == words


def test_too_many_values_are_left_to_the_slower_way() -> None:
    """All containers of one property share the limit of values."""
    assert form(read_type(list[list[int]]), [list(range(100))] * 100) is NOT_COMMON


def test_class_that_contains_itself_has_no_source() -> None:
    """The source of such a class would never end."""
    assert form(read_type(Node), Node(1, [])) is NOT_COMMON


def test_private_fields_are_protected_as_the_policy_says() -> None:
    """Without a policy, they are exported as they are: that form is only validated."""
    person = Person("Ada", "ada@example.com", "a secret", "London")
    kind = read_type(Person)

    assert form(kind, person) == form_of(person)
    protected = form(kind, person, POLICY)
    assert protected == {"name": MASKED, "email": POLICY.hash_text("ada@example.com"), "city": "London"}


@given(st.dictionaries(st.text(max_size=3), st.integers(), max_size=3))
def test_different_keys_never_have_one_form(value: dict[str, int]) -> None:
    """A lone surrogate could equal the text that it is escaped to."""
    kind = read_type(dict[str, int])
    assert isinstance(kind, MapType)
    found = form(kind, value)

    assert found is NOT_COMMON or (isinstance(found, dict) and len(found) == len(value))


def test_fields_of_an_object_have_variables_of_their_own() -> None:
    """Objects inside of objects must not overwrite each other's."""
    kind = read_type(Line)
    assert isinstance(kind, ObjectType)
    fields = list(FormWriter(Source(), None).object_fields(kind, "value"))

    assert [field.name for field, *_ in fields] == ["start", "end", "weight"]
    assert len({variable for _, variable, *_ in fields}) == 3
