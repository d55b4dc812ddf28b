"""The function that checks an event of one class and turns it into attributes, generated once for the class.

A generated function costs a third of what a loop over the fields does, and stands on the way of every event. It knows the
common case alone: every value is of exactly the declared class, and within its bounds. For anything else it asks the
careful way (`heliograph.schema.read.field`), so that it needs no judgement of its own. Its source has nothing in it but names
that it makes itself, field names, which Python accepted as identifiers, and attribute names as string literals.
"""

from __future__ import annotations

import dataclasses
import decimal
import enum
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from heliograph.events import EventLike, Privacy
from heliograph.schema.model.types import (
    ArrayType,
    BooleanType,
    EnumType,
    IntegerType,
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
from heliograph.values.forms import INT64_MAX, INT64_MIN
from heliograph.values.introspect import field_names
from heliograph.values.privacy import MASKED, PrivacyPolicy
from heliograph.values.text import escape_surrogates

SMALL: Final = 2**30 - 1

AttributesOf = Callable[..., Attributes]
"""From an event, and a list to fill with violations or `None`, to attributes."""


def attribute_reader(
    readers: Sequence[FieldReader],
    policy: PrivacyPolicy,
    otherwise: Callable[[EventLike, list[Violation] | None], Attributes],
) -> AttributesOf:
    """A function from an event to the attributes of these fields; it never raises.

    Args:
        readers: What reads each of the fields with all care.
        policy: What may leave.
        otherwise: What is asked where an event is not of the common case.
    """
    writer = _Writer(policy)
    for reader in readers:
        writer.add(reader)
    known: dict[str, object] = {
        **writer.constants,
        "otherwise": otherwise,
        "escape_surrogates": escape_surrogates,
        "texts": msgspec.to_builtins,
    }
    exec(writer.source(), known)  # noqa: S102 — see the module's docstring
    return known["read"]  # type: ignore[return-value]


class _Output(NamedTuple):
    """One attribute.

    Attributes:
        guards: Variables that must not be `None`.
        attribute: Its name.
        expression: Its value; ``{texts}`` is where the n-th text of a batch is.
    """

    guards: tuple[str, ...]
    attribute: str
    expression: str


class _Writer:
    """Writes the function.

    Attributes:
        constants: What it names, by name.
    """

    def __init__(self, policy: PrivacyPolicy) -> None:
        self.constants: dict[str, object] = {}
        self._policy = policy
        self._variables = 0
        self._conditions: list[str] = []
        self._texts: list[str] = []
        self._steps: list[_Output | str] = []

    def add(self, reader: FieldReader) -> None:
        """Write one field of the event."""
        source = f"event.{reader.field.name}"
        mark = (len(self._texts), len(self._steps))
        condition = self.value(source, reader.field.type, reader.attribute, reader.privacy, ())
        if condition is None:
            del self._texts[mark[0] :], self._steps[mark[1] :]
            self._steps.append(f"{self.constant(reader)}(attributes, {source}, violations)")
        else:
            self._conditions.append(condition)

    def value(self, source: str, kind: Type, attribute: str, privacy: Privacy, guards: tuple[str, ...]) -> str | None:
        """The condition that a value is of the common case, after which its outputs are known; `None` if none can be written."""
        variable = f"value_{self._variables}"
        self._variables += 1
        inner = without_null(kind)
        is_optional = inner is not kind
        if (is_optional and isinstance(kind, UnionType) and len(kind.options) > 2) or isinstance(inner, NullType):  # noqa: PLR2004
            return None
        guards = (*guards, variable) if is_optional else guards
        if isinstance(inner, ObjectType):
            condition = self._object(variable, inner, attribute, privacy, guards)
        else:
            condition = self._scalar(variable, inner, attribute, privacy, guards)
        if condition is None:
            return None
        condition = f"({variable} is None or {condition})" if is_optional else condition
        return condition.replace(variable, f"({variable} := {source})", 1)

    def _scalar(
        self, variable: str, kind: Type, attribute: str, privacy: Privacy, guards: tuple[str, ...]
    ) -> str | None:
        found = _common(kind, self, variable)
        if found is None:
            return None
        condition, expression = found
        if privacy is Privacy.MASK:
            self._steps.append(_Output(guards, attribute, repr(MASKED)))
        elif privacy is Privacy.HASH:
            self._steps.append(
                _Output(guards, attribute, f"str({self.constant(self._policy.hash_form)}({expression}))")
            )
        elif privacy is Privacy.PLAIN:
            self._steps.append(_Output(guards, attribute, expression))
        return condition

    def _object(
        self, variable: str, kind: ObjectType, attribute: str, privacy: Privacy, guards: tuple[str, ...]
    ) -> str | None:
        is_whole = dataclasses.is_dataclass(kind.python) and field_names(kind.python) == tuple(
            f.name for f in kind.fields
        )
        if privacy is not Privacy.PLAIN or not is_whole or not expands(kind):
            return None
        conditions = [f"type({variable}) is {self.constant(kind.python)}"]
        for field in kind.fields:
            name = field.attribute_below(attribute)
            below = self._policy.privacy_of(field.declared, field.attribute, enclosing=privacy)
            condition = self.value(f"{variable}.{field.name}", field.type, name, below, guards)
            if condition is None:
                return None
            conditions.append(condition)
        return f"({' and '.join(conditions)})"

    def constant(self, value: object) -> str:
        """The name of a value that the source cannot write out."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = value
        return name

    def batched(self, variable: str) -> str:
        """The variable of a value's text, of those that one call makes."""
        self._texts.append(variable)
        return f"text_{variable}"

    def source(self) -> str:
        """The source of the function ``read``."""
        lines = ["def read(event, violations=None):", "    try:"]
        conditions = " and ".join(self._conditions)
        indent = " " * (12 if conditions else 8)
        if conditions:
            lines.append(f"        if {conditions}:")
        if self._texts:
            names, values = (", ".join(f"{prefix}{each}" for each in self._texts) for prefix in ("text_", ""))
            lines.append(f"{indent}{names}, = texts(({values},))")
        lines += [indent + line for line in self._filling()]
        lines += ["    except Exception:", "        pass", "    return otherwise(event, violations)"]
        return "\n".join(lines)

    def _filling(self) -> list[str]:
        sure = [step for step in self._steps if isinstance(step, _Output) and not step.guards]
        written = ", ".join(f"{step.attribute!r}: {step.expression}" for step in sure)
        lines = [f"attributes = {{{written}}}"]  # one literal for all that are always there
        for step in self._steps:
            if isinstance(step, str):
                lines.append(step)
            elif step.guards:
                tests = " and ".join(f"{guard} is not None" for guard in step.guards)
                lines.append(f"if {tests}: attributes[{step.attribute!r}] = {step.expression}")
        return [*lines, "return attributes"]


@functools.singledispatch
def _common(kind: Type, writer: _Writer, variable: str) -> tuple[str, str] | None:  # noqa: ARG001
    """For a type: the condition that a variable has a value of the common case, and the expression of its form."""
    return None


@_common.register
def _(kind: BooleanType, writer: _Writer, variable: str) -> tuple[str, str]:  # noqa: ARG001
    return f"({variable} is True or {variable} is False)", variable


@_common.register
def _(kind: IntegerType, writer: _Writer, variable: str) -> tuple[str, str]:
    # most integers are small, and CPython compares small ones faster
    size = f"({-SMALL} <= {variable} <= {SMALL} or {INT64_MIN} <= {variable} <= {INT64_MAX})"
    return f"type({variable}) is int and {size}{_bounds(kind, writer, variable)}", variable


@_common.register
def _(kind: NumberType, writer: _Writer, variable: str) -> tuple[str, str]:
    return f"type({variable}) is float and {variable} - {variable} == 0.0{_bounds(kind, writer, variable)}", variable


def _bounds(kind: NumberType, writer: _Writer, variable: str) -> str:
    tests = [
        f" and {variable} {operator} {bound!r}"
        for operator, bound in ((">=", kind.ge), (">", kind.gt), ("<=", kind.le), ("<", kind.lt))
        if bound is not None
    ]
    if kind.multiple_of is not None:
        tests.append(f" and {writer.constant(is_multiple)}({variable}, {kind.multiple_of!r})")
    return "".join(tests)


@_common.register
def _(kind: StringType, writer: _Writer, variable: str) -> tuple[str, str] | None:
    if kind.python is not str:
        return _formatted(kind, writer, variable)
    tests = [f"type({variable}) is str"]
    is_bounded = bool(kind.patterns) or kind.min_length is not None or kind.max_length is not None
    if is_bounded:
        tests.append(f"{variable}.isascii()")  # the bounds are those of the form, which is then the text itself
    tests += [f"{writer.constant(re.compile(pattern).search)}({variable})" for pattern in kind.patterns]
    tests += _lengths(kind, variable)
    return " and ".join(
        tests
    ), variable if is_bounded else f"({variable} if {variable}.isascii() else escape_surrogates({variable}))"


def _formatted(kind: StringType, writer: _Writer, variable: str) -> tuple[str, str] | None:
    if kind.patterns:
        return None
    condition = f"type({variable}) is {writer.constant(kind.python)}"
    return condition, f"str({variable})" if kind.python is decimal.Decimal else writer.batched(variable)


def _lengths(kind: StringType | ArrayType, variable: str) -> list[str]:
    tests = [f"len({variable}) >= {kind.min_length}"] if kind.min_length is not None else []
    return [*tests, f"len({variable}) <= {kind.max_length}"] if kind.max_length is not None else tests


@_common.register
def _(kind: EnumType, writer: _Writer, variable: str) -> tuple[str, str] | None:
    if {type(value) for value in kind.values} not in ({str}, {int}):
        return None
    if kind.python is None:
        kept = writer.constant(frozenset(kind.values))
        return f"type({variable}) is {type(kind.values[0]).__name__} and {variable} in {kept}", variable
    is_its_form = all(type(member._value_) is type(value) for member, value in zip(kind.python, kind.values))
    if not is_its_form or issubclass(kind.python, enum.Flag):
        return None
    return f"type({variable}) is {writer.constant(kind.python)}", f"{variable}._value_"


@_common.register
def _(kind: ArrayType, writer: _Writer, variable: str) -> tuple[str, str] | None:
    if kind.python is not list or kind.prefix:
        return None
    tests = [f"type({variable}) is list", *_lengths(kind, variable)]
    if kind.items == StringType():  # what cannot be joined is no text, and what is a text by inheritance becomes one
        return " and ".join([*tests, f"''.join({variable}).isascii()"]), writer.batched(variable)
    if kind.items not in _ITEMS:
        return None
    python, test = _ITEMS[kind.items]
    writer.constants["isfinite"] = math.isfinite
    tests.append(f"{{*map(type, {variable})}} <= {writer.constant({python})}")
    return " and ".join([*tests, test.format(variable)]), f"[*{variable}]"


_ITEMS: Final = {
    BooleanType(): (bool, "True"),
    NumberType(): (float, "all(map(isfinite, {0}))"),
    IntegerType(): (int, f"(not {{0}} or {INT64_MIN} <= min({{0}}) and max({{0}}) <= {INT64_MAX})"),
}
"""For a type of items: their exact class, and what more has to be true of a list of them."""
