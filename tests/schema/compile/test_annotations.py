"""Annotations become types, and the `Attribute` in them is found."""

from __future__ import annotations

import collections.abc
import datetime as dt
import decimal
import enum
import ipaddress
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pytest
import typing_extensions

from heliograph import Attribute, Privacy
from heliograph.schema.compile import annotations
from heliograph.schema.compile.annotations import (
    MAX_CACHED_CLASSES,
    MAX_DEPTH,
    InvalidAnnotation,
    attribute_of,
    read_type,
)
from heliograph.schema.model.types import (
    ZONED,
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    Format,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
)
from schema.typed_values import Color
from values.boxes import Box


class Deep(enum.Enum):
    PAIR = (1, 2)


class Empty(enum.Enum):
    """An enum without members."""


@dataclass
class Failure(Exception):
    text: str


Many = enum.Flag("Many", list("abcdefg"))


class Pair(NamedTuple):
    left: int
    right: str


class MaskedPair(NamedTuple):
    left: Annotated[int, Attribute(privacy=Privacy.MASK)]


T = TypeVar("T")


@dataclass
class Tree:
    value: int
    below: list[Tree] = field(default_factory=list)


@dataclass
class Linked:
    value: int
    next: typing_extensions.Self | None = None


UserId = NewType("UserId", int)
Counts = typing_extensions.TypeAliasType("Counts", dict[str, int])
Items = typing_extensions.TypeAliasType("Items", list[T], type_params=(T,))


class Options(TypedDict, total=False):
    size: int


class Struct(msgspec.Struct):
    x: int = 0


TEXT = StringType()


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (Any, AnyType()),
        (None, NullType()),
        (bool, BooleanType()),
        (int, IntegerType()),
        (Annotated[int, msgspec.Meta(ge=1, lt=5, multiple_of=2)], IntegerType(ge=1, lt=5, multiple_of=2)),
        (Annotated[float, msgspec.Meta(gt=0, le=2)], NumberType(gt=0, le=2)),
        (str, TEXT),
        (
            Annotated[str, msgspec.Meta(pattern="^a", min_length=1, max_length=2)],
            StringType(patterns=("^a",), min_length=1, max_length=2),
        ),
        (dt.datetime, StringType(format=Format.DATE_TIME, python=dt.datetime)),
        (
            Annotated[dt.datetime, msgspec.Meta(tz=True)],
            StringType(format=Format.DATE_TIME, python=dt.datetime, patterns=(ZONED,)),
        ),
        (dt.date, StringType(format=Format.DATE, python=dt.date)),
        (dt.time, StringType(format=Format.TIME, python=dt.time)),
        (dt.timedelta, StringType(format=Format.DURATION, python=dt.timedelta)),
        (decimal.Decimal, StringType(format=Format.DECIMAL, python=decimal.Decimal)),
        (uuid.UUID, StringType(format=Format.UUID, python=uuid.UUID)),
        (bytes, StringType(format=Format.BASE64, python=bytes)),
        (bytearray, StringType(format=Format.BASE64, python=bytearray)),
        (memoryview, StringType(format=Format.BASE64, python=memoryview)),
        (Color, EnumType(values=("red", "blue"), python=Color, names=("RED", "BLUE"))),
        (Literal["a", 1], EnumType(values=(1, "a"))),
        (list[int], ArrayType(items=IntegerType())),
        (tuple[int, ...], ArrayType(items=IntegerType(), python=tuple)),
        (set[int], ArrayType(items=IntegerType(), python=set)),
        (frozenset[int], ArrayType(items=IntegerType(), python=frozenset)),
        (collections.abc.Set[int], ArrayType(items=IntegerType(), python=set)),
        (collections.abc.Sequence[int], ArrayType(items=IntegerType(), python=list)),
        (collections.abc.Collection[int], ArrayType(items=IntegerType(), python=frozenset)),
        (
            tuple[int, str],
            ArrayType(items=None, prefix=(IntegerType(), TEXT), python=tuple, min_length=2, max_length=2),
        ),
        (Pair, ArrayType(items=None, prefix=(IntegerType(), TEXT), python=Pair, min_length=2, max_length=2)),
        (dict[str, int], MapType(keys=TEXT, values=IntegerType())),
        (dict, MapType(keys=TEXT, values=AnyType())),
        (dict[int, int], MapType(keys=StringType(patterns=(r"^-?\d+$",)), values=IntegerType())),
        (dict[bool, int], MapType(keys=EnumType(values=("true", "false")), values=IntegerType())),
        (dict[Literal["a"], int], MapType(keys=EnumType(values=("a",)), values=IntegerType())),
        (int | None, UnionType(options=(IntegerType(), NullType()))),
        (ipaddress.IPv4Address, StringType(python=ipaddress.IPv4Address)),
        (Annotated[Annotated[int, "a note"], Attribute("a.b")], IntegerType()),
        (T, AnyType()),
        (UserId, IntegerType()),
        (Counts, MapType(keys=TEXT, values=IntegerType())),
        (Items[int], ArrayType(items=IntegerType())),
        (typing_extensions.LiteralString, TEXT),
        (tuple[int, typing_extensions.Unpack[tuple[str, ...]]], ArrayType(items=AnyType(), python=tuple)),
        (Any | int, AnyType()),
        (Many, IntegerType(ge=0, le=127)),
        (ValueError, StringType(python=ValueError)),
        (Failure, StringType(python=Failure)),
    ],
    ids=str,
)
def test_type_of_an_annotation(hint: Any, kind: Type) -> None:
    """Each annotation has one type. More than six flags are a range of numbers, since their combinations are too many."""
    found = read_type(hint)
    if isinstance(found, UnionType) or (isinstance(found, EnumType) and found.python is None):
        found, kind = _sorted(found), _sorted(kind)

    assert found == kind


def _sorted(kind: Type) -> object:
    """Options and literals, whose order msgspec does not promise."""
    values = kind.options if isinstance(kind, UnionType) else kind.values  # type: ignore[union-attr]
    return sorted(map(repr, values))


@pytest.mark.parametrize("cls", [Tree, Options, Struct, Box[int]], ids=str)
def test_class_becomes_an_object_with_its_fields(cls: Any) -> None:
    """The fields are set before the type is returned."""
    kind = read_type(cls)

    assert isinstance(kind, ObjectType)
    assert kind.fields


def test_class_inside_of_itself_is_one_object() -> None:
    """The type of the inner class is the same object, so that the type is finite."""
    kind = read_type(Tree)
    assert isinstance(kind, ObjectType)
    below = kind.fields[1].type

    assert isinstance(below, ArrayType)
    assert below.items is kind
    assert [field.required for field in kind.fields] == [True, False]


def test_self_is_the_class_around_it() -> None:
    """Outside of a class, `Self` means nothing."""
    kind = read_type(Linked)
    assert isinstance(kind, ObjectType)

    assert kind.fields[1].type == UnionType(options=(kind, NullType()))
    with pytest.raises(InvalidAnnotation, match="Self has no form in JSON"):
        read_type(typing_extensions.Self)


def test_generic_classes_differ_by_their_arguments() -> None:
    """`Box[int]` and `Box[str]` in one annotation have different fields."""
    kind = read_type(tuple[Box[int], Box[str]])
    assert isinstance(kind, ArrayType)

    assert [box.fields[0].type for box in kind.prefix if isinstance(box, ObjectType)] == [IntegerType(), TEXT]


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (Deep, "its enum has values that are not scalars; give its members texts or numbers"),
        (dict[float, int], "its dict has keys that are neither texts"),
        (dict[tuple[int, int], str], "its dict has keys"),
        (MaskedPair, "MaskedPair is a named tuple, whose fields cannot have an `Attribute`"),
        (list[tuple[Annotated[list[MaskedPair], Attribute("a.b")], ...]], "MaskedPair is a named tuple"),
        (msgspec.Raw | msgspec.msgpack.Ext, "use another type"),
        (msgspec.msgpack.Ext, "Ext has no form in JSON; use another type, or `Any`"),
        ("NotThere", "'NotThere' has no form in JSON; use another type, or `Any`"),
        (7, "7 has no form in JSON; use another type, or `Any`"),
        (Annotated[str, msgspec.Meta(ge=1)], "annotate it more simply, or as `Any`"),
        (Empty, "its enum Empty has no members; give it some, or annotate it as `Any`"),
    ],
    ids=str,
)
def test_annotation_without_a_type(hint: Any, problem: str) -> None:
    """The error says how to change the annotation."""
    with pytest.raises(InvalidAnnotation) as caught:
        read_type(hint)
    assert problem in str(caught.value)


def test_depth_of_an_annotation_is_limited() -> None:
    """A list in a list in a list …, without end, is an error with a remedy."""
    hint: Any = int
    for _ in range(MAX_DEPTH - 1):
        hint = list[hint]

    assert isinstance(read_type(hint), ArrayType)
    with pytest.raises(InvalidAnnotation, match="it contains itself without end; put a class in between"):
        read_type(list[hint])


def test_inner_opt_in_field_needs_a_name() -> None:
    """The setting `opt_in` has names of attributes."""

    @dataclass
    class Inner:
        sql: str

    Inner.__annotations__ = {"sql": Annotated[str, Attribute(requirement="opt_in")]}
    with pytest.raises(InvalidAnnotation, match="its inner field 'sql' is opt_in and has no attribute name"):
        read_type(Inner)


def test_attribute_of_an_annotation() -> None:
    """The one in it, an empty one, or an error if there are several."""
    attribute = Attribute("a.b")

    assert attribute_of(list[Annotated[int, attribute]]) == attribute
    assert attribute_of(int) == Attribute()
    with pytest.raises(InvalidAnnotation, match="more than one `Attribute`"):
        attribute_of(Annotated[list[Annotated[int, Attribute("c.d")]], attribute])


def test_types_of_classes_are_cached_within_a_bound() -> None:
    """A class that many events have is read once, and a program that creates classes does not fill the memory."""
    cached = annotations._read_class

    assert read_type(Tree) is read_type(Tree)
    assert cached.cache_info().maxsize == MAX_CACHED_CLASSES
