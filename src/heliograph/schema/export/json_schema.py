"""Schemas as JSON Schema.

A document is an object of an event's properties, each in its form (see `heliograph.values.forms`), before anything of it
is protected: what the check in the process sees. The schema accepts what the check accepts, and nothing else; that is so
with ``format`` as an annotation, too, since each format has its pattern.

Source: JSON Schema, draft 2020-12. Keywords that begin with ``x-`` are annotations of ours.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from heliograph.events import Attribute
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import (
    ZONED,
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    FieldSchema,
    Format,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
)
from heliograph.values.forms import INT64_MAX, INT64_MIN, form_of

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Json: TypeAlias = dict[str, Any]


def json_schema(schema: EventSchema) -> Json:
    """The schema of an event's properties.

    Keys stand in a fixed order, so that a text of it diffs well.
    """
    writer = _Writer()
    properties = writer.fields(schema.fields or (), schema.event_name)
    return {
        "$schema": DIALECT,
        "$id": f"urn:heliograph:{schema.event_name}{f':{schema.version}' if schema.version else ''}",
        "title": schema.event_name,
        **_said(schema.brief, schema.note),
        **({"deprecated": True} if schema.deprecated else {}),
        **_given("x-version", schema.version),
        "x-severity": int(schema.severity),
        "x-stability": schema.stability,
        **_given("x-renamed-to", schema.deprecated and schema.deprecated.renamed_to),
        **properties,
        **({"$defs": writer.definitions} if writer.definitions else {}),
    }


class _Writer:
    """Writes one document.

    Attributes:
        definitions: The classes in it, by the name that they are referred to.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {}
        self._names: dict[object, str] = {}

    def fields(self, fields: Iterable[FieldSchema], prefix: str | None) -> Json:
        """The keywords of an object with these fields."""
        fields = tuple(fields)
        required = [field.name for field in fields if field.required]
        return {
            "type": "object",
            "properties": {field.name: self._field(field, prefix) for field in fields},
            **({"required": required} if required else {}),
        }

    def _field(self, field: FieldSchema, prefix: str | None) -> Json:
        name = field.attribute if prefix is None else field.attribute_below(prefix)
        return {**_write(field.type, self), **_annotations(field.declared, field.requirement, name)}

    def reference(self, kind: ObjectType) -> Json:
        """A reference to a class, which is defined when it is met first."""
        is_generic = bool(getattr(kind.python, "__parameters__", ()))  # then one class has several shapes
        key = kind if is_generic else kind.python
        if key not in self._names:
            same = sum(name == kind.name or name.startswith(f"{kind.name}_") for name in self.definitions)
            name = self._names[key] = f"{kind.name}_{same + 1}" if same else kind.name
            self.definitions[name] = {}  # its place, in the order in which classes are met
            self.definitions[name] = self.fields(kind.fields, None)
        return {"$ref": f"#/$defs/{self._names[key]}"}


def _annotations(declared: Attribute, requirement: str, name: str | None) -> Json:
    deprecated = declared.deprecated
    return {
        **_said(declared.brief, declared.note),
        **({"examples": [form_of(example) for example in declared.examples]} if declared.examples else {}),
        **({"deprecated": True} if deprecated else {}),
        **_given("x-attribute", name),
        "x-requirement": requirement,
        **_given("x-privacy", declared.privacy and declared.privacy.value),
        **_given("x-unit", declared.unit),
        **_given("x-renamed-to", deprecated and deprecated.renamed_to),
    }


def _said(brief: str | None, note: str | None) -> Json:
    text = "\n\n".join(part for part in (brief, note) if part)
    return {"description": text} if text else {}


def _given(keyword: str, value: object) -> Json:
    return {} if value is None else {keyword: value}


@functools.singledispatch
def _write(kind: Type, writer: _Writer) -> Json:
    raise NotImplementedError(kind)


@_write.register
def _(kind: AnyType, writer: _Writer) -> Json:  # noqa: ARG001
    return {}


@_write.register
def _(kind: NullType, writer: _Writer) -> Json:  # noqa: ARG001
    return {"type": "null"}


@_write.register
def _(kind: BooleanType, writer: _Writer) -> Json:  # noqa: ARG001
    return {"type": "boolean"}


@_write.register
def _(kind: NumberType, writer: _Writer) -> Json:  # noqa: ARG001
    return {"type": "number", **_bounds(kind)}


@_write.register
def _(kind: IntegerType, writer: _Writer) -> Json:  # noqa: ARG001
    return {"type": "integer", "minimum": INT64_MIN, "maximum": INT64_MAX, **_bounds(kind)}


def _bounds(kind: NumberType) -> Json:
    bounds = {
        "minimum": kind.ge,
        "exclusiveMinimum": kind.gt,
        "maximum": kind.le,
        "exclusiveMaximum": kind.lt,
        "multipleOf": kind.multiple_of,
    }
    return {keyword: bound for keyword, bound in bounds.items() if bound is not None}


@_write.register
def _(kind: StringType, writer: _Writer) -> Json:  # noqa: ARG001
    patterns = [*([kind.format.pattern] if kind.format else []), *kind.patterns]
    return {
        "type": "string",
        **_given("format", _format(kind)),
        **({"pattern": patterns[0]} if patterns else {}),
        **({"allOf": [{"pattern": pattern} for pattern in patterns[1:]]} if patterns[1:] else {}),
        **_given("minLength", kind.min_length),
        **_given("maxLength", kind.max_length),
    }


def _format(kind: StringType) -> str | None:
    if kind.format in {Format.DATE_TIME, Format.TIME} and ZONED not in kind.patterns:
        return None
    return kind.format and kind.format.json_schema


@_write.register
def _(kind: EnumType, writer: _Writer) -> Json:  # noqa: ARG001
    return {"enum": list(kind.values)}


@_write.register
def _(kind: ArrayType, writer: _Writer) -> Json:
    prefix = [_write(item, writer) for item in kind.prefix]
    return {
        "type": "array",
        **({"prefixItems": prefix} if prefix else {}),
        "items": False if kind.items is None else _write(kind.items, writer),
        **_given("minItems", kind.min_length),
        **_given("maxItems", kind.max_length),
    }


@_write.register
def _(kind: MapType, writer: _Writer) -> Json:
    return {
        "type": "object",
        **({} if kind.keys == StringType() else {"propertyNames": _write(kind.keys, writer)}),
        "additionalProperties": _write(kind.values, writer),
        **_given("minProperties", kind.min_length),
        **_given("maxProperties", kind.max_length),
    }


@_write.register
def _(kind: ObjectType, writer: _Writer) -> Json:
    return writer.reference(kind)


@_write.register
def _(kind: UnionType, writer: _Writer) -> Json:
    return {"anyOf": [_write(option, writer) for option in kind.options]}
