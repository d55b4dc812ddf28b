"""Write schemas as an OpenTelemetry Weaver registry in the older file format: groups of attributes, and events."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from heliograph.schema.export.weaver_attributes import deprecation
from heliograph.schema.export.weaver_content import RegistryEvent, brief, collect, event_annotations, note
from heliograph.schema.export.weaver_v2 import SCHEMA_URL, imports, manifest
from heliograph.schema.export.yaml_text import Yaml, dumps
from heliograph.schema.model.event import EventSchema


def weaver_v1(schemas: Iterable[EventSchema], *, schema_url: str = SCHEMA_URL) -> dict[str, str]:
    """Return the files of a registry, by name; see `heliograph.schema.export.weaver_v2.weaver_v2`.

    Raises:
        SchemaError: Two events declare the same attribute with different types.
    """
    registry = collect(schemas)
    groups = [
        _group(namespace, [{"id": name, **definition} for name, definition in attributes])
        for namespace, attributes in groupby(registry.attributes.items(), key=lambda item: item[0].split(".")[0])
    ]
    return {
        "manifest.yaml": dumps(manifest(schema_url)),
        "events.yaml": dumps({"imports": imports(registry), "groups": [*groups, *map(_event, registry.events)]}),
    }


def _group(namespace: str, attributes: list[Yaml]) -> Yaml:
    return {
        "id": f"registry.{namespace}",
        "type": "attribute_group",
        "display_name": f"Attributes of {namespace}",
        "brief": f"The attributes of events below `{namespace}`.",
        "attributes": attributes,
    }


def _event(event: RegistryEvent) -> Yaml:
    schema = event.latest
    return {
        "id": f"event.{schema.event_name}",
        "type": "event",
        "name": schema.event_name,
        "brief": brief(schema),
        "note": note(schema),
        "stability": schema.stability,
        **deprecation(schema.deprecated),
        "annotations": event_annotations(event),
        "attributes": event.references,
    }
