"""A strict reader of Weaver's files, after the JSON Schemas that Weaver 0.25 publishes.

It rejects unknown keys, references to undefined attributes, and names that break the naming policy.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
import yaml

Stability = Literal["development", "alpha", "beta", "release_candidate", "stable"]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9]*([._][a-z0-9]+)*$")]
Primitive = Literal[
    "string", "int", "double", "boolean", "any", "string[]", "int[]", "double[]", "boolean[]", "template[any]"
]


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class Renamed(Strict, kw_only=True, tag_field="reason", tag="renamed"):
    renamed_to: Name
    note: str | None = None


class Obsoleted(Strict, kw_only=True, tag_field="reason", tag="obsoleted"):
    note: str


class Conditionally(Strict, kw_only=True):
    conditionally_required: str


Requirement = Literal["required", "recommended", "opt_in"] | Conditionally


class Member(Strict, kw_only=True):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    value: str | int
    brief: str
    stability: Stability


class Enum(Strict, kw_only=True):
    members: Annotated[list[Member], msgspec.Meta(min_length=1)]


class Definition(Strict, kw_only=True):
    type: Primitive | Enum
    stability: Stability
    brief: Annotated[str, msgspec.Meta(min_length=1)]
    note: str | None = None
    examples: Annotated[list[Any], msgspec.Meta(min_length=1)] | None = None
    deprecated: Renamed | Obsoleted | None = None
    annotations: dict[str, Any] = {}


class Attribute(Definition, kw_only=True):
    key: Name


class AttributeV1(Definition, kw_only=True):
    id: Name


class Reference(Strict, kw_only=True):
    ref: Name
    requirement_level: Requirement
    brief: str | None = None
    annotations: dict[str, Any] = {}


class Event(Strict, kw_only=True):
    name: Name
    brief: Annotated[str, msgspec.Meta(min_length=1)]
    note: str
    stability: Stability
    requirement_level: Literal["recommended"]
    deprecated: Renamed | Obsoleted | None = None
    annotations: dict[str, Any] = {}
    attributes: list[Reference] = []


class Imports(Strict, kw_only=True):
    entities: list[Name]
    attribute_groups: list[Annotated[str, msgspec.Meta(pattern=r"^registry\.[a-z_]+\*?$")]]


class File(Strict, kw_only=True):
    file_format: Literal["definition/2"]
    imports: Imports
    attributes: list[Attribute] = []
    events: list[Event] = []


class AttributeGroup(Strict, kw_only=True, tag_field="type", tag="attribute_group"):
    id: Name
    display_name: str
    brief: str
    attributes: list[AttributeV1]


class EventGroup(Strict, kw_only=True, tag_field="type", tag="event"):
    id: Name
    name: Name
    brief: Annotated[str, msgspec.Meta(min_length=1)]
    note: str
    stability: Stability
    deprecated: Renamed | Obsoleted | None = None
    annotations: dict[str, Any] = {}
    attributes: list[Reference] = []


class FileV1(Strict, kw_only=True):
    imports: Imports
    groups: list[AttributeGroup | EventGroup]


class Dependency(Strict, kw_only=True):
    schema_url: Annotated[str, msgspec.Meta(pattern=r"^https://.+/\d+\.\d+\.\d+$")]
    registry_path: str


class Manifest(Strict, kw_only=True):
    description: str
    schema_url: Annotated[str, msgspec.Meta(pattern=r"^https://.+/\d+\.\d+\.\d+$")]
    stability: Stability
    dependencies: list[Dependency] = []


PYTHON = {"string": str, "int": int, "double": float, "boolean": bool, "any": str, "template[any]": str}


def load(text: str) -> Any:
    """Return the content of a file of YAML. Weaver reads it with a port of libyaml; the parser in Python takes ten times as long."""
    return yaml.load(text, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)


def read_v2(files: dict[str, str]) -> File:
    """Return the registry in these files. Raise an error if it is not valid."""
    manifest = msgspec.convert(load(files["manifest.yaml"]), Manifest)
    file = msgspec.convert(load(files["events.yaml"]), File)
    check({each.key: each for each in file.attributes}, len(file.attributes), file.events, manifest)
    return file


def read_v1(files: dict[str, str]) -> FileV1:
    """Return the registry in files of the older format. Raise an error if it is not valid."""
    manifest = msgspec.convert(load(files["manifest.yaml"]), Manifest)
    file = msgspec.convert(load(files["events.yaml"]), FileV1)
    attributes = [each for group in file.groups if isinstance(group, AttributeGroup) for each in group.attributes]
    events = [group for group in file.groups if isinstance(group, EventGroup)]
    assert [group.id for group in events] == [f"event.{group.name}" for group in events]
    check({each.id: each for each in attributes}, len(attributes), events, manifest)
    return file


def check(attributes: dict[str, Any], count: int, events: list[Any], manifest: Manifest) -> None:
    """Check what a JSON Schema cannot express."""
    assert len(attributes) == count, "an attribute is defined twice"
    assert len({event.name for event in events}) == len(events), "an event is defined twice"
    for name, definition in attributes.items():
        assert "." in name
        check_examples(definition)
    for event in events:
        names = [each.ref for each in event.attributes]
        assert len(set(names)) == len(names)
        assert all(name in attributes or manifest.dependencies for name in names), (
            "an event refers to an undefined attribute"
        )
    used = {each.ref for event in events for each in event.attributes}
    assert attributes.keys() <= used, "an attribute is defined and not used"


def check_examples(definition: Definition) -> None:
    """Check that each example has the type of its attribute, and that texts have one."""
    if isinstance(definition.type, Enum):
        values = [member.value for member in definition.type.members]
        assert len({type(value) for value in values}) == 1
        assert len(set(values)) == len(values)
        return
    scalar = definition.type.removesuffix("[]")
    for example in definition.examples or []:
        items = example if definition.type.endswith("[]") else [example]
        assert all(type(item) is PYTHON[scalar] for item in items), (definition.type, example)
    if definition.type in {"string", "string[]"}:
        assert definition.examples, definition
    assert re.search(r"\S", definition.brief)
