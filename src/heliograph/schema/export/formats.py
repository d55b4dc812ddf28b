"""The formats of ``heliograph schema export``, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias
from urllib.parse import quote

from heliograph.schema.export.html import html
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.export.markdown import markdown
from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.export.weaver_v2 import schema_url_of, weaver_v2
from heliograph.schema.model.event import EventSchema
from heliograph.values.text import to_readable_json

Exporter: TypeAlias = Callable[[Iterable[EventSchema]], dict[str, str]]
"""A function from schemas to files: the texts, by file name."""


def json_schemas(schemas: Iterable[EventSchema]) -> dict[str, str]:
    """Return one JSON Schema file for each event, such as ``app.order@2.schema.json``."""
    return {f"{_file_name(schema)}.schema.json": f"{to_readable_json(json_schema(schema))}\n" for schema in schemas}


def _file_name(schema: EventSchema) -> str:
    # A version may contain any character: a slash must not lead out of the folder. The other characters are percent-encoded,
    # so that no two versions have the same file.
    return re.sub(r"[^\w.@-]", lambda found: quote(found[0], safe="", errors="surrogatepass"), schema.label)


def exporter_of(format_name: str, schema_url: str | None = None, version: str | None = None) -> Exporter:
    """Return the exporter of a format.

    Args:
        format_name: The name of the format.
        schema_url: The schema URL of a Weaver registry, with or without the version; `None` is an example.
        version: The version of a Weaver registry, if its schema URL has none.

    Raises:
        ValueError: The URL or the version cannot be used, or the format has none.
    """
    if format_name in REGISTRIES:
        return partial(REGISTRIES[format_name], schema_url=schema_url_of(schema_url, version))
    if (schema_url, version) != (None, None):
        raise ValueError(f"only the formats {' and '.join(REGISTRIES)} have a schema URL and a version")
    return EXPORTERS[format_name]


REGISTRIES: Final = {"weaver": weaver_v2, "weaver-v1": weaver_v1}
"""The formats that describe a whole stream, and not each event for itself."""

EXPORTERS: Final[Mapping[str, Exporter]] = {
    "json-schema": json_schemas,
    **REGISTRIES,
    "markdown": markdown,
    "html": html,
}
