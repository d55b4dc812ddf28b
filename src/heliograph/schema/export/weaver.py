"""Schemas as a registry of OpenTelemetry Weaver: definition/2, and the manifest.

Own attributes are defined once, and referred to by events; those of OpenTelemetry's semantic conventions are referred to
alone, with the conventions as a dependency. Of several versions of an event, the one that was registered last stands under
the name; a registry has one contract for each.

What Weaver has no field for is told to people in the note, and to programs in annotations: ``privacy``, ``unit``,
``severity_number``, ``version``, ``message``.

Source: the JSON Schemas that Weaver 0.25 publishes of its files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import yaml

from heliograph.errors import SchemaError, qualified_name
from heliograph.events import Deprecated, Privacy, severity_text
from heliograph.schema import conventions
from heliograph.schema.export.example import example_properties
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import EnumType
from heliograph.schema.model.wire_attributes import WireAttribute
from heliograph.values.forms import form_of
from heliograph.values.privacy import HASH_PREFIX, MASKED
from heliograph.values.text import to_json

SCHEMA_URL: Final = "https://example.com/schemas/events/0.1.0"
"""The identity of a registry whose maintainers did not say which: Weaver wants one, with a version at its end."""

_CONVENTIONS: Final = "https://github.com/open-telemetry/semantic-conventions/archive/refs/tags/v{0}.zip[model]"
_ARRAYS: Final = frozenset({"string[]", "int[]", "double[]", "boolean[]"})
_PYTHON: Final = {"string": str, "int": int, "double": float, "boolean": bool}

_TEXT: Final = "<text>"

Yaml: TypeAlias = dict[str, Any]


def weaver(schemas: Iterable[EventSchema], *, schema_url: str = SCHEMA_URL) -> dict[str, str]:
    """The files of a registry, by name.

    Args:
        schemas: The events.
        schema_url: The identity of the registry, with its version at the end.

    Raises:
        SchemaError: Two events declare one attribute, and differ in its type.
    """
    registry = collect(schemas)
    definitions = {
        "file_format": "definition/2",
        "attributes": [{"key": name, **definition} for name, definition in registry.attributes.items()],
        "events": [_event(schema) for schema in registry.events],
    }
    return {
        "manifest.yaml": dumps(manifest(registry, schema_url)),
        "events.yaml": dumps({key: value for key, value in definitions.items() if value}),
    }


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What a registry has.

    Attributes:
        attributes: The definitions of own attributes, by name.
        events: The events, by name.
        refers: Whether one of them refers to the semantic conventions.
    """

    attributes: dict[str, Yaml]
    events: list[EventSchema]
    refers: bool


def collect(schemas: Iterable[EventSchema]) -> Registry:
    """The events and attributes of these schemas, each once, sorted by name.

    Raises:
        SchemaError: See `weaver`.
    """
    events = {schema.event_name: schema for schema in schemas if schema.fields is not None}
    attributes: dict[str, Yaml] = {}
    owners: dict[str, EventSchema] = {}
    for schema in events.values():
        for attribute in schema.wire_attributes():
            if conventions.find(attribute.name) is None:
                definition = _definition(attribute, schema)
                first = attributes.setdefault(attribute.name, definition)
                owner = owners.setdefault(attribute.name, schema)
                if first["type"] != definition["type"]:
                    raise SchemaError(
                        schema.event_class,
                        f"its attribute {attribute.name!r} is {_shown(definition)}, and that of "
                        f"{qualified_name(owner.event_class)} is {_shown(first)}; name one of them otherwise",
                    )
    refers = any(
        attribute.name not in attributes for schema in events.values() for attribute in schema.wire_attributes()
    )
    return Registry(
        attributes=dict(sorted(attributes.items())), events=[events[name] for name in sorted(events)], refers=refers
    )


def _shown(definition: Yaml) -> str:
    kind = definition["type"]
    return kind if isinstance(kind, str) else "an enum of " + ", ".join(str(each["value"]) for each in kind["members"])


def manifest(registry: Registry, schema_url: str) -> Yaml:
    """The manifest of a registry."""
    version = conventions.version()
    dependency = {
        "schema_url": f"https://opentelemetry.io/schemas/{version}",
        "registry_path": _CONVENTIONS.format(version),
    }
    return {
        "description": "Events, as their classes declare them. Written by heliograph.",
        "schema_url": schema_url,
        "stability": "development",
        **({"dependencies": [dependency]} if registry.refers else {}),
    }


def dumps(document: Yaml) -> str:
    """The document as YAML, in the order of its keys."""
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


def _definition(attribute: WireAttribute, schema: EventSchema) -> Yaml:
    declared = attribute.field.declared
    examples = _examples(attribute)
    return {
        "type": _type(attribute),
        "stability": schema.stability,
        "brief": declared.brief or f"The property `{attribute.path}`.",
        **_given("note", declared.note),
        **({"examples": examples} if examples else {}),
        **deprecation(declared.deprecated),
        **_annotations(attribute),
    }


def _given(key: str, value: object) -> Yaml:
    return {} if value is None or value == "" else {key: value}


def _type(attribute: WireAttribute) -> Any:
    kind = attribute.type
    if (
        not isinstance(kind, EnumType)
        or attribute.wire_type not in {"string", "int"}
        or attribute.privacy is not Privacy.PLAIN
    ):
        return attribute.wire_type
    names = kind.names or tuple(str(value) for value in kind.values)
    members = zip(names, kind.values)
    return {
        "members": [
            {"id": name.lower(), "value": value, "brief": name, "stability": "development"}
            for name, value in members
            if value is not None
        ]
    }


def _examples(attribute: WireAttribute) -> list[object]:
    """The declared examples, or one made of the type of a text, since Weaver wants it; of what is protected, what leaves."""
    if attribute.privacy is Privacy.MASK:
        return [MASKED]
    if attribute.privacy is Privacy.HASH:
        return [f"{HASH_PREFIX}{'0' * 64}"]
    if attribute.privacy is Privacy.DROP:
        texts: dict[str, list[object]] = {"string": [_TEXT], "string[]": [[_TEXT]]}
        return texts.get(attribute.wire_type, [])
    forms = [form_of(example) for example in attribute.field.declared.examples]
    if not forms and attribute.wire_type in {"string", "string[]"} and isinstance(_type(attribute), str):
        forms = [example_properties([attribute.field])[attribute.field.name]]
    return [_example(form, attribute.wire_type) for form in forms]


def _example(form: object, wire_type: str) -> object:
    """An example in the type of its attribute; of a type that Weaver has no examples for, its JSON."""
    if wire_type in _ARRAYS and isinstance(form, list):
        return form
    kind = _PYTHON.get(wire_type)
    if kind is not None and isinstance(form, (int, float)) and not isinstance(form, bool) and kind in {int, float}:
        return kind(form)
    is_itself = isinstance(form, str if kind is None else kind)
    return form if is_itself else to_json(form)


def _annotations(attribute: WireAttribute) -> Yaml:
    annotations = {
        **({"privacy": {"action": attribute.privacy.value}} if attribute.privacy is not Privacy.PLAIN else {}),
        **_given("unit", attribute.field.declared.unit),
    }
    return {"annotations": annotations} if annotations else {}


def deprecation(deprecated: Deprecated | None) -> Yaml:
    """That something is on its way out, in Weaver's words."""
    if deprecated is None:
        return {}
    if deprecated.renamed_to is not None:
        renamed = {"reason": "renamed", "renamed_to": deprecated.renamed_to}
        return {"deprecated": {**renamed, **_given("note", deprecated.note)}}
    return {"deprecated": {"reason": "obsoleted", "note": deprecated.note or "It is not emitted any more."}}


def _event(schema: EventSchema) -> Yaml:
    return {
        "name": schema.event_name,
        "brief": brief(schema),
        "note": note(schema),
        "stability": schema.stability,
        "requirement_level": "recommended",
        **deprecation(schema.deprecated),
        "annotations": event_annotations(schema),
        **({"attributes": refs} if (refs := references(schema)) else {}),
    }


def brief(schema: EventSchema) -> str:
    """What happened; of an event that does not say it, its name."""
    return schema.brief or f"The event `{schema.name}`."


def note(schema: EventSchema) -> str:
    """What the event says of itself besides, and its severity."""
    severity = f"Severity {severity_text(schema.severity)}."
    return "\n\n".join(part for part in (schema.note, severity) if part)


def event_annotations(schema: EventSchema) -> Yaml:
    """What programs may want to know of an event, and Weaver has no field for."""
    return {
        "severity_number": int(schema.severity),
        **_given("version", schema.version),
        **_given("message", schema.body and schema.body.template),
    }


def references(schema: EventSchema) -> list[Yaml]:
    """The attributes of an event, by reference, with what is said of them there."""
    found = []
    for attribute in schema.wire_attributes():
        is_theirs = conventions.find(attribute.name) is not None
        said = {**_given("brief", attribute.field.declared.brief), **_annotations(attribute)} if is_theirs else {}
        found.append({"ref": attribute.name, "requirement_level": _requirement(attribute), **said})
    return found


def _requirement(attribute: WireAttribute) -> Any:
    """The requirement of what arrives: of a dict, its keys arrive, and not itself."""
    requirement = attribute.field.requirement
    if attribute.privacy is Privacy.DROP:
        return "opt_in"
    if requirement.startswith("conditionally_required"):
        return {"conditionally_required": requirement.partition(": ")[2]}
    if requirement != "required":
        return requirement
    if attribute.wire_type == "any":
        return "recommended"
    around = attribute.path.rpartition(".")[0]
    return "required" if attribute.required else {"conditionally_required": f"when there is `{around}`"}
