"""Values with nothing inside of them: a common one has the form that it has anywhere, and fits its type; others are left alone."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import uuid
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from heliograph.schema.compile.annotations import read_type
from heliograph.schema.model.types import EnumType, IntegerType, NumberType, StringType
from heliograph.schema.read.generated import scalars
from heliograph.schema.read.generated.source import Code, Source
from heliograph.values.forms import form_of
from schema.read.generated.generated_code import NOT_COMMON, form_by
from schema.typed_values import Color, Level, Text, Word


class Number(int):
    """An integer that may have code of its own."""


class Access(enum.Flag):
    SEE = 1
    EDIT = 2


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


def code_of(hint: Any, source: Source) -> Code | None:
    """Return the source for a type, in the variable `value`."""
    kind = read_type(hint)
    if isinstance(kind, StringType):
        return scalars.string_code(kind, "value", source)
    if isinstance(kind, EnumType):
        return scalars.enum_code(kind, "value", source)
    if isinstance(kind, IntegerType):
        return scalars.integer_code(kind, "value", source)
    if isinstance(kind, NumberType):
        return scalars.number_code(kind, "value", source, is_wire=False)
    return scalars.boolean_code("value")


def form(hint: Any, value: object) -> object:
    source = Source()
    code = code_of(hint, source)
    assert code is not None
    return form_by(source, code, value)


ID = uuid.UUID("6d8f3c1e-5b0a-4f7e-9c2d-1a2b3c4d5e6f")
NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        *((bool, value) for value in (True, False)),
        *((int, value) for value in (0, -1, 2**63 - 1, -(2**63))),
        *((Annotated[int, Meta(ge=1, le=5)], value) for value in (1, 5)),
        (Annotated[int, Meta(multiple_of=5)], 10),
        *((float, value) for value in (0.5, -0.0, 1e300, 7)),
        *((str, value) for value in ("", "text", "größe", "lone \ud800")),
        (Annotated[str, Meta(min_length=2, max_length=3)], "abc"),
        (Annotated[str, Meta(pattern="^a+$")], "aaa"),
        (dt.datetime, NOON),
        (dt.date, NOON.date()),
        (decimal.Decimal, decimal.Decimal("1.50")),
        (uuid.UUID, ID),
        (bytes, b"\x00\xff"),
        (pathlib.Path, pathlib.Path("a/b")),
        (Color, Color.RED),
        (Level, Level.LOW),
        (Word, Word.O),
        (Access, Access.SEE | Access.EDIT),
        (Literal["a", "b"], "a"),
        (Literal[1, 2], 2),
    ],
)
def test_common_value_has_its_form(hint: Any, value: object) -> None:
    """The form is the one that the slower way makes, of the same class."""
    found = form(hint, value)

    assert (found, type(found)) == (form_of(value), type(form_of(value)))


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        *((bool, value) for value in (1, 0, "True", None)),
        *((int, value) for value in (True, 1.0, 2**63, Number(1), "1", None)),
        *((Annotated[int, Meta(ge=1, le=5)], value) for value in (0, 6)),
        (Annotated[int, Meta(multiple_of=5)], 11),
        *((float, value) for value in (float("nan"), float("inf"), True, 2**53 + 1, "1", None)),
        *((str, value) for value in (Text("text"), b"text", 1, None)),
        *((Annotated[str, Meta(min_length=2, max_length=3)], value) for value in ("a", "abcd")),
        (Annotated[str, Meta(pattern="^a+$")], "b"),
        *((dt.date, value) for value in (NOON, "2026-01-02")),
        (uuid.UUID, str(ID)),
        (pathlib.Path, "a/b"),
        *((Color, value) for value in ("red", Word.A, None)),
        *((Literal["a", "b"], value) for value in ("c", Text("a"), 1)),
        *((Literal[1, 2], value) for value in (3, True, 1.0)),
        (Access, Level.LOW),
    ],
)
def test_any_other_value_is_left_to_the_slower_way(hint: Any, value: object) -> None:
    """Such a value is invalid, of another class, or needs a closer look. No code of it was run."""
    assert form(hint, value) is NOT_COMMON


def test_number_on_the_wire_is_a_float() -> None:
    """An attribute has one type, whatever the program passes."""
    source = Source()
    code = scalars.number_code(NumberType(), "value", source, is_wire=True)

    assert [type(form_by(source, code, value)) for value in (7, 7.5)] == [float, float]


def test_members_with_forms_of_several_classes_have_no_source() -> None:
    """Such members are rare, and an attribute with both is text."""
    assert code_of(Mixed, Source()) is None
    assert code_of(Literal[1, "two"], Source()) is None
