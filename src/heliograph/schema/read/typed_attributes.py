"""Add a protected form to the attributes of an event by its declared type.

The functions that do so are made once for each field, when the class of the event is registered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Final

from typing_extensions import assert_never

from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    without_null,
)
from heliograph.schema.model.wire_attributes import becomes_json_text, expands, wire_type
from heliograph.values.attribute_names import AttributeNames
from heliograph.values.attributes import Attributes, add_attributes
from heliograph.values.plain import NotPlain
from heliograph.values.plain_attributes import put_dict_form
from heliograph.values.privacy import Protected
from heliograph.values.scalars import INT64_MAX, INT64_MIN
from heliograph.values.text import to_json

Adder = Callable[[Attributes, object], None]
"""A function that adds a protected form to attributes."""


def typed_adder(kind: Type, name: str, reserved: frozenset[str]) -> Adder:
    """Return the function that adds a form by its declared type: each field of a class under the name that it declares.

    A form of another type is added under the name of the whole value, as it is.

    Args:
        kind: The declared type.
        name: The name of the attribute, or the prefix of the names of several.
        reserved: Names that no key of a dict may take.
    """
    kind = without_null(kind)
    names = AttributeNames(name, reserved)
    in_wire_type = _wire_converter(kind)

    def add(attributes: Attributes, form: object) -> None:
        form = in_wire_type(form)
        if type(form) is str or type(form) is Protected:
            attributes[name] = str(form)
        elif type(form) is dict:
            _add_dict(attributes, name, names, form, reserved)
        else:
            add_attributes(attributes, name, form, reserved=reserved)

    return _object_adder(kind, name, reserved, add) if isinstance(kind, ObjectType) and expands(kind) else add


def _add_dict(
    attributes: Attributes, name: str, names: AttributeNames, form: dict[str, object], reserved: frozenset[str]
) -> None:
    try:
        put_dict_form(attributes, names, form)
    except NotPlain:
        add_attributes(attributes, name, form, reserved=reserved)


def _object_adder(kind: ObjectType, name: str, reserved: frozenset[str], add_whole: Adder) -> Adder:
    adders = {field.name: typed_adder(field.type, field.attribute_below(name), reserved) for field in kind.fields}

    def add(attributes: Attributes, form: object) -> None:
        if not isinstance(form, dict):
            add_whole(attributes, form)
            return
        rest = dict(form)
        for key, add_field in adders.items():
            if key in rest:
                add_field(attributes, rest.pop(key))
        if rest:
            add_whole(attributes, rest)

    return add


def _wire_converter(kind: Type) -> Callable[[object], object]:
    """Return the function that makes an equal form in the one type that its attribute always has on the wire.

    A backend keeps one type per name.
    """
    match kind:
        case NumberType() | EnumType():
            return _number_converter(wire_type(kind))
        case UnionType() if becomes_json_text(kind):
            return lambda form: form if form is None or isinstance(form, str) else to_json(form)
        case UnionType():
            return _number_converter(wire_type(kind))
        case ArrayType() if wire_type(kind) == "string":
            # An empty list of lists, too, though it could be an array.
            return lambda form: to_json(form) if isinstance(form, list) else form
        case ArrayType():
            return _array_converter(kind)
        case MapType() if kind.is_json_text:
            return lambda form: form if not isinstance(form, dict) else to_json(form) if form else None
        case AnyType() | NullType() | BooleanType() | StringType() | MapType() | ObjectType():
            return _unchanged
        case _:
            assert_never(kind)


def _number_converter(wire: str) -> Callable[[object], object]:
    """Return the function that makes numbers of the one class that a type on the wire has, in a list, too."""
    convert = _NUMBERS.get(wire.removesuffix("[]"), _unchanged)
    if convert is _unchanged or not wire.endswith("[]"):
        return convert
    return lambda form: [convert(item) for item in form] if isinstance(form, list) else form


def _integer_of(form: object) -> object:
    """Return the integer that a number equals. One that 64 bits cannot hold stays as it is: the SDK would drop it."""
    if not isinstance(form, float) or not form.is_integer():
        return form
    integer = int(form)
    return integer if INT64_MIN <= integer <= INT64_MAX else form


def _double_of(form: object) -> object:
    """Return the float that an integer equals."""
    return float(form) if type(form) is int and float(form) == form else form


_NUMBERS: Final[Mapping[str, Callable[[object], object]]] = {"int": _integer_of, "double": _double_of}


def _array_converter(kind: ArrayType) -> Callable[[object], object]:
    first = [_wire_converter(each) for each in kind.prefix]
    other = _wire_converter(kind.items or AnyType())
    if not first and other is _unchanged:
        return _unchanged

    def convert(form: object) -> object:
        if not isinstance(form, list):
            return form
        converters = itertools.chain(first, itertools.repeat(other))
        return [in_wire_type(item) for in_wire_type, item in zip(converters, form)]

    return convert


def _unchanged(form: object) -> object:
    return form
