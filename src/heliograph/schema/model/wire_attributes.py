"""Derive the attributes that the fields of an event become on the wire, with their names, types and privacy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import assert_never

from heliograph.events import Privacy
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    IntegerType,
    MapType,
    NullType,
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
        name: Its name on the wire. If the value is a dict with open keys, the common prefix of the names of all keys.
        path: The path to its value in the event's properties, such as ``order.total``.
        field: The field that it comes from.
        type: The type of the field, without `None`.
        required: True if every valid event has it.
        privacy: The privacy that the field declares, or a field that it is inside of; plain if none does.
    """

    name: str
    path: str
    field: FieldSchema
    type: Type
    required: bool
    privacy: Privacy

    @property
    def wire_type(self) -> str:
        """Its type on the wire: ``string``, ``int``, ``double``, ``boolean``, one of these with ``[]``, or ``any``."""
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
    is_required = required and field.requirement == "required"
    if isinstance(kind, ObjectType) and privacy is Privacy.PLAIN and expands(kind):
        for below in kind.fields:
            yield from _wire_attributes(
                below, attribute, f"{path}.", required=is_required, enclosing=field.declared.privacy
            )
    else:
        yield WireAttribute(name=attribute, path=path, field=field, type=kind, required=is_required, privacy=privacy)


def expands(kind: ObjectType) -> bool:
    """Return True if each field of the class becomes attributes of its own.

    It does not if there are too many or too deep ones, or if the class is inside of itself. The value is then flattened by
    its keys, within the bounds of `heliograph.values.attributes`.
    """
    return kind.fields != () and 0 < _size(kind, 1, ()) <= MAX_KEYS


def _size(kind: Type, depth: int, parents: tuple[Type, ...]) -> int:
    """Return the number of attributes, or more than are allowed if the class is inside of itself or too deep."""
    kind = without_null(kind)
    if not isinstance(kind, ObjectType) or not kind.fields:
        return 1
    if depth == MAX_DEPTH + 1 or kind in parents:
        return MAX_KEYS + 1
    return sum(_size(field.type, depth + 1, (*parents, kind)) for field in kind.fields)


def privacy_by_path(
    fields: Iterable[FieldSchema], policy: PrivacyPolicy, prefix: str = "", parents: tuple[Type, ...] = ()
) -> Iterator[tuple[str, Privacy]]:
    """Yield the privacy of each field, and of each field inside of it, at any depth.

    A path has no indices, so that ``lines.sku`` is the path of the field ``sku`` of every item of ``lines``. A field that is
    protected as a whole has no paths below it. A class inside of itself is listed once.
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
    """Yield the classes with fields in a type, without the classes inside of those."""
    if isinstance(kind, ObjectType):
        yield kind
    else:
        for each in inner_types(kind):
            yield from _objects(each)


def has_names_inside(kind: Type) -> bool:
    """Return True if a field inside of the type declares an attribute name of its own."""
    return any(field.attribute for each in walk_types(kind) if isinstance(each, ObjectType) for field in each.fields)


def wire_type(kind: Type) -> str:
    """Return the type that values of a type have on the wire.

    It is ``any`` if it depends on the value, or if the value is a dict, which is flattened by its own keys.
    """
    match kind:
        case BooleanType():
            return "boolean"
        case IntegerType():
            return "int"
        case NumberType():
            return "double"
        case StringType():
            return "string"
        case EnumType():
            return _one_type({_SCALARS[type(value)] for value in kind.values if value is not None})
        case ArrayType():
            return _array_wire_type(kind)
        case UnionType() if becomes_json_text(kind):
            return "string"
        case UnionType():
            return _one_type({wire_type(option) for option in options_of(without_null(kind))})
        case MapType() if kind.is_json_text:
            return "string"
        case AnyType() | NullType() | MapType() | ObjectType():
            return "any"
        case _:
            assert_never(kind)


_SCALARS: Final[Mapping[type, str]] = {bool: "boolean", int: "int", float: "double", str: "string"}


def becomes_json_text(kind: Type) -> bool:
    """Return True if a union has an option that is a class or a dict, beside other options than `None` and `Any`.

    The names of attributes must not depend on the option that a value happens to have, so the value is one JSON text.
    """
    options = options_of(without_null(kind))
    return (
        len(options) > 1
        and any(isinstance(option, (ObjectType, MapType)) for option in options)
        and not any(isinstance(option, AnyType) for option in options)
    )


def _array_wire_type(kind: ArrayType) -> str:
    items = kind.prefix if kind.items is None else (*kind.prefix, kind.items)
    if items and (all(map(_is_never_scalar, items)) or any(map(_is_never_scalar, kind.prefix))):
        return "string"  # the array becomes JSON text
    if not items or any(isinstance(item, (AnyType, UnionType)) or is_nullable(item) for item in items):
        return "any"
    scalar = _only({"" if isinstance(item, ArrayType) else wire_type(item) for item in items})
    return f"{scalar}[]" if scalar in _SCALARS.values() else "string"


def _is_never_scalar(kind: Type) -> bool:
    """Return True if an array of values of a type always becomes JSON text."""
    return becomes_json_text(kind) or all(
        isinstance(option, (ArrayType, MapType, ObjectType)) for option in options_of(without_null(kind))
    )


def _one_type(found: set[str]) -> str:
    """Return the one type that values of several have. Every integer becomes a double if there are doubles, too."""
    return "double" if found == {"int", "double"} else _only(found)


def _only(found: set[str]) -> str:
    return found.pop() if len(found) == 1 else "any"
