"""Write an event's schema as JSON Schema.

A document describes an object with an event's properties, each in its form (see `heliograph.values.forms`), before privacy is
applied: the same values that the validation in the process checks. Document and validation accept the same values. This does
not depend on whether a validator checks ``format``, because each format also has a ``pattern``.

Source: JSON Schema, draft 2020-12. Keywords that begin with ``x-`` are annotations of heliograph; `json_vocabulary` has them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from typing_extensions import assert_never

from heliograph.events import Attribute
from heliograph.schema.export.json_vocabulary import DIALECT
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.patterns import ecma_pattern
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
from heliograph.values.forms import form_of
from heliograph.values.scalars import INT64_MAX, INT64_MIN

Json: TypeAlias = dict[str, Any]


def json_schema(schema: EventSchema) -> Json:
    """Return the JSON Schema of an event's properties. Its keys are in a fixed order, so that versions can be compared."""
    document = _Document()
    properties = document.object_of(schema.fields or (), schema.event_name)
    return {
        "$schema": DIALECT,
        "$id": f"urn:heliograph:{schema.event_name}{f':{schema.version}' if schema.version else ''}",
        "title": schema.event_name,
        **_description(schema.brief, schema.note),
        **({"deprecated": True} if schema.deprecated else {}),
        **_optional("x-version", schema.version),
        "x-severity": int(schema.severity),
        "x-stability": schema.stability,
        **_optional("x-renamed-to", schema.deprecated and schema.deprecated.renamed_to),
        **properties,
        **({"$defs": document.definitions} if document.definitions else {}),
    }


class _Document:
    """One JSON Schema document while it is written.

    Attributes:
        definitions: The schemas of the classes in it, by the name in ``$defs``.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Json] = {}
        self._names: dict[object, str] = {}

    def object_of(self, fields: Iterable[FieldSchema], event_name: str | None) -> Json:
        """Return the schema of an object with these fields; `event_name` is `None` inside a class."""
        fields = tuple(fields)
        required = [field.name for field in fields if field.required]
        return {
            "type": "object",
            "properties": {field.name: self._field(field, event_name) for field in fields},
            **({"required": required} if required else {}),
        }

    def _field(self, field: FieldSchema, event_name: str | None) -> Json:
        attribute = field.attribute if event_name is None else field.attribute_below(event_name)
        return {**self._type(field.type), **_annotations(field.declared, field.requirement, attribute)}

    def _type(self, kind: Type) -> Json:
        """Return the schema of the values of a type."""
        match kind:
            case AnyType():
                return {}
            case NullType():
                return {"type": "null"}
            case BooleanType():
                return {"type": "boolean"}
            case IntegerType():
                # A declared bound replaces the one of 64 bits.
                return {"type": "integer", "minimum": INT64_MIN, "maximum": INT64_MAX, **_bounds(kind)}
            case NumberType():
                return {"type": "number", **_bounds(kind)}
            case StringType():
                return _string(kind)
            case EnumType():
                return {"enum": list(kind.values)}
            case ArrayType():
                return self._array(kind)
            case MapType():
                return self._map(kind)
            case ObjectType():
                return self._reference(kind)
            case UnionType():
                return {"anyOf": [self._type(option) for option in kind.options]}
            case _:
                assert_never(kind)

    def _array(self, kind: ArrayType) -> Json:
        prefix = [self._type(item) for item in kind.prefix]
        return {
            "type": "array",
            **({"prefixItems": prefix} if prefix else {}),
            "items": False if kind.items is None else self._type(kind.items),
            **_optional("minItems", kind.min_length),
            **_optional("maxItems", kind.max_length),
        }

    def _map(self, kind: MapType) -> Json:
        return {
            "type": "object",
            **({} if kind.keys == StringType() else {"propertyNames": self._type(kind.keys)}),
            "additionalProperties": self._type(kind.values),
            **_optional("minProperties", kind.min_length),
            **_optional("maxProperties", kind.max_length),
        }

    def _reference(self, kind: ObjectType) -> Json:
        """Return a reference to a class. The class is added to `definitions` when it is referred to for the first time."""
        # A generic class has different fields for different type arguments, so each of its types has its own definition.
        is_generic = bool(getattr(kind.python, "__parameters__", ()))
        key = kind if is_generic else kind.python
        if key not in self._names:
            # A reference is a URI, and pydantic calls a class `Page[int]`.
            readable = re.sub(r"[^\w.-]+", "_", kind.name, flags=re.ASCII).strip("_") or "class"
            numbered = (f"{readable}_{number}" for number in itertools.count(2))
            free = (name for name in itertools.chain([readable], numbered) if name not in self.definitions)
            name = self._names[key] = next(free)
            # The empty definition reserves the place: definitions are in the order of their first reference, and a class
            # that holds itself refers to its own name.
            self.definitions[name] = {}
            self.definitions[name] = self.object_of(kind.fields, None)
        return {"$ref": f"#/$defs/{self._names[key]}"}


def _bounds(kind: NumberType) -> Json:
    bounds = {
        "minimum": kind.ge,
        "exclusiveMinimum": kind.gt,
        "maximum": kind.le,
        "exclusiveMaximum": kind.lt,
        "multipleOf": kind.multiple_of,
    }
    return {keyword: bound for keyword, bound in bounds.items() if bound is not None}


def _string(kind: StringType) -> Json:
    declared = [*([kind.format.pattern] if kind.format else []), *kind.patterns]
    written = {pattern: ecma_pattern(pattern) for pattern in declared}
    patterns = [pattern for pattern in written.values() if pattern is not None]
    others = [pattern for pattern in written if written[pattern] is None]
    return {
        "type": "string",
        **_optional("format", _format(kind)),
        **({"pattern": patterns[0]} if patterns else {}),
        **({"allOf": [{"pattern": pattern} for pattern in patterns[1:]]} if patterns[1:] else {}),
        **({"x-patterns": others} if others else {}),
        **_optional("minLength", kind.min_length),
        **_optional("maxLength", kind.max_length),
    }


def _format(kind: StringType) -> str | None:
    # JSON Schema's times must have an offset; Python's need not. Without one, a validator of formats would reject them.
    if kind.format in {Format.DATE_TIME, Format.TIME} and ZONED not in kind.patterns:
        return None
    return kind.format and kind.format.json_schema


def _annotations(declared: Attribute, requirement: str, attribute: str | None) -> Json:
    deprecated = declared.deprecated
    return {
        **_description(declared.brief, declared.note),
        **({"examples": [form_of(example) for example in declared.examples]} if declared.examples else {}),
        **({"deprecated": True} if deprecated else {}),
        **_optional("x-attribute", attribute),
        "x-requirement": requirement,
        **_optional("x-privacy", declared.privacy and declared.privacy.value),
        **_optional("x-unit", declared.unit),
        **_optional("x-renamed-to", deprecated and deprecated.renamed_to),
    }


def _description(brief: str | None, note: str | None) -> Json:
    text = "\n\n".join(part for part in (brief, note) if part)
    return {"description": text} if text else {}


def _optional(keyword: str, value: object) -> Json:
    return {} if value is None else {keyword: value}
