"""Values whose form is text have a type by their class."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import ipaddress
import pathlib
import re
import uuid
from typing import Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.schema.compile.constraints import Constraints
from heliograph.schema.compile.texts import base64_pattern, text_type
from heliograph.schema.model.types import ZONED, Format, StringType
from heliograph.values.forms import form_of


class Stamp(dt.datetime):
    pass


class Name(str):  # noqa: SLOT000 — as somebody writes it
    pass


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (str, StringType()),
        (Name, StringType(python=Name)),
        (collections.UserString, StringType(python=collections.UserString)),
        (dt.datetime, StringType(format=Format.DATE_TIME, python=dt.datetime)),
        (Stamp, StringType(format=Format.DATE_TIME, python=Stamp)),
        (dt.date, StringType(format=Format.DATE, python=dt.date)),
        (decimal.Decimal, StringType(format=Format.DECIMAL, python=decimal.Decimal)),
        (uuid.UUID, StringType(format=Format.UUID, python=uuid.UUID)),
        (bytearray, StringType(format=Format.BASE64, python=bytearray)),
        (pathlib.PosixPath, StringType(python=pathlib.PosixPath)),
        (ipaddress.IPv6Network, StringType(python=ipaddress.IPv6Network)),
        (pydantic.SecretStr, StringType(python=pydantic.SecretStr)),
        (pydantic.HttpUrl, StringType(python=pydantic.HttpUrl)),
        (pydantic.PostgresDsn, StringType(python=pydantic.PostgresDsn)),
        (pydantic.EmailStr, StringType()),
        (pydantic.FutureDate, StringType(format=Format.DATE, python=dt.date)),
        (pydantic.AwareDatetime, StringType(format=Format.DATE_TIME, python=dt.datetime, patterns=(ZONED,))),
        (pydantic.BaseModel, None),
        (int, None),
        (list, None),
    ],
)
def test_type_of_a_class(cls: Any, kind: StringType | None) -> None:
    """A subclass has the format of its base, and pydantic's classes that of the value they describe."""
    assert text_type(cls, Constraints()) == kind


def test_constraints_of_text() -> None:
    """Constraints are lengths and patterns of text, offsets of times, and the number of bytes."""
    text = text_type(str, Constraints(min_length=1, max_length=3, patterns=("a", "b")))
    naive = text_type(dt.time, Constraints(tz=False))
    data = text_type(bytes, Constraints(max_length=2))

    assert text == StringType(min_length=1, max_length=3, patterns=("a", "b"))
    assert naive is not None
    assert re.search(naive.patterns[0], "10:00:00")
    assert not re.search(naive.patterns[0], "10:00:00Z")
    assert data == StringType(format=Format.BASE64, python=bytes, patterns=(base64_pattern(None, 2),))


@given(st.integers(0, 9), st.integers(0, 9), st.binary(max_size=12))
def test_base64_pattern_matches_texts_of_so_many_bytes(least: int, more: int, data: bytes) -> None:
    """The bounds of bytes apply, although padding makes texts of different sizes equally long."""
    text = str(form_of(data))

    assert bool(re.search(base64_pattern(least, least + more), text)) is (least <= len(data) <= least + more)
    assert bool(re.search(base64_pattern(least, None), text)) is (least <= len(data))
    assert bool(re.search(base64_pattern(None, more), text)) is (len(data) <= more)


def test_base64_of_no_bytes_is_empty() -> None:
    """No padding and no group of three bytes is possible."""
    assert [bool(re.search(base64_pattern(None, 0), text)) for text in ("", "aA==", "aAA=", "aAAA")] == [
        True,
        False,
        False,
        False,
    ]
