"""The types of values whose form is text: dates, numbers, bytes, paths, addresses."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import ipaddress
import pathlib
import re
import uuid
from collections.abc import Mapping
from typing import Final

from heliograph.schema.compile.constraints import Constraints
from heliograph.schema.model.types import ZONED, Format, StringType
from heliograph.values import pydantic_fields

_FORMATS: Final[Mapping[type, Format]] = {
    # Before `date`, which `datetime` is a subclass of.
    dt.datetime: Format.DATE_TIME,
    dt.date: Format.DATE,
    dt.time: Format.TIME,
    dt.timedelta: Format.DURATION,
    decimal.Decimal: Format.DECIMAL,
    uuid.UUID: Format.UUID,
    bytes: Format.BASE64,
    bytearray: Format.BASE64,
    memoryview: Format.BASE64,
}
"""The format of the text that values of a class, and of its subclasses, become."""

_PLAIN: Final = (
    pathlib.PurePath,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    re.Pattern,
    fractions.Fraction,
)
"""Classes whose values become text without a format."""

_CLASSES_OF_VALUES: Final[Mapping[str, type]] = {
    **dict.fromkeys(("PastDate", "FutureDate"), dt.date),
    **dict.fromkeys(("AwareDatetime", "NaiveDatetime", "PastDatetime", "FutureDatetime"), dt.datetime),
    **dict.fromkeys(("EmailStr", "ImportString"), str),
}
"""For each class of pydantic that only describes a value, by its name, the class that the value has."""
_ZONED: Final[Mapping[str, bool]] = {"AwareDatetime": True, "NaiveDatetime": False}


def text_type(cls: type, constraints: Constraints) -> StringType | None:
    """Return the type of the values of a class, or `None` if their form is not text."""
    if pydantic_fields.is_from_pydantic(cls):
        return _text_of_pydantic(cls, constraints)
    if issubclass(cls, (str, collections.UserString)):
        return StringType(python=cls, patterns=constraints.patterns, **constraints.lengths())
    for base, text_format in _FORMATS.items():
        if issubclass(cls, base):
            return StringType(format=text_format, python=cls, patterns=_patterns(text_format, constraints))
    return StringType(python=cls) if issubclass(cls, _PLAIN) or pydantic_fields.is_secret(cls) else None


def _text_of_pydantic(cls: type, constraints: Constraints) -> StringType | None:
    name = cls.__name__
    if name in _CLASSES_OF_VALUES:
        inner = Constraints(tz=_ZONED[name]) if name in _ZONED else constraints
        return text_type(_CLASSES_OF_VALUES[name], inner)
    is_text = pydantic_fields.is_secret(cls) or cls.__module__.startswith("pydantic.networks")
    return StringType(python=cls) if is_text else None


def _patterns(text_format: Format, constraints: Constraints) -> tuple[str, ...]:
    if text_format is Format.DATE_TIME:
        return {None: (), True: (ZONED,), False: ("[Tt ][^Zz+-]*$",)}[constraints.tz]
    if text_format is Format.TIME:
        return {None: (), True: (ZONED,), False: ("^[^Zz+-]*$",)}[constraints.tz]
    if text_format is not Format.BASE64 or (constraints.min_length is None and constraints.max_length is None):
        return ()
    return (base64_pattern(constraints.min_length, constraints.max_length),)


def base64_pattern(min_length: int | None, max_length: int | None) -> str:
    """Return the pattern of base64 text of at least `min_length` and at most `max_length` bytes.

    A bound on the length of the text is not enough: because of padding, texts of one length have one to three bytes in their last group.
    """
    least = min_length or 0
    alternatives = []
    for remainder, end in ((0, ""), (1, "[A-Za-z0-9+/]{2}=="), (2, "[A-Za-z0-9+/]{3}=")):  # after groups of three bytes
        first = max(0, -(-(least - remainder) // 3))
        last = None if max_length is None else (max_length - remainder) // 3
        if last is None or last >= first:
            alternatives.append(f"([A-Za-z0-9+/]{{4}}){{{first},{'' if last is None else last}}}{end}")
    return f"^({'|'.join(alternatives)})$"
