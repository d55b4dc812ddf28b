"""Declarations are found at any depth of an annotation, and through the type parameters of a class."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from types import SimpleNamespace
from typing import Annotated, NewType, TypeVar

from heliograph import Attribute, Privacy
from heliograph.values.declared_attributes import attributes_in, declared_privacy, merge_declarations
from heliograph.values.stored import MAX_CACHED_CLASSES
from values.boxes import Box
from values.test_fields import DROP, MASK, Derived, Secret


def test_attributes_are_found_at_any_depth_once() -> None:
    """Optional types, containers and named types are searched; the same object counts once."""
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
    """A declaration in such an annotation may ask for privacy."""
    cls = dataclass(type("Odd", (), {"__annotations__": {"x": "NotThere[secret]", "y": "int"}}))

    assert declared_privacy(cls) == {"x": Attribute(privacy=Privacy.MASK)}


def test_cache_is_bounded() -> None:
    """A program that creates classes without end does not fill the memory."""
    assert declared_privacy.cache_info().maxsize == MAX_CACHED_CLASSES
    for index in range(MAX_CACHED_CLASSES + 10):
        declared_privacy(type(f"C{index}", (), {}))

    assert declared_privacy.cache_info().currsize <= MAX_CACHED_CLASSES
    declared_privacy.cache_clear()


@dataclass
class SecretBox(Box[Secret]):
    pass


def test_privacy_through_a_type_parameter() -> None:
    """The argument of a subclass or of an alias counts as if the class had declared it."""
    assert declared_privacy(SecretBox) == declared_privacy(Box[Secret]) == {"content": MASK}
    assert declared_privacy(Box) == declared_privacy(Box[int]) == {}


def test_privacy_of_an_alias_that_cannot_be_hashed() -> None:
    """The examples of an attribute may be a list."""
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


def test_declarations_are_merged() -> None:
    """The later name, the stricter privacy; an opt-in is not forgotten."""
    merged = merge_declarations(
        [Attribute("a.b", brief="first", privacy=Privacy.DROP), Attribute("a.c", privacy=Privacy.MASK)]
    )

    assert merged == Attribute("a.c", brief="first", privacy=Privacy.DROP)
    assert (
        merge_declarations([Attribute(requirement="opt_in"), Attribute(requirement="required")]).requirement == "opt_in"
    )
    assert merge_declarations([]) == Attribute()
