"""The content of an OpenTelemetry Weaver registry: what `weaver_v2` and `weaver_v1` write in their file formats.

Attributes of heliograph or the program are defined once, and events refer to them. Attributes of OpenTelemetry's semantic
conventions are only referred to. A registry has one contract for each event name. If several versions of an event are
registered, it is a contract that each of them keeps: it has the attributes of all of them, and requires only what all require.

What is written here, `heliograph.schema.drafts.from_weaver` reads back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from heliograph.classes import qualified_name
from heliograph.errors import SchemaError, SchemaErrors
from heliograph.events import Privacy, severity_text
from heliograph.schema import conventions
from heliograph.schema.export.added_attributes import ADDED, AddedAttribute
from heliograph.schema.export.weaver_attributes import attribute_annotations, definitions, describe_definition, optional
from heliograph.schema.export.yaml_text import Yaml
from heliograph.schema.model.event import EventSchema
from heliograph.schema.model.types import MapType
from heliograph.schema.model.wire_attributes import WireAttribute


@dataclass(frozen=True, kw_only=True)
class RegistryEvent:
    """An event of a registry: one contract that all registered versions of the event keep.

    Attributes:
        latest: The schema of the version that was registered last.
        references: The references to its attributes.
        versions: The names of its versions. Empty if there is only one.
    """

    latest: EventSchema
    references: list[Yaml]
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RegistryContent:
    """The content of a registry, before it is written in one of the two file formats.

    Attributes:
        attributes: The definitions of the attributes that are not in the semantic conventions, by name.
        events: The events, sorted by name.
    """

    attributes: dict[str, Yaml]
    events: list[RegistryEvent]


def collect(schemas: Iterable[EventSchema]) -> RegistryContent:
    """Return the events and attributes of these schemas, each once, sorted by name.

    Raises:
        SchemaError: Events declare the same attribute with different types. The message has all such attributes.
    """
    groups: dict[str, list[EventSchema]] = {}
    for schema in schemas:
        # Each event is listed under its old and its new name.
        for each in (schema, schema.renamed):
            if each is not None and each.fields is not None:
                groups.setdefault(each.event_name, []).append(each)
    attributes = _definitions_of_all(groups.values())
    if groups:
        attributes |= {str(each.name): _added_definition(each) for each in ADDED.values() if each.type is not None}
    events = [_registry_event(groups[name]) for name in sorted(groups)]
    return RegistryContent(attributes=dict(sorted(attributes.items())), events=events)


def _definitions_of_all(groups: Iterable[list[EventSchema]]) -> dict[str, Yaml]:
    attributes: dict[str, Yaml] = {}
    owners: dict[str, type] = {}
    problems: dict[type, list[str]] = {}
    for versions in groups:
        owner = versions[-1].event_class
        for name, definition in definitions(versions).items():
            first = attributes.setdefault(name, definition)
            if first["type"] != definition["type"]:
                problems.setdefault(owner, []).append(
                    f"its attribute {name!r} has the type {describe_definition(definition)}, but in "
                    f"{qualified_name(owners[name])} it has the type {describe_definition(first)}; rename one of them"
                )
            owners.setdefault(name, owner)
    if problems:
        errors = [SchemaError(owner, *reasons) for owner, reasons in problems.items()]
        raise errors[0] if len(errors) == 1 else SchemaErrors(errors)
    return attributes


def _added_definition(added: AddedAttribute) -> Yaml:
    return {
        "type": added.type,
        "stability": "development",
        "brief": added.name.brief,
        **({} if added.example is None else {"examples": [added.example]}),
    }


def brief(schema: EventSchema) -> str:
    """Return the brief of an event, or a sentence with its name if the class has none."""
    return schema.brief or f"The event `{schema.name}`."


def note(schema: EventSchema) -> str:
    """Return the note of an event, followed by its severity."""
    severity = f"Severity {severity_text(schema.severity)}."
    return "\n\n".join(part for part in (schema.note, severity) if part)


def event_annotations(event: RegistryEvent) -> Yaml:
    """Return the annotations of an event: what programs may need and Weaver has no field for."""
    schema = event.latest
    return {
        "severity_number": int(schema.severity),
        **optional("version", schema.version),
        **({"versions": list(event.versions)} if event.versions else {}),
        **optional("message", schema.body and schema.body.template),
    }


def _registry_event(versions: list[EventSchema]) -> RegistryEvent:
    """Return the contract that every version of an event keeps, with the texts of the one that was registered last."""
    names = tuple("none" if schema.version is None else schema.version for schema in versions)
    found: dict[str, Yaml] = {}
    for schema in reversed(versions):
        for name, reference in _references(schema).items():
            found.setdefault(name, reference)
    for name, reference in found.items():
        reference["requirement_level"] = _common_requirement(name, versions)
    added = [
        {"ref": str(each.name), "requirement_level": {"conditionally_required": each.when} if each.when else "required"}
        for each in ADDED.values()
        if each.name not in found
    ]
    return RegistryEvent(
        latest=versions[-1], references=[*found.values(), *added], versions=names if len(versions) > 1 else ()
    )


def _references(schema: EventSchema) -> dict[str, Yaml]:
    """Return the references of an event to the attributes of its class, by the name of the attribute.

    A reference to an attribute of the semantic conventions also has the brief, privacy and unit that the class declares: its
    definition is not in this registry. A key below a template is referred to by the name of the template.
    """
    found: dict[str, Yaml] = {}
    for attribute in schema.wire_attributes():
        declared: Yaml = {}
        if conventions.find(attribute.name) is not None:
            declared = {**optional("brief", attribute.field.declared.brief), **attribute_annotations(attribute)}
        name = conventions.defined_name(attribute.name)
        found.setdefault(name, {"ref": name, "requirement_level": _requirement(attribute, schema), **declared})
    return found


def _common_requirement(name: str, versions: list[EventSchema]) -> Any:
    """Return a requirement level that every version of an event keeps."""
    levels = [
        (schema.version, reference["requirement_level"])
        for schema in versions
        if (reference := _references(schema).get(name)) is not None
    ]
    requiring = [version or "none" for version, level in levels if level == "required"]
    if not requiring or len(requiring) == len(versions):
        return levels[-1][1]
    return {"conditionally_required": f"when the version of the event is {' or '.join(requiring)}"}


def _requirement(attribute: WireAttribute, schema: EventSchema) -> Any:
    """Return the requirement level of an attribute as it is exported, which may differ from that of its field.

    - A value with the privacy ``DROP``, or that the settings opt out of, is ``opt_in``: it is not exported by default.
    - A hashed value is exported only if there is a key for hashes.
    - A required dict is ``recommended``: an empty one is omitted, and the keys of others may become attributes.
    - A required field of an optional class is required if there is an instance of the class.
    """
    requirement = attribute.field.requirement
    is_dropped_by_default = attribute.field.declared.privacy is None and schema.policy.default is Privacy.DROP
    is_opted_out = not schema.policy.without_opted_out({attribute.name: None})
    if attribute.privacy is Privacy.DROP or is_opted_out or is_dropped_by_default:
        return "opt_in"
    if requirement.startswith("conditionally_required"):
        return {"conditionally_required": requirement.partition(": ")[2]}
    if requirement != "required":
        return requirement
    is_dict = isinstance(attribute.type, MapType) and attribute.privacy is Privacy.PLAIN
    if attribute.wire_type == "any" or is_dict:
        return "recommended"
    if not attribute.required:
        return {"conditionally_required": f"when there is `{attribute.path.rpartition('.')[0]}`"}
    is_hashed = attribute.privacy is Privacy.HASH
    return {"conditionally_required": "when there is a key for hashes"} if is_hashed else "required"
