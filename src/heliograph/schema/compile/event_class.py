"""Compile an event class into its `EventSchema`, and check everything that its author declared.

`compile_schema` is strict: a class that it accepts cannot cause a wrong attribute name or a lost field later.
`compile_untyped` accepts any class, for hosts that must not refuse one. The fields are read by `event_fields`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Iterator

from heliograph.errors import SchemaError
from heliograph.events import (
    MAX_SEVERITY,
    EventOptions,
    Severity,
    Stability,
)
from heliograph.schema import conventions
from heliograph.schema.compile import datasette_events
from heliograph.schema.compile.declared_types import deprecation_problems, upcaster_problems
from heliograph.schema.compile.event_fields import event_fields, is_own_class
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.message import MessageTemplate, parse_message
from heliograph.schema.model.types import (
    FieldSchema,
)
from heliograph.schema.model.wire_attributes import wire_attributes, wire_type
from heliograph.semconv import EVENT_NAME_PATTERN, LOG_RECORD_UID, RESERVED_EVENT_NAME, SCOPE
from heliograph.values.privacy import PrivacyPolicy


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
    # The new name is checked even if no event has it yet.
    new_name = _event_name(event_class, deprecated.renamed_to, options)
    if not deprecated.emit_both:
        return schema
    renamed = _schema(event_class, name, new_name, dataclasses.replace(options, deprecated=None), schema.policy)
    return dataclasses.replace(schema, renamed=renamed)


def _schema(event_class: type, name: str, event_name: str, options: EventOptions, policy: PrivacyPolicy) -> EventSchema:
    fields = event_fields(event_class, event_name)
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
        body=parse_body(event_class, event_name, options.message, fields),
        upcasters=options.upcasters,
        policy=policy,
    )
    check_wire_attributes(schema)
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
            event_fields(event_class, event_name)
        except SchemaError as error:
            problems += error.reasons
        raise SchemaError(event_class, *problems)
    return name, event_name


def _options(event_class: type, namespace: str) -> EventOptions:
    if event_class.__module__ == datasette_events.MODULE:
        return datasette_events.OPTIONS
    options: EventOptions = getattr(event_class, "__event_options__", EventOptions())
    return dataclasses.replace(options, namespace=namespace if options.namespace is None else options.namespace)


def _option_problems(options: EventOptions) -> Iterator[str]:
    levels = typing.get_args(Stability)
    if (
        isinstance(options.severity, bool)
        or not isinstance(options.severity, int)
        or not Severity.TRACE <= options.severity <= MAX_SEVERITY
    ):
        yield f"its severity is {options.severity!r}; use one of Severity, or 1 to {MAX_SEVERITY}"
    if options.stability not in levels:
        yield f"its stability is {options.stability!r}; use one of {', '.join(levels)}"
    if options.version is not None and not (isinstance(options.version, str) and options.version.strip()):
        yield f'its version is {options.version!r}; write it as text, such as version="2"'
    if options.deprecated is not None:
        yield from deprecation_problems(options.deprecated)
    yield from upcaster_problems(options)


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
    if event_name == RESERVED_EVENT_NAME:
        raise SchemaError(
            event_class,
            f"the event name {event_name!r} is reserved, because a property could become {str(LOG_RECORD_UID)!r}; choose another",
        )
    if event_name.split(".", maxsplit=1)[0] == SCOPE and not is_own_class(event_class):
        raise SchemaError(
            event_class, f"the namespace {SCOPE!r} is reserved for heliograph's own names; choose another"
        )
    return event_name


def _documentation(event_class: type, name: str) -> tuple[str, str]:
    """Return the first line of the class's docstring, and the rest of it."""
    if event_class.__module__ == datasette_events.MODULE:
        return datasette_events.BRIEFS.get(name, ""), ""
    docstring = event_class.__doc__ or ""
    if docstring.startswith(f"{event_class.__name__}("):
        # `dataclass` wrote this docstring, not the author.
        return "", ""
    brief, _, note = inspect.cleandoc(docstring).partition("\n")
    return brief.strip(), note.strip()


def parse_body(
    event_class: type, event_name: str, message: str | None, fields: tuple[FieldSchema, ...]
) -> MessageTemplate | None:
    """Return the template of a log record's body, or `None` if the class has no ``message``.

    Raises:
        SchemaError: The message is not a text, or it names a field that does not exist.
    """
    if message is None:
        return None
    if not isinstance(message, str):
        raise SchemaError(event_class, f"its message is {message!r}; write it as text")
    try:
        inside = {each.path: each.name for each in wire_attributes(fields, event_name)}
        return parse_message(message, {**inside, **{field.name: str(field.attribute) for field in fields}})
    except ValueError as error:
        raise SchemaError(event_class, f"its message {message!r} cannot be used: {error}") from None


def check_wire_attributes(schema: EventSchema) -> None:
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
