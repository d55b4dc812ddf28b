"""Read an OpenTelemetry Weaver registry from its files, in both file formats, and resolve groups and references.

Only the keys that a class can express are read. Other people's registries have more; those are ignored.

Source: the JSON Schemas of registry files that Weaver 0.25 publishes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from heliograph.errors import FileFormatError
from heliograph.schema import conventions

_MANIFESTS: Final = frozenset({"manifest", "registry_manifest"})


class AttributeEntry(msgspec.Struct, kw_only=True):
    """The definition of an attribute, or a reference to one.

    Attributes:
        id: The name of a defined attribute, in the older format.
        key: The name of a defined attribute, in definition/2.
        ref: The name of the attribute that is referred to.
        ref_group: The name of a group whose attributes are included here; the entry is then no attribute itself.
        type: The name of a type, or a mapping with the members of an enum.
        brief: A short description.
        note: Further explanation.
        examples: One example or several.
        deprecated: The notice of a deprecation: a mapping, or a text in old registries.
        requirement_level: The requirement level in the event.
        annotations: Values for tools.
    """

    id: str | None = None
    key: str | None = None
    ref: str | None = None
    ref_group: str | None = None
    type: Any = None
    brief: str | None = None
    note: str | None = None
    examples: Any = None
    deprecated: Any = None
    requirement_level: Any = None
    annotations: dict[str, Any] = {}

    @property
    def name(self) -> str | None:
        """The name of a defined attribute."""
        return self.key or self.id


class GroupEntry(msgspec.Struct, kw_only=True):
    """An event, or a group of attributes.

    Attributes:
        id: The name of a group.
        name: The name of an event.
        type: The kind of a group in the older format: ``event``, ``attribute_group`` …
        brief: A short description.
        note: Further explanation.
        stability: The stability level.
        deprecated: The notice of a deprecation: a mapping, or a text in old registries.
        annotations: Values for tools.
        extends: The name of a group whose attributes it has as well.
        attributes: Its attributes.
    """

    id: str | None = None
    name: str | None = None
    type: str | None = None
    brief: str | None = None
    note: str | None = None
    stability: str | None = None
    deprecated: Any = None
    annotations: dict[str, Any] = {}
    extends: str | None = None
    attributes: list[AttributeEntry] = []

    @property
    def event_name(self) -> str:
        """The name of the event."""
        return self.name or (self.id or "").removeprefix("event.")


class _File(msgspec.Struct, kw_only=True):
    attributes: list[AttributeEntry] = []
    attribute_groups: list[GroupEntry] = []
    events: list[GroupEntry] = []
    groups: list[GroupEntry] = []


class WeaverRegistry:
    """A registry: the content of all its files.

    Args:
        directory: The folder with the files, at any depth. Hidden folders are skipped.

    Raises:
        FileFormatError: There are no files, or one is in neither file format. The message names the file and the place in it.
    """

    def __init__(self, directory: Path) -> None:
        self._events: list[GroupEntry] = []
        self._groups: dict[str, GroupEntry] = {}
        self._attributes: dict[str, AttributeEntry] = {}
        paths = sorted(path for path in directory.rglob("*.y*ml") if _is_part(path.relative_to(directory)))
        if not paths:
            raise FileFormatError(f"{directory} has no registry files (*.yaml or *.yml)")
        for path in paths:
            self._add(_read(path))

    def _add(self, file: _File) -> None:
        for group in (*file.groups, *file.attribute_groups, *file.events):
            if group.id is not None:
                self._groups[group.id] = group
        self._events += file.events
        self._events += (group for group in file.groups if group.type == "event")
        inside = (entry for group in file.groups for entry in group.attributes)
        for entry in (*file.attributes, *inside):
            if entry.name is not None:
                self._attributes[entry.name] = entry

    def events(self) -> list[GroupEntry]:
        """Return the events of the registry."""
        return list(self._events)

    def attributes_of(self, event: GroupEntry) -> list[tuple[str, AttributeEntry]]:
        """Return the attributes of an event: pairs of name and definition, with the event's own changes. Groups come first.

        Raises:
            FileFormatError: It refers to an attribute that is neither in the registry nor in the semantic conventions, or to
                an undefined group.
        """
        found: dict[str, AttributeEntry] = {}
        for entry in self._entries(event, event.event_name, ()):
            name = entry.ref or entry.name
            if name is not None:
                found[name] = _merged(found.get(name) or self._defined(name, event.event_name), entry)
        return list(found.items())

    def _entries(self, group: GroupEntry, event_name: str, parents: tuple[str, ...]) -> Iterator[AttributeEntry]:
        """Yield the entries of a group and of the groups that it includes.

        Args:
            group: The group, or the event itself.
            event_name: The event, for error messages.
            parents: The groups that include this one. A group among them that is included again would include itself.
        """
        if group.extends is not None:
            yield from self._entries_of(group.extends, event_name, parents)
        for entry in group.attributes:
            if entry.ref_group is None:
                yield entry
            else:
                yield from self._entries_of(entry.ref_group, event_name, parents)

    def _entries_of(self, name: str, event_name: str, parents: tuple[str, ...]) -> Iterator[AttributeEntry]:
        if name not in self._groups or name in parents:
            problem = "includes itself" if name in parents else "is not defined"
            raise FileFormatError(f"the event {event_name!r} includes the group {name!r}, which {problem}")
        yield from self._entries(self._groups[name], event_name, (*parents, name))

    def _defined(self, name: str, event_name: str) -> AttributeEntry:
        if name in self._attributes:
            return self._attributes[name]
        convention = conventions.find(name)
        if convention is None:
            raise FileFormatError(
                f"the event {event_name!r} refers to the attribute {name!r}, which neither the registry nor version "
                f"{conventions.version()} of OpenTelemetry's semantic conventions defines"
            )
        return AttributeEntry(type=convention.type)


def _is_part(path: Path) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix in {".yaml", ".yml"} and path.stem not in _MANIFESTS and not is_hidden


def _read(path: Path) -> _File:
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        return msgspec.convert({} if found is None else found, _File)
    except (OSError, RecursionError, UnicodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise FileFormatError(f"{path}: {' '.join(str(error).split())}") from error


def _merged(definition: AttributeEntry, reference: AttributeEntry) -> AttributeEntry:
    """Return the definition of an attribute. Keys that the reference has replace its own; annotations are joined."""
    values = {
        name: getattr(definition, name) if getattr(reference, name) is None else getattr(reference, name)
        for name in AttributeEntry.__struct_fields__
    }
    return AttributeEntry(**{**values, "annotations": {**definition.annotations, **reference.annotations}})
