"""The converters of the classes of the standard library that are always imported. They turn a value into one of a simpler class.

They serve subclasses, too: each calls methods of the standard library's class, never those of a subclass.
Containers are copied in one step of the interpreter where that is possible, because another thread may change them.
"""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import enum
import functools
import gc
import itertools
import operator
import pathlib
import re
import types
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from heliograph.classes import ancestors
from heliograph.values.stored import class_name, instance_dict, stored_attribute

MAX_VALUES: Final = 10_000
"""The number of values inside of one property that are read. It bounds the time that one event can cost."""

MAX_DECIMAL_BITS: Final = 1024
"""The size of the longest integer that is written in decimal. CPython refuses longer ones by a limit that users can lower."""

_ATTEMPTS: Final = 100
"""The largest number of times that a container is read again, because another thread changed it meanwhile. Two in a row are rare."""

Converter = Callable[[Any], object]
"""A function that turns a value of one class into a value of a simpler class."""


class Pairs(list[tuple[object, object]]):
    """The keys and values of a mapping. It is not a dict, because that would run the code by which a key is hashed."""


class Unordered(list[object]):
    """The items of a set."""


def first_values(iterate: Callable[[], Iterable[Any]]) -> list[Any]:
    """Return the first values of a container, up to one more than may be read."""
    for _ in range(_ATTEMPTS):
        try:
            return list(itertools.islice(iterate(), MAX_VALUES + 1))
        except RuntimeError:  # another thread changed its size
            continue
    return list(itertools.islice(iterate(), MAX_VALUES + 1))


def _dict(value: dict[object, object]) -> Pairs:
    if type(value) is dict and len(value) <= MAX_VALUES:
        return Pairs(value.copy().items())  # a copy is one step
    items = collections.OrderedDict.items if collections.OrderedDict in ancestors(type(value)) else dict.items
    return Pairs(first_values(lambda: items(value)))  # type: ignore[arg-type]


def _chain_map(value: object) -> Pairs:
    pairs: dict[object, tuple[object, object]] = {}
    maps = stored_attribute(value, "maps")
    for each in first_values(lambda: list.__iter__(maps)):  # type: ignore[arg-type]
        for key, item in _pairs_of(each):
            identity = key if type(key) in _HASHED_BY_PYTHON else ("id", id(key))
            pairs.setdefault(identity, (key, item))
    return Pairs(pairs.values())


_HASHED_BY_PYTHON: Final = frozenset({str, int, float, bool, bytes, type(None)})


def _pairs_of(value: object) -> Pairs:
    """Return the pairs of a mapping of the standard library."""
    # A mapping may be wrapped in others.
    for _ in range(32):
        converter = next((STANDARD[base] for base in ancestors(type(value)) if base in STANDARD), None)
        if converter is None:
            break
        value = converter(value)
        if type(value) is Pairs:
            return value
    raise TypeError("a mapping that is not the standard library's")


def _mapping_proxy(value: object) -> object:
    # A proxy has no attribute for its mapping, and each of its methods calls that of the mapping.
    [mapping] = gc.get_referents(value)
    return mapping


def _list(value: list[object]) -> list[object]:
    return list.__getitem__(value, slice(0, MAX_VALUES + 1))


def _tuple(value: tuple[object, ...]) -> list[object]:
    return list(tuple.__getitem__(value, slice(0, MAX_VALUES + 1)))


def _iterated_by(iterate: Callable[[Any], Iterator[object]]) -> Converter:
    return lambda value: first_values(lambda: iterate(value))


def _unordered_by(iterate: Callable[[Any], Iterator[object]]) -> Converter:
    return lambda value: Unordered(first_values(lambda: iterate(value)))


# Programs replace `datetime.datetime` in tests, so the methods are looked up once, at import.
_date_of: Final = dt.datetime.date
_time_of: Final = dt.datetime.timetz
_combine: Final = dt.datetime.combine
_from_ordinal: Final = dt.date.fromordinal
_ordinal: Final = dt.date.toordinal
_SOME_DAY: Final = dt.date(2000, 1, 1)
_duration: Final = dt.timedelta.__pos__


def plain_datetime(value: dt.datetime) -> dt.datetime:
    """Return an instance of `datetime` itself that equals an instance of a subclass."""
    return _combine(_date_of(value), _time_of(value))


def duration_text(nanoseconds: int) -> str:
    """Return an ISO 8601 duration."""
    seconds, fraction = divmod(abs(nanoseconds), 10**9)
    days, seconds = divmod(seconds, 86_400)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    time = f"T{seconds}{digits}S" if seconds or fraction else ""
    return f"{'-' if nanoseconds < 0 else ''}P{f'{days}D' if days or not time else ''}{time}"


def _uuid(value: object) -> uuid.UUID:
    number = stored_attribute(value, "int")
    return uuid.UUID(int=number)  # type: ignore[arg-type]  # another class with that name has no such slot, and raises


def _complex(value: complex) -> str:
    return complex.__repr__(value).strip("()")


_PATHS: Final = frozenset(
    map(id, (pathlib.PosixPath, pathlib.PurePosixPath, pathlib.WindowsPath, pathlib.PureWindowsPath))
)
"""The ids of the classes of paths: to hash a class can run code of its metaclass."""


def _path(value: object) -> str:
    """Return the text of a path; that of a subclass from the parts that every version of Python stores."""
    if id(type(value)) in _PATHS:
        return str(value)
    bases = ancestors(type(value))
    cls: type[pathlib.PurePath] = pathlib.PurePosixPath
    if pathlib.PureWindowsPath in bases:
        cls = pathlib.PureWindowsPath
    parts = stored_attribute(value, "_raw_paths")
    if parts is None:  # pragma: no cover — Python 3.10 and 3.11
        parts = stored_attribute(value, "_parts")
    return str(cls(*map(str.__str__, parts)))  # type: ignore[call-overload]


def exception_name(cls: type[BaseException]) -> str:
    """Return the text that exceptions of a class become: its name."""
    return class_name(cls).removeprefix("builtins.")


def _flag(value: object) -> object:
    """Return the number of a combination of flags. Python 3.10 keeps ``~READ`` as a negative number."""
    number = stored_attribute(value, "_value_")
    if type(number) is not int or number >= 0:
        return number
    members: Any = stored_attribute(value, "_member_map_")
    values = [stored_attribute(member, "_value_") for member in dict.values(members)]
    return number & functools.reduce(operator.or_, (each for each in values if type(each) is int and each > 0), 0)


def _namespace(value: object) -> dict[str, object]:
    return instance_dict(value)


def _stored(name: str) -> Converter:
    return lambda value: stored_attribute(value, name)


_ORDERED: Final = collections.OrderedDict[str, int]()

STANDARD: Final[Mapping[type, Converter]] = {
    str: str.__str__,
    int: int.__index__,
    float: float.__float__,
    complex: _complex,
    # Not `join`, which calls the `__buffer__` of a subclass.
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: bytearray.copy,
    dt.datetime: plain_datetime,
    dt.date: lambda value: _from_ordinal(_ordinal(value)),
    dt.time: lambda value: _time_of(_combine(_SOME_DAY, value)),
    dt.timedelta: _duration,
    dt.timezone: str,
    decimal.Decimal: decimal.Decimal.__str__,
    uuid.UUID: _uuid,
    enum.Flag: _flag,
    enum.Enum: _stored("_value_"),
    type(msgspec.UNSET): lambda _: None,
    BaseException: lambda value: exception_name(type(value)),
    pathlib.PurePath: _path,
    re.Pattern: lambda value: value.pattern,
    types.SimpleNamespace: _namespace,
    dict: _dict,
    list: _list,
    tuple: _tuple,
    set: _unordered_by(set.__iter__),
    frozenset: _unordered_by(frozenset.__iter__),
    range: _iterated_by(iter),
    collections.deque: _iterated_by(collections.deque.__iter__),
    collections.UserDict: _stored("data"),
    collections.UserList: _stored("data"),
    collections.UserString: _stored("data"),
    collections.ChainMap: _chain_map,
    types.MappingProxyType: _mapping_proxy,
    **dict.fromkeys(
        (type({}.keys()), type({}.items()), type(_ORDERED.keys()), type(_ORDERED.items())), _unordered_by(iter)
    ),
    **dict.fromkeys((type({}.values()), type(_ORDERED.values())), _iterated_by(iter)),
}
"""The converter of each class, for its subclasses as well."""
