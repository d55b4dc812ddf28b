"""The fields of a class are those that its objects store, and an object may know the alias that made it."""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass, make_dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from heliograph import Attribute, Privacy
from heliograph.values.fields import field_names, type_of
from heliograph.values.stored import MAX_CACHED_CLASSES

MASK = Attribute(privacy=Privacy.MASK)
DROP = Attribute(privacy=Privacy.DROP)
T = TypeVar("T")
Secret = Annotated[str, MASK]


@dataclass
class Data:
    x: int
    y: Annotated[str, MASK]


@dataclass
class Derived(Data):
    y: Annotated[str, DROP]
    z: Annotated[int, Attribute("data.z")] = 0


class Struct(msgspec.Struct):
    x: int


@attrs.define
class Attrs:
    x: int


class Typed(TypedDict):
    x: int


@pytest.mark.parametrize(
    ("cls", "names"),
    [(Data, ("x", "y")), (Derived, ("x", "y", "z")), (Struct, ("x",)), (Attrs, ("x",)), (Typed, None), (int, None)],
)
def test_field_names(cls: type, names: tuple[str, ...] | None) -> None:
    """Dataclasses, structs and attrs classes have fields, other classes have none."""
    assert field_names(cls) == names


def test_init_var_is_not_a_field() -> None:
    """A value that the object does not keep cannot be exported."""
    cls = make_dataclass("C", [("x", int), ("y", InitVar[int])])

    assert field_names(cls) == ("x",)


def test_fields_of_frozen_and_slotted_dataclasses() -> None:
    """Fields are read in the same way from frozen dataclasses and from dataclasses with `__slots__`."""
    cls = dataclasses.make_dataclass("C", ["x"], frozen=True, slots=True)

    assert field_names(cls) == ("x",)


def test_cache_is_bounded() -> None:
    """A program that creates classes without end does not fill the memory."""
    assert field_names.cache_info().maxsize == MAX_CACHED_CLASSES
    for index in range(MAX_CACHED_CLASSES + 10):
        field_names(type(f"C{index}", (), {}))

    assert field_names.cache_info().currsize <= MAX_CACHED_CLASSES
    field_names.cache_clear()


@dataclass
class Box(Generic[T]):
    content: T


@dataclass(frozen=True)
class FrozenBox(Generic[T]):
    content: T


class SlottedBox(Generic[T]):
    __slots__ = ("content",)


def test_type_of_a_value() -> None:
    """The type is the alias that made the value, if the value knows it."""
    assert type_of(Box[Secret]("x")) == Box[Secret]
    assert type_of(Box("x")) is Box
    assert type_of(FrozenBox[Secret]("x")) is FrozenBox
    assert type_of(SlottedBox[Secret]()) is SlottedBox
    assert type_of(3) is int


def test_alias_that_a_value_pretends() -> None:
    """A value cannot claim the declarations of another class."""
    box: Any = Box("x")
    box.__orig_class__ = FrozenBox[int]

    assert type_of(box) is Box
