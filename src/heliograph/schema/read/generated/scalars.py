"""The source for values with nothing inside of them: texts, numbers, booleans, members of enums, and values that become text."""

from __future__ import annotations

import decimal
import enum
import pathlib
from collections.abc import Mapping
from typing import Final

from heliograph.schema.model.patterns import compile_pattern
from heliograph.schema.model.types import ArrayType, EnumType, IntegerType, MapType, NumberType, StringType, is_multiple
from heliograph.schema.read.generated.source import Code, Source
from heliograph.values.declarations import declares_nothing
from heliograph.values.plain import text_converter
from heliograph.values.privacy import MASKED
from heliograph.values.pydantic_fields import is_secret
from heliograph.values.scalars import INT64_MAX, INT64_MIN, SMALL, WRITTEN_BY_MSGSPEC
from heliograph.values.standard_library import exception_name
from heliograph.values.stored import reads_plainly

EXACT_FLOAT: Final = 2**53
"""Every integer up to this one is also a `float`."""

_CONCRETE: Final[Mapping[type, type]] = {pathlib.Path: type(pathlib.Path()), pathlib.PurePath: type(pathlib.PurePath())}
"""The class that an instance of another class has on this system."""


def boolean_code(variable: str) -> Code:
    """Return the source for `True` and `False`."""
    return Code(f"({variable} is True or {variable} is False)", variable)


def integer_code(kind: IntegerType, variable: str, source: Source) -> Code:
    """Return the source for an integer of 64 bits."""
    size = f"({-SMALL} <= {variable} <= {SMALL} or {INT64_MIN} <= {variable} <= {INT64_MAX})"
    return Code(f"type({variable}) is int and {size}{_bounds(kind, variable, source)}", variable)


def number_code(kind: NumberType, variable: str, source: Source, *, is_wire: bool) -> Code:
    """Return the source for a number. On the wire, an integer in its place is a `float`, too."""
    # The difference is NaN for infinity and NaN, so the test fails for them without the call of a function.
    is_float = f"type({variable}) is float and {variable} - {variable} == 0.0"
    is_int = f"type({variable}) is int and {-EXACT_FLOAT} <= {variable} <= {EXACT_FLOAT}"
    test = f"({is_float} or {is_int}){_bounds(kind, variable, source)}"
    return Code(test, f"{variable} * 1.0" if is_wire else variable)


def _bounds(kind: NumberType, variable: str, source: Source) -> str:
    tests = [
        f" and {variable} {operator} {bound!r}"
        for operator, bound in ((">=", kind.ge), (">", kind.gt), ("<=", kind.le), ("<", kind.lt))
        if bound is not None
    ]
    if kind.multiple_of is not None:
        tests.append(f" and {source.constant('is_multiple', is_multiple)}({variable}, {kind.multiple_of!r})")
    return "".join(tests)


def string_code(kind: StringType, variable: str, source: Source) -> Code | None:
    """Return the source for a text, or for a value that becomes text. Return `None` if there is no common case."""
    if kind.python is not str:
        return _converted_code(kind, variable, source)
    escaped = f"({variable} if {variable}.isascii() else escape_surrogates({variable}))"
    bounds = [*_pattern_tests(kind, variable, source), *length_tests(kind, variable)]
    if not bounds:
        return Code(f"type({variable}) is str", escaped)
    # A bound applies to the form, which equals the text only without surrogates.
    has_form = f"({variable}.isascii() or has_no_surrogates({variable}))"
    return Code(" and ".join([f"type({variable}) is str", has_form, *bounds]), variable)


def _pattern_tests(kind: StringType, variable: str, source: Source) -> list[str]:
    return [f"{source.constant('search', compile_pattern(each).search)}({variable})" for each in kind.patterns]


def length_tests(kind: StringType | ArrayType | MapType, variable: str) -> list[str]:
    """Return the conditions that a length is within the bounds of a type."""
    tests = [f"len({variable}) >= {kind.min_length}"] if kind.min_length is not None else []
    return [*tests, f"len({variable}) <= {kind.max_length}"] if kind.max_length is not None else tests


def _converted_code(kind: StringType, variable: str, source: Source) -> Code | None:
    """Return the source for a value that is not a text and becomes one: a date, a UUID, bytes, a path."""
    python = _CONCRETE.get(kind.python, kind.python)
    is_exact = f"type({variable}) is {source.constant('class', python)}"
    if python in WRITTEN_BY_MSGSPEC:
        form = f"str({variable})" if python is decimal.Decimal else f"text_of({variable})"
    elif issubclass(python, BaseException):
        return Code(is_exact, repr(exception_name(python)))
    elif is_secret(python):
        return Code(is_exact, repr(MASKED)) if declares_nothing(python) else None
    else:
        form = f"{source.constant('text', text_converter(python))}({variable})"
    if not kind.patterns:
        return Code(is_exact, form, may_raise=True)
    text = source.name("text")
    tests = [is_exact, f"({text} := {form})", *_pattern_tests(kind, text, source)]
    return Code(" and ".join(tests), text, may_raise=True)


def enum_code(kind: EnumType, variable: str, source: Source) -> Code | None:
    """Return the source for a literal or for a member of an enum. Return `None` if their forms are of several classes."""
    if {type(value) for value in kind.values} not in ({str}, {int}):
        return None
    values = source.constant("values", frozenset(kind.values))
    if kind.python is None:
        return Code(f"type({variable}) is {type(kind.values[0]).__name__} and {variable} in {values}", variable)
    if not _values_are_forms(kind.python, kind) or not reads_plainly(kind.python, ("_value_",)):
        return None
    test, form = f"type({variable}) is {source.constant('class', kind.python)}", f"{variable}._value_"
    # A combination of flags is not a member, and may be none of the declared ones.
    return Code(f"{test} and {form} in {values}" if issubclass(kind.python, enum.Flag) else test, form)


def _values_are_forms(python: type[enum.Enum], kind: EnumType) -> bool:
    if issubclass(python, enum.Flag):
        return True
    return all(type(member._value_) is type(value) for member, value in zip(python, kind.values))
