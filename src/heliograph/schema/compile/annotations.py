"""Turn the annotation of a field into its `Type` and its `Attribute`.

msgspec analyses annotations (generics, forward references, ``Annotated`` constraints) and describes each as an object of
`msgspec.inspect`. This module turns those objects into the types of `heliograph.schema.model.types`, so that msgspec's model
stays out of the rest of the package.
"""

from __future__ import annotations

import dataclasses
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
from heliograph.semconv import ACTOR_ONLY
from heliograph.values.forms import form_of
from heliograph.values.introspect import annotations_of, attributes_in

MAX_CACHED_CLASSES: Final = 1024
"""The number of classes whose types are kept, because one class is often a field of many events."""


class InvalidAnnotation(ValueError):
    """An annotation that a schema cannot express, or whose declaration contradicts itself."""


def read_type(hint: object) -> Type:
    """Return the type that an annotation describes.

    Raises:
        InvalidAnnotation: The annotation has no form in JSON. The message says how to change it.
    """
    return _read_class(hint) if isinstance(hint, type) else _read_hint(hint)


def _read_hint(hint: object) -> Type:
    try:
        description = inspect.type_info(hint)
    except Exception as error:  # msgspec raises TypeError, but evaluating an annotation may raise anything
        raise InvalidAnnotation(f"{error}; annotate it more simply, or as `Any`") from error
    return _TypeBuilder().build(description)


_read_class = functools.lru_cache(maxsize=MAX_CACHED_CLASSES)(_read_hint)


def attribute_of(hint: object) -> Attribute:
    """Return the `Attribute` in an annotation, or an empty one if there is none.

    Raises:
        InvalidAnnotation: There are several.
    """
    found = attributes_in(hint)
    if len(found) > 1:
        raise InvalidAnnotation("it has more than one `Attribute`; put one around the whole type of the field")
    return found[0] if found else Attribute()


class _TypeBuilder:
    """Builds the type of one annotation."""

    def __init__(self) -> None:
        # A class may be inside of itself, so its type is kept before its fields are built. The key is the id of msgspec's
        # description, which is another one for `Box[int]` than for `Box[str]`, although both have the class `Box`.
        self._objects: dict[int, ObjectType] = {}

    def build(self, description: inspect.Type) -> Type:
        """Return the type that msgspec describes."""
        # msgspec's descriptions are not a closed union: a newer msgspec may add to them, so the last case is an error for
        # the author of the class, and not `assert_never`.
        match description:
            case inspect.Metadata():
                return self.build(description.type)
            case inspect.AnyType() | inspect.RawType() | inspect.CustomType():
                return AnyType()
            case inspect.NoneType():
                return NullType()
            case inspect.BoolType():
                return BooleanType()
            case inspect.IntType():
                return IntegerType(**_bounds(description))
            case inspect.FloatType():
                return NumberType(**_bounds(description))
            case inspect.EnumType():
                members = list(description.cls)
                values = tuple(map(form_of, members))
                return _enum(values, python=description.cls, names=tuple(member.name for member in members))
            case inspect.LiteralType():
                return _enum(description.values)
            case inspect.UnionType():
                options = (option for each in description.types for option in options_of(self.build(each)))
                return UnionType(options=tuple(dict.fromkeys(options)))
            case inspect.DataclassType() | inspect.StructType() | inspect.TypedDictType():
                return self._object(description)
            case _ if (text := _text_type(description)) is not None:
                return text
            case _ if (container := self._container(description)) is not None:
                return container
        kind = type(description).__name__.removesuffix("Type")
        raise InvalidAnnotation(f"{kind} has no form in JSON; annotate it otherwise, or as `Any`")

    def _container(self, description: Any) -> Type | None:
        """Return the type of an array or of a dict."""
        match description:
            case inspect.TupleType():
                return _tuple_type(tuple(map(self.build, description.item_types)))
            case inspect.NamedTupleType():
                return self._named_tuple(description)
            case inspect.DictType() | _FrozenDictType():
                return MapType(
                    keys=_key_type(self.build(description.key_type)),
                    values=self.build(description.value_type),
                    min_length=description.min_length,
                    max_length=description.max_length,
                )
        python = _ARRAYS.get(type(description))
        if python is None:
            return None
        return ArrayType(
            items=self.build(description.item_type),
            python=python,
            min_length=description.min_length,
            max_length=description.max_length,
        )

    def _named_tuple(self, description: inspect.NamedTupleType) -> Type:
        annotations = annotations_of(description.cls, [field.name for field in description.fields])
        if any(map(attributes_in, annotations.values())):  # its form is an array, which has no names for declarations
            raise InvalidAnnotation(
                f"{description.cls.__name__} is a named tuple, whose fields cannot have an `Attribute`; make it a dataclass"
            )
        return _tuple_type(tuple(self.build(field.type) for field in description.fields))

    def _object(self, description: Any) -> ObjectType:
        key = id(description)
        if key not in self._objects:
            cls = typing.get_origin(description.cls) or description.cls
            self._objects[key] = kind = ObjectType(python=cls)
            annotations = annotations_of(cls, [field.name for field in description.fields])
            fields = tuple(self._field(field, annotations) for field in description.fields)
            object.__setattr__(kind, "fields", fields)  # the only change; the type is frozen from now on
        return self._objects[key]

    def _field(self, field: Any, annotations: Mapping[str, object]) -> FieldSchema:
        attribute, actor_attribute = split_actor_attribute(attribute_of(annotations.get(field.name)))
        if attribute.requirement == "opt_in" and attribute.name is None:
            raise InvalidAnnotation(
                f"its inner field {field.name!r} is opt_in and has no attribute name of its own to opt in by; give it one"
            )
        return FieldSchema(
            name=field.name,
            attribute=attribute.name,
            type=self.build(field.type),
            required=field.required,
            declared=attribute,
            actor_attribute=actor_attribute,
        )


def split_actor_attribute(declared: Attribute) -> tuple[Attribute, str | None]:
    """Return a declaration without its name, and the name, if the name always means the actor, such as ``user.id``.

    The field then gets its name from the event or from the field that it is inside of.
    """
    if declared.name not in ACTOR_ONLY:
        return declared, None
    return dataclasses.replace(declared, name=None), str(declared.name)


def _bounds(description: inspect.IntType | inspect.FloatType) -> dict[str, Any]:
    return {name: getattr(description, name) for name in ("ge", "gt", "le", "lt", "multiple_of")}


_FrozenDictType: Any = getattr(inspect, "FrozenDictType", inspect.DictType)  # the oldest msgspec does not have it

_ARRAYS: Final[Mapping[type, type]] = {
    inspect.ListType: list,
    inspect.VarTupleType: tuple,
    inspect.SetType: set,
    inspect.FrozenSetType: frozenset,
    inspect.CollectionType: frozenset,
}
"""The Python class of each array, by msgspec's description."""


def _text_type(description: Any) -> StringType | None:
    """Return the type of a value whose form is text."""
    match description:
        case inspect.StrType():
            patterns: tuple[str, ...] = () if description.pattern is None else (description.pattern,)
            return StringType(patterns=patterns, min_length=description.min_length, max_length=description.max_length)
        case inspect.DateTimeType():
            patterns = {None: (), True: (ZONED,), False: ("[Tt ][^Zz+-]*$",)}[description.tz]
            return StringType(format=Format.DATE_TIME, python=dt.datetime, patterns=patterns)
        case inspect.TimeType():
            patterns = {None: (), True: (ZONED,), False: ("^[^Zz+-]*$",)}[description.tz]
            return StringType(format=Format.TIME, python=dt.time, patterns=patterns)
        case inspect.DateType():
            return StringType(format=Format.DATE, python=dt.date)
        case inspect.TimeDeltaType():
            return StringType(format=Format.DURATION, python=dt.timedelta)
        case inspect.DecimalType():
            return StringType(format=Format.DECIMAL, python=decimal.Decimal)
        case inspect.UUIDType():
            return StringType(format=Format.UUID, python=uuid.UUID)
        case inspect.BytesType():
            return _base64_type(bytes, description)
        case inspect.ByteArrayType():
            return _base64_type(bytearray, description)
        case inspect.MemoryViewType():
            return _base64_type(memoryview, description)
        case _:
            return None


def _base64_type(python: type, description: Any) -> StringType:
    if description.min_length is None and description.max_length is None:
        return StringType(format=Format.BASE64, python=python)
    pattern = base64_pattern(description.min_length, description.max_length)
    return StringType(format=Format.BASE64, python=python, patterns=(pattern,))


def base64_pattern(min_length: int | None, max_length: int | None) -> str:
    """Return the pattern of base64 text of at least and at most so many bytes.

    A bound on the length of the text would not do, because padding hides up to two bytes.
    """
    least = min_length or 0
    alternatives = []
    for remainder, end in ((0, ""), (1, "[A-Za-z0-9+/]{2}=="), (2, "[A-Za-z0-9+/]{3}=")):  # after groups of three bytes
        first = max(0, -(-(least - remainder) // 3))
        last = None if max_length is None else (max_length - remainder) // 3
        if last is None or last >= first:
            alternatives.append(f"([A-Za-z0-9+/]{{4}}){{{first},{'' if last is None else last}}}{end}")
    return f"^({'|'.join(alternatives)})$"


def _enum(values: tuple[Any, ...], **kwargs: Any) -> EnumType:
    if any(isinstance(value, (list, dict)) for value in values):
        raise InvalidAnnotation("its enum has values that are not scalars; give its members texts or numbers")
    return EnumType(values=values, **kwargs)


def _tuple_type(prefix: tuple[Type, ...]) -> ArrayType:
    return ArrayType(items=None, prefix=prefix, python=tuple, min_length=len(prefix), max_length=len(prefix))


def _key_type(kind: Type) -> StringType | EnumType:
    """Return the type of the text that a key of a dict becomes."""
    if isinstance(kind, AnyType):
        return StringType()
    if isinstance(kind, StringType):
        return kind
    if isinstance(kind, EnumType) and all(isinstance(value, str) for value in kind.values):
        return kind
    if kind == BooleanType():
        return EnumType(values=("true", "false"))
    if kind == IntegerType():
        return StringType(patterns=(r"^-?\d+$",))
    raise InvalidAnnotation("its dict has keys that are neither texts, nor whole numbers, nor `Any`; annotate them so")
