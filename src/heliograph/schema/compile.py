"""From an event class to its `EventSchema`, once, when it is registered."""

from __future__ import annotations

import dataclasses
import inspect
import re
import string
import sys
import types
import typing
from collections.abc import Mapping
from typing import Final

import msgspec

from heliograph.errors import SchemaError
from heliograph.events import EventOptions, Severity
from heliograph.schema import datasette_events
from heliograph.schema.model import Body, EventSchema
from heliograph.schema.shape import FieldSchema
from heliograph.semconv import EVENT_NAME_PATTERN, SCOPE, actor_attribute

MAX_SEVERITY: Final = 24
"""The highest severity number of OpenTelemetry's logs data model, FATAL4."""

_BASE_FIELDS: Final = frozenset({"actor", "created"})


def compile_schema(event_class: type, *, namespace: str) -> EventSchema:
    """The schema of an event class.

    Args:
        event_class: A dataclass with a ``name``, built on our `Event` or on Datasette's, or shaped like them.
        namespace: First part of the event name, where the class names none.

    Raises:
        SchemaError: No schema can be made of the class; says why, and the mend.
    """
    options = _options(event_class, namespace)
    if not isinstance(options.severity, int) or not Severity.TRACE <= options.severity <= MAX_SEVERITY:
        raise SchemaError(
            event_class, f"its severity is {options.severity!r}; take one of Severity, or 1 to {MAX_SEVERITY}"
        )
    name = _name(event_class)
    event_name = _event_name(event_class, name, options)
    fields = _fields(event_class, event_name)
    return EventSchema(
        event_class=event_class,
        name=name,
        event_name=event_name,
        severity=options.severity,
        fields=fields,
        body=_body(event_class, options.message, fields),
    )


def compile_untyped(event_class: type, *, namespace: str) -> EventSchema:
    """A schema for a class that `compile_schema` refuses: a legal event name, and what ``properties()`` gives."""
    said, wanted = getattr(event_class, "name", None), _options(event_class, namespace).namespace
    name = said if isinstance(said, str) and said else event_class.__name__
    words = "_".join(re.findall(r"[a-z0-9]+", name.lower())) or "event"
    is_legal = isinstance(wanted, str) and EVENT_NAME_PATTERN.fullmatch(wanted)
    event_name = f"{wanted if is_legal else namespace}.{words}"
    return EventSchema(
        event_class=event_class, name=name, event_name=event_name, severity=EventOptions().severity, fields=None
    )


def inherit_schema(event_class: type, ancestor: EventSchema) -> EventSchema:
    """The schema of an unregistered subclass: the ancestor's contract, with the fields that the subclass adds."""
    try:
        fields = _fields(event_class, ancestor.event_name)
    except SchemaError:
        return ancestor
    known = {field.name: field for field in ancestor.fields or ()}
    return dataclasses.replace(
        ancestor, event_class=event_class, fields=tuple(known.get(field.name, field) for field in fields)
    )


def _options(event_class: type, namespace: str) -> EventOptions:
    if event_class.__module__ == datasette_events.MODULE:
        return EventOptions(namespace=datasette_events.NAMESPACE)
    options: EventOptions = getattr(event_class, "__event_options__", EventOptions())
    return dataclasses.replace(options, namespace=options.namespace or namespace)


def _name(event_class: type) -> str:
    name = getattr(event_class, "name", None)
    if isinstance(name, str) and name:
        return name
    raise SchemaError(event_class, 'it has no name; give it one in its body, such as `name = "ban-user"`')


def _event_name(event_class: type, name: str, options: EventOptions) -> str:
    event_name = f"{options.namespace}.{name}".replace("-", "_")
    if not EVENT_NAME_PATTERN.fullmatch(event_name):
        raise SchemaError(
            event_class,
            f"its name {name!r} in the namespace {options.namespace!r} makes the event name {event_name!r}, and an "
            "event name is lower-case words and digits that start with a letter, parted by `-`, `_` or `.`",
        )
    if event_name.split(".")[0] == SCOPE:
        raise SchemaError(event_class, f"the namespace {SCOPE!r} is that of heliograph's own names; choose another")
    return event_name


def _fields(event_class: type, event_name: str) -> tuple[FieldSchema, ...]:
    if "__dataclass_fields__" not in vars(event_class):
        raise SchemaError(event_class, "it is not a dataclass; put `@dataclass` above it")
    hints = _type_hints(event_class)
    known = datasette_events.ATTRIBUTES if event_class.__module__ == datasette_events.MODULE else {}
    return tuple(
        FieldSchema(
            name=field.name,
            attribute=known.get(field.name, f"{event_name}.{field.name}"),
            type=_type_info(event_class, field.name, hints[field.name]),
            required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(event_class)
        if field.name not in _BASE_FIELDS
    )


def _type_hints(event_class: type) -> Mapping[str, object]:
    try:
        return _hints_of_fields(event_class)
    except Exception as error:
        raise SchemaError(
            event_class,
            f"its annotations cannot be read ({error}); use types that its module can name at its top level",
        ) from error


def _hints_of_fields(event_class: type) -> dict[str, object]:
    """The types of the fields alone: Python 3.10 cannot read an annotation such as ``"InitVar[int]"``."""
    names = {field.name for field in dataclasses.fields(event_class)}
    hints: dict[str, object] = {}
    for base in reversed(event_class.__mro__):
        said = {name: hint for name, hint in inspect.get_annotations(base).items() if name in names}
        module = sys.modules.get(base.__module__)
        stub = types.SimpleNamespace(__annotations__=said)
        hints |= typing.get_type_hints(stub, vars(module) if module else {}, dict(vars(base)), include_extras=True)
    return hints


def _type_info(event_class: type, name: str, hint: object) -> msgspec.inspect.Type:
    try:
        return msgspec.inspect.type_info(hint)
    except Exception as error:
        raise SchemaError(
            event_class, f"the type of its field {name!r} has no schema ({error}); annotate it more simply, or as `Any`"
        ) from error


def _body(event_class: type, message: str | None, fields: tuple[FieldSchema, ...]) -> Body | None:
    if message is None:
        return None
    if not isinstance(message, str):
        raise SchemaError(event_class, f"its message is {message!r}; it has to be text")
    bases = {field.name: field.attribute for field in fields}
    try:
        parts = tuple(
            (literal, None if path is None else _attribute(path, spec, conversion, bases))
            for literal, path, spec, conversion in string.Formatter().parse(message)
        )
    except ValueError as error:
        raise SchemaError(event_class, f"its message {message!r} cannot be used: {error}") from error
    return Body(parts=parts)


def _attribute(path: str, spec: str | None, conversion: str | None, bases: Mapping[str, str]) -> str:
    match = re.fullmatch(r"(\w+)((?:\[[^\[\]]+\])*)", path)
    if match is None or spec or conversion:
        raise ValueError(f"{{{path}}} is no plain field or key; write {{field}} or {{field[key]}}")
    first, keys = match[1], re.findall(r"\[([^\[\]]+)\]", match[2])
    if first == "actor" and keys:
        return ".".join((actor_attribute(keys[0]), *keys[1:]))
    if first not in bases:
        raise ValueError(f"there is no field {first!r}; there are {', '.join([*bases, 'actor[key]'])}")
    return ".".join((bases[first], *keys))
