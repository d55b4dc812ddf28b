"""The types of values, and the functions that take them apart."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph import Attribute
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    Format,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    inner_types,
    is_multiple,
    is_nullable,
    options_of,
    walk_types,
    without_null,
)

TEXT, NUMBER, NULL = StringType(), IntegerType(), NullType()
OPTIONAL = UnionType(options=(TEXT, NULL))


@pytest.mark.parametrize(
    ("form", "of", "expected"),
    [(9, 3, True), (2**62 + 1, 2, False), (1.5, 0.5, True), (0.3, 0.1, False), (2**62 + 1, 2.0, True)],
)
def test_multiples_are_those_of_validators(form: float, of: float, expected: bool) -> None:
    """A divisor that is no integer makes both numbers binary fractions, which have a limited precision."""
    assert is_multiple(form, of) is expected


def recursive() -> ObjectType:
    """A class with a list of itself."""
    kind = ObjectType(python=dict)
    field = FieldSchema(name="below", attribute=None, type=ArrayType(items=kind), required=True)
    object.__setattr__(kind, "fields", (field,))
    return kind


def test_types_are_frozen_and_compare_by_value_except_classes() -> None:
    """A class can be inside of itself, so that comparing its fields would not end."""
    assert StringType(max_length=3) == StringType(max_length=3) != StringType(max_length=4)
    assert recursive() != recursive()
    assert hash(ArrayType(items=TEXT)) == hash(ArrayType(items=TEXT))
    with pytest.raises(dataclasses.FrozenInstanceError):
        TEXT.max_length = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "nullable", "without"),
    [
        (TEXT, False, TEXT),
        (OPTIONAL, True, TEXT),
        (NULL, True, NULL),
        (AnyType(), True, AnyType()),
        (EnumType(values=("a", None)), True, EnumType(values=("a", None))),
        (UnionType(options=(TEXT, NUMBER)), False, UnionType(options=(TEXT, NUMBER))),
        (UnionType(options=(TEXT, NUMBER, NULL)), True, UnionType(options=(TEXT, NUMBER))),
        (
            UnionType(options=(TEXT, EnumType(values=(None,)))),
            True,
            UnionType(options=(TEXT, EnumType(values=(None,)))),
        ),
    ],
)
def test_nullable_types(kind: Type, nullable: bool, without: Type) -> None:
    """`None` fits them, and each has a type without it. A type that `None` does not fit is returned as it is."""
    assert is_nullable(kind) is nullable
    assert without_null(kind) == without
    if kind == without:
        assert without_null(kind) is kind


def test_options_of() -> None:
    """A union has its options, and any other type is its own only option."""
    assert options_of(OPTIONAL) == (TEXT, NULL)
    assert options_of(TEXT) == (TEXT,)


def test_inner_types() -> None:
    """Options, items, keys, values and fields are types inside of a type. Scalars have none."""
    kind = recursive()

    assert list(inner_types(OPTIONAL)) == [TEXT, NULL]
    assert list(inner_types(ArrayType(items=TEXT, prefix=(NUMBER,)))) == [NUMBER, TEXT]
    assert list(inner_types(ArrayType(items=None, prefix=(NUMBER,)))) == [NUMBER]
    assert list(inner_types(MapType(keys=TEXT, values=NUMBER))) == [TEXT, NUMBER]
    assert list(inner_types(kind)) == [kind.fields[0].type]
    for scalar in (TEXT, NUMBER, NULL, AnyType(), BooleanType(), NumberType(), EnumType(values=(1,))):
        assert list(inner_types(scalar)) == []


def test_walk_types_ends_for_a_class_inside_of_itself() -> None:
    """Each type is there once, in the order of the source."""
    kind = recursive()

    assert list(walk_types(kind)) == [kind, kind.fields[0].type]
    assert list(walk_types(UnionType(options=(MapType(keys=TEXT, values=NUMBER), NULL))))[1:] == [
        MapType(keys=TEXT, values=NUMBER),
        TEXT,
        NUMBER,
        NULL,
    ]


@pytest.mark.parametrize(
    ("kind", "required", "declared", "requirement"),
    [
        (TEXT, True, None, "required"),
        (OPTIONAL, True, None, "recommended"),
        (TEXT, False, None, "recommended"),
        (TEXT, True, "opt_in", "opt_in"),
        (OPTIONAL, False, "conditionally_required: if paid", "conditionally_required: if paid"),
    ],
)
def test_requirement_of_a_field(kind: Type, required: bool, declared: str | None, requirement: str) -> None:
    """The declared one, or one that follows from the type and the default."""
    field = FieldSchema(
        name="x", attribute=None, type=kind, required=required, declared=Attribute(requirement=declared)
    )

    assert field.requirement == requirement


def test_attribute_below() -> None:
    """A declared name is used as it is; other fields are named below the enclosing attribute."""
    assert FieldSchema(name="x", attribute=None, type=TEXT, required=True).attribute_below("a.b") == "a.b.x"
    assert FieldSchema(name="x", attribute="c.d", type=TEXT, required=True).attribute_below("a.b") == "c.d"


@given(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
@example(year=2024, month=2, day=29)
@example(year=2100, month=2, day=29)
@example(year=2400, month=2, day=29)
def test_a_date_is_a_day_that_exists(year: int, month: int, day: int) -> None:
    """The patterns of dates and of times accept exactly the days of Python's calendar."""
    text = f"{year:04}-{month:02}-{day:02}"
    try:
        exists = bool(dt.date(year, month, day))
    except ValueError:
        exists = False

    assert (re.search(Format.DATE.pattern, text) is not None) is exists
    assert (re.search(Format.DATE_TIME.pattern, f"{text}T00:00:00Z") is not None) is exists


@pytest.mark.parametrize(
    ("text_format", "matching", "other"),
    [
        (
            Format.DATE_TIME,
            ["2026-01-02T03:04:05Z", "2026-01-02 03:04:05.5+0200", "2024-02-29t23:59:59-23:59"],
            ["2026-13-02T03:04:05Z", "2026-01-02", "2026-02-29T03:04:05Z", "2026-01-02T03:04:05+24:00"],
        ),
        (
            Format.DATE,
            ["2026-01-02", "2000-02-29"],
            ["2026-1-2", "2026-01-32", "2026-02-30", "1900-02-29", "0000-01-01"],
        ),
        (
            Format.TIME,
            ["03:04:05", "23:59:59.999Z"],
            ["24:00:00", "03:04", "23:59:60Z", "03:04:05+02", "03:04:05+01:60"],
        ),
        (Format.DURATION, ["P1D", "-PT3S", "P1DT2H3M4.5S"], ["P", "PT", "P1DT", "1D"]),
        (Format.DECIMAL, ["1.10", "-3e5", ".5", "Infinity", "NaN"], ["", ".", "1,5", "-"]),
        (Format.UUID, ["00000000-0000-0000-0000-000000000001"], ["0000", "x0000000-0000-0000-0000-000000000001"]),
        (Format.BASE64, ["", "AP8=", "YQ=="], ["YQ", "YQ=", "a b="]),
    ],
)
def test_patterns_of_formats(text_format: Format, matching: list[str], other: list[str]) -> None:
    """A pattern matches the whole text."""
    for text in matching:
        assert re.search(text_format.pattern, text), text
    for text in other:
        assert not re.search(text_format.pattern, text), text
