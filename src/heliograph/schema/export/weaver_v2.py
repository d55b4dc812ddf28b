"""Write schemas as an OpenTelemetry Weaver registry in the file format ``definition/2``, with its manifest.

Attributes of heliograph or the program are defined once, and events refer to them. Attributes of OpenTelemetry's semantic
conventions are only referred to; the manifest names the conventions as a dependency. A registry has one contract for each
event name: of several versions of an event, the one that was registered last is exported.

Weaver has no field for privacy, unit, severity, version and message. All five are written as annotations, for programs:
``privacy``, ``unit``, ``severity_number``, ``version``, ``message``. The severity is also in the note of an event, for people.

`heliograph.schema.export.weaver_v1` shares everything except the outermost structure of the files. What both write,
`heliograph.schema.drafts.from_weaver` reads back.

Source: the JSON Schemas of registry files that Weaver 0.25 publishes.
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
"""The schema URL of a registry that was exported without one. Weaver requires a URL that ends with a version."""

_CONVENTIONS: Final = "https://github.com/open-telemetry/semantic-conventions/archive/refs/tags/v{0}.zip[model]"
_ARRAYS: Final = frozenset({"string[]", "int[]", "double[]", "boolean[]"})
_PYTHON: Final = {"string": str, "int": int, "double": float, "boolean": bool}

_TEXT: Final = "<text>"
"""The example of a text with the privacy ``DROP``. Weaver requires one, although the value is never exported."""

Yaml: TypeAlias = dict[str, Any]


def weaver_v2(schemas: Iterable[EventSchema], *, schema_url: str = SCHEMA_URL) -> dict[str, str]:
    """Return the files of a registry, by name.

    Args:
        schemas: The events.
        schema_url: The URL that identifies the registry; it ends with the registry's version.

    Raises:
        SchemaError: Two events declare the same attribute with different types.
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
class RegistryContent:
    """The content of a registry, before it is written in one of the two file formats.

    Attributes:
        attributes: The definitions of the attributes that are not in the semantic conventions, by name.
        events: The events, sorted by name.
        uses_conventions: True if an event refers to an attribute of the semantic conventions.
    """

    attributes: dict[str, Yaml]
    events: list[EventSchema]
    uses_conventions: bool


def collect(schemas: Iterable[EventSchema]) -> RegistryContent:
    """Return the events and attributes of these schemas, each once, sorted by name.

    Raises:
        SchemaError: Two events declare the same attribute with different types.
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
                        f"its attribute {attribute.name!r} has the type {_describe_type(definition)}, but in "
                        f"{qualified_name(owner.event_class)} it has the type {_describe_type(first)}; rename one of them",
                    )
    uses_conventions = any(
        attribute.name not in attributes for schema in events.values() for attribute in schema.wire_attributes()
    )
    return RegistryContent(
        attributes=dict(sorted(attributes.items())),
        events=[events[name] for name in sorted(events)],
        uses_conventions=uses_conventions,
    )


def _describe_type(definition: Yaml) -> str:
    kind = definition["type"]
    return kind if isinstance(kind, str) else "an enum of " + ", ".join(str(each["value"]) for each in kind["members"])


def manifest(registry: RegistryContent, schema_url: str) -> Yaml:
    """Return the manifest of a registry."""
    version = conventions.version()
    dependency = {
        "schema_url": f"https://opentelemetry.io/schemas/{version}",
        "registry_path": _CONVENTIONS.format(version),
    }
    return {
        "description": "Events, as their classes declare them. Written by heliograph.",
        "schema_url": schema_url,
        "stability": "development",
        **({"dependencies": [dependency]} if registry.uses_conventions else {}),
    }


def dumps(document: Yaml) -> str:
    """Return the document as YAML, with its keys in the given order."""
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return text


def _definition(attribute: WireAttribute, schema: EventSchema) -> Yaml:
    declared = attribute.field.declared
    examples = _examples(attribute)
    return {
        "type": _type(attribute),
        "stability": schema.stability,
        "brief": declared.brief or f"The property `{attribute.path}`.",
        **_optional("note", declared.note),
        **({"examples": examples} if examples else {}),
        **deprecation(declared.deprecated),
        **_annotations(attribute),
    }


def _optional(key: str, value: object) -> Yaml:
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
    """Return the examples of an attribute, as it is exported: of a masked or hashed one, a mask or a hash.

    Weaver requires an example of each text. If none is declared, one is made from the type.
    """
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
    """Return an example in the type of its attribute, or as text in JSON, for a type that Weaver has no examples of."""
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
        **_optional("unit", attribute.field.declared.unit),
    }
    return {"annotations": annotations} if annotations else {}


def deprecation(deprecated: Deprecated | None) -> Yaml:
    """Return the key ``deprecated`` of an event or attribute; nothing if it is not deprecated."""
    if deprecated is None:
        return {}
    if deprecated.renamed_to is not None:
        renamed = {"reason": "renamed", "renamed_to": deprecated.renamed_to}
        return {"deprecated": {**renamed, **_optional("note", deprecated.note)}}
    return {"deprecated": {"reason": "obsoleted", "note": deprecated.note or "It will no longer be emitted."}}


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
    """Return the brief of an event, or a sentence with its name if the class has none."""
    return schema.brief or f"The event `{schema.name}`."


def note(schema: EventSchema) -> str:
    """Return the note of an event, followed by its severity."""
    severity = f"Severity {severity_text(schema.severity)}."
    return "\n\n".join(part for part in (schema.note, severity) if part)


def event_annotations(schema: EventSchema) -> Yaml:
    """Return the annotations of an event: what programs may need and Weaver has no field for."""
    return {
        "severity_number": int(schema.severity),
        **_optional("version", schema.version),
        **_optional("message", schema.body and schema.body.template),
    }


def references(schema: EventSchema) -> list[Yaml]:
    """Return the references of an event to its attributes.

    A reference to an attribute of the semantic conventions also has the brief, privacy and unit that the class declares: its
    definition is not in this registry.
    """
    found = []
    for attribute in schema.wire_attributes():
        declared: Yaml = {}
        if conventions.find(attribute.name) is not None:
            declared = {**_optional("brief", attribute.field.declared.brief), **_annotations(attribute)}
        found.append({"ref": attribute.name, "requirement_level": _requirement(attribute), **declared})
    return found


def _requirement(attribute: WireAttribute) -> Any:
    """Return the requirement level of an attribute as it is exported, which may differ from that of its field.

    - A value with the privacy ``DROP`` is ``opt_in``: it is never exported by default.
    - A required dict is ``recommended``: its keys become attributes, and an empty one has none.
    - A required field of an optional class is required if there is an instance of the class.
    """
    requirement = attribute.field.requirement
    if attribute.privacy is Privacy.DROP:
        return "opt_in"
    if requirement.startswith("conditionally_required"):
        return {"conditionally_required": requirement.partition(": ")[2]}
    if requirement != "required":
        return requirement
    if attribute.wire_type == "any":
        return "recommended"
    enclosing = attribute.path.rpartition(".")[0]
    return "required" if attribute.required else {"conditionally_required": f"when there is `{enclosing}`"}
