"""Draft event classes from recorded events, by what the events have in common.

The result is a proposal that an author reads and corrects. The rules: a field that every recorded event has is required; keys
that mostly occur together are a class, others are a dict; a text that always looks like a time or a UUID is one; a value that
was always masked or hashed keeps that privacy.
"""

from __future__ import annotations

import collections
import json
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from heliograph.events import (
    Attribute,
    EventOptions,
    Privacy,
)
from heliograph.schema import conventions
from heliograph.schema.drafts.draft import (
    HIDING,
    IMPORTED,
    INHERITED,
    ClassDraft,
    EventDraft,
    FieldDraft,
    class_name,
    field_name,
    severity_of,
)
from heliograph.schema.model.types import Format
from heliograph.semconv import ACTOR_ATTRIBUTES, EVENT_VERSION, LOG_RECORD_UID, SCOPE, has_namespace
from heliograph.values.attributes import MAX_KEYS
from heliograph.values.privacy import HASH_PREFIX, MASKED

_WIRE_TYPES: Final = {
    "bool": "boolean",
    "float": "double",
    "int": "int",
    "str": "string",
    "list[bool]": "boolean[]",
    "list[float]": "double[]",
    "list[int]": "int[]",
    "list[str]": "string[]",
    **dict.fromkeys(("dt.date", "dt.datetime", "uuid.UUID"), "string"),
}
_FORMATS: Final = {Format.DATE_TIME: "dt.datetime", Format.DATE: "dt.date", Format.UUID: "uuid.UUID"}

Value: TypeAlias = Any
Column: TypeAlias = "list[Value]"


@dataclass(frozen=True, kw_only=True)
class RecordedEvent:
    """One event, as a receiver recorded it.

    Attributes:
        event_name: Its name on the wire.
        attributes: Its attributes.
        severity_number: Its severity; `None` if unknown, as for span events.
    """

    event_name: str
    attributes: Mapping[str, Value]
    severity_number: int | None = None


def drafts_of_recorded(events: Iterable[RecordedEvent]) -> tuple[list[EventDraft], list[str]]:
    """Return drafts of the recorded events, sorted by name and version, and the reason for each event that was skipped.

    Attributes of the actor (`user.id` …) and those that heliograph adds to every event are not fields.
    """
    groups: dict[tuple[str, str], list[RecordedEvent]] = collections.defaultdict(list)
    for event in events:
        version = event.attributes.get(EVENT_VERSION)
        groups[event.event_name, version if isinstance(version, str) else ""].append(event)
    legal = {key: group for key, group in groups.items() if _is_event_name(key[0])}
    taken = set(IMPORTED)
    drafts = [_event(name, version, group, taken) for (name, version), group in sorted(legal.items())]
    others = sorted({name for name, _ in groups.keys() - legal.keys()})
    return drafts, [f"the event {name!r}: a class cannot have this name" for name in others]


def _is_event_name(name: str) -> bool:
    return has_namespace(name) and not name.startswith(f"{SCOPE}.")


def _event(name: str, version: str, events: Sequence[RecordedEvent], taken: set[str]) -> EventDraft:
    namespace, _, last = name.rpartition(".")
    own_name = class_name(f"{last} {version}", taken)
    taken.add(own_name)
    columns = _columns(events)
    own = {key.removeprefix(f"{name}."): column for key, column in columns.items() if key.startswith(f"{name}.")}
    own = {key: column for key, column in own.items() if key.partition(".")[0] not in INHERITED}
    needs: list[ClassDraft] = []
    fields = list(_fields(own, len(events), own_name, taken, needs))
    for attribute, column in columns.items():
        if not attribute.startswith(f"{name}.") and _can_be_declared(attribute, column):
            short = field_name(attribute.removeprefix(f"{namespace}."), {field.name for field in fields})
            fields.append(_field(short, column, len(events), attribute))
    return EventDraft(
        name=own_name,
        fields=tuple(fields),
        event_name=last.replace("_", "-"),
        options=EventOptions(namespace=namespace, version=version or None, severity=_severity(events)),
        needs=tuple(needs),
    )


def _columns(events: Iterable[RecordedEvent]) -> dict[str, Column]:
    """Return the values of each attribute, in the order in which the attributes first occur."""
    columns: dict[str, Column] = {}
    for event in events:
        for attribute, value in event.attributes.items():
            if not _is_added(attribute):
                columns.setdefault(attribute, []).append(value)
    return columns


def _is_added(attribute: str) -> bool:
    """Return True for an attribute of the actor, and for one that heliograph adds to every event."""
    return attribute in {*ACTOR_ATTRIBUTES.values(), LOG_RECORD_UID} or attribute.startswith(f"{SCOPE}.")


def _severity(events: Iterable[RecordedEvent]) -> int:
    """Return the severity that most of the events have."""
    [(number, _)] = collections.Counter(event.severity_number for event in events).most_common(1)
    return severity_of(number)


def _can_be_declared(attribute: str, column: Column) -> bool:
    """Return True if a class may declare the attribute by its name, with the type that its values have."""
    if not has_namespace(attribute):
        return False
    wire_type = _WIRE_TYPES.get(_annotation(column), "any")
    return conventions.problem(attribute, wire_type, event_name="") is None


def _fields(
    columns: Mapping[str, Column], total: int, owner: str, taken: set[str], needs: list[ClassDraft]
) -> Iterator[FieldDraft]:
    """Yield the fields of a class, in order. Append the classes that are the types of its fields to `needs`.

    Args:
        columns: The values of each key below the class; keys of nested classes contain dots.
        total: The number of instances.
        owner: The name of the class.
        taken: The class names that are used; names of nested classes are added.
        needs: The nested classes; they are appended.
    """
    grouped: dict[str, dict[str, Column]] = {}
    for key, column in columns.items():
        first, _, rest = key.partition(".")
        grouped.setdefault(first, {})[rest] = column
    for name, below in grouped.items():
        if not _is_field(name):
            continue
        most = max(map(len, below.values()))
        if list(below) == [""]:
            yield _field(name, below[""], total)
        elif _is_class(below, most):
            inner = class_name(f"{owner} {name}", taken)
            taken.add(inner)
            needs.append(ClassDraft(name=inner, fields=tuple(_fields(below, most, inner, taken, needs))))
            yield FieldDraft(name=name, annotation=inner, required=most == total)
        else:
            # only the keys of a dict are attributes, so that an empty dict looks like a missing one
            yield FieldDraft(name=name, annotation=_dict_annotation(below), required=False)


def _is_field(name: str) -> bool:
    is_name = name.isascii() and name.isidentifier() and not name.startswith("_")
    return is_name and not keyword.iskeyword(name) and name not in HIDING


def _is_class(below: Mapping[str, Column], most: int) -> bool:
    """Return True if these keys are the fields of a class, not keys of a dict: each is in at least half of the instances."""
    names = {key.partition(".")[0] for key in below}
    together = all(len(column) * 2 >= most for column in below.values())
    return together and len(below) <= MAX_KEYS and all(map(_is_field, names))


def _dict_annotation(below: Mapping[str, Column]) -> str:
    is_flat = not any("." in key for key in below) and "" not in below
    kind = _annotation([value for column in below.values() for value in column]) if is_flat else "Any"
    return "Any" if "" in below else f"dict[str, {kind}]"


def _field(name: str, column: Column, total: int, attribute: str | None = None) -> FieldDraft:
    privacy = _privacy(column)
    declared = Attribute(attribute, privacy=privacy)
    return FieldDraft(
        name=name, annotation=_annotation(column), required=len(column) == total and privacy is None, declared=declared
    )


def _privacy(column: Column) -> Privacy | None:
    """Return the privacy that was applied to all of the values, or `None`."""
    if all(value == MASKED for value in column):
        return Privacy.MASK
    is_hash = re.compile(rf"{HASH_PREFIX}[0-9a-f]{{64}}")
    is_hashed = all(isinstance(value, str) and is_hash.fullmatch(value) for value in column)
    return Privacy.HASH if is_hashed else None


def _annotation(column: Column) -> str:
    found = {_kind(value) for value in column}
    if found == {"int", "float"}:
        return "float"
    if found == {"str"}:
        return _text_annotation(column)
    is_plain = len(found) == 1 or found <= {"bool", "float", "int", "str"}
    return " | ".join(sorted(found)) if is_plain else "Any"


def _kind(value: Value) -> str:
    if isinstance(value, (list, tuple)):
        kinds = {type(item).__name__ for item in value}
        return f"list[{kinds.pop()}]" if len(kinds) == 1 and kinds <= {"bool", "float", "int", "str"} else "list[Any]"
    if isinstance(value, dict):
        return "dict[str, Any]"
    return "Any" if value is None else type(value).__name__


def _text_annotation(texts: Sequence[str]) -> str:
    for known, annotation in _FORMATS.items():
        if all(re.search(known.pattern, text) for text in texts):
            return annotation
    parsed = list(map(_parsed, texts))
    if all(isinstance(each, list) for each in parsed):
        return "list[Any]"
    return "dict[str, Any]" if all(isinstance(each, dict) for each in parsed) else "str"


def _parsed(text: str) -> object:
    """Return the list or object that a text is the JSON of, or the text. Lists of mixed types are exported as JSON."""
    try:
        return json.loads(text) if text[:1] in {"[", "{"} else text
    except (RecursionError, ValueError):
        return text
