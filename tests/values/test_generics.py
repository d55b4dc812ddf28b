"""Type parameters of classes have the arguments that a subclass or an alias gives them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import msgspec
import pytest
import typing_extensions

from heliograph import Attribute, Privacy
from heliograph.values.generics import annotated, annotations_of, bind, class_of, is_generic, meaning_of, substitute

T = TypeVar("T")
U = TypeVar("U")
Secret = Annotated[str, Attribute(privacy=Privacy.MASK)]


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Labelled(Box[list[U]], Generic[U]):
    label: U


@dataclass
class Leaf(Labelled[Secret]):
    pass


@dataclass
class Plain(Box[int]):
    pass


@dataclass
class Both(Plain, Box[Secret]):  # type: ignore[misc]  # mypy wants one argument
    pass


@dataclass
class Leftmost(Box[Secret]):
    pass


@dataclass
class Bare(Box):  # type: ignore[type-arg]
    pass


class Twice(Leftmost, Box[Secret]):
    pass


class Once(Leftmost, Bare):
    pass


@dataclass
class Union(Generic[T, U]):
    either: T | list[U] | None
    both: dict[str, tuple[T, U]]


class Struct(msgspec.Struct, Generic[T]):
    x: T


class Masked(Struct[Secret]):
    pass


class Options(typing_extensions.TypedDict, Generic[T]):
    size: T


class More(Options[Secret]):
    color: str


class Open(TypedDict):
    size: int


def test_arguments_of_an_alias() -> None:
    """An argument replaces its parameter, at any depth of the annotation."""
    assert annotations_of(Box[Secret], ["content"]) == {"content": Secret}
    assert annotations_of(Union[int, Secret], ["either", "both"]) == {
        "either": int | list[Secret] | None,
        "both": dict[str, tuple[int, Secret]],
    }


def test_arguments_of_a_base() -> None:
    """Arguments pass through any number of classes, each with parameters of its own."""
    assert annotations_of(Leaf, ["content", "label"]) == {"content": list[Secret], "label": Secret}
    assert annotations_of(Labelled[int], ["content", "label"]) == {"content": list[int], "label": int}
    assert annotations_of(Masked, ["x"]) == {"x": Secret}


def test_parameter_without_an_argument_stays() -> None:
    """A parameter that no class and no alias names an argument for stays as it is."""
    assert annotations_of(Box, ["content"]) == {"content": T}
    assert annotations_of(Labelled, ["content"]) == {"content": list[U]}


def test_base_that_is_inherited_with_two_arguments() -> None:
    """Either may be meant, so a private one is not lost."""
    assert annotations_of(Both, ["content"]) == {"content": int | Secret}


def test_base_that_is_inherited_twice_with_one_argument() -> None:
    """A base without an argument adds nothing to it."""
    assert annotations_of(Twice, ["content"]) == annotations_of(Once, ["content"]) == {"content": Secret}


def test_typed_dicts() -> None:
    """The bases of a `TypedDict` are found, although they are not among its `__mro__`."""
    assert annotations_of(More, ["size", "color"]) == {"size": Secret, "color": str}
    assert annotations_of(Options[int], ["size"]) == {"size": int}
    assert annotations_of(Open, ["size", "other"]) == {"size": int}


def test_field_without_a_type() -> None:
    """`make_dataclass` writes "typing.Any" for such a field, which every module can evaluate."""
    assert annotations_of(make_dataclass("Free", ["x"]), ["x"]) == {"x": Any}


def test_hint_without_a_class_has_no_annotations() -> None:
    """A type parameter is no class, and has no annotations."""
    assert annotations_of(T, ["x"]) == {}
    assert class_of(T) is None
    assert class_of(Box[int]) is class_of(Box) is Box


def test_is_generic() -> None:
    """A class without parameters of its own is not, although its base is."""
    assert [is_generic(cls) for cls in (Box, Labelled, Leaf, int)] == [True, True, False, False]


def test_parameters_for_several_types() -> None:
    """A `TypeVarTuple` takes what the others do not."""
    several: Any = typing_extensions.TypeVarTuple("several")

    assert bind((T, several, U), (int, str, float, bool)) == {T: (int,), several: (str, float), U: (bool,)}
    assert bind((T, several, U), (int, bool)) == {T: (int,), several: (), U: (bool,)}
    assert bind((T, U), (int,)) == {T: (int,)}


def test_substitute() -> None:
    """A hint without the parameter, and a class that has it as its own, are unchanged."""
    bindings = {T: (int,)}

    assert substitute(T, bindings) is int
    assert substitute(list[T], bindings) == list[int]
    assert [substitute(hint, bindings) for hint in (str, Box, list[U], Any, None, "text")] == [
        str,
        Box,
        list[U],
        Any,
        None,
        "text",
    ]


@pytest.mark.parametrize(
    ("parameter", "meaning"),
    [
        (TypeVar("A"), Any),
        (TypeVar("B", bound=int), int),
        (TypeVar("C", int, str), int | str),
        (typing_extensions.TypeVar("D", default=Secret), Secret),
        (typing_extensions.TypeVar("E", bound=int), int),
    ],
    ids=str,
)
def test_meaning_of_a_parameter_without_an_argument(parameter: Any, meaning: object) -> None:
    """A parameter alone means its default, its bound, its constraints, or anything."""
    assert meaning_of(parameter) == meaning


def test_annotated() -> None:
    """Metadata is added as `Annotated` adds it."""
    assert annotated(int, ("note", 1)) == Annotated[int, "note", 1]
    assert annotated(int, ()) is int


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is Python 3.12's")
def test_parameters_of_the_new_syntax() -> None:
    """The names of such parameters are known inside of the class alone."""
    source = """
from __future__ import annotations
from dataclasses import dataclass
@dataclass
class Box[T]:
    content: list[T]
class Leaf(Box[Secret]):
    pass
type Pair[T] = tuple[T, T]
"""
    names: dict[str, Any] = {"Secret": Secret, "__name__": __name__}
    exec(compile(source, "<source>", "exec", dont_inherit=True), names)

    assert annotations_of(names["Leaf"], ["content"]) == {"content": list[Secret]}
    assert annotations_of(names["Box"][int], ["content"]) == {"content": list[int]}


@dataclass
class Base:
    x: int
    y: str


@dataclass
class Derived(Base):
    y: bytes  # type: ignore[assignment]


def test_annotations_are_those_of_the_nearest_class() -> None:
    """A subclass can annotate an inherited field again."""
    annotations = annotations_of(Derived, ["x", "y"])

    assert annotations == {"x": int, "y": bytes}


def test_annotations_that_are_not_asked_for_are_not_evaluated() -> None:
    """One annotation that cannot be evaluated does not affect the others."""
    cls = type("Odd", (), {"__annotations__": {"x": "int", "y": "NotThere", "z": "InitVar[int]"}})

    assert annotations_of(cls, ["x"]) == {"x": int}
    with pytest.raises(NameError):
        annotations_of(cls, ["y"])
