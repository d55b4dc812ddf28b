"""Make the schema of a class that nobody registered from the schema of a registered one.

These are subclasses of registered classes, and aliases of registered generic classes, such as ``Created[Secret]``. Their events
are emitted as those of the registered class, and they may declare more privacy, never less. Nothing here raises an error: a field that cannot
be read is not exported or is masked, because its declaration may ask for that.
"""

from __future__ import annotations

import dataclasses

from heliograph.errors import SchemaError
from heliograph.events import Attribute, Privacy
from heliograph.schema.compile.event_class import check_wire_attributes, parse_body
from heliograph.schema.compile.event_fields import event_fields
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import FieldSchema, has_private_parts
from heliograph.values.declared_attributes import declared_privacy, merge_declarations

_MASKED = Attribute(privacy=Privacy.MASK)


def inherit_schema(event_class: type, ancestor: EventSchema) -> EventSchema:
    """Return the schema of an unregistered subclass: the ancestor's contract, with the fields that the subclass adds."""
    fields = ancestor.fields
    try:
        found = event_fields(event_class, ancestor.event_name)
    except SchemaError:
        # Only the ancestor's fields are exported. An unregistered class is not rejected.
        pass
    else:
        known = {field.name: field for field in ancestor.fields or ()}
        fields = tuple(_inherited(known[field.name], field) if field.name in known else field for field in found)
    private = declared_privacy(event_class)
    fields = None if fields is None else tuple(_with_privacy(field, private.get(field.name)) for field in fields)
    return dataclasses.replace(ancestor, event_class=event_class, fields=fields, is_declared=False, renamed=None)


def masked_schema(ancestor: EventSchema) -> EventSchema:
    """Return the schema of an unregistered subclass that cannot be read: the ancestor's, with every field masked."""
    return dataclasses.replace(ancestor, fields=_masked(ancestor), is_declared=False, renamed=None)


def specialize_schema(schema: EventSchema, alias: object) -> EventSchema:
    """Return the schema of the events that an alias such as ``Created[Secret]`` made, of the generic class in ``schema``.

    If the alias has no schema, all of its fields are masked: their declarations may ask for that.
    """
    renamed = None if schema.renamed is None else specialize_schema(schema.renamed, alias)
    try:
        fields = event_fields(schema.event_class, schema.event_name, alias)
        specialized = dataclasses.replace(
            schema, fields=fields, body=parse_body(schema.event_class, schema.event_name, schema.message, fields)
        )
        check_wire_attributes(specialized)
    except SchemaError:
        specialized = dataclasses.replace(schema, fields=_masked(schema))
    return dataclasses.replace(specialized, renamed=renamed)


def _inherited(known: FieldSchema, own: FieldSchema) -> FieldSchema:
    """Return the ancestor's field. Its type is the subclass's if that has private fields inside."""
    return dataclasses.replace(known, type=own.type) if has_private_parts(own.type) else known


def _with_privacy(field: FieldSchema, private: Attribute | None) -> FieldSchema:
    if private is None:
        return field
    declared = merge_declarations([field.declared, Attribute(privacy=private.privacy, requirement=private.requirement)])
    return dataclasses.replace(field, declared=declared)


def _masked(schema: EventSchema) -> tuple[FieldSchema, ...]:
    return tuple(_with_privacy(field, _MASKED) for field in schema.fields or ())
