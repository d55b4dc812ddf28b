"""The formats of ``heliograph schema export``, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from heliograph.schema.export.html import html
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.export.markdown import markdown
from heliograph.schema.export.weaver import weaver
from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.model.event import EventSchema
from heliograph.values.text import to_readable_json

Exporter: TypeAlias = Callable[[Iterable[EventSchema]], dict[str, str]]
"""From schemas to files: their texts, by name."""


def json_schemas(schemas: Iterable[EventSchema]) -> dict[str, str]:
    """One file of JSON Schema for each event: ``app.order@2.schema.json``."""
    return {f"{_file_name(schema)}.schema.json": f"{to_readable_json(json_schema(schema))}\n" for schema in schemas}


def _file_name(schema: EventSchema) -> str:
    return re.sub(r"[^\w.@-]", "_", schema.label)


EXPORTERS: Final[Mapping[str, Exporter]] = {
    "json-schema": json_schemas,
    "weaver": weaver,
    "weaver-v1": weaver_v1,
    "markdown": markdown,
    "html": html,
}
