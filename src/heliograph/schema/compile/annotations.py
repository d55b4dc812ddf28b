"""From the annotation of a field to its `Type`: msgspec reads it, and its model becomes ours."""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import typing
import uuid
from collections.abc import Mapping
from typing import Any, Final

from msgspec import inspect

from heliograph.events import Attribute
from heliograph.schema.model.types import (
    ZONED,
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
    options_of,
)
from heliograph.values.forms import form_of
from heliograph.values.introspect import annotations_of, attributes_in


class Unreadable(ValueError):
    """An annotation that has no type here."""


def read_type(hint: object) -> Type:
    """The type of what is annotated.

    Raises:
        Unreadable: Says what of the annotation cannot be used, and the mend.
    """
    return _read_class(hint) if isinstance(hint, type) else _read_hint(hint)


def _read_hint(hint: object) -> Type:
    try:
        found = inspect.type_info(hint)
    except Exception as error:  # msgspec says most of it by TypeError, but an annotation may do anything
        raise Unreadable(f"{error}; annotate it more simply, or as `Any`") from error
    return _Reader().read(found)


_read_class = functools.lru_cache(maxsize=1024)(_read_hint)  # one class is a field of many events


def attribute_of(hint: object) -> Attribute:
    """What the annotation says of the attribute: an empty `Attribute`, where it says nothing.

    Raises:
        Unreadable: It says more than one thing.
    """
    found = attributes_in(hint)
    if len(found) > 1:
        raise Unreadable("it has more than one `Attribute`; put one around the whole type of the field")
    return found[0] if found else Attribute()


class _Reader:
    """Reads one annotation; classes that hold themselves become one `ObjectType`."""

    def __init__(self) -> None:
        self._objects: dict[
            int, ObjectType
        ] = {}  # by msgspec's object, which is one for each `Box[int]` and `Box[str]`

    def read(self, found: inspect.Type) -> Type:
        while isinstance(found, inspect.Metadata):
            found = found.type
        return _read(found, self)

    def object_of(self, found: Any) -> ObjectType:
        """The type of a class with fields, as msgspec describes it."""
        if id(found) not in self._objects:
            python = typing.get_origin(found.cls) or found.cls
            self._objects[id(found)] = kind = ObjectType(python=python)
            hints = annotations_of(python, [field.name for field in found.fields])
            read = tuple(self._field(field, hints) for field in found.fields)
            object.__setattr__(kind, "fields", read)  # frozen from now on
        return self._objects[id(found)]

    def _field(self, field: Any, hints: Mapping[str, object]) -> FieldSchema:
        attribute = attribute_of(hints.get(field.name))
        if attribute.requirement == "opt_in" and attribute.name is None:
            raise Unreadable(
                f"its inner field {field.name!r} is opt_in and has no attribute name to opt in by; give it one"
            )
        return FieldSchema(
            name=field.name,
            attribute=attribute.name,
            type=self.read(field.type),
            required=field.required,
            declared=attribute,
        )


@functools.singledispatch
def _read(found: inspect.Type, reader: _Reader) -> Type:  # noqa: ARG001 — those that are registered need it
    raise Unreadable(
        f"{type(found).__name__.removesuffix('Type')} has no form in JSON; annotate it otherwise, or as `Any`"
    )


@_read.register(inspect.AnyType)
@_read.register(inspect.RawType)
@_read.register(inspect.CustomType)
def _(found: inspect.Type, reader: _Reader) -> Type:  # noqa: ARG001
    return AnyType()


@_read.register
def _(found: inspect.NoneType, reader: _Reader) -> Type:  # noqa: ARG001
    return NullType()


@_read.register
def _(found: inspect.BoolType, reader: _Reader) -> Type:  # noqa: ARG001
    return BooleanType()


@_read.register
def _(found: inspect.IntType, reader: _Reader) -> Type:  # noqa: ARG001
    return IntegerType(ge=found.ge, gt=found.gt, le=found.le, lt=found.lt, multiple_of=found.multiple_of)


@_read.register
def _(found: inspect.FloatType, reader: _Reader) -> Type:  # noqa: ARG001
    return NumberType(ge=found.ge, gt=found.gt, le=found.le, lt=found.lt, multiple_of=found.multiple_of)


@_read.register
def _(found: inspect.StrType, reader: _Reader) -> Type:  # noqa: ARG001
    patterns = () if found.pattern is None else (found.pattern,)
    return StringType(patterns=patterns, min_length=found.min_length, max_length=found.max_length)


@_read.register
def _(found: inspect.DateTimeType, reader: _Reader) -> Type:  # noqa: ARG001
    patterns = {None: (), True: (ZONED,), False: ("[Tt ][^Zz+-]*$",)}[found.tz]
    return StringType(format=Format.DATE_TIME, python=dt.datetime, patterns=patterns)


@_read.register
def _(found: inspect.TimeType, reader: _Reader) -> Type:  # noqa: ARG001
    patterns = {None: (), True: (ZONED,), False: ("^[^Zz+-]*$",)}[found.tz]
    return StringType(format=Format.TIME, python=dt.time, patterns=patterns)


_TEXTS: Final = {
    inspect.DateType: StringType(format=Format.DATE, python=dt.date),
    inspect.TimeDeltaType: StringType(format=Format.DURATION, python=dt.timedelta),
    inspect.DecimalType: StringType(format=Format.DECIMAL, python=decimal.Decimal),
    inspect.UUIDType: StringType(format=Format.UUID, python=uuid.UUID),
}


@_read.register(inspect.DateType)
@_read.register(inspect.TimeDeltaType)
@_read.register(inspect.DecimalType)
@_read.register(inspect.UUIDType)
def _(found: inspect.Type, reader: _Reader) -> Type:  # noqa: ARG001
    return _TEXTS[type(found)]


@_read.register(inspect.BytesType)
@_read.register(inspect.ByteArrayType)
@_read.register(inspect.MemoryViewType)
def _(found: Any, reader: _Reader) -> Type:  # noqa: ARG001
    python = {inspect.BytesType: bytes, inspect.ByteArrayType: bytearray}.get(type(found), memoryview)
    patterns = () if found.min_length is found.max_length is None else (base64_of(found.min_length, found.max_length),)
    return StringType(format=Format.BASE64, python=python, patterns=patterns)


def base64_of(min_length: int | None, max_length: int | None) -> str:
    """The pattern of base64 text of at least and at most so many bytes."""
    least = min_length or 0
    parts = []
    for over, end in ((0, ""), (1, "[A-Za-z0-9+/]{2}=="), (2, "[A-Za-z0-9+/]{3}=")):
        first = max(0, -(-(least - over) // 3))
        last = None if max_length is None else (max_length - over) // 3
        if last is None or last >= first:
            parts.append(f"([A-Za-z0-9+/]{{4}}){{{first},{'' if last is None else last}}}{end}")
    return f"^({'|'.join(parts)})$"


@_read.register
def _(found: inspect.EnumType, reader: _Reader) -> Type:  # noqa: ARG001
    members = list(found.cls)
    values = tuple(form_of(member) for member in members)
    return _enum(values, python=found.cls, names=tuple(member.name for member in members))


@_read.register
def _(found: inspect.LiteralType, reader: _Reader) -> Type:  # noqa: ARG001
    return _enum(found.values)


def _enum(values: tuple[Any, ...], **kwargs: Any) -> EnumType:
    if any(isinstance(value, (list, dict)) for value in values):
        raise Unreadable("its enum has values that are no scalars; give its members texts or numbers")
    return EnumType(values=values, **kwargs)


@_read.register(inspect.ListType)
@_read.register(inspect.VarTupleType)
@_read.register(inspect.SetType)
@_read.register(inspect.FrozenSetType)
@_read.register(inspect.CollectionType)
def _(found: Any, reader: _Reader) -> Type:
    python = {inspect.ListType: list, inspect.VarTupleType: tuple, inspect.SetType: set}.get(type(found), frozenset)
    return ArrayType(
        items=reader.read(found.item_type), python=python, min_length=found.min_length, max_length=found.max_length
    )


@_read.register
def _(found: inspect.TupleType, reader: _Reader) -> Type:
    return _fixed(tuple(map(reader.read, found.item_types)))


@_read.register
def _(found: inspect.NamedTupleType, reader: _Reader) -> Type:
    hints = annotations_of(found.cls, [field.name for field in found.fields])
    if any(map(attributes_in, hints.values())):
        raise Unreadable(
            f"{found.cls.__name__} is a named tuple, whose fields cannot have an `Attribute`; make it a dataclass"
        )
    return _fixed(tuple(reader.read(field.type) for field in found.fields))


def _fixed(prefix: tuple[Type, ...]) -> ArrayType:
    return ArrayType(items=None, prefix=prefix, python=tuple, min_length=len(prefix), max_length=len(prefix))


@_read.register(inspect.DictType)
@_read.register(getattr(inspect, "FrozenDictType", inspect.DictType))  # newer than the oldest msgspec
def _(found: Any, reader: _Reader) -> Type:
    return MapType(
        keys=_key(reader.read(found.key_type)),
        values=reader.read(found.value_type),
        min_length=found.min_length,
        max_length=found.max_length,
    )


def _key(kind: Type) -> StringType | EnumType:
    """The type of the text that a key becomes."""
    if isinstance(kind, (AnyType, StringType)):
        return kind if isinstance(kind, StringType) else StringType()
    if isinstance(kind, EnumType) and all(isinstance(value, str) for value in kind.values):
        return kind
    if kind == BooleanType():
        return EnumType(values=("true", "false"))
    if kind == IntegerType():
        return StringType(patterns=(r"^-?\d+$",))
    raise Unreadable("its dict has keys that are neither texts, nor whole numbers, nor `Any`; annotate them so")


@_read.register(inspect.DataclassType)
@_read.register(inspect.StructType)
@_read.register(inspect.TypedDictType)
def _(found: Any, reader: _Reader) -> Type:
    return reader.object_of(found)


@_read.register
def _(found: inspect.UnionType, reader: _Reader) -> Type:
    read = (option for each in found.types for option in options_of(reader.read(each)))
    return UnionType(options=tuple(dict.fromkeys(read)))
