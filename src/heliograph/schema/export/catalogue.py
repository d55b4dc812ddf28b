"""The content of a catalogue of events, for people. `markdown`, `html` and `plain_text` render it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from typing_extensions import assert_never

from heliograph.classes import qualified_name
from heliograph.events import Deprecated, Privacy, severity_text
from heliograph.schema.export.example import example_properties
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import (
    AnyType,
    ArrayType,
    BooleanType,
    EnumType,
    IntegerType,
    MapType,
    NullType,
    NumberType,
    ObjectType,
    StringType,
    Type,
    UnionType,
)
from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.schema.read.stored_properties import read_stored_properties
from heliograph.semconv import EVENT_NAME, EVENT_VERSION, LOG_RECORD_UID, USER_ID
from heliograph.values.attributes import Attributes, AttributeValue
from heliograph.values.text import counted, to_readable_json

_TIME: Final = "2026-01-02T03:04:05Z"
_UID: Final = "019b7c3f-9e88-7000-8000-000000000000"
_ACTOR: Final = "root"

LAYOUT: Final = "\t\n\u00a0\u202f\u3000"
"""The characters that are not printable and that a page may have nevertheless: tabs, line ends, and spaces that authors type."""


@dataclass(frozen=True, kw_only=True)
class AttributeRow:
    """One attribute, as texts.

    Attributes:
        attribute: Its name on the wire, with ``.*`` appended if its keys are not known beforehand.
        path: The path of the property that it comes from.
        type: Its type and constraints.
        requirement: Its requirement level.
        privacy: Its privacy; empty for a plain value.
        text: Its brief and note.
        unit: Its unit; empty if it has none.
        examples: Example values.
        deprecated: The notice of its deprecation; empty if it is not deprecated.
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
    """A query that finds an event in a backend.

    Attributes:
        where: The query language and the backend.
        text: The query.
    """

    where: str
    text: str


@dataclass(frozen=True, kw_only=True)
class EventEntry:
    """One event, as texts.

    Attributes:
        label: Its event name and version.
        anchor: An identifier for links to it, in ASCII. Different labels have different anchors.
        event_name: Its name on the wire.
        brief: Its brief: one sentence.
        note: Its note; empty if it has none.
        facts: Further properties of the event, such as its severity: pairs of title and value.
        rows: Its attributes.
        log_record: An example log record, in JSON.
        span_event: The same example as a span event, in JSON.
        queries: Queries that find the example.
        deprecated: The notice of its deprecation; empty if it is not deprecated.
    """

    label: str
    anchor: str
    event_name: str
    brief: str
    note: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[AttributeRow, ...]
    log_record: str
    span_event: str
    queries: tuple[Query, ...]
    deprecated: str


def catalogue(schemas: Iterable[EventSchema]) -> list[EventEntry]:
    """Return the entries of these events, sorted by name."""
    return [_entry(schema) for schema in sorted(schemas, key=lambda schema: schema.label)]


def _entry(schema: EventSchema) -> EventEntry:
    attributes = _example_attributes(schema)
    body = schema.body_text(attributes)
    record = {
        "timestamp": _TIME,
        "event_name": schema.event_name,
        "severity_number": int(schema.severity),
        "body": body,
        "attributes": attributes,
    }
    named = {**attributes, EVENT_NAME: schema.event_name}
    span_event = {"name": schema.event_name, "timestamp": _TIME, "attributes": named}
    return EventEntry(
        label=schema.label,
        anchor=_anchor(schema.label),
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


def _anchor(label: str) -> str:
    """Return the label with the bytes of all but a few characters as ``~`` and two digits, which also encodes ``~`` itself."""
    return re.sub(r"[^A-Za-z0-9_.@-]", lambda found: _encoded(found[0]), label)


def _encoded(char: str) -> str:
    return "".join(f"~{byte:02x}" for byte in char.encode(errors="surrogatepass"))


def _example_attributes(schema: EventSchema) -> Attributes:
    # `read_stored_properties` applies privacy: where an exported event has hashes and masks, the example has them, too.
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
    successor = f"Renamed to {deprecated.renamed_to}." if deprecated.renamed_to else "It has no successor."
    return f"{successor} {deprecated.note}" if deprecated.note else successor


def _queries(schema: EventSchema, attributes: Attributes) -> Iterator[Query]:
    """Yield queries that find the example.

    Jaeger cannot search for the name of a span event, only for attributes with a value: the name is one of them. The first scalar
    attribute below the event's name, if there is one, narrows the search.

    Source: the grammars of LogQL and TraceQL.
    """
    name = schema.event_name
    yield Query(where="LogQL (Loki)", text=f'{{service_name=~".+"}} | event_name="{name}" | user_id="{_ACTOR}"')
    yield Query(where="TraceQL (Tempo)", text=f'{{ event:name = "{name}" && event.user.id = "{_ACTOR}" }}')
    own = (
        (key, value)
        for key, value in attributes.items()
        if isinstance(value, (str, int)) and key.startswith(f"{name}.")
    )
    tags = [(str(EVENT_NAME), name), *itertools.islice(own, 1), (USER_ID, _ACTOR)]
    yield Query(where="Jaeger, tags", text=" ".join(f"{key}={_logfmt(value)}" for key, value in tags))


def _logfmt(value: AttributeValue) -> str:
    text = _as_text(value)
    return text if re.fullmatch(r"[\w.:/-]+", text, re.ASCII) else json.dumps(text, ensure_ascii=False)


def _row(attribute: WireAttribute) -> AttributeRow:
    declared = attribute.field.declared
    has_open_keys = (
        attribute.wire_type == "any" and isinstance(attribute.type, MapType) and attribute.privacy is Privacy.PLAIN
    )
    return AttributeRow(
        attribute=f"{attribute.name}.*" if has_open_keys else attribute.name,
        path=attribute.path,
        type=describe_type(attribute.type),
        requirement=attribute.field.requirement,
        privacy="" if attribute.privacy is Privacy.PLAIN else attribute.privacy.value,
        text="\n\n".join(part for part in (declared.brief, declared.note) if part),
        unit=declared.unit or "",
        examples=tuple(map(_as_text, declared.examples)),
        deprecated=_deprecation(declared.deprecated),
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def describe_type(kind: Type) -> str:
    """Return a short description of the values of a type, such as ``integer, ≥ 0``."""
    match kind:
        case AnyType() | NullType() | BooleanType():
            return _type_name(kind)
        case IntegerType() | NumberType():
            return ", ".join([_type_name(kind), *_bounds(kind)])
        case StringType():
            return _describe_string(kind)
        case EnumType():
            return "one of " + ", ".join(str(value) for value in kind.values if value is not None)
        case ArrayType():
            return _describe_array(kind)
        case MapType():
            lengths = _lengths(kind.min_length, kind.max_length, "key")
            return ", ".join([f"object of {describe_type(kind.values)}", *lengths])
        case ObjectType():
            return kind.name
        case UnionType():
            return " or ".join(map(describe_type, kind.options))
        case _:
            assert_never(kind)


def _type_name(kind: Type) -> str:
    return type(kind).__name__.removesuffix("Type").lower()


def _bounds(kind: NumberType) -> Iterator[str]:
    signs = {"≥": kind.ge, ">": kind.gt, "≤": kind.le, "<": kind.lt, "a multiple of": kind.multiple_of}
    for sign, bound in signs.items():
        if bound is not None:
            yield f"{sign} {bound}"


def _describe_string(kind: StringType) -> str:
    named = "string" if kind.format is None else kind.format.name.lower().replace("_", "-")
    # The patterns of a text with a format are those of its format, which are too long to read.
    patterns = [] if kind.format else [f"with {pattern}" for pattern in kind.patterns]
    return ", ".join([named, *patterns, *_lengths(kind.min_length, kind.max_length, "character")])


def _describe_array(kind: ArrayType) -> str:
    prefix = ", ".join(map(describe_type, kind.prefix))
    items = "" if kind.items is None else f"list of {describe_type(kind.items)}"
    contents = " and ".join(part for part in (f"[{prefix}]" if prefix else "", items) if part)
    return ", ".join([contents or "empty list", *_lengths(kind.min_length, kind.max_length, "item")])


def _lengths(least: int | None, most: int | None, unit: str) -> Iterator[str]:
    if least is not None:
        yield f"at least {counted(least, unit)}"
    if most is not None:
        yield f"at most {counted(most, unit)}"
