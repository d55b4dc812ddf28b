"""The documented shapes of a field: for each, its annotation, a common value, an odd value that is legal, and an invalid one.

The rows of the table in `docs/values.md` are the keys of `SHAPES`, and a test compares the two, so that a new row without
a shape cannot be forgotten.
"""

from __future__ import annotations

import argparse
import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import sqlite3
import types
import urllib.parse
import uuid
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

import attrs
import msgspec
import numpy as np
import pandas as pd
import pydantic
from typing_extensions import NotRequired, TypedDict

from heliograph import Attribute, Privacy


class Nothing:
    """The class of `NOTHING`."""


NOTHING: Final = Nothing()
"""Marks that there is no such value: nothing is invalid in a field of type `Any`."""


class Text(str):
    """A subclass of `str`, as programs have them: its values are legal, and rare."""

    __slots__ = ()


class Count(int):
    """A subclass of `int`."""


class Day(dt.datetime):
    """A subclass of `datetime`, as pandas, pendulum and freezegun have one."""


class Tags(list[Any]):
    """A subclass of `list`."""


class Settings(dict[str, Any]):
    """A subclass of `dict`."""


class Color(enum.Enum):
    """An enum of texts."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """An enum of numbers."""

    LOW = 1
    HIGH = 2


class Access(enum.Flag):
    """Flags, whose combinations are legal."""

    SEE = 1
    EDIT = 2


@dataclass
class Line:
    """A class of two fields."""

    sku: str
    count: int


@dataclass
class Parcel:
    """A class with another inside."""

    line: Line
    note: str | None = None


@dataclass
class Person:
    """A class with a private field."""

    email: Annotated[str, Attribute(privacy=Privacy.MASK)]
    city: str


@dataclass
class Place:
    """A class with bounds."""

    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    city: Annotated[str, msgspec.Meta(max_length=20)]


class Options(TypedDict):
    """A dict of known keys."""

    sku: str
    count: int


class Partial(TypedDict):
    """A dict of known keys, one of which may be missing."""

    sku: str
    count: NotRequired[int]


class Struct(msgspec.Struct):
    """A class of msgspec."""

    sku: str
    count: int


@attrs.define
class Attrs:
    """A class of attrs."""

    sku: str
    count: int


class Model(pydantic.BaseModel):
    """A model of pydantic."""

    sku: str
    count: Annotated[int, pydantic.Field(ge=0)]


class Pair(NamedTuple):
    """A named tuple."""

    sku: str
    count: int


class Unknown:
    """A class whose values have no form of their own."""


class Shape(NamedTuple):
    """One shape of a field.

    Attributes:
        hint: The annotation.
        good: A common value.
        odd: Another value that is valid, but is not of exactly the common kind.
        invalid: A value that violates the schema.
    """

    hint: Any
    good: object
    odd: object = NOTHING
    invalid: object = NOTHING


def private(hint: Any, privacy: Privacy) -> Any:
    """Return the annotation of a private field."""
    return Annotated[hint, Attribute(privacy=privacy)]


def bounded(hint: Any, **bounds: Any) -> Any:
    """Return an annotation with bounds."""
    return Annotated[hint, msgspec.Meta(**bounds)]


def row_of_database() -> sqlite3.Row:
    """Return a row, as a query of SQLite returns it."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    row: sqlite3.Row = connection.execute("SELECT 'a' AS sku, 1 AS count").fetchone()
    connection.close()
    return row


NOW: Final = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc)
ODD_NOW: Final = Day(2026, 1, 2, tzinfo=dt.timezone.utc)
ID: Final = uuid.UUID(int=7)
LINE: Final = Line("a", 1)
LINES: Final = [LINE, Line("b", 2), Line("c", 3)]
LISTED: Final = {"sku": "a", "count": 1}
NESTED: Final = {"a": {"b": {"c": 1}}, "tags": ["x", "y"], "n": None}
CYCLE: Final[list[Any]] = [1]
CYCLE.append(CYCLE)

SHAPES: Final[Mapping[str, Mapping[str, Shape]]] = {
    "`str`": {
        "str": Shape(str, "Ada", Text("Ada"), 3),
        "str, not ASCII": Shape(str, "Žilina", Text("Žilina"), 3),
        "str | None": Shape(str | None, "Ada", Text("Ada"), 3),
        "str, at most 20": Shape(bounded(str, max_length=20), "Ada", Text("Ada"), "x" * 21),
        "str, at most 20, not ASCII": Shape(bounded(str, max_length=20), "Žilina", Text("Žilina"), "ž" * 21),
        "str, pattern": Shape(bounded(str, pattern="^[A-Z]{2}$"), "DE", Text("DE"), "de"),
        "literal": Shape(Literal["card", "invoice"], "card", Text("card"), "cash"),
        "str, mask": Shape(private(str, Privacy.MASK), "Ada", Text("Ada"), 3),
        "str, hash": Shape(private(str, Privacy.HASH), "Ada", Text("Ada"), 3),
        "str, drop": Shape(private(str, Privacy.DROP), "Ada", Text("Ada"), 3),
        "str, opt-in": Shape(Annotated[str, Attribute("shapes.field", requirement="opt_in")], "Ada", Text("Ada"), 3),
    },
    "`bool`, `float`": {
        "bool": Shape(bool, True, NOTHING, 1),
        "float": Shape(float, 1.5, 2, "x"),
        "float, bounds": Shape(bounded(float, ge=0, le=9), 1.5, 2, 10.5),
        "float | None": Shape(float | None, 1.5, 2, "x"),
    },
    "`int`": {
        "int": Shape(int, 3, 3.0, "x"),
        "int, large": Shape(int, 2**40, 3.0, 2**70),
        "int, bounds": Shape(bounded(int, ge=1, le=9), 3, 3.0, 10),
        "int | None": Shape(int | None, 3, Count(3), "x"),
        "int | str": Shape(int | str, 3, Count(3), 1.5),
        "int | float": Shape(int | float, 1.5, Count(3), "x"),
        "int, hash": Shape(private(int, Privacy.HASH), 3, Count(3), "x"),
        "Any, a number": Shape(Any, 3, Count(3)),
    },
    "`None`, `msgspec.UNSET`": {
        "None": Shape(str | None, None, Text("Ada"), 3),
        "UNSET": Shape(str | msgspec.UnsetType | None, msgspec.UNSET, Text("Ada"), 3),
        "Any, None": Shape(Any, None, Unknown()),
    },
    "`datetime`, `date`, `time`": {
        "datetime": Shape(dt.datetime, NOW, ODD_NOW, 3),
        "datetime | None": Shape(dt.datetime | None, NOW, ODD_NOW, 3),
        "datetime, aware": Shape(bounded(dt.datetime, tz=True), NOW, ODD_NOW, NOW.replace(tzinfo=None)),
        "date": Shape(dt.date, NOW.date(), NOTHING, 3),
        "time": Shape(dt.time, NOW.time(), NOTHING, 3),
        "datetime | str": Shape(dt.datetime | str, NOW, ODD_NOW, 3),
    },
    "`timedelta`": {"timedelta": Shape(dt.timedelta, dt.timedelta(seconds=3), pd.Timedelta("1s"), 3)},
    "`Decimal`, `Fraction`, `complex`": {
        "Decimal": Shape(decimal.Decimal, decimal.Decimal("12.50"), "12.50", 3),
        "Fraction": Shape(fractions.Fraction, fractions.Fraction(1, 3), "1/3", 3),
        "complex": Shape(complex, 1 + 2j),
    },
    "`UUID`, `timezone`, `ZoneInfo`": {
        "UUID": Shape(uuid.UUID, ID, str(ID), 3),
        "UUID, hash": Shape(private(uuid.UUID, Privacy.HASH), ID, str(ID), 3),
        "timezone": Shape(dt.timezone, dt.timezone.utc),
        "ZoneInfo": Shape(zoneinfo.ZoneInfo, zoneinfo.ZoneInfo("Europe/Prague")),
    },
    "`bytes`, `bytearray`, `memoryview`": {
        "bytes": Shape(bytes, b"abc", "YWJj", 3),
        "bytes, at most 8": Shape(bounded(bytes, max_length=8), b"abc", "YWJj", b"a" * 9),
        "bytearray": Shape(bytearray, bytearray(b"abc"), b"abc", 3),
    },
    "`pathlib`, `ipaddress`": {
        "Path": Shape(Path, Path("/srv/data.db"), "/srv", 3),
        "PurePosixPath": Shape(pathlib.PurePosixPath, pathlib.PurePosixPath("/srv"), Path("/srv"), 3),
        "IPv4Address": Shape(ipaddress.IPv4Address, ipaddress.IPv4Address("10.0.0.1"), "10.0.0.1", 3),
        "IPv6Network": Shape(ipaddress.IPv6Network, ipaddress.IPv6Network("2001:db8::/32"), "::/0", 3),
    },
    "`re.Pattern`": {"Pattern": Shape(re.Pattern, re.compile("a+"), "a+", 3)},
    "`Enum`": {
        "Enum of str": Shape(Color, Color.RED, "red", "green"),
        "Enum | None": Shape(Color | None, Color.RED, "red", "green"),
        "IntEnum": Shape(Level, Level.LOW, 1, 3),
        "Flag": Shape(Access, Access.SEE, Access.SEE | Access.EDIT, 8),
    },
    "an exception": {"exception": Shape(ValueError, ValueError("x"), "ValueError", 3)},
    "`list`, `tuple`, `set`": {
        "list[str]": Shape(list[str], ["a", "b", "c"], Tags(["a"]), ["a", 1]),
        "list[str], not ASCII": Shape(list[str], ["a", "ž", "c"], Tags(["ž"]), ["a", 1]),
        "list[int]": Shape(list[int], [1, 2, 3], Tags([1]), ["a"]),
        "list[float]": Shape(list[float], [1.0, 2.5], [1, 2.5], ["a"]),
        "list[bool]": Shape(list[bool], [True, False], Tags([True]), [1]),
        "list[UUID]": Shape(list[uuid.UUID], [ID, ID], [str(ID)], [1]),
        "list[Enum]": Shape(list[Color], [Color.RED, Color.BLUE], ["red"], ["green"]),
        "list, bounds": Shape(bounded(list[bounded(int, ge=1)], max_length=4), [1, 2], Tags([1]), [0]),
        "list": Shape(list, ["a", "b"], Tags(["a"]), "x"),
        "list[str | None]": Shape(list[str | None], ["a", None], Tags(["a"]), [1]),
        "list[list[int]]": Shape(list[list[int]], [[1], [2, 3]], [Tags([1])], [["a"]]),
        "list[class]": Shape(list[Line], LINES, [LISTED], [Line("a", "x")]),  # type: ignore[arg-type]
        "list[class], private": Shape(list[Person], [Person("a@b", "x")], Tags([Person("a", "x")]), [3]),
        "list[dict]": Shape(list[dict[str, Any]], [LISTED, {"a": None}], [Settings(LISTED)], [1]),
        "list[Struct]": Shape(list[Struct], [Struct("a", 1)], [LISTED], [3]),
        "list[class] | None": Shape(list[Line] | None, LINES, Tags(LINES), [3]),
        "tuple[int, str]": Shape(tuple[int, str], (1, "a"), [1, "a"], (1, 2)),
        "tuple[str, ...]": Shape(tuple[str, ...], ("a", "b"), ["a", "b"], (1,)),
        "tuple[class, ...]": Shape(tuple[Line, ...], (LINE, LINE), [LINE], (1,)),
        "named tuple": Shape(Pair, Pair("a", 1), ("a", 1), ("a", "b")),
        "set[str]": Shape(set[str], {"a", "b"}, ["a"], {1}),
        "set[int]": Shape(set[int], {3, 1, 2}, [1], {"a"}),
        "frozenset[str]": Shape(frozenset[str], frozenset({"a"}), {"a"}, {1}),
        "Any, a list": Shape(Any, ["a", "b"], Tags(["a"])),
        "deque": Shape(collections.deque[str], collections.deque(["a", "b"]), ["a"], {"a": 1}),
        "range": Shape(range, range(3), [0, 1], 3),
        "array": Shape(array.array, array.array("i", [1, 2])),
        "UserList": Shape(collections.UserList, collections.UserList(["a"]), ["a"], 3),
    },
    "`dict`": {
        "dict": Shape(dict, {"a": 1, "b": "x"}, Settings(a=1), 3),
        "dict, empty": Shape(dict, {}, Settings(), 3),
        "dict[str, Any]": Shape(dict[str, Any], {"a": 1, "b": "x", "c": 1.5}, Settings(a=1), 3),
        "dict[str, int]": Shape(dict[str, int], {"a": 1, "b": 2}, Settings(a=1), {"a": "x"}),
        "dict[str, str]": Shape(dict[str, str], {"a": "1", "b": "x"}, Settings(a="1"), {"a": 1}),
        "dict[str, list]": Shape(dict[str, list[int]], {"a": [1], "b": [2, 3]}, Settings(a=[1]), {"a": 1}),
        "dict[str, class]": Shape(dict[str, Line], {"a": LINE}, {"a": LISTED}, {"a": 1}),
        "dict[int, str]": Shape(dict[int, str], {1: "a", 2: "b"}, {"1": "a"}, {1: 1}),
        "dict, nested": Shape(dict[str, Any], NESTED, {"a": Settings(a=1)}, 3),
        "dict, nested, typed": Shape(dict[str, dict[str, int]], {"a": {"b": 1}}, {"a": Settings(b=1)}, {"a": 1}),
        "dict, mask": Shape(private(dict, Privacy.MASK), {"a": 1}, Settings(a=1), 3),
        "dict, hash": Shape(private(dict, Privacy.HASH), {"a": 1}, Settings(a=1), 3),
        "dict, drop": Shape(private(dict, Privacy.DROP), {"a": 1}, Settings(a=1), 3),
        "dict | None": Shape(dict[str, Any] | None, {"a": 1}, Settings(a=1), 3),
        "Any, a dict": Shape(Any, {"a": 1, "b": {"c": "x"}}, Settings(a=1)),
        "UserDict": Shape(collections.UserDict, collections.UserDict(a=1), {"a": 1}, 3),
        "ChainMap": Shape(collections.ChainMap, collections.ChainMap({"a": 1}), {"a": 1}, 3),
        "MappingProxyType": Shape(Mapping[str, int], types.MappingProxyType({"a": 1}), {"a": 1}, 3),
        "sqlite3.Row": Shape(Any, row_of_database(), {"a": 1}),
    },
    "dataclass, attrs, `msgspec.Struct`": {
        "class": Shape(Line, LINE, LISTED, Line("a", "x")),  # type: ignore[arg-type]
        "class | None": Shape(Line | None, LINE, LISTED, Line("a", "x")),  # type: ignore[arg-type]
        "class of a class": Shape(Parcel, Parcel(LINE, "x"), Parcel(LINE, Text("x")), Parcel(LINE, 3)),  # type: ignore[arg-type]
        "class, private": Shape(Person, Person("a@b", "x"), Person("a@b", Text("x")), Person("a@b", 3)),  # type: ignore[arg-type]
        "class, bounds": Shape(Place, Place("DE", "Žilina"), Place("DE", Text("x")), Place("de", "x")),
        "class, hash": Shape(private(Line, Privacy.HASH), LINE, LISTED, Line("a", "x")),  # type: ignore[arg-type]
        "class, mask": Shape(private(Line, Privacy.MASK), LINE, LISTED, Line("a", "x")),  # type: ignore[arg-type]
        "class | class": Shape(Line | Place, LINE, LISTED, 3),
        "class | str": Shape(Line | str, LINE, LISTED, 3),
        "Any, a class": Shape(Any, LINE, Line(Text("a"), 1)),
        "TypedDict": Shape(Options, LISTED, {**LISTED, "more": 1}, {"sku": 1, "count": 1}),
        "TypedDict, not required": Shape(Partial, {"sku": "a"}, Settings(sku="a"), {"sku": 1}),
        "Struct": Shape(Struct, Struct("a", 1), LISTED, Struct("a", "x")),  # type: ignore[arg-type]
        "attrs": Shape(Attrs, Attrs("a", 1), LISTED, Attrs("a", "x")),  # type: ignore[arg-type]
        "pydantic": Shape(Model, Model(sku="a", count=1), LISTED, Model.model_construct(sku="a", count=-1)),
        "SimpleNamespace": Shape(types.SimpleNamespace, types.SimpleNamespace(a=1), {"a": 1}),
        "argparse.Namespace": Shape(argparse.Namespace, argparse.Namespace(a=1), {"a": 1}),
    },
    "URLs and DSNs": {
        "urllib.parse": Shape(Any, urllib.parse.urlsplit("https://me:secret@example.com/x?a=1")),
        "AnyUrl": Shape(pydantic.AnyUrl, pydantic.AnyUrl("https://me:secret@example.com/x"), "https://x", 3),
    },
    "pydantic's secrets": {
        "SecretStr": Shape(pydantic.SecretStr, pydantic.SecretStr("secret"), "secret", 3),
    },
    "numpy scalars": {
        "int64": Shape(Any, np.int64(3)),
        "int64 in an int": Shape(int, np.int64(3), Count(3), "x"),
        "float64 in a float": Shape(float, np.float64(1.5), 2, "x"),
    },
    "numpy arrays": {"numpy.array": Shape(Any, np.array([1, 2, 3])), "Series": Shape(Any, pd.Series([1, 2]))},
    "pandas `DataFrame`": {"DataFrame": Shape(Any, pd.DataFrame({"a": [1]}))},
    "pandas `Timestamp`, `Timedelta`": {
        "Timestamp": Shape(Any, pd.Timestamp("2026-01-02T03:04:05Z")),
        "Timestamp in a datetime": Shape(dt.datetime, pd.Timestamp("2026-01-02T03:04:05Z"), ODD_NOW, 3),
        "Timedelta": Shape(dt.timedelta, pd.Timedelta("1s"), dt.timedelta(seconds=1), 3),
    },
    "any other object": {"unknown": Shape(Any, Unknown())},
    "a value inside of itself": {"cycle": Shape(Any, CYCLE)},
    "more than 10,000 values inside one": {"many": Shape(Any, list(range(10_001)))},
}
"""The shapes of each row of the table in ``docs/values.md``."""


def documented_rows() -> list[str]:
    """Return the first cell of each row of the table in ``docs/values.md``."""
    page = Path(__file__).resolve().parents[2] / "docs" / "values.md"
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]


def shapes() -> list[tuple[str, Shape]]:
    """Return all shapes with their names."""
    return [(name, shape) for row in SHAPES.values() for name, shape in row.items()]
