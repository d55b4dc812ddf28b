"""Each field of an event class is read from its annotation, or rejected with an error that names the problem and the fix."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest

from heliograph import Attribute, Deprecated, Event, Privacy, SchemaError
from heliograph.schema.compile.event_class import compile_schema
from heliograph.semconv import ACTOR_ONLY
from schema.compile.test_event_class import rejection
from schema.placed_event import Customer


def event_class(**annotations: Any) -> type:
    return make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})


def test_annotation_that_cannot_be_evaluated_is_rejected() -> None:
    """The error names the class and the missing name."""
    cls = type("Unreadable", (Event,), {"__annotations__": {"x": "NotThere"}, "name": "x", "x": None})

    assert "NotThere" in rejection(dataclass(cls))


def test_field_without_a_type_is_rejected() -> None:
    """The error names the field."""
    cls = make_dataclass("Odd", [("x", 7)], bases=(Event,), namespace={"name": "odd"})

    assert "'x'" in rejection(cls)


@pytest.mark.parametrize(
    ("hint", "problem"),
    [
        (Annotated[str, Attribute("db.namespase")], "db.namespace"),
        (Annotated[int, Attribute("db.namespace")], "as string, not int"),
        (Annotated[str, Attribute("Bad Name")], "'Bad Name' is not an attribute name"),
        (Annotated[str, Attribute("single")], "with a namespace"),
        (Annotated[str, Attribute("heliograph.x")], "reserved for heliograph"),
        (Annotated[str, Attribute("log.record.uid")], "reserved for heliograph"),
        (Annotated[str, Attribute(requirement="sometimes")], "conditionally_required: <when>"),
        (Annotated[str, Attribute(requirement="conditionally_required: ")], "conditionally_required: <when>"),
        (Annotated[str | None, Attribute(requirement="required")], "is required, but may be None"),
        (Annotated[str, Attribute(privacy="secret")], "use one of Privacy"),  # type: ignore[arg-type]
        (Annotated[str, Attribute(deprecated=Deprecated(emit_both=True))], "renamed_to"),
        (Annotated[str, Attribute(deprecated="old")], "write Deprecated"),  # type: ignore[arg-type]
        (Annotated[str, Attribute(deprecated=Deprecated(renamed_to="X"))], "'X' is not an attribute name"),
        (list[Customer], "attribute names of their own"),
        (dict[tuple[int, int], str], "keys"),
    ],
)
def test_declaration_that_contradicts_itself_is_rejected(hint: Any, problem: str) -> None:
    """The error names the field, the problem and the fix."""
    reason = rejection(event_class(x=hint))

    assert "'x'" in reason
    assert problem in reason


def test_two_attributes_in_one_annotation_are_rejected() -> None:
    """No rule would say which of the two applies."""
    hint = Annotated[list[Annotated[str, Attribute(privacy=Privacy.MASK)]], Attribute(privacy=Privacy.PLAIN)]
    with pytest.raises(SchemaError, match="more than one `Attribute`"):
        compile_schema(make_dataclass("E", [("a", hint)], bases=(Event,), namespace={"name": "e"}), namespace="app")


def test_declarations_inside_of_a_class_are_checked() -> None:
    """A field of a nested class follows the rules of a field of the event, and cannot be emitted under two names."""
    both = Attribute(deprecated=Deprecated(renamed_to="a.b", emit_both=True))
    for attribute, problem in ((Attribute("Bad"), "is not an attribute name"), (both, "remove emit_both")):
        inner = make_dataclass("Inner", [("y", Annotated[str, attribute])])
        assert problem in rejection(event_class(x=inner))


# Attributes of the actor


@dataclass
class Subject:
    id: Annotated[str, Attribute("user.id", brief="Who it is.")]
    size: int = 1


@pytest.mark.parametrize("name", sorted(ACTOR_ONLY))
def test_a_field_named_like_an_attribute_of_the_actor_is_below_the_event(name: str) -> None:
    """`user.*` always means the actor. The rest of the declaration stays."""
    kind: Any = list[str] if name == "user.roles" else str
    hint = Annotated[kind, Attribute(name, brief="b", privacy=Privacy.MASK)]
    cls = make_dataclass("Grant", [("who", hint)], bases=(Event,), namespace={"name": "grant"})

    [field] = compile_schema(cls, namespace="acl").fields or ()

    assert (field.attribute, field.actor_attribute) == ("acl.grant.who", name)
    assert (field.declared.name, field.declared.brief, field.declared.privacy) == (None, "b", Privacy.MASK)


def test_an_inner_field_named_like_an_attribute_of_the_actor_is_below_its_field() -> None:
    """The name in every export is the one on the wire."""
    cls = make_dataclass("Grant", [("who", Subject)], bases=(Event,), namespace={"name": "grant"})
    schema = compile_schema(cls, namespace="acl")

    assert [each.name for each in schema.wire_attributes()] == ["acl.grant.who.id", "acl.grant.who.size"]
    assert [each.name for each in schema.fields_named_like_the_actor()] == ["id"]


def test_a_field_cannot_be_renamed_to_an_attribute_of_the_actor() -> None:
    """The new name would not be what the annotation announces."""
    hint = Annotated[str, Attribute("acl.who", deprecated=Deprecated(renamed_to="user.id"))]
    cls = make_dataclass("Grant", [("who", hint)], bases=(Event,), namespace={"name": "grant"})

    with pytest.raises(SchemaError, match=r"'who' cannot be renamed to 'user\.id', which always means the actor"):
        compile_schema(cls, namespace="acl")
