"""The types of values: one small class for each, which validation and every exporter read.

A type describes a *form* (see `heliograph.values.forms`), the JSON-like value that a Python value becomes. A value fits a
type if its form does, so that validation in the process and the exported JSON Schema agree.

`Type` is a closed union. Functions that distinguish its members are a ``match`` that ends in ``assert_never``: mypy reports
each one that a new member has to be added to. `IntegerType` is a subclass of `NumberType`, so it comes first in a ``match``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias, Union

from typing_extensions import assert_never

from heliograph.events import Attribute
from heliograph.semconv import attribute_part
from heliograph.values.pydantic_fields import is_secret

_DATE: Final = (
    r"(?!0000)(\d{4}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8]))"
    r"|(\d\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29)"
)
"""A day that exists: the last alternative is the 29th of February of a leap year. Python's first year is 1."""
_TIME: Final = r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?"
"""A time of day. A leap second (``:60``) is not one that Python can represent."""
_OFFSET: Final = r"([Zz]|[+-]([01]\d|2[0-3]):?[0-5]\d)"


class Format(enum.Enum):
    """The meaning of a text, such as a date: the name that JSON Schema has for it, if any, and the pattern that it matches.

    JSON Schema's times have an offset and its durations have no sign. Python's times may lack the offset, and its durations
    may have a sign, so that a duration has no name here, and the patterns are wider.

    A pattern matches the text that msgspec writes, and any other notation of ISO 8601 or RFC 4648 for the same value. Only the
    pattern decides: each text that it matches is also valid to a validator that checks JSON Schema's formats.
    """

    DATE_TIME = ("date-time", rf"^{_DATE}[Tt ]{_TIME}{_OFFSET}?$")
    DATE = ("date", rf"^{_DATE}$")
    TIME = ("time", rf"^{_TIME}{_OFFSET}?$")
    DURATION = (None, r"^-?P(?=[\dT])(\d+(\.\d+)?D)?(T(?=\d)(\d+(\.\d+)?H)?(\d+(\.\d+)?M)?(\d+(\.\d+)?S)?)?$")
    DECIMAL = (None, r"^([+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d+)?|-?Infinity|-?s?NaN\d*)$")
    UUID = ("uuid", r"^[0-9A-Fa-f]{8}-([0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}$")
    BASE64 = (None, r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")

    def __init__(self, json_schema: str | None, pattern: str) -> None:
        self.json_schema = json_schema
        self.pattern = pattern


ZONED: Final = rf"{_OFFSET}$"
"""The pattern at the end of a time that has an offset."""


@dataclass(frozen=True, kw_only=True)
class AnyType:
    """Any value."""


@dataclass(frozen=True, kw_only=True)
class NullType:
    """`None` only."""


@dataclass(frozen=True, kw_only=True)
class BooleanType:
    """`True` or `False`."""


@dataclass(frozen=True, kw_only=True)
class NumberType:
    """A number within bounds.

    Attributes:
        ge: The least value.
        gt: The number that every value is greater than.
        le: The greatest value.
        lt: The number that every value is less than.
        multiple_of: The number that every value is divisible by.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    multiple_of: float | None = None


@dataclass(frozen=True, kw_only=True)
class IntegerType(NumberType):
    """A whole number of 64 bits, within bounds. ``3.0`` fits, because JSON does not distinguish it from ``3``."""


@dataclass(frozen=True, kw_only=True)
class StringType:
    """Text.

    Attributes:
        format: The meaning of the text, such as a date.
        python: The class of the Python values that have this form.
        patterns: Regular expressions. Each has a match in the text.
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
    """One of a closed set of values.

    Attributes:
        values: The forms of the values.
        python: The `Enum` that has them as members, or `None` if they are literals.
        names: The names of the members, in the same order. Empty if they are literals.
    """

    values: tuple[str | int | float | bool | None, ...]
    python: type[enum.Enum] | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ArrayType:
    """A list.

    Attributes:
        items: The type of each item after those of `prefix`, or `None` if there are no such items.
        prefix: The types of the first items, as a tuple of fixed length has them.
        python: The class of the Python values that have this form.
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
    """A dict whose keys are not known in advance.

    Attributes:
        keys: The type of each key, after it became text.
        values: The type of each value.
        min_length: The least number of keys.
        max_length: The greatest number of keys.
        is_json_text: True if its one attribute is JSON text, because its keys are data that must not be parts of names.
    """

    keys: StringType | EnumType
    values: Type
    min_length: int | None = None
    max_length: int | None = None
    is_json_text: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectType:
    """A dataclass, `TypedDict`, `msgspec.Struct` or attrs class.

    It compares by identity, because a class can be inside of itself: comparing fields would not end.

    Attributes:
        python: The class.
        hint: The class, or the alias of it, such as ``Box[int]``, that has these fields.
        fields: Its fields. They are set once, after the types of all of them were made.
    """

    python: type
    hint: object = field(default=None, repr=False)
    fields: tuple[FieldSchema, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """The name of the class."""
        return self.python.__name__


@dataclass(frozen=True, kw_only=True)
class UnionType:
    """One of several types.

    Attributes:
        options: The types. There are at least two, and none is a union itself.
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
"""The type of a value. Each `match` over it ends in `assert_never`, so that mypy reports a class that is added to it."""


@dataclass(frozen=True, kw_only=True)
class FieldSchema:
    """One property of an event, or one field of a class inside of it.

    Attributes:
        name: The name of the field in the class.
        attribute: The name of the attribute that it becomes, or the prefix of the names that its keys become. `None` is
            possible only for a field inside of another, and means ``<attribute of the other>.<name>``.
        type: The type of its value.
        required: True if an event cannot be made without it.
        declared: The declaration in its annotation. It has no name if that name belongs to the actor.
        actor_attribute: The attribute of the actor that the annotation names, such as ``user.id``. The field is exported below
            the event's name instead.
    """

    name: str
    attribute: str | None
    type: Type
    required: bool
    declared: Attribute = field(default_factory=Attribute)
    actor_attribute: str | None = None

    @property
    def requirement(self) -> str:
        """``"required"``, ``"recommended"``, ``"opt_in"`` or ``"conditionally_required: <when>"``."""
        if self.declared.requirement is not None:
            return self.declared.requirement
        return "required" if self.required and not is_nullable(self.type) else "recommended"

    def attribute_below(self, name: str) -> str:
        """Return the name of its attribute, inside of a field whose attribute is ``name``."""
        return self.attribute or f"{name}.{attribute_part(self.name)}"


WHOLE_NUMBER: Final = r"^-?\d+$"
"""The pattern of the keys of a dict that are integers."""


def options_of(kind: Type) -> tuple[Type, ...]:
    """Return the options of a union, or the type itself if it is not a union."""
    return kind.options if isinstance(kind, UnionType) else (kind,)


def without_null(kind: Type) -> Type:
    """Return the type without `None`. A type whose only value is `None`, or that does not accept it, is returned unchanged."""
    rest = tuple(option for option in options_of(kind) if not isinstance(option, NullType))
    if not rest or len(rest) == len(options_of(kind)):
        return kind
    return rest[0] if len(rest) == 1 else UnionType(options=rest)


def is_multiple(form: float, of: float) -> bool:
    """Return True if a number is divisible by another, by the rule of JSON Schema's validators.

    They divide in binary unless the divisor is an integer, so that 0.3 is not a multiple of 0.1.
    """
    return form % of == 0 if isinstance(of, int) else (form / of).is_integer()


def is_nullable(kind: Type) -> bool:
    """Return True if `None` fits the type."""
    return any(
        isinstance(option, (NullType, AnyType)) or (isinstance(option, EnumType) and None in option.values)
        for option in options_of(kind)
    )


def inner_types(kind: Type) -> Iterator[Type]:
    """Yield the types directly inside of a type: of its items, keys, values, fields or options."""
    match kind:
        case UnionType():
            yield from kind.options
        case ArrayType():
            yield from kind.prefix
            if kind.items is not None:
                yield kind.items
        case MapType():
            yield kind.keys
            yield kind.values
        case ObjectType():
            yield from (each.type for each in kind.fields)
        case AnyType() | NullType() | BooleanType() | NumberType() | StringType() | EnumType():
            pass
        case _:
            assert_never(kind)


def walk_types(kind: Type) -> Iterator[Type]:
    """Yield a type and all types inside of it, each object once, even if a class is inside of itself."""
    seen: set[int] = set()
    queue = [kind]
    while queue:
        each = queue.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            queue += reversed(list(inner_types(each)))


def has_private_parts(kind: Type) -> bool:
    """Return True if a part of the type is private: a field that declares a privacy or an opt-in, or a secret of pydantic."""
    return any(map(_is_private, walk_types(kind)))


def _is_private(kind: Type) -> bool:
    if isinstance(kind, ObjectType):
        return any(each.declared.privacy is not None or each.requirement == "opt_in" for each in kind.fields)
    return isinstance(kind, StringType) and is_secret(kind.python)
