"""What is wrong with an event: pure, total, and told without a word of its values."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    is_nullable,
    without_null,
)
from heliograph.values.forms import INT64_MAX, INT64_MIN

if TYPE_CHECKING:
    from heliograph.schema.model.types import FieldSchema

MAX_SHOWN: Final = 16
"""How many violations of one event are named."""


class ViolationKind(str, enum.Enum):
    """How an event breaks its contract."""

    UNPLANNED_EVENT = "unplanned-event"
    """Nobody declared it: its class is not registered, or has no schema."""
    REQUIRED_MISSING = "required-missing"
    """A field that has to be there is not, or is `None`."""
    DATATYPE_MISMATCH = "datatype-mismatch"
    """A value is of another type than declared."""
    CONSTRAINT_VIOLATED = "constraint-violated"
    """A value is of the type, and out of its bounds."""


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with an event.

    Attributes:
        kind: What.
        path: Where: ``order.lines[3].sku``; a key that the event chose is ``{}``. Never a value.
    """

    kind: ViolationKind
    path: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.path}" if self.path else self.kind.value


def describe_violations(violations: list[Violation]) -> list[str]:
    """The violations as text, the first sixteen; then how many more there are."""
    texts = [str(violation) for violation in violations[:MAX_SHOWN]]
    more = len(violations) - MAX_SHOWN
    return [*texts, f"and {more} more"] if more > 0 else texts


def violations_of_fields(
    form: Mapping[str, object], fields: tuple[FieldSchema, ...], prefix: str = ""
) -> Iterator[Violation]:
    """What is wrong with an object's form; keys that no field is declared for are nobody's concern."""
    for field in fields:
        path = f"{prefix}{field.name}"
        value = form.get(field.name)
        if value is None and field.required and not (field.name in form and is_nullable(field.type)):
            yield Violation(ViolationKind.REQUIRED_MISSING, path)
        elif field.name in form:
            yield from violations_of(value, field.type, path)


def violations_of(form: object, kind: Type, path: str) -> Iterator[Violation]:
    """What is wrong with a form, where a value of that type has to be."""
    return _violations(kind, form, path)


@functools.singledispatch
def _violations(kind: Type, form: object, path: str) -> Iterator[Violation]:
    raise NotImplementedError(kind)


def _mismatch(path: str) -> Iterator[Violation]:
    yield Violation(ViolationKind.DATATYPE_MISMATCH, path)


def _constraint(path: str, is_kept: bool) -> Iterator[Violation]:
    if not is_kept:
        yield Violation(ViolationKind.CONSTRAINT_VIOLATED, path)


@_violations.register
def _(kind: AnyType, form: object, path: str) -> Iterator[Violation]:  # noqa: ARG001 — anything fits
    return iter(())


@_violations.register
def _(kind: NullType, form: object, path: str) -> Iterator[Violation]:  # noqa: ARG001
    return iter(()) if form is None else _mismatch(path)


@_violations.register
def _(kind: BooleanType, form: object, path: str) -> Iterator[Violation]:  # noqa: ARG001
    return iter(()) if isinstance(form, bool) else _mismatch(path)


@_violations.register
def _(kind: NumberType, form: object, path: str) -> Iterator[Violation]:
    if isinstance(form, bool) or not isinstance(form, (int, float)):
        return _mismatch(path)
    return _constraint(path, _is_within(form, kind))


@_violations.register
def _(kind: IntegerType, form: object, path: str) -> Iterator[Violation]:
    if isinstance(form, bool) or not isinstance(form, (int, float)) or form != int(form):
        return _mismatch(path)
    if not INT64_MIN <= form <= INT64_MAX:
        return _mismatch(path)
    return _constraint(path, _is_within(form, kind))


def _is_within(form: float, kind: NumberType) -> bool:
    return (
        (kind.ge is None or form >= kind.ge)
        and (kind.gt is None or form > kind.gt)
        and (kind.le is None or form <= kind.le)
        and (kind.lt is None or form < kind.lt)
        and (kind.multiple_of is None or is_multiple(form, kind.multiple_of))
    )


def is_multiple(form: float, of: float) -> bool:
    """Whether a number is divisible by another, as validators of JSON Schema see it: in binary, where ``of`` is no integer."""
    return form % of == 0 if isinstance(of, int) else (form / of).is_integer()


@_violations.register
def _(kind: StringType, form: object, path: str) -> Iterator[Violation]:
    if not isinstance(form, str) or not (kind.format is None or re.search(kind.format.pattern, form)):
        return _mismatch(path)
    is_kept = (
        (kind.min_length is None or len(form) >= kind.min_length)
        and (kind.max_length is None or len(form) <= kind.max_length)
        and all(re.search(pattern, form) for pattern in kind.patterns)
    )
    return _constraint(path, is_kept)


@_violations.register
def _(kind: EnumType, form: object, path: str) -> Iterator[Violation]:
    if any(_is_same(form, value) for value in kind.values):
        return iter(())
    if any(_json_type(form) == _json_type(value) for value in kind.values):
        return _constraint(path, is_kept=False)
    return _mismatch(path)


def _is_same(form: object, value: object) -> bool:
    return isinstance(form, bool) == isinstance(value, bool) and form == value


def _json_type(form: object) -> str:
    if isinstance(form, (int, float)) and not isinstance(form, bool):
        return "number"
    return type(form).__name__


@_violations.register
def _(kind: ArrayType, form: object, path: str) -> Iterator[Violation]:
    if not isinstance(form, list):
        yield from _mismatch(path)
        return
    yield from _constraint(path, _has_length(kind, len(form)))
    for index, item in enumerate(form):
        of = kind.prefix[index] if index < len(kind.prefix) else kind.items
        if of is None:  # the length says it already
            return
        yield from violations_of(item, of, f"{path}[{index}]")


def _has_length(kind: ArrayType | MapType, length: int) -> bool:
    return (kind.min_length is None or length >= kind.min_length) and (
        kind.max_length is None or length <= kind.max_length
    )


@_violations.register
def _(kind: MapType, form: object, path: str) -> Iterator[Violation]:
    if not isinstance(form, dict):
        yield from _mismatch(path)
        return
    yield from _constraint(path, _has_length(kind, len(form)))
    below = f"{path}{{}}"
    for key, value in form.items():
        yield from violations_of(key, kind.keys, below)
        yield from violations_of(value, kind.values, below)


@_violations.register
def _(kind: ObjectType, form: object, path: str) -> Iterator[Violation]:
    return violations_of_fields(form, kind.fields, f"{path}.") if isinstance(form, dict) else _mismatch(path)


@_violations.register
def _(kind: UnionType, form: object, path: str) -> Iterator[Violation]:
    found = [list(violations_of(form, option, path)) for option in kind.options]
    if not all(found):
        return iter(())
    rest = without_null(kind)
    if not isinstance(rest, UnionType):
        return violations_of(form, rest, path)
    mismatch = Violation(ViolationKind.DATATYPE_MISMATCH, path)
    near = [each for each in found if mismatch not in each]  # options whose type is right
    return iter(near[0] if len(near) == 1 else [mismatch])
