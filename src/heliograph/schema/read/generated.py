"""Generate the function that turns the common events of one class into attributes.

A generated function takes a third of the time of a loop over the fields, and every tracked event needs it. It handles the
common case only: every value is of exactly the declared class, and within its bounds. For any other event, and after any
exception, it calls a fallback that reads the event field by field (`heliograph.schema.read.field`).

The source of a class with one integer ``a`` and an optional text ``b``, shortened::

    def attributes_of(event, violations=None):
        try:
            if type(value_0 := event.a) is int and … and (value_1 is None or type(value_1) is str):
                attributes = {"app.thing.a": value_0}
                if value_1 is not None: attributes["app.thing.b"] = value_1
                return attributes
        except program_errors:
            pass
        return fallback(event, violations)

Nothing simpler does the same: functions in a loop spend more time on calls than on work, and msgspec's conversion stops at
the first violation and knows no names of attributes.

**Safety of `exec`.** The source contains only names that this module makes itself, names of fields, which Python accepted as
identifiers, and names of attributes as string literals. Every other value is passed in under a name.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
import uuid
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from typing_extensions import assert_never

from heliograph.events import EventLike, Privacy
from heliograph.runtime.program_errors import PROGRAM_ERRORS
from heliograph.schema.model.patterns import compile_pattern
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
    without_null,
)
from heliograph.schema.model.wire_attributes import expands
from heliograph.schema.read.field import FieldReader
from heliograph.schema.read.validation import Violation, is_multiple
from heliograph.values.attributes import Attributes
from heliograph.values.fields import field_names
from heliograph.values.generics import is_generic
from heliograph.values.privacy import MASKED, PrivacyPolicy
from heliograph.values.scalars import INT64_MAX, INT64_MIN
from heliograph.values.stored import has_instance_dict
from heliograph.values.text import escape_surrogates

_SMALL: Final = 2**30 - 1
"""The greatest integer that CPython keeps in one digit, and compares faster than others."""

AttributesFunction = Callable[..., Attributes]
"""A function that takes an event, and a list to fill with violations or `None`, and returns attributes."""

_NAME: Final = "attributes_of"


def generate_attributes_function(
    readers: Sequence[FieldReader],
    policy: PrivacyPolicy,
    fallback: Callable[[EventLike, list[Violation] | None], Attributes],
) -> AttributesFunction:
    """Return a function that turns an event into the attributes of its fields, and never raises an exception.

    Args:
        readers: The reader of each field.
        policy: The privacy policy.
        fallback: The function that reads an event which is not of the common case.
    """
    source = _FunctionSource(policy)
    for reader in readers:
        source.add_field(reader)
    names: dict[str, object] = {
        **source.constants,
        "fallback": fallback,
        "program_errors": PROGRAM_ERRORS,
        "escape_surrogates": escape_surrogates,
        "texts": msgspec.to_builtins,
    }
    exec(source.text(), names)  # noqa: S102 — see the module's docstring
    return names[_NAME]  # type: ignore[return-value]


class _Assignment(NamedTuple):
    """The source of one attribute.

    Attributes:
        guards: The variables that must not be `None` for the attribute to exist.
        attribute: The name of the attribute.
        expression: The expression of its value.
    """

    guards: tuple[str, ...]
    attribute: str
    expression: str


class _FunctionSource:
    """Builds the source of one function, field by field.

    Attributes:
        constants: The values that the source refers to, by the names that it gives them.
    """

    def __init__(self, policy: PrivacyPolicy) -> None:
        self.constants: dict[str, object] = {}
        self._policy = policy
        self._variable_count = 0
        self._conditions: list[str] = []
        self._batch: list[str] = []  # variables whose texts one call of msgspec makes
        self._steps: list[_Assignment | str] = []

    def add_field(self, reader: FieldReader) -> None:
        """Add a field of the event: inline if its type has a common case, else as a call of its reader."""
        source = f"event.{reader.field.name}"
        mark = (len(self._batch), len(self._steps))
        condition = self._add_value(source, reader.field.type, reader.attribute, reader.privacy, ())
        if condition is None:
            del self._batch[mark[0] :], self._steps[mark[1] :]  # of an object of which some fields were added already
            self._steps.append(f"{self._constant(reader)}(attributes, {source}, violations)")
        else:
            self._conditions.append(condition)

    def _add_value(
        self, source: str, kind: Type, attribute: str, privacy: Privacy, guards: tuple[str, ...]
    ) -> str | None:
        """Add the steps of a value, and return the condition under which they apply, or `None` if there is no common case.

        Args:
            source: The expression that reads the value.
            kind: The type of the value.
            attribute: The name of its attribute, or the prefix of several.
            privacy: Its privacy.
            guards: The variables of optional values that it is inside of.
        """
        variable = f"value_{self._variable_count}"
        self._variable_count += 1
        inner = without_null(kind)
        is_optional = inner is not kind
        guards = (*guards, variable) if is_optional else guards
        if isinstance(inner, ObjectType):
            condition = self._add_object(variable, inner, attribute, privacy, guards)
        else:
            condition = self._add_scalar(variable, inner, attribute, privacy, guards)
        if condition is None:
            return None
        condition = f"({variable} is None or {condition})" if is_optional else condition
        return condition.replace(variable, f"({variable} := {source})", 1)  # the first mention reads the value

    def _add_scalar(
        self, variable: str, kind: Type, attribute: str, privacy: Privacy, guards: tuple[str, ...]
    ) -> str | None:
        found = self._common_case(kind, variable)
        if found is None:
            return None
        condition, expression = found
        match privacy:
            case Privacy.MASK:
                self._steps.append(_Assignment(guards, attribute, repr(MASKED)))
            case Privacy.HASH:
                hash_form = self._constant(self._policy.hash_form)
                self._steps.append(_Assignment(guards, attribute, f"str({hash_form}({expression}))"))
            case Privacy.PLAIN:
                self._steps.append(_Assignment(guards, attribute, expression))
            case Privacy.DROP:
                pass  # its value is still tested, so that an event with a wrong one falls back and is reported
            case _:
                assert_never(privacy)
        return condition

    def _add_object(
        self, variable: str, kind: ObjectType, attribute: str, privacy: Privacy, guards: tuple[str, ...]
    ) -> str | None:
        fields = tuple(field.name for field in kind.fields)
        # If the schema does not know each field of the class, the others would be missing among the attributes.
        has_all_fields = dataclasses.is_dataclass(kind.python) and field_names(kind.python) == fields
        if privacy is not Privacy.PLAIN or not has_all_fields or not expands(kind):
            return None
        conditions = [f"type({variable}) is {self._constant(kind.python)}"]
        if is_generic(kind.python) and has_instance_dict(kind.python):  # it may know that another alias made it
            aliases = self._constant((None, kind.hint))
            conditions.append(f"{variable}.__dict__.get('__orig_class__') in {aliases}")
        for field in kind.fields:
            name = field.attribute_below(attribute)
            field_privacy = self._policy.privacy_of(field.declared, field.attribute, enclosing=privacy)
            condition = self._add_value(f"{variable}.{field.name}", field.type, name, field_privacy, guards)
            if condition is None:
                return None
            conditions.append(condition)
        return f"({' and '.join(conditions)})"

    def _constant(self, value: object) -> str:
        """Return a name for a value that cannot be written as source."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = value
        return name

    def _text_of(self, variable: str) -> str:
        """Return the variable that will have a value's text. One call of msgspec makes the texts of all such values."""
        self._batch.append(variable)
        return f"text_{variable}"

    def text(self) -> str:
        """Return the source of the function."""
        lines = [f"def {_NAME}(event, violations=None):", "    try:"]
        conditions = " and ".join(self._conditions)
        indent = " " * (12 if conditions else 8)
        if conditions:
            lines.append(f"        if {conditions}:")
        if self._batch:
            names, values = (", ".join(f"{prefix}{each}" for each in self._batch) for prefix in ("text_", ""))
            lines.append(f"{indent}{names}, = texts(({values},))")
        lines += [indent + line for line in self._assignments()]
        lines += ["    except program_errors:", "        pass", "    return fallback(event, violations)"]
        return "\n".join(lines)

    def _assignments(self) -> list[str]:
        always = [step for step in self._steps if isinstance(step, _Assignment) and not step.guards]
        items = ", ".join(f"{step.attribute!r}: {step.expression}" for step in always)
        lines = [f"attributes = {{{items}}}"]  # one literal is faster than an assignment for each
        for step in self._steps:
            if isinstance(step, str):
                lines.append(step)
            elif step.guards:
                tests = " and ".join(f"{guard} is not None" for guard in step.guards)
                lines.append(f"if {tests}: attributes[{step.attribute!r}] = {step.expression}")
        return [*lines, "return attributes"]

    def _common_case(self, kind: Type, variable: str) -> tuple[str, str] | None:
        """Return the condition that a variable has a common value of a type, and the expression of its form.

        Return `None` if the type has no common case that is worth the source. Conditions test the exact class: a subclass
        can override anything.
        """
        match kind:
            case StringType():
                return self._common_string(kind, variable)
            case BooleanType():
                return f"({variable} is True or {variable} is False)", variable
            case IntegerType():
                size = f"({-_SMALL} <= {variable} <= {_SMALL} or {INT64_MIN} <= {variable} <= {INT64_MAX})"
                return f"type({variable}) is int and {size}{self._bounds(kind, variable)}", variable
            case NumberType():
                is_finite = f"{variable} - {variable} == 0.0"  # no call: infinity and NaN give NaN
                return f"type({variable}) is float and {is_finite}{self._bounds(kind, variable)}", variable
            case EnumType():
                return self._common_enum(kind, variable)
            case ArrayType():
                return self._common_array(kind, variable)
            case AnyType() | NullType() | MapType() | ObjectType() | UnionType():
                return None
            case _:
                assert_never(kind)

    def _bounds(self, kind: NumberType, variable: str) -> str:
        tests = [
            f" and {variable} {operator} {bound!r}"
            for operator, bound in ((">=", kind.ge), (">", kind.gt), ("<=", kind.le), ("<", kind.lt))
            if bound is not None
        ]
        if kind.multiple_of is not None:
            tests.append(f" and {self._constant(is_multiple)}({variable}, {kind.multiple_of!r})")
        return "".join(tests)

    def _common_string(self, kind: StringType, variable: str) -> tuple[str, str] | None:
        if kind.python is not str:  # a date, a UUID, bytes …
            if kind.patterns or kind.python not in _WRITTEN_BY_MSGSPEC:
                return None
            condition = f"type({variable}) is {self._constant(kind.python)}"
            return condition, f"str({variable})" if kind.python is decimal.Decimal else self._text_of(variable)
        is_bounded = bool(kind.patterns) or kind.min_length is not None or kind.max_length is not None
        if not is_bounded:
            return (
                f"type({variable}) is str",
                f"({variable} if {variable}.isascii() else escape_surrogates({variable}))",
            )
        # A bound applies to the form, which equals the text only without surrogates; ASCII text certainly has none.
        tests = [f"type({variable}) is str", f"{variable}.isascii()"]
        tests += [f"{self._constant(compile_pattern(pattern).search)}({variable})" for pattern in kind.patterns]
        return " and ".join([*tests, *_length_tests(kind, variable)]), variable

    def _common_enum(self, kind: EnumType, variable: str) -> tuple[str, str] | None:
        if {type(value) for value in kind.values} not in ({str}, {int}):
            return None
        if kind.python is None:
            values = self._constant(frozenset(kind.values))
            return f"type({variable}) is {type(kind.values[0]).__name__} and {variable} in {values}", variable
        values_are_forms = all(type(member._value_) is type(value) for member, value in zip(kind.python, kind.values))
        if not values_are_forms or issubclass(kind.python, enum.Flag):  # a combination of flags is no member
            return None
        return f"type({variable}) is {self._constant(kind.python)}", f"{variable}._value_"

    def _common_array(self, kind: ArrayType, variable: str) -> tuple[str, str] | None:
        if kind.python is not list or kind.prefix:
            return None
        tests = [f"type({variable}) is list", *_length_tests(kind, variable)]
        if kind.items == StringType():
            # `join` fails unless all items are text; msgspec turns items of a subclass of `str` into plain text.
            return " and ".join([*tests, f"''.join({variable}).isascii()"]), self._text_of(variable)
        if kind.items not in _ITEMS:
            return None
        python, test = _ITEMS[kind.items]
        self.constants["isfinite"] = math.isfinite
        tests.append(f"{{*map(type, {variable})}} <= {self._constant({python})}")
        return " and ".join(
            [*tests, test.format(variable)]
        ), f"[*{variable}]"  # a copy: the program may change its list


def _length_tests(kind: StringType | ArrayType, variable: str) -> list[str]:
    tests = [f"len({variable}) >= {kind.min_length}"] if kind.min_length is not None else []
    return [*tests, f"len({variable}) <= {kind.max_length}"] if kind.max_length is not None else tests


_WRITTEN_BY_MSGSPEC: Final = frozenset(
    {dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID, bytes, bytearray, memoryview}
)
"""The classes whose values, if they are of exactly that class, msgspec turns into text."""

_ITEMS: Final = {
    BooleanType(): (bool, "True"),
    NumberType(): (float, "all(map(isfinite, {0}))"),
    IntegerType(): (int, f"(not {{0}} or {INT64_MIN} <= min({{0}}) and max({{0}}) <= {INT64_MAX})"),
}
"""The types of items that have a common case: their exact class, and a test that a list of them has to pass."""
