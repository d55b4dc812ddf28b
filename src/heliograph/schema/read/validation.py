"""Compare a form with its type, and report each violation by its kind and path, without any part of the value.

`violations_of` accepts any form and never raises, also for a number that is not a form: NaN and the infinities, which JSON cannot
write, violate every type of a number. Nothing is reported for properties that no field declares: an event may
carry more than its contract.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeGuard

from typing_extensions import assert_never

from heliograph.schema.model.patterns import compile_pattern
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
    is_multiple,
    is_nullable,
)
from heliograph.values.scalars import INT64_MAX, INT64_MIN

MAX_LISTED: Final = 16
"""The number of violations of one event that are listed. An event from outside could have thousands."""


class ViolationKind(str, enum.Enum):
    """The ways in which an event can break its contract."""

    UNPLANNED_EVENT = "unplanned-event"
    """The event has no contract of its own: its class is not registered, or has no readable fields."""
    REQUIRED_MISSING = "required-missing"
    """A required field is missing, or is `None`."""
    DATATYPE_MISMATCH = "datatype-mismatch"
    """A value does not have the declared type."""
    CONSTRAINT_VIOLATED = "constraint-violated"
    """A value has the declared type, but is outside of its bounds."""


@dataclass(frozen=True)
class Violation:
    """One deviation of an event from its contract.

    Attributes:
        kind: The kind of deviation.
        path: The place, such as ``order.lines[3].sku``. The key of an open dict is ``{}``, because it may be private. Never
            a part of a value.
    """

    kind: ViolationKind
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.path}" if self.path else self.kind.value


def describe_violations(violations: list[Violation]) -> list[str]:
    """Return the first sixteen violations as text, and then the number of those that were not listed."""
    texts = [str(violation) for violation in violations[:MAX_LISTED]]
    more = len(violations) - MAX_LISTED
    return [*texts, f"and {more} more"] if more > 0 else texts


def violations_of_fields(
    form: Mapping[str, object], fields: tuple[FieldSchema, ...], prefix: str = ""
) -> list[Violation]:
    """Return the violations of an object's form. Keys without a declared field are allowed."""
    found: list[Violation] = []
    for field in fields:
        if field.name in form:
            found += violations_of_field(form[field.name], field, f"{prefix}{field.name}")
        elif field.required:
            found.append(Violation(ViolationKind.REQUIRED_MISSING, f"{prefix}{field.name}"))
    return found


def violations_of_field(form: object, field: FieldSchema, path: str) -> Iterable[Violation]:
    """Return the violations of the form of one field, which has a value."""
    if form is None and field.required and not is_nullable(field.type):
        return (Violation(ViolationKind.REQUIRED_MISSING, path),)
    return violations_of(form, field.type, path)


def violations_of(form: object, kind: Type, path: str) -> Iterable[Violation]:
    """Return the violations of a form that should have a type."""
    # The order only matters for speed (frequent types first), and for `IntegerType`, a subclass of `NumberType`.
    match kind:
        case StringType():
            return _string_violations(form, kind, path)
        case IntegerType():
            return _integer_violations(form, kind, path)
        case NumberType():
            return _number_violations(form, kind, path)
        case BooleanType():
            return () if isinstance(form, bool) else _mismatch(path)
        case AnyType():
            return ()
        case ObjectType():
            return violations_of_fields(form, kind.fields, f"{path}.") if isinstance(form, dict) else _mismatch(path)
        case UnionType():
            return _union_violations(form, kind, path)
        case ArrayType():
            return _array_violations(form, kind, path)
        case MapType():
            return _map_violations(form, kind, path)
        case EnumType():
            return _enum_violations(form, kind, path)
        case NullType():
            return () if form is None else _mismatch(path)
        case _:
            assert_never(kind)


def _mismatch(path: str) -> tuple[Violation]:
    return (Violation(ViolationKind.DATATYPE_MISMATCH, path),)


def _constraint(path: str, *, is_met: bool) -> tuple[Violation, ...]:
    return () if is_met else (Violation(ViolationKind.CONSTRAINT_VIOLATED, path),)


def _string_violations(form: object, kind: StringType, path: str) -> tuple[Violation, ...]:
    if not isinstance(form, str) or not (kind.format is None or compile_pattern(kind.format.pattern).search(form)):
        return _mismatch(path)
    if not kind.patterns and kind.min_length is None and kind.max_length is None:
        return ()
    has_patterns = all(compile_pattern(pattern).search(form) for pattern in kind.patterns)
    return _constraint(path, is_met=has_patterns and _has_length(kind, len(form)))


def _integer_violations(form: object, kind: IntegerType, path: str) -> tuple[Violation, ...]:
    if not _is_number(form) or (isinstance(form, float) and not form.is_integer()):
        return _mismatch(path)
    # A float such as 1e300 can be whole, and larger than any 64-bit integer.
    if not INT64_MIN <= form <= INT64_MAX:
        return _mismatch(path)
    return _constraint(path, is_met=_is_within(form, kind))


def _number_violations(form: object, kind: NumberType, path: str) -> tuple[Violation, ...]:
    if not _is_number(form):
        return _mismatch(path)
    return _constraint(path, is_met=_is_within(form, kind))


def _is_number(form: object) -> TypeGuard[float]:
    if isinstance(form, float):
        return math.isfinite(form)
    return isinstance(form, int) and not isinstance(form, bool)


def _is_within(form: float, kind: NumberType) -> bool:
    return (
        (kind.ge is None or form >= kind.ge)
        and (kind.gt is None or form > kind.gt)
        and (kind.le is None or form <= kind.le)
        and (kind.lt is None or form < kind.lt)
        and (kind.multiple_of is None or is_multiple(form, kind.multiple_of))
    )


def _enum_violations(form: object, kind: EnumType, path: str) -> tuple[Violation, ...]:
    if any(_is_same(form, value) for value in kind.values):
        return ()
    if any(_json_type(form) == _json_type(value) for value in kind.values):
        return _constraint(path, is_met=False)
    return _mismatch(path)


def _is_same(form: object, value: object) -> bool:
    return isinstance(form, bool) == isinstance(value, bool) and form == value  # in Python, True == 1


def _json_type(form: object) -> str:
    if isinstance(form, (int, float)) and not isinstance(form, bool):
        return "number"
    return type(form).__name__


def _array_violations(form: object, kind: ArrayType, path: str) -> Iterable[Violation]:
    if not isinstance(form, list):
        return _mismatch(path)
    found = [*_constraint(path, is_met=_has_length(kind, len(form)))]
    for index, item in enumerate(form):
        item_type = kind.prefix[index] if index < len(kind.prefix) else kind.items
        if item_type is None:
            # The tuple has more items than types. Its length was reported.
            break
        if not isinstance(item_type, AnyType):
            found += violations_of(item, item_type, f"{path}[{index}]")
    return found


def _has_length(kind: StringType | ArrayType | MapType, length: int) -> bool:
    return (kind.min_length is None or length >= kind.min_length) and (
        kind.max_length is None or length <= kind.max_length
    )


def _map_violations(form: object, kind: MapType, path: str) -> Iterable[Violation]:
    if not isinstance(form, dict):
        return _mismatch(path)
    found = [*_constraint(path, is_met=_has_length(kind, len(form)))]
    below = f"{path}{{}}"
    for key, value in form.items():
        found += violations_of(key, kind.keys, below)
        found += violations_of(value, kind.values, below)
    return found


def _union_violations(form: object, kind: UnionType, path: str) -> Iterable[Violation]:
    found: list[list[Violation]] = []
    for option in kind.options:
        found.append(list(violations_of(form, option, path)))
        if not found[-1]:
            return ()
    # If only one option has the right type, its violations are reported: for `T | None`, the violations of `T`. If several have it,
    # any choice would be a guess.
    [mismatch] = _mismatch(path)
    near = [each for each in found if mismatch not in each]
    return near[0] if len(near) == 1 else [mismatch]
