"""Numbers, texts, times and bytes have the form that JSON and protobuf can carry."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid

import pytest

from heliograph.values.scalars import (
    EXACT,
    INT64_MAX,
    INT64_MIN,
    PLAIN_SCALAR,
    are_own_forms,
    integer_form,
    number_form,
)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (INT64_MAX, INT64_MAX),
        (INT64_MIN, INT64_MIN),
        (INT64_MAX + 1, str(INT64_MAX + 1)),
        (INT64_MIN - 1, str(INT64_MIN - 1)),
        (2**1024 - 1, str(2**1024 - 1)),
        (2**1024, hex(2**1024)),
    ],
)
def test_integer_beyond_64_bits_is_text(value: int, form: object) -> None:
    """Beyond 1024 bits the text is hexadecimal: decimal text takes too long to make."""
    assert integer_form(value) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [(0.1, 0.1), (float("nan"), "NaN"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity")],
)
def test_number_that_json_cannot_carry_has_a_name(value: float, form: object) -> None:
    assert number_form(value) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("\ud83d", "\\ud83d"),
        (True, True),
        (None, None),
        (dt.timedelta(days=1, seconds=2), "P1DT2S"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (memoryview(b"a"), "YQ=="),
    ],
)
def test_each_class_has_a_function(value: object, form: object) -> None:
    """The function that makes the form of a scalar is found by the exact class."""
    assert EXACT[type(value)](value) == form


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], True),
        (["a", "\u017e"], True),
        (["a", "\udc80"], False),
        (["a", "\n"], True),
        (["\u017e", "\n"], False),
        (["a", 1], False),
        ([1, INT64_MAX, INT64_MIN], True),
        ([1, INT64_MAX + 1], False),
        ([INT64_MIN - 1], False),
        ([1, True], False),
        ([1, "a"], False),
        ([None], False),
        ([1.5], False),
    ],
)
def test_texts_or_integers_that_are_their_own_forms(values: list[object], *, expected: bool) -> None:
    """Lists of one class are common, and need no copy of each item. Others need a closer look, even if they turn out the same."""
    assert are_own_forms(values) is expected


@pytest.mark.parametrize(
    ("item", "is_plain"),
    [
        *((value, True) for value in ("", "text", "größe", 1, -(2**63), 0.5, True)),
        *((value, False) for value in (Text("text"), "\x00ö", "\ud800", 2**63, float("nan"), None, b"", [])),
    ],
)
def test_source_for_a_scalar_that_is_its_own_form(item: object, is_plain: bool) -> None:
    """The source decides it for an item of any type. A text with characters that need a look is not its own form."""
    assert eval(PLAIN_SCALAR, {"item": item, "kind": type(item)}) is is_plain
