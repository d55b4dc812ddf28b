"""The vocabulary of the exported JSON Schemas: the keywords that JSON Schema does not define, with their meaning.

All of them are annotations: they change nothing about which values are valid. A validator may ignore them; one that refuses
unknown keywords, such as ajv in its strict mode, learns them from the meta-schema that is published in ``docs/``.

Source: JSON Schema, draft 2020-12, "Meta-Schemas and Vocabularies".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, get_args

from heliograph.events import MAX_SEVERITY, Privacy, Stability

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
META_SCHEMA: Final = "urn:heliograph:meta-schema"
"""The ``$id`` of the meta-schema. Exported documents name `DIALECT` as their ``$schema``, which every validator knows."""
VOCABULARY: Final = "urn:heliograph:vocabulary"

_STANDARD: Final = ("core", "applicator", "unevaluated", "validation", "meta-data", "format-annotation", "content")
"""The vocabularies of the dialect."""


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """A keyword of the vocabulary.

    Attributes:
        name: Its name.
        place: The kind of schema that has it: ``event``, ``field``, ``event or field``, or ``text``.
        schema: The JSON Schema of its value.
        brief: Its meaning.
    """

    name: str
    place: str
    schema: dict[str, Any]
    brief: str


_TEXT: Final = {"type": "string"}

_ALL: Final = (
    Keyword(name="x-version", place="event", schema=_TEXT, brief="The version of the event's contract."),
    Keyword(
        name="x-severity",
        place="event",
        schema={"type": "integer", "minimum": 1, "maximum": MAX_SEVERITY},
        brief="The severity number of the event's log records, as OpenTelemetry defines it.",
    ),
    Keyword(
        name="x-stability",
        place="event",
        schema={"enum": list(get_args(Stability))},
        brief="The stability level of the event's contract.",
    ),
    Keyword(
        name="x-renamed-to",
        place="event or field",
        schema=_TEXT,
        brief="The new name of a deprecated event, or of the attribute of a deprecated field.",
    ),
    Keyword(
        name="x-attribute",
        place="field",
        schema=_TEXT,
        brief="The OpenTelemetry attribute that the field becomes, or the prefix of its attributes.",
    ),
    Keyword(
        name="x-requirement",
        place="field",
        schema={"type": "string", "pattern": "^(required|recommended|opt_in|conditionally_required: .*)$"},
        brief="The requirement level of the attribute, as OpenTelemetry defines it.",
    ),
    Keyword(
        name="x-privacy",
        place="field",
        schema={"enum": [each.value for each in Privacy]},
        brief="The privacy that is applied to the value before it is exported.",
    ),
    Keyword(name="x-unit", place="field", schema=_TEXT, brief="The unit of the value, in the notation of UCUM."),
    Keyword(
        name="x-patterns",
        place="text",
        schema={"type": "array", "items": _TEXT, "minItems": 1},
        brief="Patterns that also apply, in Python's syntax, because ECMA 262 cannot express them.",
    ),
)

KEYWORDS: Final = {each.name: each for each in _ALL}
"""The keywords, by name."""


def meta_schema() -> dict[str, Any]:
    """Return the meta-schema: the dialect, and the vocabulary with the schema of each keyword's value."""
    standard = {f"https://json-schema.org/draft/2020-12/vocab/{name}": True for name in _STANDARD}
    return {
        "$schema": DIALECT,
        "$id": META_SCHEMA,
        # False: a validator that does not know the vocabulary can still use a document, because it only annotates
        "$vocabulary": {**standard, VOCABULARY: False},
        "$dynamicAnchor": "meta",
        "title": "JSON Schema, draft 2020-12, with the annotations of heliograph",
        "allOf": [{"$ref": DIALECT}],
        "properties": {each.name: {"description": each.brief, **each.schema} for each in _ALL},
    }
