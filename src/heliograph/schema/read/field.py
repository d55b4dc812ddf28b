"""One field of an event, read with all care: checked, protected, and put into attributes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from heliograph.events import Privacy
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    FieldSchema,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
    item_types,
    options_of,
    walk_types,
    without_null,
)
from heliograph.schema.model.wire_attributes import expands, wire_type
from heliograph.schema.read.validation import Violation, violations_of_fields
from heliograph.values.attributes import Attributes, add_attributes
from heliograph.values.forms import form_of, protected_form_of
from heliograph.values.privacy import (
    DROPPED,
    MASKED,
    PrivacyPolicy,
    Protected,
)
from heliograph.values.text import to_json


class FieldReader:
    """Reads one field of events: what is wrong with its value, and what leaves of it. It never raises.

    Args:
        field: The field.
        attribute: The name, or the prefix of the names, of its attributes.
        policy: What may leave.
        reserved: The names of the event's declared attributes, which no key chosen by somebody else takes.
        checks: Whether it tells what is wrong; one that reads a field for the second time need not.

    Attributes:
        field: The field.
        attribute: The name, or the prefix.
        reserved: The names that no key takes.
        privacy: What leaves of the whole value.
    """

    def __init__(
        self,
        field: FieldSchema,
        attribute: str,
        policy: PrivacyPolicy,
        reserved: frozenset[str] = frozenset(),
        *,
        checks: bool = True,
    ) -> None:
        self.attribute = attribute
        self._checks = checks
        self.field = field
        self._policy = policy
        self.reserved = reserved
        self.privacy = policy.privacy_of(field.declared, attribute)
        self._is_private_inside = _has_private_fields(field.type)

    def __call__(self, attributes: Attributes, value: object, violations: list[Violation] | None) -> None:
        """Put what leaves of ``value`` into ``attributes``, and what is wrong with it into ``violations``."""
        form, is_all = protected_form_of(value, self._policy)
        raw = form if is_all else form_of(value)
        if violations is not None and self._checks:
            violations.extend(violations_of_fields({self.field.name: raw}, (self.field,)))
        left = self.protected(raw if self.privacy is Privacy.HASH else form)
        if left is not DROPPED:
            add_typed_attributes(attributes, self.attribute, left, self.field.type, self.reserved)

    def read(self, value: object) -> object:
        """What leaves of a value, in its form; or `DROPPED`."""
        return self.protected(
            form_of(value) if self.privacy is Privacy.HASH else protected_form_of(value, self._policy)[0]
        )

    def protected(self, form: object) -> object:
        """What leaves of a form that has in it only what the classes inside of it let out; or `DROPPED`."""
        left = self._policy.apply(self.privacy, form)
        return protect(left, self.field.type, self._policy) if self._is_private_inside else left


def field_readers(schema: EventSchema) -> tuple[FieldReader, ...]:
    """Return a reader for each field of a schema, and one more for each field that is also emitted under its new name."""
    reserved = frozenset(each.name for each in schema.wire_attributes())
    fields = schema.fields or ()
    return tuple(
        FieldReader(each, each.attribute_below(schema.event_name), schema.policy, reserved, checks=each in fields)
        for each in schema.emitted_fields()
    )


def _has_private_fields(kind: Type) -> bool:
    fields = (field for each in walk_types(kind) if isinstance(each, ObjectType) for field in each.fields)
    return any(field.declared.privacy is not None or field.requirement == "opt_in" for field in fields)


def protect(form: object, kind: Type, policy: PrivacyPolicy) -> object:
    """What leaves of a form, by what its type declares: of a dict that stands where a private class should, too.

    A form of another shape than the type's is masked as a whole, if the type has something private inside of it: where the
    private part lies in it, nobody knows.
    """
    if form is None or form is DROPPED or isinstance(form, Protected) or not _has_private_fields(kind):
        return form
    fitting = [option for option in options_of(kind) if isinstance(form, _SHAPES.get(type(option), _SCALARS))]
    if not fitting:
        return Protected(MASKED)
    for option in fitting:
        form = _protected(option, form, policy)
    return form


_SCALARS: Final = (str, int, float, bool)
_SHAPES: Final[Mapping[type, type | tuple[type, ...]]] = {
    ObjectType: dict,
    MapType: dict,
    ArrayType: list,
    StringType: str,
    NullType: type(None),
    AnyType: object,
}


@functools.singledispatch
def _protected(kind: Type, form: object, policy: PrivacyPolicy) -> object:  # noqa: ARG001 — a scalar has nothing inside
    return form


@_protected.register
def _(kind: ObjectType, form: dict[str, object], policy: PrivacyPolicy) -> object:
    left = policy.protect_fields(form, {field.name: field.declared for field in kind.fields})
    types = {field.name: field.type for field in kind.fields}
    return {name: protect(value, types[name], policy) if name in types else value for name, value in left.items()}


@_protected.register
def _(kind: MapType, form: dict[str, object], policy: PrivacyPolicy) -> object:
    return {key: protect(value, kind.values, policy) for key, value in form.items()}


@_protected.register
def _(kind: ArrayType, form: list[object], policy: PrivacyPolicy) -> object:
    return [protect(item, of, policy) for item, of in zip(form, item_types(kind, len(form)))]


def add_typed_attributes(attributes: Attributes, name: str, form: object, kind: Type, reserved: frozenset[str]) -> None:
    """Put a form into attributes, by its type: each field of a class under its own name.

    Args:
        attributes: Filled.
        name: The attribute's name, or the prefix of several.
        form: A form, already protected.
        kind: What the form should be; what is not that, goes under ``name`` as it is.
        reserved: Names that a key chosen by somebody else must not take.
    """
    kind = without_null(kind)
    if not (isinstance(kind, ObjectType) and isinstance(form, dict) and expands(kind)):
        add_attributes(attributes, name, _settled(form, kind), reserved=reserved)
        return
    rest = dict(form)
    for field in kind.fields:
        if field.name in rest:
            add_typed_attributes(attributes, field.attribute_below(name), rest.pop(field.name), field.type, reserved)
    if rest:
        add_attributes(attributes, name, rest, reserved=reserved)


def _settled(form: object, kind: Type) -> object:
    """The form in the one type that its attribute always has: a backend keeps one type for each name."""
    if isinstance(kind, IntegerType):
        return int(form) if isinstance(form, float) and form.is_integer() else form
    if isinstance(kind, NumberType):
        return float(form) if type(form) is int and float(form) == form else form
    if isinstance(kind, UnionType) and wire_type(kind) == "double":
        return _settled(form, NumberType())
    if isinstance(kind, ArrayType) and isinstance(form, list):
        if wire_type(kind) == "string":
            return to_json(form)
        return [_settled(item, of) for item, of in zip(form, item_types(kind, len(form)))]
    return form
