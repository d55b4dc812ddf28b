"""Read the fields of an event class, and check what their author declared."""

from __future__ import annotations

import re
from typing import Any, Final

from heliograph.errors import SchemaError
from heliograph.events import Attribute, Deprecated
from heliograph.schema.compile import datasette_events
from heliograph.schema.compile.annotations import InvalidAnnotation, declaration_of, read_type, split_actor_attribute
from heliograph.schema.compile.class_fields import ClassField, fields_of_class
from heliograph.schema.model.types import FieldSchema, ObjectType, Type, is_nullable, walk_types, without_null
from heliograph.schema.model.wire_attributes import expands, has_names_inside
from heliograph.semconv import ACTOR_ONLY, LOG_RECORD_UID, SCOPE, attribute_part, has_namespace

_NO_PROPERTIES: Final = frozenset({"actor", "created", "name"})
"""The names of fields that are not properties. A field ``name`` is a mistake, which is reported as such."""
_REQUIREMENT: Final = re.compile(r"required|recommended|opt_in|conditionally_required: .*\S")


def event_fields(event_class: type, event_name: str, alias: object = None) -> tuple[FieldSchema, ...]:
    """Return the fields of an event class, with the type parameters that an alias of it resolves.

    Raises:
        SchemaError: It is not a dataclass, or fields have no schema. The message has every problem.
    """
    # The fields that `dataclasses` stored in a parent would lack the class's own.
    if "__dataclass_fields__" not in vars(event_class):
        raise SchemaError(event_class, "it is not a dataclass; put `@dataclass` above it")
    is_core = event_class.__module__ == datasette_events.MODULE
    core_name = str(getattr(event_class, "name", "")) if is_core else ""
    declared = datasette_events.ATTRIBUTES.get(core_name, {})
    types = datasette_events.TYPES.get(core_name, {})
    found: list[FieldSchema] = []
    problems: list[str] = []
    for field in _class_fields(event_class, alias or event_class):
        try:
            _check_default(event_class, field.name)
            schema = _field(event_name, field, declared.get(field.name), types.get(field.name))
            _check_declaration(schema, is_own=is_own_class(event_class))
            _check_fields_inside(schema)
            found.append(schema)
        except InvalidAnnotation as error:
            problems.append(f"its field {field.name!r} has no schema: {error}")
    if problems:
        raise SchemaError(event_class, *problems)
    return tuple(found)


def _check_default(event_class: Any, name: str) -> None:
    if isinstance(event_class.__dataclass_fields__[name].default, Attribute):
        raise InvalidAnnotation(
            "its default is an Attribute; write it into the annotation: Annotated[str, Attribute(…)]"
        )


def _class_fields(event_class: type, hint: object) -> tuple[ClassField, ...]:
    try:
        return fields_of_class(hint, without=_NO_PROPERTIES) or ()
    except Exception as error:
        raise SchemaError(
            event_class,
            f"its annotations cannot be evaluated ({error}); use types that are defined at the top level of its module",
        ) from error


def _field(event_name: str, field: ClassField, declared: Attribute | None, kind: Type | None) -> FieldSchema:
    declared, actor_attribute = split_actor_attribute(declared or declaration_of(field))
    return FieldSchema(
        name=field.name,
        attribute=f"{event_name}.{attribute_part(field.name)}" if declared.name is None else str(declared.name),
        type=kind or read_type(field.hint),
        required=field.is_required,
        declared=declared,
        actor_attribute=actor_attribute,
    )


def _check_fields_inside(field: FieldSchema) -> None:
    inside = (each for kind in walk_types(field.type) if isinstance(kind, ObjectType) for each in kind.fields)
    for each in inside:
        _check_declaration(each)
        if each.declared.deprecated is not None and each.declared.deprecated.emit_both:
            raise InvalidAnnotation(f"{each.name!r} inside of it cannot be emitted under both names; remove emit_both")
    kind = without_null(field.type)
    if has_names_inside(kind) and not (isinstance(kind, ObjectType) and expands(kind)):
        raise InvalidAnnotation(
            "fields inside of it have attribute names of their own, but its value becomes one attribute (it is a list, a "
            "dict or a union, contains itself, or is too deep); remove these names"
        )


def _check_declaration(field: FieldSchema, *, is_own: bool = False) -> None:
    declared = field.declared
    if declared.name is not None and not is_own:
        _check_attribute_name(declared.name)
    if declared.requirement is not None and not _REQUIREMENT.fullmatch(declared.requirement):
        raise InvalidAnnotation(
            f"the requirement of {field.name!r} is {declared.requirement!r}; it is required, recommended, opt_in, or "
            "conditionally_required: <when>"
        )
    if declared.requirement == "required" and is_nullable(field.type):
        raise InvalidAnnotation(f"{field.name!r} is required, but may be None; change one of the two")
    if declared.deprecated is not None:
        _check_deprecation(field, declared.deprecated)


def _check_deprecation(field: FieldSchema, deprecated: Deprecated) -> None:
    if deprecated.renamed_to is not None:
        _check_attribute_name(deprecated.renamed_to)
        if deprecated.renamed_to in ACTOR_ONLY:
            raise InvalidAnnotation(
                f"{field.name!r} cannot be renamed to {deprecated.renamed_to!r}, which always means the actor; choose another name"
            )


def _check_attribute_name(name: str) -> None:
    if not has_namespace(name):
        raise InvalidAnnotation(
            f"{name!r} is not an attribute name: write lower-case words and digits that start with a letter, separated by `.` or `_`, "
            "with a namespace before the first `.`"
        )
    if name.split(".", maxsplit=1)[0] == SCOPE or name == LOG_RECORD_UID:
        raise InvalidAnnotation(f"the attribute {name!r} is reserved for heliograph; choose another")


def is_own_class(event_class: type) -> bool:
    """Return True for heliograph's own event classes. Only they may use its namespace."""
    return str(event_class.__module__).split(".", maxsplit=1)[0] == SCOPE
