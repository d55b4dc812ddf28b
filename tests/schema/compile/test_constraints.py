"""Constraints of msgspec, `annotated_types` and pydantic are read alike."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from typing import Any

import annotated_types as at
import msgspec
import pydantic
import pytest

from heliograph.schema.compile.constraints import Constraints, constraints_in


@pytest.mark.parametrize(
    ("metadata", "constraints"),
    [
        (msgspec.Meta(ge=1, lt=5), Constraints(ge=1, lt=5)),
        (msgspec.Meta(pattern="^a", min_length=1, tz=True), Constraints(patterns=("^a",), min_length=1, tz=True)),
        (at.Gt(0), Constraints(gt=0)),
        (at.Interval(ge=1, le=2), Constraints(ge=1, le=2)),
        (at.MultipleOf(3), Constraints(multiple_of=3)),
        (at.Len(1, 3), Constraints(min_length=1, max_length=3)),
        (at.Timezone(None), Constraints(tz=False)),
        (at.Timezone(...), Constraints(tz=True)),
        (at.Ge(decimal.Decimal("1.5")), Constraints(ge=1.5)),
        (at.Ge(dt.date(2026, 1, 1)), Constraints()),
        (pydantic.Field(gt=0, le=9), Constraints(gt=0, le=9)),
        (pydantic.Field(pattern="^a", max_length=3), Constraints(patterns=("^a",), max_length=3)),
        (
            pydantic.StringConstraints(min_length=1, pattern=re.compile("b")),
            Constraints(min_length=1, patterns=("b",)),
        ),
        (pydantic.Field(pattern=r"\p{Greek}"), Constraints()),
        ("a note", Constraints()),
        (re.compile("not ours"), Constraints()),
    ],
    ids=str,
)
def test_constraints(metadata: Any, constraints: Constraints) -> None:
    """A constraint that JSON Schema cannot express, or Python cannot check, is ignored."""
    assert constraints_in((metadata,), Constraints()) == constraints


def test_constraints_from_around() -> None:
    """A bound of the outer annotation wins; every pattern holds."""
    outer = Constraints(ge=1, patterns=("a",))

    assert constraints_in((msgspec.Meta(ge=5, le=9), msgspec.Meta(pattern="b")), outer) == Constraints(
        ge=1, le=9, patterns=("a", "b")
    )
