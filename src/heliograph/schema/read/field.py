"""Read one field of an event, whatever its value is: validate it, protect it, and add it to attributes.

This is the complete and slow way to read a field; `heliograph.schema.read.generated` is the fast way for common values.
The steps are form → violations (of the unprotected form) → protection → attributes.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator

from heliograph.events import Privacy
from heliograph.runtime.program_errors import program_errors
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    FieldSchema,
    MapType,
    NullType,
    ObjectType,
    Type,
    has_private_parts,
    inner_types,
    options_of,
    walk_types,
)
from heliograph.schema.read.typed_attributes import typed_adder
from heliograph.schema.read.validation import Violation, violations_of, violations_of_field
from heliograph.values.attributes import Attributes
from heliograph.values.declarations import Place
from heliograph.values.forms import form_of, protected_form_of
from heliograph.values.plain import plain_form
from heliograph.values.privacy import (
    DROPPED,
    MASKED,
    PrivacyPolicy,
    Protected,
)
from heliograph.values.standard_library import MAX_VALUES


class FieldReader:
    """Reads one field of the events of a class. It never raises an exception.

    Args:
        field: The field.
        attribute: The name of its attribute, or the prefix of the names of its attributes.
        policy: The privacy policy.
        reserved: The names of the declared attributes of the event, which no key of a dict may take.
        validates: False if another reader of the same field reports its violations.

    Attributes:
        field: The field.
        attribute: The name of its attribute, or the prefix.
        reserved: The reserved names.
        privacy: The privacy of the whole value.
        is_plain: True if neither the value nor a part of its declared type is private.
        add: A function that adds a protected form of the value to attributes.
    """

    def __init__(
        self,
        field: FieldSchema,
        attribute: str,
        policy: PrivacyPolicy,
        reserved: frozenset[str] = frozenset(),
        *,
        validates: bool = True,
    ) -> None:
        self.field = field
        self.attribute = attribute
        self.reserved = reserved
        self.privacy = policy.privacy_of(field.declared, attribute)
        self._policy = policy
        self._validates = validates
        self._has_private_parts = has_private_parts(field.type)
        self.is_plain = self.privacy is Privacy.PLAIN and not self._has_private_parts
        self._place = _place_of(field.type)
        self.add = typed_adder(field.type, attribute, reserved)

    def __call__(self, attributes: Attributes, value: object, violations: list[Violation] | None) -> None:
        """Add the exported part of ``value`` to ``attributes``, and its violations to ``violations``, if that is a list."""
        try:
            form = exported = plain_form(value, [MAX_VALUES])
        except program_errors():
            # The value may have private parts or a registered converter, or may not be plain for another reason.
            exported, is_complete = protected_form_of(value, self._policy, self._place)
            form = exported if is_complete else form_of(value)
        if violations is not None and self._validates:
            # A masked or dropped value could not be checked, so the unprotected form is.
            violations += violations_of_field(form, self.field, self.field.name)
        if not self.is_plain:
            exported = self.protect(form if self.privacy is Privacy.HASH else exported)
        if exported is not DROPPED:
            self.add(attributes, exported)

    def read(self, value: object) -> object:
        """Return the exported part of a value in its form, or `DROPPED`."""
        try:
            form = plain_form(value, [MAX_VALUES])
        except program_errors():  # as above
            # A hash covers the whole value, private parts included.
            is_hashed = self.privacy is Privacy.HASH
            form = form_of(value) if is_hashed else protected_form_of(value, self._policy, self._place)[0]
        return form if self.is_plain else self.protect(form)

    def protect(self, form: object) -> object:
        """Return the exported part of a form, or `DROPPED`.

        Args:
            form: A form to which the privacy that classes inside of the value declare was applied already, unless the field
                is hashed. This method applies the privacy of the field, and then the privacy inside of its declared type,
                because a dict may be in the place of an object of a private class.
        """
        exported = self._policy.apply(self.privacy, form)
        return protect(exported, self.field.type, self._policy) if self._has_private_parts else exported


def _place_of(kind: Type) -> Place:
    """Return the generic classes that a type names, without those inside of other classes."""
    aliases: dict[type, tuple[object, ...]] = {}
    parts = list(_parts_of(kind))
    for each in parts:
        if isinstance(each, ObjectType) and typing.get_args(each.hint):
            aliases[each.python] = (*aliases.get(each.python, ()), each.hint)
    # An object of the same class, made by another alias, may be in a part of any type.
    if any(isinstance(each, AnyType) for each in parts):
        aliases = {cls: (*hints, cls) for cls, hints in aliases.items()}
    return Place(aliases=aliases, is_typed=not any(isinstance(each, AnyType) for each in walk_types(kind)))


def _parts_of(kind: Type) -> Iterator[Type]:
    yield kind
    if not isinstance(kind, ObjectType):
        for each in inner_types(kind):
            yield from _parts_of(each)


def field_readers(schema: EventSchema) -> tuple[FieldReader, ...]:
    """Return a reader for each field of a schema, and one more for each field that is also emitted under its new name."""
    reserved = frozenset(each.name for each in schema.wire_attributes())
    fields = schema.fields or ()
    return tuple(
        FieldReader(each, each.attribute_below(schema.event_name), schema.policy, reserved, validates=each in fields)
        for each in schema.emitted_fields()
    )


def protect(form: object, kind: Type, policy: PrivacyPolicy) -> object:
    """Return the exported part of a form, by the privacy that its declared type has inside.

    A private value may be anywhere in a form that does not have the declared shape. If the type has private fields, only
    these parts of such a form are exported: what an option without private fields accepts, and what a field that is declared
    in any option is allowed to export. Everything else is masked.
    """
    if form is None or form is DROPPED or isinstance(form, Protected) or not has_private_parts(kind):
        return form
    options = options_of(kind)
    private = [option for option in options if has_private_parts(option) and _has_shape(form, option)]
    if not private or not _contains_dict(form):
        is_plain = any(_fits(form, option) for option in options if not has_private_parts(option))
        if is_plain or not private:
            return form if is_plain else Protected(MASKED)
    # A dict can be in the place of an object of any of them, so all declarations apply.
    for option in private:
        form = _protect_inside(form, option, policy, options)
    return form


def _has_shape(form: object, kind: Type) -> bool:
    """Return True if a form is a list or a dict, as the type is one."""
    if isinstance(form, dict):
        return isinstance(kind, (ObjectType, MapType))
    return isinstance(form, list) and isinstance(kind, ArrayType)


def _contains_dict(form: object) -> bool:
    return isinstance(form, dict) or (isinstance(form, list) and any(map(_contains_dict, form)))


def _fits(form: object, kind: Type) -> bool:
    return not any(True for _ in violations_of(form, kind, ""))


def _protect_inside(form: object, kind: Type, policy: PrivacyPolicy, options: tuple[Type, ...]) -> object:
    """Return the exported part of a form that has the shape of the type, which is one of the options."""
    match kind:
        case ObjectType() if isinstance(form, dict):
            return _protect_object(form, kind, policy, options)
        case MapType() if isinstance(form, dict):
            return {key: protect(value, kind.values, policy) for key, value in form.items()}
        case ArrayType() if isinstance(form, list):
            if not kind.prefix:
                return [protect(item, kind.items or AnyType(), policy) for item in form]
            types = (*kind.prefix, *[NullType()] * max(0, len(form) - len(kind.prefix)))  # nothing else was declared
            return [_protect_position(item, item_type, policy) for item, item_type in zip(form, types)]
        case _:  # pragma: no cover — only options of the form's shape get here; if that changes, nothing is exported
            return Protected(MASKED)


def _protect_object(
    form: dict[str, object], kind: ObjectType, policy: PrivacyPolicy, options: tuple[Type, ...]
) -> dict[str, object]:
    types = {field.name: field.type for field in kind.fields}
    exported = policy.protect_fields(form, {field.name: field.declared for field in kind.fields})
    # A declared field is protected by its type. Any other key is exported only if an option declares it, or accepts any.
    return {
        name: protect(value, types[name], policy)
        if name in types
        else value
        if isinstance(value, Protected) or any(_declares(option, name, value) for option in options)
        else Protected(MASKED)
        for name, value in exported.items()
    }


def _declares(kind: Type, key: str, value: object) -> bool:
    """Return True if a type has a field for a key, or accepts any key with such a value.

    If the type has private parts, the value is protected when the type has its turn.
    """
    match kind:
        case ObjectType():
            return any(field.name == key for field in kind.fields)
        case MapType():
            return has_private_parts(kind) or _fits(value, kind.values)
        case _:
            return isinstance(kind, AnyType)


def _protect_position(form: object, kind: Type, policy: PrivacyPolicy) -> object:
    """Return the exported part of an item of a tuple. One that does not fit its position is masked: it may be a private item."""
    return protect(form, kind, policy) if has_private_parts(kind) or _fits(form, kind) else Protected(MASKED)
