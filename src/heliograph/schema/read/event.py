"""Read the events of one class: attributes with violations, the body, and the properties that the quarantine stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from heliograph.classes import qualified_name
from heliograph.events import EventLike
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import getattr_or_none, program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.coverage import CoverageRecorder
from heliograph.schema.read.field import field_readers
from heliograph.schema.read.generated.function import AttributesFunction, generate_attributes_function
from heliograph.schema.read.generated.key_values import (
    KeyValueEncoder,
    KeyValuesFunction,
    generate_key_values_function,
)
from heliograph.schema.read.validation import Violation
from heliograph.semconv import SCOPE
from heliograph.values.attributes import Attributes, add_attributes, without_opted_out
from heliograph.values.declared_attributes import declared_privacy
from heliograph.values.fields import field_names, type_of
from heliograph.values.forms import protected_form_of
from heliograph.values.generics import is_generic
from heliograph.values.privacy import DROPPED
from heliograph.values.stored import MAX_CACHED_CLASSES
from heliograph.values.text import display

failures: Final = LimitedLog(SafeLogger(SCOPE))
"""Logs failures of the code of events, at a limited rate."""


class EventReader:
    """Reads the events of one class. No method raises an exception, whatever an event holds.

    Args:
        schema: The schema of the class.
        specialize: A function that returns the schema of the events that an alias of a generic class made, such as
            ``Created[Secret](…)``. `None` reads them by the schema of the class.

    Attributes:
        schema: The schema of the class.
        attributes: A function ``attributes(event, violations=None)`` that returns the properties of an event as attributes.
            If given a list, it appends the `Violation`s of the event to it; given `None`, it does not validate.
            `heliograph.values.forms` documents the form of each value.
        class_name: The qualified name of the class.
        declared: The names of the attributes that its properties become, as far as they do not depend on data.
        coverage: Records which attributes were seen.
        renamed: Reads the same events under their new name, if they are emitted under both names.
    """

    def __init__(
        self, schema: EventSchema, specialize: Callable[[EventSchema, object], EventSchema] | None = None
    ) -> None:
        self.schema = schema
        self.class_name = qualified_name(schema.event_class)
        attributes = tuple(schema.wire_attributes())
        self.declared = frozenset(each.name for each in attributes)
        self.coverage = CoverageRecorder(attributes)
        self.renamed = None if schema.renamed is None else EventReader(schema.renamed, specialize)
        self._display_name = display(schema.name)
        self._fields = field_readers(schema)
        self.attributes: AttributesFunction = (
            self._untyped_attributes
            if schema.fields is None
            else generate_attributes_function(self._fields, schema.policy, self._attributes_by_field)
        )
        if schema.policy.opt_out:
            self.attributes = self._without_opted_out(self.attributes)
        # This comes last: the reader of an alias is complete in itself, and nothing is applied to its attributes a second time.
        self._by_alias: dict[object, EventReader] = {}
        self._specialize = specialize if is_generic(schema.event_class) and schema.fields is not None else None
        if self._specialize is not None:
            self._attributes_of_class, self.attributes = self.attributes, self._attributes_by_alias

    def encoding(self, encoder: KeyValueEncoder) -> KeyValuesFunction | None:
        """Return a function that encodes the properties of an event, or `None` if they are needed as attributes first.

        They are needed if the body shows them, if the settings may remove some of them again, or if they depend on the event itself: on its
        `properties()`, or on the alias that made it.
        """
        schema = self.schema
        if schema.fields is None or schema.body is not None or schema.policy.opt_out or self._specialize is not None:
            return None
        return generate_key_values_function(self._fields, schema.policy, encoder)

    def body_text(self, attributes: Attributes) -> str:
        """Return the short display string of an event that has these attributes."""
        return self._display_name if self.schema.body is None else self.schema.body.render(attributes)

    def protected_properties(self, event: EventLike) -> dict[str, object]:
        """Return the exported part of the properties of an event, in their forms."""
        policy, prefix = self.schema.policy, self.schema.event_name
        if self.schema.fields is None:
            return policy.without_opted_out(self._untyped_properties(event), prefix)
        reader = self._reader_of(event)
        if reader is not self:
            return reader.protected_properties(event)
        forms = ((reader.field.name, reader.read(getattr_or_none(event, reader.field.name))) for reader in self._fields)
        exported = {name: form for name, form in forms if form is not DROPPED}
        if policy.opt_out:
            prefixes = {reader.field.name: reader.attribute for reader in self._fields}
            return {
                name: policy.without_opted_out(form, prefixes[name]) if isinstance(form, dict) else form
                for name, form in exported.items()
            }
        return exported

    def _without_opted_out(self, function: AttributesFunction) -> AttributesFunction:
        """Wrap a function that reads events: keys of dicts and inner fields become attributes with names, too."""

        def attributes_of(event: EventLike, violations: list[Violation] | None = None) -> Attributes:
            return without_opted_out(function(event, violations), self.schema.policy)

        return attributes_of

    def _attributes_by_alias(self, event: EventLike, violations: list[Violation] | None = None) -> Attributes:
        """Read an event of a generic class, which may know the arguments of the type parameters."""
        reader = self._reader_of(event)
        return (self._attributes_of_class if reader is self else reader.attributes)(event, violations)

    def _reader_of(self, event: EventLike) -> EventReader:
        alias = type_of(event)
        if self._specialize is None or alias is type(event):
            return self
        try:
            known = self._by_alias.get(alias)
        except TypeError:
            # An argument of the alias cannot be hashed.
            return EventReader(self._specialize(self.schema, alias))
        if known is None:
            known = EventReader(self._specialize(self.schema, alias))
            if len(self._by_alias) < MAX_CACHED_CLASSES:
                self._by_alias[alias] = known
        return known

    def _attributes_by_field(self, event: EventLike, violations: list[Violation] | None) -> Attributes:
        """Read an event that the generated function cannot handle, field by field."""
        attributes: Attributes = {}
        if violations is not None:
            # The generated function may have called some field readers before it gave up.
            violations.clear()
        for reader in self._fields:
            reader(attributes, getattr_or_none(event, reader.field.name), violations)
        return attributes

    def _untyped_attributes(self, event: EventLike, violations: list[Violation] | None = None) -> Attributes:  # noqa: ARG002 — there is no type to validate against
        attributes: Attributes = {}
        add_attributes(attributes, self.schema.event_name, self._untyped_properties(event))
        return attributes

    def _untyped_properties(self, event: EventLike) -> dict[str, object]:
        policy = self.schema.policy
        properties = _properties(event)
        # `properties()` turns nested objects into dicts, which lose the privacy that their classes declare. If a field has
        # the same name, the object itself is read.
        fields = {name: getattr_or_none(event, name) for name in field_names(type(event)) or () if name in properties}
        form, _ = protected_form_of({**properties, **fields}, policy)
        if not isinstance(form, dict):  # pragma: no cover — the stack is almost full, so that no dict can be read
            return {}
        return policy.protect_fields(form, declared_privacy(type_of(event)), enclosing=None)


def _properties(event: EventLike) -> Mapping[str, object]:
    try:
        return dict(event.properties())
    except program_errors() as error:
        # This is the program's own code. The values that the object stores are exported instead.
        report(ProgramCode.PROPERTIES, error)
        # The text of the exception is left out, because it may contain a private value.
        name, kind = qualified_name(event), qualified_name(error)
        failures.log(
            (name, kind), "`properties()` of an event %s failed, so its attributes are exported: %s", name, kind
        )
        return {key: value for key, value in getattr(event, "__dict__", {}).items() if key not in {"actor", "created"}}
