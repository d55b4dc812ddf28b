"""What a catalogue says of each event; `markdown` and `html` show it."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from heliograph.errors import qualified_name
from heliograph.events import Deprecated, Privacy, severity_text
from heliograph.schema.export.example import example_properties
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import (
    ArrayType,
    EnumType,
    MapType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
)
from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.semconv import EVENT_VERSION, LOG_RECORD_UID, USER_ID
from heliograph.values.attributes import Attributes, AttributeValue
from heliograph.values.text import to_readable_json

_TIME: Final = "2026-01-02T03:04:05Z"
_UID: Final = "019b7c3f-9e88-7000-8000-000000000000"
_ACTOR: Final = "root"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One attribute, as a reader sees it.

    Attributes:
        attribute: Its name on the wire, with ``.*`` where its keys are not known beforehand.
        path: The property that it comes from.
        type: What arrives of it, with what holds for its values.
        requirement: Its requirement level.
        privacy: What leaves of it; empty for the value itself.
        text: What it means.
        unit: Its unit, or nothing.
        examples: Values that it may have.
        deprecated: That it is on its way out, or nothing.
    """

    attribute: str
    path: str
    type: str
    requirement: str
    privacy: str
    text: str
    unit: str
    examples: tuple[str, ...]
    deprecated: str


@dataclass(frozen=True, kw_only=True)
class Query:
    """How to find an event.

    Attributes:
        where: In what.
        text: What to write there.
    """

    where: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One event, as a reader sees it.

    Attributes:
        label: Its event name and version.
        event_name: Its name on the wire.
        brief: What happened.
        note: More than that.
        facts: What else there is to know, by title.
        rows: Its attributes.
        log_record: An example as a log record, in JSON.
        span_event: The same as a span event.
        queries: How to find it.
        deprecated: That it is on its way out, or nothing.
    """

    label: str
    event_name: str
    brief: str
    note: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    log_record: str
    span_event: str
    queries: tuple[Query, ...]
    deprecated: str


def catalogue(schemas: Iterable[EventSchema]) -> list[Entry]:
    """The entries of these events, sorted by name."""
    return [_entry(schema) for schema in sorted(schemas, key=lambda schema: schema.label)]


def _entry(schema: EventSchema) -> Entry:
    attributes = _example_attributes(schema)
    body = schema.body_text(attributes)
    record = {
        "timestamp": _TIME,
        "event_name": schema.event_name,
        "severity_number": int(schema.severity),
        "body": body,
        "attributes": attributes,
    }
    span_event = {"name": schema.event_name, "timestamp": _TIME, "attributes": attributes}
    return Entry(
        label=schema.label,
        event_name=schema.event_name,
        brief=schema.brief or f"The event {schema.name}.",
        note=schema.note,
        facts=tuple(_facts(schema)),
        rows=tuple(map(_row, schema.wire_attributes())),
        log_record=to_readable_json(record),
        span_event=to_readable_json(span_event),
        queries=tuple(_queries(schema, attributes)),
        deprecated=_deprecation(schema.deprecated),
    )


def _example_attributes(schema: EventSchema) -> Attributes:
    attributes, _ = read_stored_properties(schema, example_properties(schema.fields or ()))
    version: Attributes = {} if schema.version is None else {EVENT_VERSION: schema.version}
    return {**attributes, USER_ID: _ACTOR, LOG_RECORD_UID: _UID, **version}


def _facts(schema: EventSchema) -> Iterator[tuple[str, str]]:
    if schema.version is not None:
        yield "version", schema.version
    yield "severity", severity_text(schema.severity)
    yield "stability", schema.stability
    if schema.message is not None:
        yield "message", schema.message
    yield "class", qualified_name(schema.event_class)


def _deprecation(deprecated: Deprecated | None) -> str:
    if deprecated is None:
        return ""
    successor = f"Renamed to {deprecated.renamed_to}." if deprecated.renamed_to else "On its way out."
    return f"{successor} {deprecated.note}" if deprecated.note else successor


def _queries(schema: EventSchema, attributes: Attributes) -> Iterator[Query]:
    """How to find the example.

    Source: the grammars of LogQL and TraceQL. Jaeger has no search for the name of a span event, and finds the attributes of
    one: the first of the event's own, with the value that it has.
    """
    name = schema.event_name
    yield Query(where="LogQL (Loki)", text=f'{{service_name=~".+"}} | event_name="{name}" | user_id="{_ACTOR}"')
    yield Query(where="TraceQL (Tempo)", text=f'{{ event:name = "{name}" && event.user.id = "{_ACTOR}" }}')
    own = ((key, value) for key, value in attributes.items() if isinstance(value, (str, int)) and key.startswith(name))
    tags = [*itertools.islice(own, 1), (USER_ID, _ACTOR)]
    yield Query(where="Jaeger, tags", text=" ".join(f"{key}={_logfmt(value)}" for key, value in tags))


def _logfmt(value: AttributeValue) -> str:
    text = _shown(value)
    return text if re.fullmatch(r"[\w.:/-]+", text, re.ASCII) else json.dumps(text, ensure_ascii=False)


def _row(attribute: WireAttribute) -> Row:
    declared = attribute.field.declared
    is_by_keys = (
        attribute.wire_type == "any" and isinstance(attribute.type, MapType) and attribute.privacy is Privacy.PLAIN
    )
    return Row(
        attribute=f"{attribute.name}.*" if is_by_keys else attribute.name,
        path=attribute.path,
        type=described(attribute.type),
        requirement=attribute.field.requirement,
        privacy="" if attribute.privacy is Privacy.PLAIN else attribute.privacy.value,
        text="\n\n".join(part for part in (declared.brief, declared.note) if part),
        unit=declared.unit or "",
        examples=tuple(map(_shown, declared.examples)),
        deprecated=_deprecation(declared.deprecated),
    )


def _shown(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, ensure_ascii=False, default=str)


@functools.singledispatch
def described(kind: Type) -> str:
    """What values there may be, in a few words."""
    return _named(kind)


def _named(kind: Type) -> str:
    return type(kind).__name__.removesuffix("Type").lower()


@described.register
def _(kind: NumberType) -> str:
    signs = {"≥": kind.ge, ">": kind.gt, "≤": kind.le, "<": kind.lt, "a multiple of": kind.multiple_of}
    return ", ".join([_named(kind), *(f"{sign} {bound}" for sign, bound in signs.items() if bound is not None)])


@described.register
def _(kind: StringType) -> str:
    named = "string" if kind.format is None else kind.format.name.lower().replace("_", "-")
    patterns = [] if kind.format else [f"with {pattern}" for pattern in kind.patterns]
    return ", ".join([named, *patterns, *_lengths(kind.min_length, kind.max_length, "characters")])


def _lengths(least: int | None, most: int | None, what: str) -> Iterator[str]:
    if least is not None:
        yield f"at least {least} {what}"
    if most is not None:
        yield f"at most {most} {what}"


@described.register
def _(kind: EnumType) -> str:
    return "one of " + ", ".join(str(value) for value in kind.values if value is not None)


@described.register
def _(kind: ArrayType) -> str:
    prefix = ", ".join(map(described, kind.prefix))
    items = "" if kind.items is None else f"list of {described(kind.items)}"
    shown = " and ".join(part for part in (f"[{prefix}]" if prefix else "", items) if part)
    return ", ".join([shown or "empty list", *_lengths(kind.min_length, kind.max_length, "items")])


@described.register
def _(kind: MapType) -> str:
    return ", ".join([f"object of {described(kind.values)}", *_lengths(kind.min_length, kind.max_length, "keys")])


@described.register
def _(kind: ObjectType) -> str:
    return kind.name


@described.register
def _(kind: UnionType) -> str:
    return " or ".join(map(described, kind.options))
