"""The types of values, as every part that speaks of a schema reads them.

They describe *forms* (see `heliograph.values.forms`): what is left of a Python value in JSON. A value fits a type when its
form does, so that the check in the process and the exported JSON Schema say the same.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias, Union

from heliograph.events import Attribute


class Format(enum.Enum):
    """What a text stands for: the name that JSON Schema has for it, if it has one, and the pattern that it matches.

    JSON Schema's times have an offset, and its durations no sign; Python's need not have the one, and may have the other.

    Patterns are those of the forms that msgspec writes, and of whatever else says the same by ISO 8601 or RFC 4648.
    """

    DATE_TIME = (
        "date-time",
        r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$",
    )
    DATE = ("date", r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")
    TIME = ("time", r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)?$")
    DURATION = (None, r"^-?P(?=[\dT])(\d+(\.\d+)?D)?(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?$")
    DECIMAL = (None, r"^([+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?|-?Infinity|-?s?NaN\d*)$")
    UUID = ("uuid", r"^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$")
    BASE64 = (None, r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")

    def __init__(self, json_schema: str | None, pattern: str) -> None:
        self.json_schema = json_schema
        self.pattern = pattern


ZONED: Final = r"([Zz]|[+-]\d\d:?\d\d)$"
"""The pattern of a time with an offset."""


@dataclass(frozen=True, kw_only=True)
class AnyType:
    """Anything."""


@dataclass(frozen=True, kw_only=True)
class NullType:
    """`None`."""


@dataclass(frozen=True, kw_only=True)
class BooleanType:
    """`True` or `False`."""


@dataclass(frozen=True, kw_only=True)
class NumberType:
    """A number within bounds.

    Attributes:
        ge: At least.
        gt: More than.
        le: At most.
        lt: Less than.
        multiple_of: What it is divisible by.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None


@dataclass(frozen=True, kw_only=True)
class IntegerType(NumberType):
    """A whole number of 64 bits, within bounds; ``3.0`` is one, since JSON cannot tell it from ``3``."""


@dataclass(frozen=True, kw_only=True)
class StringType:
    """A text.

    Attributes:
        format: What it stands for.
        python: The class of the values that have this form.
        patterns: Regular expressions, each of which is found in it.
        min_length: The least number of characters.
        max_length: The greatest number of characters.
    """

    format: Format | None = None
    python: type = str
    patterns: tuple[str, ...] = ()
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class EnumType:
    """One of a few values.

    Attributes:
        values: Their forms.
        python: The `Enum` whose members they are; `None` for literals.
        names: The names of the members, in the same order; empty for literals.
    """

    values: tuple[str | int | float | bool | None, ...]
    python: type[enum.Enum] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ArrayType:
    """A list.

    Attributes:
        items: What each item is, after those of `prefix`; `None` where there is no item more.
        prefix: What the first items are.
        python: The class of the values.
        min_length: The least number of items.
        max_length: The greatest number of items.
    """

    items: Type | None
    prefix: tuple[Type, ...] = ()
    python: type = list
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class MapType:
    """A dict with keys that are not known beforehand.

    Attributes:
        keys: What each key is, as text.
        values: What each value is.
        min_length: The least number of keys.
        max_length: The greatest number of keys.
    """

    keys: StringType | EnumType
    values: Type
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectType:
    """A dataclass, `TypedDict`, `msgspec.Struct` or attrs class; equal to itself alone, since it may hold itself.

    Attributes:
        python: The class.
        fields: Its fields; set once, when all types that they name are known.
    """

    python: type
    fields: tuple[FieldSchema, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.python.__name__


@dataclass(frozen=True, kw_only=True)
class UnionType:
    """One of several types.

    Attributes:
        options: The types, at least two.
    """

    options: tuple[Type, ...]


Type: TypeAlias = Union[
    AnyType,
    NullType,
    BooleanType,
    IntegerType,
    NumberType,
    StringType,
    EnumType,
    ArrayType,
    MapType,
    ObjectType,
    UnionType,
]


@dataclass(frozen=True, kw_only=True)
class FieldSchema:
    """One property of an event, or one field of a class inside of it.

    Attributes:
        name: The name of the dataclass's field.
        attribute: The attribute that it becomes, or the prefix of the attributes that its keys become; `None`, inside of
            another field, is the field's name below the other's attribute.
        type: Its type.
        required: Whether the event cannot be made without it.
        declared: What the field says of itself.
    """

    name: str
    attribute: str | None
    type: Type
    required: bool
    declared: Attribute = field(default_factory=Attribute)

    @property
    def requirement(self) -> str:
        """``"required"``, ``"recommended"``, ``"opt_in"`` or ``"conditionally_required: <when>"``."""
        if self.declared.requirement is not None:
            return self.declared.requirement
        return "required" if self.required and not is_nullable(self.type) else "recommended"

    def attribute_below(self, name: str) -> str:
        """The attribute that it becomes, inside of a field with the attribute ``name``."""
        return self.attribute or f"{name}.{self.name}"


def options_of(kind: Type) -> tuple[Type, ...]:
    """What a value of the type may be: the options of a union, else the type alone."""
    return kind.options if isinstance(kind, UnionType) else (kind,)


def item_types(kind: ArrayType, count: int) -> list[Type]:
    """What each of so many items of an array is."""
    return [*kind.prefix, *[kind.items or AnyType()] * max(0, count - len(kind.prefix))]


def without_null(kind: Type) -> Type:
    """The type of what is not `None`."""
    rest = tuple(option for option in options_of(kind) if not isinstance(option, NullType))
    if not rest or len(rest) == len(options_of(kind)):
        return kind
    return rest[0] if len(rest) == 1 else UnionType(options=rest)


def is_nullable(kind: Type) -> bool:
    """Whether the value may be `None`."""
    return any(
        isinstance(option, (NullType, AnyType)) or (isinstance(option, EnumType) and None in option.values)
        for option in options_of(kind)
    )


def inner_types(kind: Type) -> Iterator[Type]:
    """The types directly inside of one: items, keys, values, fields, options."""
    if isinstance(kind, UnionType):
        yield from kind.options
    elif isinstance(kind, ArrayType):
        yield from kind.prefix
        if kind.items is not None:
            yield kind.items
    elif isinstance(kind, MapType):
        yield kind.keys
        yield kind.values
    elif isinstance(kind, ObjectType):
        yield from (each.type for each in kind.fields)


def walk_types(kind: Type) -> Iterator[Type]:
    """The type and all types inside of it, each object once."""
    seen: set[int] = set()
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += reversed(list(inner_types(each)))
