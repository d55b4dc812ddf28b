"""Unregistered subclasses and aliases have the contract of the registered class, and the privacy that they declare."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any, Generic, TypeVar

from heliograph import Attribute, Deprecated, Event, Privacy
from heliograph.schema.compile.derived import inherit_schema, masked_schema, specialize_schema
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema

T = TypeVar("T")
Secret = Annotated[str, Attribute(privacy=Privacy.HASH)]


@dataclass
class BoxEvent(Event, Generic[T], deprecated=Deprecated(renamed_to="app.crate", emit_both=True)):
    name = "box"
    content: T
    size: int = 1


def privacies(schema: EventSchema) -> list[Privacy | None]:
    """Return the declared privacy of each field."""
    return [field.declared.privacy for field in schema.fields or ()]


def test_inherited_schema_keeps_the_contract_of_the_ancestor() -> None:
    """The subclass adds fields. It is not declared, and its new name is not emitted."""

    @dataclass
    class ParentEvent(Event, deprecated=Deprecated(renamed_to="app.new", emit_both=True)):
        name = "parent"
        x: Annotated[int, Attribute("a.x")]

    @dataclass
    class ChildEvent(ParentEvent):
        name = "child"
        y: int = 1

    class Plain(ParentEvent):
        pass

    parent = compile_schema(ParentEvent, namespace="app")
    child = inherit_schema(ChildEvent, parent)
    assert (parent.is_declared, parent.renamed is not None) == (True, True)
    assert (child.event_name, child.is_declared, child.renamed) == ("app.parent", False, None)
    assert [each.attribute for each in child.fields or ()] == ["a.x", "app.parent.y"]
    assert inherit_schema(Plain, parent).fields == parent.fields


def test_unreadable_subclass_keeps_the_fields_of_the_ancestor() -> None:
    """The one that it declares again is masked, because its declaration may ask for that."""
    parent = compile_schema(BoxEvent, namespace="app")
    child: Any = make_dataclass("Child", [("content", "NotThere")], bases=(BoxEvent,))

    inherited = inherit_schema(child, parent)

    assert [field.name for field in inherited.fields or ()] == ["content", "size"]
    assert privacies(inherited) == [Privacy.MASK, None]


def test_masked_schema_has_no_field_in_plain() -> None:
    """An event with this schema is not emitted under its new name, either."""
    masked = masked_schema(compile_schema(BoxEvent, namespace="app"))

    assert privacies(masked) == [Privacy.MASK, Privacy.MASK]
    assert (masked.is_declared, masked.renamed) == (False, None)


def test_alias_has_the_privacy_of_its_arguments() -> None:
    """The privacy is the same under both names of the event."""
    specialized = specialize_schema(compile_schema(BoxEvent, namespace="app"), BoxEvent[Secret])

    assert specialized.renamed is not None
    assert privacies(specialized) == privacies(specialized.renamed) == [Privacy.HASH, None]


def test_alias_without_a_schema_is_masked() -> None:
    """No schema can be made of the argument of the alias."""
    specialized = specialize_schema(compile_schema(BoxEvent, namespace="app"), BoxEvent[dict[tuple[int, int], str]])

    assert privacies(specialized) == [Privacy.MASK, Privacy.MASK]
