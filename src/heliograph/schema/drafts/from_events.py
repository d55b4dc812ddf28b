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
from heliograph.schema.model.patterns import compile_pattern
from heliograph.schema.model.types import Format
from heliograph.semconv import (
    ACTOR_ATTRIBUTES,
    EVENT_VERSION,
    LOG_RECORD_UID,
    OWN_EVENTS,
    REQUEST_ATTRIBUTES,
    RESERVED_EVENT_NAME,
    SCOPE,
    attribute_part,
    has_namespace,
)
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
"""For each annotation that a draft can have, the type of its attribute. All others have the type ``any``."""

_FORMATS: Final = {Format.DATE_TIME: "dt.datetime", Format.DATE: "dt.date", Format.UUID: "uuid.UUID"}
"""The annotations of texts, by the format that each of the texts must have."""

Value: TypeAlias = Any
"""The value of an attribute, as `heliograph.otlp.decode_value` returns it."""
Column: TypeAlias = "list[Value]"
"""The values of one attribute in all recorded events that have it."""


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
    """Return drafts of the recorded events, sorted by name and version, and the reason for each thing that was skipped.

    Attributes of the actor (`user.id` …) and those that heliograph adds to every event are not fields, and its own events need no
    classes. They are not reported.
    """
    groups: dict[tuple[str, str], list[RecordedEvent]] = collections.defaultdict(list)
    for event in events:
        if event.event_name in OWN_EVENTS:
            continue
        version = event.attributes.get(EVENT_VERSION)
        groups[event.event_name, version if isinstance(version, str) and version.strip() else ""].append(event)
    legal = {key: group for key, group in groups.items() if _is_event_name(key[0])}
    others = sorted({name for name, _ in groups.keys() - legal.keys()})
    skipped = [f"the event {name!r}: a class cannot have this name" for name in others]
    taken = set(IMPORTED)
    drafts = [_event(name, version, group, taken, skipped) for (name, version), group in sorted(legal.items())]
    # Several versions of an event may have the same attribute.
    return drafts, list(dict.fromkeys(skipped))


def _is_event_name(name: str) -> bool:
    return has_namespace(name) and not name.startswith(f"{SCOPE}.") and name != RESERVED_EVENT_NAME


def _event(name: str, version: str, events: Sequence[RecordedEvent], taken: set[str], skipped: list[str]) -> EventDraft:
    """Return the draft of a group of events. Add its class names to `taken`, and attributes that it lacks to `skipped`."""
    namespace, _, last = name.rpartition(".")
    own_name = class_name(f"{last} {version}", taken)
    taken.add(own_name)
    own: dict[str, Column] = {}
    others: dict[str, Column] = {}
    for attribute, column in _columns(events).items():
        is_own = attribute.startswith(f"{name}.")
        problem = (
            _field_problem(attribute.removeprefix(f"{name}.")) if is_own else _attribute_problem(attribute, column)
        )
        if problem is not None:
            skipped.append(f"the attribute {attribute!r} of {name!r}: {problem}")
        elif is_own:
            own[attribute.removeprefix(f"{name}.")] = column
        else:
            others[attribute] = column
    needs: list[ClassDraft] = []
    fields = list(_fields(own, len(events), own_name, taken, needs))
    for attribute, column in others.items():
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
    """Return True for an attribute of the actor or of the request, and for one that heliograph adds to every event."""
    added = {*ACTOR_ATTRIBUTES.values(), *REQUEST_ATTRIBUTES, LOG_RECORD_UID}
    return attribute in added or attribute.startswith(f"{SCOPE}.")


def _severity(events: Iterable[RecordedEvent]) -> int:
    """Return the severity that most of the events have."""
    [(number, _)] = collections.Counter(event.severity_number for event in events).most_common(1)
    return severity_of(number)


def _field_problem(key: str) -> str | None:
    """Return the reason why a class cannot have a field for a key below the event's name, or `None`."""
    name = key.partition(".")[0]
    return None if _is_field(name) and name not in INHERITED else f"a class cannot have a field named {name!r}"


def _attribute_problem(attribute: str, column: Column) -> str | None:
    """Return the reason why a class cannot declare an attribute by its name, with the type of its values, or `None`."""
    if not has_namespace(attribute):
        return "names must be lower-case words, separated by `.` or `_`, and start with a namespace"
    return conventions.problem(attribute, _WIRE_TYPES.get(_annotation(column), "any"))


def _fields(
    columns: Mapping[str, Column], total: int, owner: str, taken: set[str], needs: list[ClassDraft]
) -> Iterator[FieldDraft]:
    """Yield the fields of a class, in order. Append the classes that are the types of its fields to `needs`.

    Args:
        columns: The values of each key below the class; keys of nested classes contain dots. Each first part can be the name
            of a field (`_is_field`).
        total: The number of instances of the class.
        owner: The name of the class.
        taken: The class names that are used; names of nested classes are added.
        needs: The nested classes; they are appended.
    """
    grouped: dict[str, dict[str, Column]] = {}
    for key, column in columns.items():
        first, _, rest = key.partition(".")
        grouped.setdefault(first, {})[rest] = column
    for name, below in grouped.items():
        # A nested instance is not an attribute itself. There were at least as many as values of its most frequent key.
        instances = max(map(len, below.values()))
        if list(below) == [""]:
            yield _field(name, below[""], total)
        elif _is_class(below, instances):
            inner = class_name(f"{owner} {name}", taken)
            taken.add(inner)
            needs.append(ClassDraft(name=inner, fields=tuple(_fields(below, instances, inner, taken, needs))))
            yield FieldDraft(name=name, annotation=inner, required=instances == total)
        else:
            # Only the keys of a dict are attributes. So an empty dict looks like a missing one, and may have been recorded.
            yield FieldDraft(name=name, annotation=_dict_annotation(below), required=False)


def _is_field(name: str) -> bool:
    """Return True if a class can have a field with this name, whose attribute has the same name."""
    is_name = name.isascii() and name.isidentifier() and attribute_part(name) == name
    return is_name and not keyword.iskeyword(name) and name not in HIDING


def _is_class(below: Mapping[str, Column], instances: int) -> bool:
    """Return True if these keys are the fields of a class, not keys of a dict: each is in at least half of the instances."""
    names = {key.partition(".")[0] for key in below}
    together = all(len(column) * 2 >= instances for column in below.values())
    return together and len(below) <= MAX_KEYS and all(map(_is_field, names))


def _dict_annotation(below: Mapping[str, Column]) -> str:
    """Return the annotation of a dict with these keys. The key "" is a value of the name itself: not always a dict."""
    is_flat = not any("." in key for key in below) and "" not in below
    kind = _annotation([value for column in below.values() for value in column]) if is_flat else "Any"
    return "Any" if "" in below else f"dict[str, {kind}]"


def _field(name: str, column: Column, total: int, attribute: str | None = None) -> FieldDraft:
    privacy = _privacy(column)
    # A protected value is optional, whatever was recorded: a process without a key drops what it should hash.
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
    """Return the annotation for values of these types, or ``Any`` if none fits."""
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
        if all(compile_pattern(known.pattern).search(text) for text in texts):
            return annotation
    parsed = list(map(_parsed, texts))
    if all(isinstance(each, list) for each in parsed):
        return "list[Any]"
    return "dict[str, Any]" if all(isinstance(each, dict) for each in parsed) else "str"


def _parsed(text: str) -> object:
    """Return the list or dict that a text in JSON contains, otherwise the text. A list of mixed types is exported as JSON."""
    try:
        return json.loads(text) if text[:1] in {"[", "{"} else text
    except (RecursionError, ValueError):
        return text
