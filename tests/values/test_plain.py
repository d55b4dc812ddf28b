"""Plain values have the same forms as by the complete way, and all other values are refused."""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import fractions
import ipaddress
import pathlib
import re
import sqlite3
import types
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import pydantic
import pytest
from hypothesis import given

from heliograph import Attribute, Privacy
from heliograph.values.converters import register_converter
from heliograph.values.forms import form_of
from heliograph.values.plain import NotPlain, converted_text, plain_form, text_converter
from heliograph.values.standard_library import MAX_VALUES
from values.plain_values import VALUES

T = TypeVar("T")


class Odd:
    pass


class Text(str):
    __slots__ = ()

    def __hash__(self) -> int:
        return hash("a")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("code of the program")


class Base:
    pass


class Money(Base, str):
    __slots__ = ()


@dataclass
class One:
    x: int


@dataclass
class Two:
    x: int
    y: list[int]


@dataclass
class Secret:
    x: Annotated[int, Attribute(privacy=Privacy.MASK)]


@dataclass
class Box(Generic[T]):
    x: T


@dataclass
class Lazy:
    x: int

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("code of the program")


class Secrets(list[Annotated[str, Attribute(privacy=Privacy.MASK)]]):
    pass


def plain(value: object) -> object:
    return plain_form(value, [MAX_VALUES])


def row(sql: str) -> sqlite3.Row:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    found: sqlite3.Row = connection.execute(sql).fetchone()
    connection.close()
    return found


@given(VALUES)
def test_form_is_the_documented_one(value: object) -> None:
    """Every plain value has the form that the complete way makes."""
    try:
        form = plain(value)
    except NotPlain:
        return
    assert repr(form) == repr(form_of(value))


@pytest.mark.parametrize(
    "value",
    [
        "a",
        [1, "b", None],
        {"a": {"b": [uuid.UUID(int=1)]}},
        (dt.date(2026, 1, 2),),
        {"ž": 1.5},
        [2**70],
        {"a": "\udc80"},
        fractions.Fraction(1, 3),
        1 + 2j,
        {"b", "a"},
        collections.deque([1]),
        types.SimpleNamespace(a=1),
        One(1),
        Two(1, [2]),
        row("SELECT 1 AS a, 'x' AS b"),
        Money("1 €"),
    ],
    ids=range(16),
)
def test_common_values_are_plain(value: object) -> None:
    """The quick way reads common values without a closer look, and gives the documented form."""
    assert plain(value) == form_of(value)


CYCLE: list[object] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "value",
    [
        Odd(),
        [Odd()],
        {"a": Odd()},
        {1: 1},
        {Text("x"): 1},
        {"\udc80": 1},
        CYCLE,
        [0] * (MAX_VALUES + 1),
        [[0] * 5001, [0] * 5001],
        Secret(1),
        Box(1),
        Lazy(1),
        Secrets(["x"]),
        pydantic.SecretStr("x"),
        [pydantic.SecretStr("x")],
        row("SELECT 1 AS a, 2 AS a"),
        collections.UserDict({1: 1}),
        collections.OrderedDict({1: 1}),
        collections.Counter(map(str, range(MAX_VALUES + 1))),
    ],
    ids=range(19),
)
def test_everything_else_is_refused(value: object) -> None:
    """Nothing private is read, and no code of a class runs to find that out."""
    with pytest.raises(NotPlain):
        plain(value)


def test_converter_may_be_registered_at_any_time() -> None:
    """A converter decides from then on, although values of the class were read before."""

    class Parent:
        pass

    class Price(Parent, str):
        __slots__ = ()

    assert plain(Price("1")) == "1"
    text_of = text_converter(Price)
    assert text_of(Price("1")) == "1"
    register_converter(Parent, lambda price: 5)
    with pytest.raises(NotPlain):
        plain(Price("1"))
    with pytest.raises(NotPlain):
        text_of(Price("1"))
    assert form_of(Price("1")) == 5


def test_text_of_a_value() -> None:
    """A value that does not become text needs a closer look."""
    assert converted_text(fractions.Fraction(1, 3)) == "1/3"
    with pytest.raises(NotPlain):
        converted_text({"a": 1})


@pytest.mark.parametrize(("value", "text"), [
    (fractions.Fraction(1, 3), "1/3"),
    (pathlib.Path("/srv/\u017e"), "/srv/\u017e"),
    (pathlib.Path("/srv/\udc80"), "/srv/\\udc80"),
    (re.compile("a+"), "a+"),
    (ipaddress.IPv4Address("10.0.0.1"), "10.0.0.1"),
])  # fmt: skip
def test_text_of_the_values_of_one_class(value: object, text: str) -> None:
    """The converter of a class is found once, and gives the same text."""
    assert text_converter(type(value))(value) == converted_text(value) == text


def test_dict_with_an_order_of_its_own_is_read_without_its_code() -> None:
    """`dict.copy` of such a dict would call its methods."""
    called: list[str] = []

    class Ordered(dict[str, object]):
        def __iter__(self) -> Any:
            called.append("__iter__")
            return super().__iter__()

        def keys(self) -> Any:
            called.append("keys")
            return super().keys()

        def __getitem__(self, key: str) -> object:
            called.append("__getitem__")
            return super().__getitem__(key)

    with contextlib.suppress(NotPlain):
        assert plain_form(Ordered(a=1), [MAX_VALUES]) == {"a": 1}
    assert form_of(Ordered(a=1)) == {"a": 1}
    assert called == []


def test_value_that_becomes_no_text_is_refused() -> None:
    """A converter of texts is made for the class that an annotation names, which may say anything."""
    for convert in (converted_text, text_converter(collections.deque)):
        with pytest.raises(NotPlain):
            convert(collections.deque(["a"]))
