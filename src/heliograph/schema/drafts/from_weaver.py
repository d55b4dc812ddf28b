"""Draft event classes from an OpenTelemetry Weaver registry, in the older file format or in ``definition/2``.

A registry that ``heliograph schema export`` wrote gives classes that export the same registry. In a registry of somebody else,
events and attributes with a name that a class cannot have are skipped and reported. Details that a class cannot express are
ignored: bodies of the older format, and the briefs of an enum's members.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from heliograph.events import (
    Attribute,
    Deprecated,
    EventOptions,
    Privacy,
    Stability,
)
from heliograph.schema.drafts.draft import (
    IMPORTED,
    ClassDraft,
    EnumDraft,
    EventDraft,
    FieldDraft,
    Member,
    class_name,
    field_name,
    member_name,
    severity_of,
)
from heliograph.schema.drafts.python_source import literal
from heliograph.schema.drafts.weaver_registry import AttributeEntry, GroupEntry, WeaverRegistry
from heliograph.schema.export.added_attributes import is_added
from heliograph.schema.model.message import parse_message
from heliograph.semconv import ACTOR, ACTOR_ATTRIBUTES, OWN_EVENTS, RESERVED_EVENT_NAME, SCOPE, has_namespace

_PYTHON: Final = {"string": "str", "int": "int", "double": "float", "boolean": "bool"}
_NAME_RULE: Final = "names must be lower-case words, separated by `.` or `_`"
_SEVERITY_NOTE: Final = re.compile(r"Severity \w+ \((\d{1,2})\)\.", re.ASCII)
"""The last line of the note of an event that our exporter wrote."""


def drafts_of_weaver(registry: WeaverRegistry) -> tuple[list[EventDraft], list[str]]:
    """Return drafts of the events of a registry, sorted by name, and the reason for each thing that was skipped.

    Heliograph's own events, which a registry that it exported has, need no classes. They are not reported.

    Raises:
        FileFormatError: An event refers to an undefined attribute or group. The message names it.
    """
    taken: set[str] = set(IMPORTED)
    drafts: list[EventDraft] = []
    skipped: list[str] = []
    versions: set[tuple[str, str | None]] = set()
    for entry in sorted(registry.events(), key=lambda entry: entry.event_name):
        name = entry.event_name
        if name in OWN_EVENTS:
            continue
        problem = _event_problem(name)
        if problem is not None:
            skipped.append(f"the event {name!r}: {problem}")
            continue
        draft = _event(entry, registry, taken, skipped)
        if (name, draft.options.version) in versions:
            skipped.append(f"the event {name!r}: it is defined twice, with the same version; the first one is drafted")
        else:
            versions.add((name, draft.options.version))
            drafts.append(draft)
    return drafts, skipped


def _event_problem(name: str) -> str | None:
    """Return the reason why no class can have this event name, or `None`."""
    if not has_namespace(name):
        return f"{_NAME_RULE}, and start with a namespace"
    if name == RESERVED_EVENT_NAME:
        return "the name is reserved, because a property could become the unique id"
    return f"the namespace {SCOPE!r} is reserved for heliograph's own names" if name.startswith(f"{SCOPE}.") else None


def _event(entry: GroupEntry, registry: WeaverRegistry, taken: set[str], skipped: list[str]) -> EventDraft:
    name = entry.event_name
    note, noted_severity = _split_note(entry.note or "")
    namespace, _, last = name.rpartition(".")
    own_name = class_name(last, taken)
    taken.add(own_name)
    needs: list[EnumDraft | ClassDraft] = []
    fields: dict[str, FieldDraft] = {}
    # The names of the fields, by attribute.
    names: dict[str, str] = {}
    for attribute, definition in registry.attributes_of(entry):
        if is_added(attribute, definition.requirement_level):
            # Every event has this attribute without a field.
            continue
        if has_namespace(attribute):
            field = names[attribute] = field_name(_shortened(attribute, name, namespace), fields)
            annotation = _annotation(definition, f"{own_name}{class_name(field)}", taken, needs)
            fields[field] = _field(field, attribute, annotation, definition, name)
        else:
            skipped.append(f"the attribute {attribute!r} of {name!r}: {_NAME_RULE}, and start with a namespace")
    return EventDraft(
        name=own_name,
        fields=tuple(fields.values()),
        event_name=last.replace("_", "-"),
        brief=_line(entry.brief),
        note=note,
        options=_options(entry, namespace, names, noted_severity),
        needs=tuple(needs),
    )


def _split_note(note: str) -> tuple[str, int | None]:
    """Return the note of an event without its last line, and the severity in that line; the whole note if there is none."""
    text, _, last = note.strip().rpartition("\n")
    severity = _SEVERITY_NOTE.fullmatch(last.strip())
    return (note.strip(), None) if severity is None else (text.strip(), int(severity[1]))


def _shortened(attribute: str, event_name: str, namespace: str) -> str:
    for prefix in (event_name, namespace):
        if attribute.startswith(f"{prefix}."):
            return attribute[len(prefix) + 1 :]
    return attribute


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


def _field(name: str, attribute: str, annotation: str, definition: AttributeEntry, event_name: str) -> FieldDraft:
    requirement = _requirement(definition.requirement_level)
    action = definition.annotations.get("privacy")
    privacy = action.get("action") if isinstance(action, Mapping) else None
    unit = definition.annotations.get("unit")
    return FieldDraft(
        name=name,
        annotation=annotation,
        required=requirement == "required",
        declared=Attribute(
            None if attribute == f"{event_name}.{name}" else attribute,
            brief=_brief(definition.brief, name),
            note=(definition.note or "").strip() or None,
            examples=tuple(_examples(definition.examples, annotation)),
            privacy=next((each for each in Privacy if each.value == privacy), None),
            requirement=None if requirement in {"required", "recommended"} else requirement,
            unit=unit if isinstance(unit, str) else None,
            deprecated=_deprecated(definition.deprecated),
        ),
    )


def _brief(text: str | None, name: str) -> str | None:
    """Return the brief, or `None` for the one that the exporter writes for a field without a brief."""
    brief = _line(text)
    return None if brief in {"", f"The property `{name}`."} else brief


def _requirement(level: object) -> str:
    """Return the requirement level: a word, or a mapping from the word to an explanation."""
    word, text = next(iter(level.items()), ("", "")) if isinstance(level, Mapping) else (level, "")
    if word == "conditionally_required":
        return f"conditionally_required: {_line(str(text)) or 'see its note'}"
    return word if isinstance(word, str) and word in {"required", "opt_in"} else "recommended"


def _annotation(
    definition: AttributeEntry, enum_name: str, taken: set[str], needs: list[EnumDraft | ClassDraft]
) -> str:
    kind = definition.type
    if isinstance(kind, Mapping):
        return _enum(kind.get("members"), enum_name, taken, needs)
    text = str(kind)
    # A value of `template[any]` may be no dict at all.
    if text.startswith("template[") and text.endswith("]") and text != "template[any]":
        return f"dict[str, {_plain(text[9:-1])}]"
    return _plain(text)


def _plain(text: str) -> str:
    scalar = _PYTHON.get(text.removesuffix("[]"))
    return "Any" if scalar is None else f"list[{scalar}]" if text.endswith("[]") else scalar


def _enum(members: object, name: str, taken: set[str], needs: list[EnumDraft | ClassDraft]) -> str:
    found = list(_members(members))
    values = [value for *_, value in found]
    kinds = {type(value) for value in values}
    if kinds not in ({str}, {int}):
        return "float" if kinds <= {int, float} and kinds else "Any"
    # Members whose id and brief only repeat the value carry no information: a `Literal` is enough.
    if all(identity == str(value).lower() and brief in {None, str(value)} for identity, brief, value in found):
        return f"Literal[{', '.join(map(literal, values))}]"
    named: dict[str, Member] = {}
    for identity, brief, value in found:
        is_name = isinstance(brief, str) and brief.lower() == identity and brief.isidentifier()
        member = member_name(str(brief) if is_name else identity.upper(), named)
        named[member] = (member, value)
    draft = EnumDraft(name=class_name(name, taken), members=tuple(named.values()))
    taken.add(draft.name)
    needs.append(draft)
    return draft.name


def _members(members: object) -> Iterator[tuple[str, object, Any]]:
    """Yield the id, the brief and the value of each member; of several members with the same value, the first."""
    seen: list[object] = []
    for member in members if isinstance(members, list) else ():
        value = member.get("value") if isinstance(member, Mapping) else None
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and value not in seen:
            seen.append(value)
            yield str(member.get("id", value)), member.get("brief"), value


def _examples(examples: object, annotation: str) -> Iterator[object]:
    """Yield the examples that can be written as literals. In a registry, a single example need not be in a list."""
    is_list = annotation.startswith("list[")
    several = examples if isinstance(examples, list) else [examples]
    if is_list and several and not isinstance(several[0], list):
        several = [several]
    for each in several:
        items = each if isinstance(each, list) else [each]
        if items and all(_is_literal(item) for item in items):
            yield each


def _is_literal(value: object) -> bool:
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _deprecated(entry: object) -> Deprecated | None:
    if entry is None:
        return None
    # Old registries have a text here.
    if not isinstance(entry, Mapping):
        return Deprecated(note=_line(str(entry)) or None)
    renamed_to, note = entry.get("renamed_to"), entry.get("note")
    return Deprecated(
        renamed_to=str(renamed_to) if has_namespace(renamed_to) else None,
        note=_line(note) if isinstance(note, str) else None,
    )


def _options(entry: GroupEntry, namespace: str, names: Mapping[str, str], noted_severity: int | None) -> EventOptions:
    version, message = entry.annotations.get("version"), entry.annotations.get("message")
    return EventOptions(
        namespace=namespace,
        version=version if isinstance(version, str) and version.strip() else None,
        # It is in the annotation that our exporter writes, otherwise in the last line of the note.
        severity=severity_of(entry.annotations.get("severity_number", noted_severity)),
        message=_message(message, names) if isinstance(message, str) else None,
        stability=_stability(entry.stability),
        deprecated=_deprecated(entry.deprecated),
    )


def _stability(text: str | None) -> Stability:
    found: dict[str | None, Stability] = {each: each for each in get_args(Stability)}
    return found.get(text, "development")


def _message(template: str, names: Mapping[str, str]) -> str | None:
    """Return the message template of a class: the template of the registry, with field names instead of attribute names.

    Return `None` if it is not a template, or refers to an attribute that the event does not have.
    """
    actor_keys: dict[str, str] = {attribute: key for key, attribute in ACTOR_ATTRIBUTES.items()}
    written = []
    try:
        for literal, attribute, *_ in string.Formatter().parse(template):
            written.append(literal.replace("{", "{{").replace("}", "}}"))
            if attribute is not None:
                written.append(f"{{{_reference(attribute, names, actor_keys)}}}")
        message = "".join(written)
        parse_message(message, {field: field for field in names.values()})
    except (LookupError, ValueError):
        return None
    return message


def _reference(attribute: str, names: Mapping[str, str], actor_keys: Mapping[str, str]) -> str:
    """Return the part of a message template that shows an attribute, such as ``actor[id]`` or ``customer[name]``.

    Raises:
        LookupError: It is neither an attribute of the event, nor below one, nor an attribute of the actor.
    """
    if attribute in actor_keys and attribute not in names:
        return f"actor[{actor_keys[attribute]}]"
    if attribute.startswith(f"{ACTOR}."):
        return f"actor[{attribute[len(ACTOR) + 1 :]}]"
    parts = attribute.split(".")
    for length in range(len(parts), 0, -1):
        name = names.get(".".join(parts[:length]))
        if name is not None:
            return name + "".join(f"[{part}]" for part in parts[length:])
    raise LookupError(attribute)
