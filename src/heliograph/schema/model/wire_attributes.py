"""The attributes that the fields of an event become: one attribute for each name on the wire."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from heliograph.events import Privacy
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    IntegerType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    inner_types,
    is_nullable,
    options_of,
    walk_types,
    without_null,
)
from heliograph.values.attributes import MAX_DEPTH, MAX_KEYS
from heliograph.values.privacy import PrivacyPolicy


@dataclass(frozen=True, kw_only=True)
class WireAttribute:
    """One attribute of an event, as its class declares it.

    Attributes:
        name: Its name on the wire; if the value is flattened by its own keys, their common prefix.
        path: Where its value is in the event's properties: ``order.total``.
        field: The field that it comes from.
        type: The type of the field, without `None`.
        required: Whether every event has it.
        privacy: What leaves of it, where the field or one around it says so; else plain.
    """

    name: str
    path: str
    field: FieldSchema
    type: Type
    required: bool
    privacy: Privacy

    @property
    def wire_type(self) -> str:
        """What arrives: ``string``, ``int``, ``double``, ``boolean``, one of these with ``[]``, or ``any``."""
        return "string" if self.privacy in {Privacy.MASK, Privacy.HASH} else wire_type(self.type)


def wire_attributes(fields: Iterable[FieldSchema], prefix: str) -> Iterator[WireAttribute]:
    """Yield the attributes that the fields of an event become, in order.

    Args:
        fields: The fields.
        prefix: The event's name on the wire.
    """
    for field in fields:
        yield from _wire_attributes(field, prefix, "", required=True, enclosing=None)


def _wire_attributes(
    field: FieldSchema, prefix: str, parent: str, *, required: bool, enclosing: Privacy | None
) -> Iterator[WireAttribute]:
    attribute, path = field.attribute_below(prefix), f"{parent}{field.name}"
    privacy = field.declared.privacy or enclosing or Privacy.PLAIN
    kind = without_null(field.type)
    is_there = required and field.requirement == "required"
    if isinstance(kind, ObjectType) and privacy is Privacy.PLAIN and expands(kind):
        for below in kind.fields:
            yield from _wire_attributes(
                below, attribute, f"{path}.", required=is_there, enclosing=field.declared.privacy
            )
    else:
        yield WireAttribute(name=attribute, path=path, field=field, type=kind, required=is_there, privacy=privacy)


def expands(kind: ObjectType) -> bool:
    """Whether each field of the class becomes attributes of its own: not too deep, not too many, not inside itself."""
    return kind.fields != () and 0 < _size(kind, 1, ()) <= MAX_KEYS


def _size(kind: Type, depth: int, parents: tuple[Type, ...]) -> int:
    """How many leaves there are; more than are allowed, where there is no end or no room."""
    kind = without_null(kind)
    if not isinstance(kind, ObjectType) or not kind.fields:
        return 1
    if depth == MAX_DEPTH + 1 or kind in parents:
        return MAX_KEYS + 1
    return sum(_size(field.type, depth + 1, (*parents, kind)) for field in kind.fields)


def privacy_by_path(
    fields: Iterable[FieldSchema], policy: PrivacyPolicy, prefix: str = "", parents: tuple[Type, ...] = ()
) -> Iterator[tuple[str, Privacy]]:
    """What may leave of the fields, and of those of the classes that they hold, however deep; by paths without indices.

    Below what is protected as a whole there is no path, nor in a class inside of itself.
    """
    for field in fields:
        path = f"{prefix}{field.name}"
        privacy = policy.privacy_of(field.declared, field.attribute, enclosing=Privacy.PLAIN if prefix else None)
        is_whole = privacy is not Privacy.PLAIN
        objects = [] if is_whole else [each for each in _objects(field.type) if each not in parents]
        for kind in objects:
            yield from privacy_by_path(kind.fields, policy, f"{path}.", (*parents, kind))
        if not objects:
            yield path, privacy


def _objects(kind: Type) -> Iterator[ObjectType]:
    """The classes with fields that a type holds, but for those inside of one another."""
    if isinstance(kind, ObjectType):
        yield kind
    else:
        for each in inner_types(kind):
            yield from _objects(each)


def has_names_inside(kind: Type) -> bool:
    """Whether a field inside of the type has an attribute name of its own."""
    return any(field.attribute for each in walk_types(kind) if isinstance(each, ObjectType) for field in each.fields)


@functools.singledispatch
def wire_type(kind: Type) -> str:  # noqa: ARG001 — those that are registered need it
    """What arrives of values of a type; ``any`` where that depends on the value, or is flattened by its own keys."""
    return "any"


_NAMES: Final = {BooleanType: "boolean", IntegerType: "int", NumberType: "double", StringType: "string"}


@wire_type.register(BooleanType)
@wire_type.register(IntegerType)
@wire_type.register(NumberType)
@wire_type.register(StringType)
def _(kind: Type) -> str:
    return _NAMES[type(kind)]


@wire_type.register
def _(kind: EnumType) -> str:
    names = {bool: "boolean", int: "int", float: "double", str: "string"}
    return _only({names[type(value)] for value in kind.values if value is not None})


@wire_type.register
def _(kind: ArrayType) -> str:
    items = kind.prefix if kind.items is None else (*kind.prefix, kind.items)
    if not items or any(isinstance(item, (AnyType, UnionType)) or is_nullable(item) for item in items):
        return "any"
    scalar = _only({"" if isinstance(item, ArrayType) else wire_type(item) for item in items})
    return f"{scalar}[]" if scalar in _NAMES.values() else "string"  # JSON text


@wire_type.register
def _(kind: UnionType) -> str:
    found = {wire_type(option) for option in options_of(without_null(kind))}
    return "double" if found == {"int", "double"} else _only(found)


def _only(found: set[str]) -> str:
    return found.pop() if len(found) == 1 else "any"
