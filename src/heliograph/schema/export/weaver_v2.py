"""Write schemas as an OpenTelemetry Weaver registry in the file format ``definition/2``, with its manifest.

The manifest names OpenTelemetry's semantic conventions as a dependency. The entities that describe a resource, and the groups that
define the conventions in use, are imported from there, so that a check of a stream knows these attributes, too.

Weaver has no field for privacy, unit, severity, version and message. All five are written as annotations, for programs:
``privacy``, ``unit``, ``severity_number``, ``version``, ``message``. The severity is also in the note of an event, for people.

Source: the JSON Schemas of registry files that Weaver 0.25 publishes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from heliograph.schema import conventions
from heliograph.schema.export.weaver_attributes import deprecation
from heliograph.schema.export.weaver_content import (
    RegistryContent,
    RegistryEvent,
    brief,
    collect,
    event_annotations,
    note,
)
from heliograph.schema.export.yaml_text import Yaml, dumps
from heliograph.schema.model.event import EventSchema

SCHEMA_URL: Final = "https://example.com/schemas/events/0.1.0"
"""The schema URL of a registry that was exported without one. Weaver reads the last part of it as the version."""

_URL: Final = re.compile(r"https?://[^\s/?#]+(/[^\s/?#]+)+")
_VERSION: Final = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", re.ASCII)

_ENTITIES: Final = ("service", "service.instance", "service.namespace", "telemetry.sdk", "deployment")
"""The entities of the semantic conventions that describe the resource of a program."""

_GROUPS: Final = {"hw": "registry.hardware", **dict.fromkeys(("client", "destination", "server", "source"))}
"""For roots of names, the groups that define their attributes, where it is not ``registry.<root>…``.

`None`: the attributes are defined outside of groups, so they cannot be imported. Source: the semantic conventions 1.44.0.
"""

_CONVENTIONS: Final = "https://github.com/open-telemetry/semantic-conventions/archive/refs/tags/v{0}.zip[model]"


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
        "imports": imports(registry),
        "attributes": [{"key": name, **definition} for name, definition in registry.attributes.items()],
        "events": [_event(event) for event in registry.events],
    }
    return {
        "manifest.yaml": dumps(manifest(schema_url)),
        "events.yaml": dumps({key: value for key, value in definitions.items() if value}),
    }


def schema_url_of(url: str | None, version: str | None) -> str:
    """Return the schema URL of a registry: a URL whose last part is a version.

    Args:
        url: The URL, with or without the version; `None` is the one of `SCHEMA_URL`.
        version: The version, or `None` if the URL ends with it.

    Raises:
        ValueError: The URL or the version is invalid, or the version is missing or given twice.

    >>> schema_url_of("https://example.com/schemas/shop", "1.2.0")
    'https://example.com/schemas/shop/1.2.0'
    """
    if version is not None and not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is not a version; write MAJOR.MINOR.PATCH, such as 1.2.0")
    default, _, default_version = SCHEMA_URL.rpartition("/")
    if url is None:
        return f"{default}/{version or default_version}"
    url = url.rstrip("/")
    if not _URL.fullmatch(url):
        raise ValueError(f"{url!r} is not a schema URL; write one such as {SCHEMA_URL}")
    last = url.rpartition("/")[2]
    if _VERSION.fullmatch(last):
        if version not in {None, last}:
            raise ValueError(f"{url!r} has the version {last}, and {version} is given, too; give one of the two")
        return url
    if version is None:
        raise ValueError(f"{url!r} does not end with a version, such as /1.0.0")
    return f"{url}/{version}"


def imports(registry: RegistryContent) -> Yaml:
    """Return the imports of a registry from the semantic conventions.

    The groups with the definitions of attributes are needed for ``weaver registry live-check --v2``, which does not know an attribute
    that is only referred to.
    """
    referred = [reference["ref"] for event in registry.events for reference in event.references]
    names = (*_ENTITIES, *(name for name in referred if name not in registry.attributes))
    roots = sorted({name.split(".", maxsplit=1)[0] for name in names})
    # Weaver warns of an import that matches nothing.
    groups = [group for root in roots if (group := _GROUPS.get(root, f"registry.{root}*")) is not None]
    return {"entities": list(_ENTITIES), "attribute_groups": groups}


def manifest(schema_url: str) -> Yaml:
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
        "dependencies": [dependency],
    }


def _event(event: RegistryEvent) -> Yaml:
    schema = event.latest
    return {
        "name": schema.event_name,
        "brief": brief(schema),
        "note": note(schema),
        "stability": schema.stability,
        "requirement_level": "recommended",
        **deprecation(schema.deprecated),
        "annotations": event_annotations(event),
        "attributes": event.references,
    }
