"""The fields of classes and the declarations in their annotations."""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass, make_dataclass
from types import SimpleNamespace
from typing import Annotated, Any, NewType, TypedDict

import attrs
import msgspec
import pytest

from heliograph import Attribute, Privacy
from heliograph.values.introspect import (
    MAX_CACHED_CLASSES,
    annotations_of,
    attributes_in,
    declared_privacy,
    field_names,
    getattr_or_none,
)

MASK = Attribute(privacy=Privacy.MASK)
DROP = Attribute(privacy=Privacy.DROP)


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


def test_annotations_are_those_of_the_nearest_class() -> None:
    """A subclass can annotate an inherited field again."""
    annotations = annotations_of(Derived, ["x", "y"])

    assert annotations == {"x": int, "y": Annotated[str, DROP]}


def test_annotations_that_are_not_asked_for_are_not_evaluated() -> None:
    """One annotation that cannot be evaluated does not affect the others."""
    cls = type("Odd", (), {"__annotations__": {"x": "int", "y": "NotThere", "z": "InitVar[int]"}})

    assert annotations_of(cls, ["x"]) == {"x": int}
    with pytest.raises(NameError):
        annotations_of(cls, ["y"])


def test_attributes_are_found_at_any_depth_once() -> None:
    """In optional types, containers and named types; the same object counts once."""
    mask = Attribute(
        privacy=Privacy.MASK, brief="of this test alone"
    )  # `typing` keeps one object for equal annotations
    other = Attribute("other.name", brief="of this test alone")
    alias = NewType("alias", Annotated[str, mask])  # type: ignore[valid-newtype]

    assert attributes_in(Annotated[str, mask] | None) == [mask]
    assert attributes_in(dict[str, list[Annotated[str, mask]]]) == [mask]
    assert attributes_in(tuple[Annotated[str, mask], Annotated[int, mask]]) == [mask]
    assert attributes_in(list[alias]) == [mask]
    both = attributes_in(Annotated[list[Annotated[str, mask]], other])
    assert sorted(both, key=[mask, other].index) == [mask, other]
    assert attributes_in(int) == attributes_in(None) == attributes_in("text") == []


def test_alias_that_refers_to_itself_ends() -> None:
    """As ``type Tree = list[Tree]`` does."""
    alias = SimpleNamespace()
    alias.__value__ = tuple[Annotated[str, MASK], list[alias]]  # type: ignore[valid-type]

    assert attributes_in(alias) == attributes_in(Annotated[str, MASK])


def test_declared_privacy_lists_only_fields_that_affect_privacy() -> None:
    """A name alone does not; a masked field and an opt-in field do."""
    opt_in = Attribute("a.b", requirement="opt_in")
    cls = make_dataclass("C", [("a", Annotated[int, opt_in]), ("b", int), ("c", Annotated[int, Attribute("a.c")])])

    assert declared_privacy(cls) == {"a": opt_in}
    assert declared_privacy(Derived) == {"y": DROP}
    assert declared_privacy(int) == {}


def test_annotation_that_cannot_be_evaluated_counts_as_masked() -> None:
    """Its declaration may ask for privacy."""
    cls = dataclass(type("Odd", (), {"__annotations__": {"x": "NotThere[secret]", "y": "int"}}))

    assert declared_privacy(cls) == {"x": Attribute(privacy=Privacy.MASK)}


def test_init_var_is_not_a_field() -> None:
    """A value that the object does not keep cannot be exported."""
    cls = make_dataclass("C", [("x", int), ("y", InitVar[int])])

    assert field_names(cls) == ("x",)


def test_attribute_that_raises_is_none() -> None:
    """A property is code of the program, and may raise anything."""

    class Odd:
        x = 1

        @property
        def broken(self) -> Any:
            raise RuntimeError

    assert getattr_or_none(Odd(), "x") == 1
    assert getattr_or_none(Odd(), "broken") is None
    assert getattr_or_none(Odd(), "missing") is None


@pytest.mark.parametrize("cached", [field_names, declared_privacy])
def test_caches_of_classes_are_bounded(cached: Any) -> None:
    """A program that creates classes without end does not fill the memory."""
    assert cached.cache_info().maxsize == MAX_CACHED_CLASSES
    for index in range(MAX_CACHED_CLASSES + 10):
        cached(type(f"C{index}", (), {}))

    assert cached.cache_info().currsize <= MAX_CACHED_CLASSES
    cached.cache_clear()


def test_fields_of_frozen_and_slotted_dataclasses() -> None:
    """Fields are read in the same way from frozen dataclasses and from dataclasses with `__slots__`."""
    cls = dataclasses.make_dataclass("C", ["x"], frozen=True, slots=True)

    assert field_names(cls) == ("x",)
