"""Properties that come back from the quarantine are forms, and protected already."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import Annotated, Any

import pytest
from hypothesis import given

from heliograph import Attribute, Event, Privacy
from heliograph.schema.compile.event_class import compile_schema
from heliograph.schema.model.event import EventSchema
from heliograph.schema.read.event import EventReader
from heliograph.schema.read.stored_properties import _with_marks, read_stored_properties
from heliograph.values.privacy import PrivacyPolicy, Protected
from schema.typed_values import annotated_values

POLICY = PrivacyPolicy(key="key")
HASH = POLICY.hash_form("Ada")


@dataclass
class Card:
    number: Annotated[str, Attribute(privacy=Privacy.MASK)]
    owner: Annotated[str, Attribute(privacy=Privacy.HASH)]
    count: int = 0


def schema(**annotations: Any) -> EventSchema:
    cls = make_dataclass("OddEvent", annotations.items(), bases=(Event,), namespace={"name": "odd"})
    return compile_schema(cls, namespace="app", policy=POLICY)


def read(stored: EventSchema, properties: dict[str, object]) -> tuple[dict[str, Any], list[str]]:
    attributes, violations = read_stored_properties(stored, properties)
    return attributes, list(map(str, violations))


def test_hash_inside_of_a_list_is_not_hashed_again() -> None:
    """Marks are set at any depth."""
    assert isinstance(_with_marks(["<masked>"])[0], Protected)  # type: ignore[index]
    marked = _with_marks({"a": [{"b": HASH}], "c": "text", "d": 1})
    assert isinstance(marked["a"][0]["b"], Protected)  # type: ignore[index]
    assert not isinstance(marked["c"], Protected)  # type: ignore[index]

    hashed = Annotated[list[str], Attribute(privacy=Privacy.HASH)]
    assert read(schema(x=hashed), {"x": HASH}) == ({"app.odd.x": HASH}, [])


@pytest.mark.parametrize("text", ["<masked> ", "hmac-sha256:0", f"x{HASH}", HASH.upper(), f"{HASH}\n"])
def test_similar_text_is_not_taken_for_protected(text: str) -> None:
    """Only the exact texts that protection writes are."""
    assert not isinstance(_with_marks(text), Protected)


def test_protected_values_are_exported_unchanged_and_not_validated() -> None:
    """A masked number is not a violation, because its value is not known any more."""
    stored = schema(card=Card, pin=Annotated[int, Attribute(privacy=Privacy.MASK)])
    properties = {"card": {"number": "<masked>", "owner": HASH, "count": 1}, "pin": "<masked>"}

    assert read(stored, properties) == (
        {
            "app.odd.card.number": "<masked>",
            "app.odd.card.owner": HASH,
            "app.odd.card.count": 1,
            "app.odd.pin": "<masked>",
        },
        [],
    )


def test_values_that_are_private_by_now_are_protected() -> None:
    """The class may have declared privacy after the event was stored."""
    stored = schema(card=Card, note=Annotated[str, Attribute(privacy=Privacy.DROP)])
    properties = {"card": {"number": "4711", "owner": "Ada", "count": 1}, "note": "private"}

    attributes, violations = read(stored, properties)
    assert attributes == {"app.odd.card.number": "<masked>", "app.odd.card.owner": HASH, "app.odd.card.count": 1}
    assert violations == []


def test_values_that_are_not_private_are_validated() -> None:
    """Inside of lists, too; private fields beside them are skipped, by their path without indices."""
    stored = schema(cards=list[Card], by_name=dict[str, Card], other=int)
    properties = {"cards": [{"number": 1, "owner": 2, "count": "x"}], "by_name": {"a": {"number": 3, "count": "y"}}}

    _, violations = read(stored, properties)
    assert violations == [
        "datatype-mismatch: cards[0].count",
        "datatype-mismatch: by_name{}.count",
        "required-missing: other",
    ]


@given(annotated_values())
def test_stored_event_has_the_attributes_of_the_event(pair: tuple[Any, Any]) -> None:
    """The properties that the quarantine stores give the same attributes and violations as the event itself."""
    hint, value = pair
    stored = schema(x=hint)
    reader = EventReader(stored)
    event = stored.event_class(value)
    violations: list[Any] = []
    attributes = reader.attributes(event, violations)

    stored_attributes, stored_violations = read(stored, reader.protected_properties(event))
    assert repr(sorted(stored_attributes.items())) == repr(sorted(attributes.items()))
    assert stored_violations == list(map(str, violations))
