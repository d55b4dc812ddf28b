"""The forms of numbers, texts, times and bytes: values with nothing inside of them that could be private.

No function here runs code of a program's own class: each gets values of exactly one class.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from heliograph.values.standard_library import MAX_DECIMAL_BITS
from heliograph.values.text import escape_surrogates

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
SMALL: Final = 2**30 - 1
"""The greatest integer that CPython keeps in one digit, and compares faster than others."""
SMALL_NEGATIVE: Final = -SMALL
PLAIN_SCALAR: Final = (
    "(kind is str and (item.isascii() or item.isprintable()))"
    f" or (kind is int and ({-SMALL} <= item <= {SMALL} or {INT64_MIN} <= item <= {INT64_MAX}))"
    " or kind is bool or (kind is float and item - item == 0.0)"
)
"""The condition, as Python source, that ``item`` of class ``kind`` is a text, a number or a boolean that is its own form.

A surrogate is not printable, and the difference is NaN for infinity and NaN.
"""


def integer_form(value: int) -> int | str:
    """Return the integer if 64 bits hold it. Return decimal text if not, or hexadecimal text beyond 1024 bits."""
    if INT64_MIN <= value <= INT64_MAX:
        return value
    return str(value) if value.bit_length() <= MAX_DECIMAL_BITS else hex(value)


def number_form(value: float) -> float | str:
    """Return the number if JSON can carry it, or the name that protobuf's JSON mapping gives it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def are_own_forms(values: list[Any]) -> bool:
    """Return True if all values are texts, or all are integers, and each is its own form. One look at all texts is enough."""
    if not values:
        return True
    kind = type(values[0])
    if kind is str:
        for item in values:
            if type(item) is not str:
                return False
        text = "".join(values)
        return text.isascii() or text.isprintable()
    if kind is int:
        smallest, greatest = -SMALL, SMALL
        for item in values:
            if type(item) is not int or not (smallest <= item <= greatest or INT64_MIN <= item <= INT64_MAX):
                return False
    return kind is int


def _unchanged(value: object) -> object:
    return value


WRITTEN_BY_MSGSPEC: Final = (
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    uuid.UUID,
    bytes,
    bytearray,
    memoryview,
)
"""Classes whose values become the text that msgspec writes for them in JSON."""

EXACT: Final[Mapping[type, Callable[[Any], object]]] = {
    str: escape_surrogates,
    bool: _unchanged,
    int: integer_form,
    float: number_form,
    type(None): _unchanged,
    **dict.fromkeys(WRITTEN_BY_MSGSPEC, msgspec.to_builtins),
}
"""The function that makes the form of each common class. One look into a dict is faster than a chain of `isinstance`."""

SCALARS: Final = {id(cls): EXACT[cls] for cls in (str, bool, int, float, type(None))}
"""The functions that cannot fail, by the id of the class: to hash a class can run code of its metaclass."""
