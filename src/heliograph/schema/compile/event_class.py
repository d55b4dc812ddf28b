"""Compile an event class into its `EventSchema`, and check everything that its author declared.

`compile_schema` is strict: a class that it accepts cannot cause a wrong attribute name or a lost field later.
`compile_untyped` accepts any class, for hosts that must not refuse one. `inherit_schema` is for a subclass that was not
registered.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator
from typing import Any, Final

from heliograph.errors import SchemaError
from heliograph.events import (
    MAX_SEVERITY,
    Attribute,
    Deprecated,
    EventOptions,
    Privacy,
    Severity,
    Stability,
)
from heliograph.schema import conventions
from heliograph.schema.compile import datasette_events
from heliograph.schema.compile.annotations import InvalidAnnotation, attribute_of, read_type, split_actor_attribute
from heliograph.schema.compile.class_fields import ClassField, fields_of_class
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.message import MessageTemplate, parse_message
from heliograph.schema.model.types import (
    FieldSchema,
    ObjectType,
    Type,
    has_private_parts,
    is_nullable,
    walk_types,
    without_null,
)
from heliograph.schema.model.wire_attributes import expands, has_names_inside, wire_attributes, wire_type
from heliograph.semconv import ACTOR_ONLY, EVENT_NAME_PATTERN, LOG_RECORD_UID, SCOPE, attribute_part, has_namespace
from heliograph.values.introspect import declared_privacy, merge_attributes, with_pydantic_privacy
from heliograph.values.privacy import PrivacyPolicy

_NO_PROPERTIES: Final = frozenset({"actor", "created", "name"})
"""The names of fields that are no properties. A field ``name`` is a mistake, which is reported as such."""
_REQUIREMENT: Final = re.compile(r"required|recommended|opt_in|conditionally_required: .*\S")


def compile_schema(event_class: type, *, namespace: str, policy: PrivacyPolicy | None = None) -> EventSchema:
    """Return the schema of an event class.

    Args:
        event_class: A dataclass with a ``name``, derived from our `Event`, from Datasette's, or from neither.
        namespace: The first part of the event name, if the class does not declare one.
        policy: The privacy policy. `None` is one without a key for hashes, which exports values as the class declares.

    Raises:
        SchemaError: The class has no schema. The message has every problem, and how to fix it.
    """
    options = _options(event_class, namespace)
    name, event_name = _checked_names(event_class, options)
    schema = _schema(event_class, name, event_name, options, policy or PrivacyPolicy())
    deprecated = options.deprecated
    if deprecated is None or deprecated.renamed_to is None:
        return schema
    new_name = _event_name(event_class, deprecated.renamed_to, options)  # checked even if no event has it yet
    if not deprecated.emit_both:
        return schema
    renamed = _schema(event_class, name, new_name, dataclasses.replace(options, deprecated=None), schema.policy)
    return dataclasses.replace(schema, renamed=renamed)


def _schema(event_class: type, name: str, event_name: str, options: EventOptions, policy: PrivacyPolicy) -> EventSchema:
    fields = _fields(event_class, event_name)
    brief, note = _documentation(event_class, name)
    schema = EventSchema(
        event_class=event_class,
        name=name,
        event_name=event_name,
        severity=options.severity,
        fields=fields,
        version=options.version,
        brief=brief,
        note=note,
        stability=options.stability,
        deprecated=options.deprecated,
        message=options.message,
        body=_body(event_class, event_name, options.message, fields),
        upcasters=options.upcasters,
        policy=policy,
    )
    _check_wire_attributes(schema)
    return schema


def compile_untyped(event_class: type, *, namespace: str, policy: PrivacyPolicy | None = None) -> EventSchema:
    """Return a schema for any class: with a legal event name, and without fields. Its ``properties()`` are exported."""
    declared_name, wanted = getattr(event_class, "name", None), _options(event_class, namespace).namespace
    name = declared_name if isinstance(declared_name, str) and declared_name else event_class.__name__
    words = "_".join(re.findall(r"[a-z0-9]+", name.lower())) or "event"
    is_legal = isinstance(wanted, str) and EVENT_NAME_PATTERN.fullmatch(wanted)
    return EventSchema(
        event_class=event_class,
        name=name,
        event_name=f"{wanted if is_legal else namespace}.{words}",
        severity=EventOptions().severity,
        fields=None,
        policy=policy or PrivacyPolicy(),
        is_declared=False,
    )


def inherit_schema(event_class: type, ancestor: EventSchema) -> EventSchema:
    """Return the schema of an unregistered subclass: the ancestor's contract, with the fields that the subclass adds."""
    fields = ancestor.fields
    try:
        found = _fields(event_class, ancestor.event_name)
    except SchemaError:
        pass  # only the ancestor's fields are exported; an unregistered class is not rejected
    else:
        known = {field.name: field for field in ancestor.fields or ()}
        fields = tuple(_inherited(known[field.name], field) if field.name in known else field for field in found)
    private = declared_privacy(event_class)
    fields = None if fields is None else tuple(_with_privacy(field, private.get(field.name)) for field in fields)
    return dataclasses.replace(ancestor, event_class=event_class, fields=fields, is_declared=False, renamed=None)


def _inherited(known: FieldSchema, own: FieldSchema) -> FieldSchema:
    """Return the ancestor's field. Its type is the subclass's if that has private fields inside."""
    return dataclasses.replace(known, type=own.type) if has_private_parts(own.type) else known


def _with_privacy(field: FieldSchema, private: Attribute | None) -> FieldSchema:
    if private is None:
        return field
    declared = merge_attributes([field.declared, Attribute(privacy=private.privacy, requirement=private.requirement)])
    return dataclasses.replace(field, declared=declared)


def masked_schema(ancestor: EventSchema) -> EventSchema:
    """Return the schema of an unregistered subclass that cannot be read: the ancestor's, with every field masked."""
    masked = Attribute(privacy=Privacy.MASK)
    fields = tuple(_with_privacy(field, masked) for field in ancestor.fields or ())
    return dataclasses.replace(ancestor, fields=fields, is_declared=False, renamed=None)


def specialize_schema(schema: EventSchema, alias: object) -> EventSchema:
    """Return the schema of the events that an alias such as ``Created[Secret]`` made, of the generic class in ``schema``.

    If the alias has no schema, all of its fields are masked: their declarations may ask for that.
    """
    renamed = None if schema.renamed is None else specialize_schema(schema.renamed, alias)
    try:
        fields = _fields(schema.event_class, schema.event_name, alias)
        specialized = dataclasses.replace(
            schema, fields=fields, body=_body(schema.event_class, schema.event_name, schema.message, fields)
        )
        _check_wire_attributes(specialized)
    except SchemaError:
        masked = Attribute(privacy=Privacy.MASK)
        fields = tuple(_with_privacy(field, masked) for field in schema.fields or ())
        specialized = dataclasses.replace(schema, fields=fields)
    return dataclasses.replace(specialized, renamed=renamed)


# The class as a whole


def _checked_names(event_class: type, options: EventOptions) -> tuple[str, str]:
    """Return the name and the event name of a class. If there is a problem, raise it with all others of the class."""
    problems = list(_option_problems(options))
    name, event_name = "", f"{options.namespace}.event"
    try:
        name = _name(event_class)
        event_name = _event_name(event_class, f"{options.namespace}.{name}".replace("-", "_"), options)
    except SchemaError as error:
        problems += error.reasons
    if problems:
        try:
            _fields(event_class, event_name)
        except SchemaError as error:
            problems += error.reasons
        raise SchemaError(event_class, *problems)
    return name, event_name


def _options(event_class: type, namespace: str) -> EventOptions:
    if event_class.__module__ == datasette_events.MODULE:
        return datasette_events.OPTIONS
    options: EventOptions = getattr(event_class, "__event_options__", EventOptions())
    return dataclasses.replace(options, namespace=options.namespace or namespace)


def _option_problems(options: EventOptions) -> Iterator[str]:
    levels = typing.get_args(Stability)
    if not isinstance(options.severity, int) or not Severity.TRACE <= options.severity <= MAX_SEVERITY:
        yield f"its severity is {options.severity!r}; use one of Severity, or 1 to {MAX_SEVERITY}"
    if options.stability not in levels:
        yield f"its stability is {options.stability!r}; use one of {', '.join(levels)}"
    if options.version is not None and not (isinstance(options.version, str) and options.version.strip()):
        yield f'its version is {options.version!r}; write it as text, such as version="2"'
    if options.deprecated is not None and (problem := _deprecation_problem(options.deprecated)):
        yield problem


def _deprecation_problem(deprecated: object) -> str | None:
    if not isinstance(deprecated, Deprecated):
        return f'its deprecated is {deprecated!r}; write Deprecated(renamed_to="…", note="…")'
    if deprecated.emit_both and deprecated.renamed_to is None:
        return "emit_both needs a second name; write it in renamed_to"
    return None


def _name(event_class: type) -> str:
    name = getattr(event_class, "name", None)
    declared = name if isinstance(name, str) and name else None
    if dataclasses.is_dataclass(event_class) and any(each.name == "name" for each in dataclasses.fields(event_class)):
        written = json.dumps(declared or "ban-user", ensure_ascii=False)
        raise SchemaError(event_class, f"its name is a field; write `name = {written}` without an annotation")
    if declared is None:
        raise SchemaError(event_class, 'it has no name; give it one in its body, such as `name = "ban-user"`')
    return declared


def _event_name(event_class: type, event_name: str, options: EventOptions) -> str:
    if not EVENT_NAME_PATTERN.fullmatch(event_name):
        raise SchemaError(
            event_class,
            f"its name {getattr(event_class, 'name', None)!r} in the namespace {options.namespace!r} makes the event name "
            f"{event_name!r}, and an event name is lower-case words and digits that start with a letter, separated by `-`, "
            "`_` or `.`",
        )
    if event_name.split(".", maxsplit=1)[0] == SCOPE and not _is_own(event_class):
        raise SchemaError(
            event_class, f"the namespace {SCOPE!r} is reserved for heliograph's own names; choose another"
        )
    return event_name


def _is_own(event_class: type) -> bool:
    """Return True for heliograph's own event classes. Only they may use its namespace."""
    return str(event_class.__module__).split(".", maxsplit=1)[0] == SCOPE


def _documentation(event_class: type, name: str) -> tuple[str, str]:
    """Return the first line of the class's docstring, and the rest of it."""
    if event_class.__module__ == datasette_events.MODULE:
        return datasette_events.BRIEFS.get(name, ""), ""
    docstring = event_class.__doc__ or ""
    if docstring.startswith(f"{event_class.__name__}("):  # `dataclass` wrote it, not the author
        return "", ""
    brief, _, note = inspect.cleandoc(docstring).partition("\n")
    return brief.strip(), note.strip()


def _body(
    event_class: type, event_name: str, message: str | None, fields: tuple[FieldSchema, ...]
) -> MessageTemplate | None:
    if message is None:
        return None
    if not isinstance(message, str):
        raise SchemaError(event_class, f"its message is {message!r}; write it as text")
    try:
        inside = {each.path: each.name for each in wire_attributes(fields, event_name)}
        return parse_message(message, {**inside, **{field.name: str(field.attribute) for field in fields}})
    except ValueError as error:
        raise SchemaError(event_class, f"its message {message!r} cannot be used: {error}") from None


# Its fields


def _fields(event_class: type, event_name: str, alias: object = None) -> tuple[FieldSchema, ...]:
    """Return the fields of an event class, with the type parameters that an alias of it resolves."""
    if "__dataclass_fields__" not in vars(event_class):  # a parent's would lack the class's own fields
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
            _check_declaration(schema, is_own=_is_own(event_class))
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
    declared = with_pydantic_privacy(declared or attribute_of(field.hint), field.hint, field.description)
    declared, actor_attribute = split_actor_attribute(declared)
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
    if declared.privacy is not None and not isinstance(declared.privacy, Privacy):
        raise InvalidAnnotation(f"the privacy of {field.name!r} is {declared.privacy!r}; use one of Privacy")
    if declared.requirement is not None and not _REQUIREMENT.fullmatch(str(declared.requirement)):
        raise InvalidAnnotation(
            f"the requirement of {field.name!r} is {declared.requirement!r}; it is required, recommended, opt_in, or "
            "conditionally_required: <when>"
        )
    if declared.requirement == "required" and is_nullable(field.type):
        raise InvalidAnnotation(f"{field.name!r} is required, but may be None; change one of the two")
    if declared.deprecated is not None:
        _check_deprecation(field, declared.deprecated)


def _check_deprecation(field: FieldSchema, deprecated: Deprecated) -> None:
    problem = _deprecation_problem(deprecated)
    if problem is not None:
        raise InvalidAnnotation(f"the attribute of {field.name!r}: {problem}")
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


def _check_wire_attributes(schema: EventSchema) -> None:
    """Check names and types against the semantic conventions, and that no two fields become one attribute."""
    attributes = list(schema.wire_attributes())
    problems: list[str] = []
    paths: dict[str, list[str]] = {}
    for attribute in attributes:
        problem = conventions.problem(attribute.name, wire_type(attribute.type), event_name=schema.event_name)
        if problem is not None:
            problems.append(f"its field {attribute.path!r}: {problem}")
        paths.setdefault(attribute.name, []).append(repr(attribute.path))
    for name, same in paths.items():
        if len(same) > 1:
            problems.append(f"its fields {' and '.join(same)} become one attribute, {name!r}; rename one")
    if problems:
        raise SchemaError(schema.event_class, *problems)
