"""The fields of classes and the declarations in their annotations."""

from __future__ import annotations

import dataclasses
from dataclasses import InitVar, dataclass, make_dataclass
from types import SimpleNamespace
from typing import Annotated, Any, Generic, NewType, TypedDict, TypeVar

import attrs
import msgspec
import pytest

from heliograph import Attribute, Privacy
from heliograph.values.generics import annotations_of
from heliograph.values.introspect import (
    MAX_CACHED_CLASSES,
    attributes_in,
    declared_privacy,
    field_names,
    getattr_or_none,
    merge_attributes,
    type_of,
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
    """They are found in optional types, containers and named types; the same object counts once."""
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
    """An example is ``type Tree = list[Tree]``."""
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


T = TypeVar("T")
Secret = Annotated[str, MASK]


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class SecretBox(Box[Secret]):
    pass


@dataclass(frozen=True)
class FrozenBox(Generic[T]):
    content: T


def test_privacy_through_a_type_parameter() -> None:
    """It holds as if the class had declared it, in a subclass and in an alias."""
    assert declared_privacy(SecretBox) == declared_privacy(Box[Secret]) == {"content": MASK}
    assert declared_privacy(Box) == declared_privacy(Box[int]) == {}


def test_privacy_of_an_alias_that_cannot_be_hashed() -> None:
    """Examples may be a list."""
    odd = Attribute(privacy=Privacy.MASK, examples=["a"])

    assert declared_privacy(Box[Annotated[str, odd]]) == {"content": odd}


def test_privacy_by_the_default_of_a_parameter() -> None:
    """A parameter without an argument means its default or its bound."""
    bound = TypeVar("bound", bound=Annotated[str, MASK])  # type: ignore[valid-type]

    assert attributes_in(list[bound]) == [MASK]  # type: ignore[valid-type]


def test_declarations_inside_of_a_generic_class_belong_to_its_fields() -> None:
    """The field itself is not private, but an object that has it is, as long as it does not know the argument."""
    assert attributes_in(Box[Secret], in_arguments=False) == []
    assert attributes_in(list[Secret], in_arguments=False) == attributes_in(Box[Secret]) == [MASK]


class SlottedBox(Generic[T]):
    __slots__ = ("content",)


def test_type_of_a_value() -> None:
    """The alias that made it, if the value knows it."""
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


def test_declarations_are_merged() -> None:
    """The later name, the stricter privacy; an opt-in is not forgotten."""
    merged = merge_attributes(
        [Attribute("a.b", brief="first", privacy=Privacy.DROP), Attribute("a.c", privacy=Privacy.MASK)]
    )

    assert merged == Attribute("a.c", brief="first", privacy=Privacy.DROP)
    assert (
        merge_attributes([Attribute(requirement="opt_in"), Attribute(requirement="required")]).requirement == "opt_in"
    )
    assert merge_attributes([]) == Attribute()
