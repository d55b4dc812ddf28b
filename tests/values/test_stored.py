"""Objects are read as they are stored; no code of their classes runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pydantic
import pytest

from heliograph.values.forms import form_of
from heliograph.values.stored import (
    class_name,
    instance_dict,
    overrides,
    reads_plainly,
    stored_attribute,
    stored_attributes,
)


class Hostile:
    default = 5

    def method(self) -> None: ...

    @property
    def calculated(self) -> int:
        raise AssertionError

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError

    def __getattr__(self, name: str) -> Any:
        raise AssertionError

    __class__ = property(__getattribute__)  # type: ignore[assignment, arg-type]


class Slotted:
    __slots__ = ("empty", "full")

    def __init__(self) -> None:
        self.full = 1


def test_attributes_are_read_from_the_instance_and_its_class() -> None:
    """A value is in the instance's dict, in a slot, or a default of the class. Properties and methods store nothing."""
    value = Hostile()
    object.__setattr__(value, "own", 1)
    names = ("own", "default", "calculated", "method", "missing")

    assert stored_attributes(value, names) == dict(zip(names, (1, 5, None, None, None)))
    assert stored_attributes(Slotted(), ("full", "empty")) == {"full": 1, "empty": None}
    assert instance_dict(Slotted()) == {}
    assert stored_attribute(msgspec.defstruct("S", [("a", int)])(1), "a") == 1


def test_fields_are_read_as_they_are_stored() -> None:
    """A dataclass whose attribute access is overridden has its fields' values as form."""

    @dataclasses.dataclass
    class Point:
        x: int
        y: int = 2

        def __getattribute__(self, name: str) -> Any:
            raise AssertionError

    assert form_of(Point(1)) == {"x": 1, "y": 2}


def test_name_of_any_class_is_a_short_printable_text() -> None:
    """The module and the metaclass of a class may claim anything."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise AssertionError

        def __hash__(cls) -> int:
            raise AssertionError

    class Odd(metaclass=Meta):
        pass

    named = type("a\x1bb" + "x" * 1000, (), {"__module__": 5})
    assert class_name(named).startswith("?.a\\x1bb")
    assert len(class_name(named)) < 300
    assert form_of(Odd()).endswith("Odd>")  # type: ignore[attr-defined]


def test_stored_values_are_not_compared() -> None:
    """The comparison of a value with another one is its class's code, too."""

    @dataclasses.dataclass
    class Incomparable:
        x: int = 1

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        __hash__ = None  # type: ignore[assignment]

    @dataclasses.dataclass
    class Outer:
        inner: Incomparable

    assert form_of(Outer(Incomparable())) == {"inner": {"x": 1}}


class Ordered(dict[str, int]):
    def __iter__(self) -> Any:
        raise AssertionError


class Renamed(dict[str, int]):
    pass


def test_overridden_methods_are_found() -> None:
    """A class that inherits the method of its base does not count."""
    assert overrides(Ordered, dict, "__iter__")
    assert not overrides(Renamed, dict, "__iter__")


@dataclasses.dataclass
class Stored:
    x: int
    y: int = 0


@dataclasses.dataclass(frozen=True)
class SlottedPoint:
    __slots__ = ("x",)
    x: int


class Struct(msgspec.Struct):
    x: int


class Model(pydantic.BaseModel):
    x: int


class WithProperty(Stored):
    @property
    def z(self) -> int:
        raise AssertionError


class WithLookup(Stored):
    def __getattribute__(self, name: str) -> Any:
        raise AssertionError


class WithFallback(Stored):
    def __getattr__(self, name: str) -> Any:
        raise AssertionError


@pytest.mark.parametrize("cls", [Stored, SlottedPoint, Struct, Model, WithProperty])
def test_plain_attributes_run_no_code(cls: type) -> None:
    """Attributes of such classes may be read by `getattr`."""
    assert reads_plainly(cls, ("x",))


@pytest.mark.parametrize(
    ("cls", "name"), [(WithProperty, "z"), (WithLookup, "x"), (WithFallback, "x"), (Hostile, "x"), (Stored, "__init__")]
)
def test_attributes_with_code_are_found(cls: type, name: str) -> None:
    """Code runs in a property, in a method of lookup, and behind a function in the place of a value."""
    assert not reads_plainly(cls, (name,))
