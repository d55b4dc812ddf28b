"""The keywords of exported JSON Schemas are a documented vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing.jsonschema

from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.export.json_schema import json_schema
from heliograph.schema.export.json_vocabulary import KEYWORDS, META_SCHEMA, VOCABULARY, meta_schema
from schema.export.pages import BanEvent as Ban
from schema.export.pages import OrderEvent as Order
from schema.shop_events import BanEvent, OrderEvent

PUBLISHED = Path(__file__).parents[3] / "docs" / "json-schema-vocabulary.json"
DOCUMENTS = [json_schema(compile_schema(cls, namespace="app")) for cls in (Ban, Order, BanEvent, OrderEvent)]


def keywords_of(value: Any) -> Iterator[str]:
    """Yield the keys that begin with ``x-``, at any depth."""
    children = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    if isinstance(value, dict):
        yield from (key for key in value if key.startswith("x-"))
    for each in children:
        yield from keywords_of(each)


def problems(document: Any) -> list[str]:
    """Return what the published meta-schema finds wrong with a document."""
    registry = referencing.jsonschema.EMPTY_REGISTRY.combine(jsonschema.validators.SPECIFICATIONS)
    validator = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")), registry=registry)
    return [error.message for error in validator.iter_errors(document)]


def test_the_meta_schema_is_a_json_schema() -> None:
    """The meta-schema extends the standard dialect by one optional vocabulary."""
    jsonschema.Draft202012Validator.check_schema(meta_schema())

    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == meta_schema()
    assert meta_schema()["$id"] == META_SCHEMA
    assert [name for name, is_needed in meta_schema()["$vocabulary"].items() if not is_needed] == [VOCABULARY]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["title"])
def test_exported_documents_keep_it(document: Any) -> None:
    """Each keyword of a document is in the vocabulary, with a value that it allows."""
    assert set(keywords_of(document)) <= KEYWORDS.keys()
    assert problems(document) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"x-severity": 25},
        {"x-stability": "old"},
        {"x-version": 1},
        {"x-privacy": "hide"},
        {"x-requirement": "sometimes"},
        {"x-patterns": []},
        {"type": "text"},
        {"properties": {"a": {"x-unit": 1}}},
    ],
    ids=str,
)
def test_wrong_values_are_found(wrong: Any) -> None:
    """A wrong value is found at any depth."""
    assert problems({**DOCUMENTS[0], **wrong})
