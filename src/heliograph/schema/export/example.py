"""Make example values that fit the schema of an event.

Declared examples are used first. Otherwise an example is made from the type: a few candidates are tried against the
validation, and the first valid one is used. There are two known limits: not every pattern leads to a text that it matches, and
a dict that must have several keys has one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from typing_extensions import assert_never

from heliograph.schema.export.matching_texts import matching_texts
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    Format,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    walk_types,
    without_null,
)
from heliograph.schema.read.validation import violations_of
from heliograph.values.forms import form_of

_TEXTS: Final = {
    Format.DATE_TIME: ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
    Format.DATE: ("2026-01-02",),
    Format.TIME: ("03:04:05Z", "03:04:05"),
    Format.DURATION: ("PT1M30S",),
    Format.DECIMAL: ("12.50",),
    Format.UUID: ("0d5f7b0e-6c2a-4f0b-9f6e-3d1a2b4c5d6e",),
    Format.BASE64: ("aGVsaW9ncmFwaA==", "aGVsaW8=", "aGk=", ""),
}
"""For each format, candidates; a declared pattern (such as that of a time with an offset) or length may exclude some."""


def example_properties(fields: Iterable[FieldSchema]) -> dict[str, object]:
    """Return an example of each field, as a form: the first declared example that is valid, else one made from its type.

    A text without a declared example is the field's name in angle brackets, or a text that matches the field's pattern.
    """
    return {field.name: _example_of_field(field) for field in fields}


def _example_of_field(field: FieldSchema, parents: tuple[Type, ...] = ()) -> object:
    for each in field.declared.examples:
        form = form_of(each)
        if not any(violations_of(form, field.type, field.name)):
            return form
    return _example_of_type(without_null(field.type), field.name, parents)


def _example_of_type(kind: Type, name: str, parents: tuple[Type, ...]) -> object:
    """Return an example of a type.

    Args:
        kind: The type.
        name: The name of the field, used in texts.
        parents: The classes around it. An example of one of them would hold itself, and never end.
    """
    match kind:
        case AnyType():
            return f"<{name}>"
        case NullType():
            return None
        case BooleanType():
            return True
        case IntegerType() | NumberType():
            return _number(kind)
        case StringType():
            return _text(kind, name)
        case EnumType():
            return next((value for value in kind.values if value is not None), None)
        case ArrayType():
            return _list(kind, name, parents)
        case MapType():
            return _dict(kind, name, parents)
        case ObjectType():
            return _object(kind, parents)
        case UnionType():
            return _example_of_type(_finite_option(kind, parents), name, parents)
        case _:
            assert_never(kind)


def _finite_option(kind: UnionType, parents: tuple[Type, ...]) -> Type:
    """Return the first option that holds none of the classes around it; otherwise a list or dict, which can be empty."""
    finite = (each for each in kind.options if not any(inner in parents for inner in walk_types(each)))
    can_be_empty = (each for each in kind.options if isinstance(each, (ArrayType, MapType)))
    return next(finite, None) or next(can_be_empty, kind.options[0])


def _first_valid(kind: Type, candidates: Sequence[object]) -> object:
    """Return the first candidate that is valid, or the first one if none is."""
    valid = (each for each in candidates if not any(violations_of(each, kind, "")))
    return next(valid, candidates[0])


def _number(kind: NumberType) -> object:
    """Return the first valid one of 1.5, the middle between the bounds, and the multiples next to 1 and to each bound."""
    bounds = [bound for bound in (kind.ge, kind.gt, kind.le, kind.lt) if bound is not None]
    step = kind.multiple_of or 1
    near = [multiple * step for each in (1, *bounds) for multiple in _integers_around(each / step)]
    return _first_valid(kind, near if isinstance(kind, IntegerType) else (1.5, sum(bounds) / 2, *near))


def _integers_around(value: float) -> tuple[int, int, int, int]:
    return math.floor(value), math.ceil(value), math.floor(value) - 1, math.ceil(value) + 1


def _text(kind: StringType, name: str) -> object:
    if kind.format is not None:
        return _first_valid(kind, _TEXTS[kind.format])
    text = f"<{name}>".ljust(kind.min_length or 0, "…")[: kind.max_length]
    made = (each for pattern in kind.patterns for each in matching_texts(pattern, kind.min_length or 0))
    return _first_valid(kind, (text, "1", *made))


def _list(kind: ArrayType, name: str, parents: tuple[Type, ...]) -> object:
    items = [_example_of_type(without_null(each), name, parents) for each in kind.prefix]
    if kind.items is not None and not any(each in parents for each in walk_types(kind.items)):
        wanted = max(kind.min_length or 0, 1 if kind.max_length is None else min(1, kind.max_length))
        items += [_example_of_type(without_null(kind.items), name, parents)] * (wanted - len(items))
    return items


def _dict(kind: MapType, name: str, parents: tuple[Type, ...]) -> object:
    if kind.max_length == 0 or any(each in parents for each in walk_types(kind.values)):
        return {}
    key = str(_example_of_type(kind.keys, "key", parents))
    return {key: _example_of_type(without_null(kind.values), name, parents)}


def _object(kind: ObjectType, parents: tuple[Type, ...]) -> object:
    if kind in parents:
        # The class cannot exist without another instance of itself: no example of it is complete.
        return {}
    inside = (*parents, kind)
    return {
        field.name: _example_of_field(field, inside)
        for field in kind.fields
        # Omitting an optional field ends the recursion.
        if field.required or without_null(field.type) not in inside
    }
