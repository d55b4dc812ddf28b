"""An example of an event: properties that fit its schema, as far as the class says enough to know some."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Final

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


def example_properties(fields: Iterable[FieldSchema]) -> dict[str, object]:
    """The form of each field: the first example that is declared and fits, or one made of its type.

    A text that has to match a pattern, and has no example, stands as its name in angle brackets.
    """
    return {field.name: _of_field(field) for field in fields}


def _of_field(field: FieldSchema, parents: tuple[Type, ...] = ()) -> object:
    for each in field.declared.examples:
        form = form_of(each)
        if not any(violations_of(form, field.type, field.name)):
            return form
    return _example(without_null(field.type), field.name, parents)


@functools.singledispatch
def _example(kind: Type, name: str, parents: tuple[Type, ...]) -> object:
    raise NotImplementedError(kind)


@_example.register
def _(kind: AnyType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    return f"<{name}>"


@_example.register
def _(kind: NullType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    return None


@_example.register
def _(kind: BooleanType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    return True


@_example.register(IntegerType)
@_example.register(NumberType)
def _(kind: NumberType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    first = 1 if isinstance(kind, IntegerType) else 1.5
    bounds = [bound for bound in (kind.ge, kind.gt, kind.le, kind.lt) if bound is not None]
    step = kind.multiple_of or 1
    middle = [sum(bounds) / 2] if len(bounds) > 1 else []
    near = [multiple * step for each in (first, *bounds) for multiple in _around(each / step)]
    return _first_fitting(kind, (first, *middle, *near))


def _first_fitting(kind: Type, candidates: Sequence[object]) -> object:
    """The first candidate that fits, else the first."""
    fitting = (each for each in candidates if not any(violations_of(each, kind, "")))
    return next(fitting, candidates[0])


def _around(value: float) -> tuple[int, int, int, int]:
    return math.floor(value), math.ceil(value), math.floor(value) - 1, math.ceil(value) + 1


@_example.register
def _(kind: StringType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    if kind.format is not None:
        return _first_fitting(kind, _TEXTS[kind.format])
    text = f"<{name}>".ljust(kind.min_length or 0, "…")[: kind.max_length]
    return _first_fitting(kind, (text, "1"))


@_example.register
def _(kind: EnumType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    return next((value for value in kind.values if value is not None), None)


@_example.register
def _(kind: ArrayType, name: str, parents: tuple[Type, ...]) -> object:
    items = [_example(without_null(each), name, parents) for each in kind.prefix]
    if kind.items is not None and not any(each in parents for each in walk_types(kind.items)):
        wanted = max(kind.min_length or 0, 1 if kind.max_length is None else min(1, kind.max_length))
        items += [_example(without_null(kind.items), name, parents)] * (wanted - len(items))
    return items


@_example.register
def _(kind: MapType, name: str, parents: tuple[Type, ...]) -> object:
    if kind.max_length == 0 or any(each in parents for each in walk_types(kind.values)):
        return {}
    return {str(_example(kind.keys, "key", parents)): _example(without_null(kind.values), name, parents)}


@_example.register
def _(kind: ObjectType, name: str, parents: tuple[Type, ...]) -> object:  # noqa: ARG001
    inside = (*parents, kind)
    return {
        field.name: _of_field(field, inside)
        for field in kind.fields
        if field.required or without_null(field.type) not in inside
    }


@_example.register
def _(kind: UnionType, name: str, parents: tuple[Type, ...]) -> object:
    return _example(kind.options[0], name, parents)
