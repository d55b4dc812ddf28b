"""The formats of ``heliograph schema export``, by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias
from urllib.parse import quote

from heliograph.schema.export.html import html
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.export.markdown import markdown
from heliograph.schema.export.weaver_v1 import weaver_v1
from heliograph.schema.export.weaver_v2 import weaver_v2
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


EXPORTERS: Final[Mapping[str, Exporter]] = {
    "json-schema": json_schemas,
    "weaver": weaver_v2,
    "weaver-v1": weaver_v1,
    "markdown": markdown,
    "html": html,
}
