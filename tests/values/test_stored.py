"""Objects are read as they are stored; no code of their classes runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec

from heliograph.values.forms import form_of
from heliograph.values.stored import class_name, instance_dict, stored_attribute, stored_attributes


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
    """The instance's dict, a slot, a default of the class. Properties and methods store nothing."""
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
    """Its module and its metaclass may claim anything."""

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
