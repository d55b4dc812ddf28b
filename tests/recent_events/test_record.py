"""An event is kept as it was emitted, cut to a size that is known."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from heliograph.recent_events.record import MAX_ATTRIBUTE_BYTES, MAX_TEXT, RecentEvent, recent_event
from heliograph.telemetry.observers import TrackedEvent

TRACKED = TrackedEvent(
    event=None,
    event_name="app.order",
    attributes={},
    body="order",
    uid="019b7c3f-9e88-7000-8000-000000000000",
    time_unix_nano=1,
    trace_id=0,
    span_id=0,
)


def event_of(attributes: dict[str, Any], **changes: Any) -> RecentEvent:
    return recent_event(replace(TRACKED, attributes=attributes, **changes))


def test_attributes_are_kept_as_they_are() -> None:
    attributes = {"app.order.total": 3, "app.order.tags": ["a", "ä"], "user.id": "alice", "heliograph.token.id": "t1"}
    event = event_of(attributes)

    assert json.loads(event.attributes) == attributes
    assert (event.actor, event.token_id, event.omitted) == ("alice", "t1", 0)


def test_event_does_not_change_with_the_attributes() -> None:
    tags = ["a"]
    event = event_of({"tags": tags})
    tags.append("b")

    assert json.loads(event.attributes) == {"tags": ["a"]}


def test_trace_is_in_hexadecimal() -> None:
    assert event_of({}, trace_id=255).trace_id == "0" * 30 + "ff"
    assert event_of({}).trace_id is None


def test_hash_of_an_actor_stands_for_the_actor() -> None:
    assert event_of({"user.hash": "f00"}).actor == "f00"
    assert event_of({}).actor is None


@pytest.mark.parametrize("letter", ["a", "ä", "\U0001f600", '"'])
def test_attributes_that_do_not_fit_are_counted(letter: str) -> None:
    """One long attribute does not keep the others from being there. Bytes count, not characters."""
    long = letter * MAX_ATTRIBUTE_BYTES
    event = event_of({"first": 1, "long": long, "last": "x", **{f"key {n}": letter * 400 for n in range(99)}})
    found = json.loads(event.attributes)

    assert len(event.attributes.encode()) <= MAX_ATTRIBUTE_BYTES
    assert (found["first"], found["last"]) == (1, "x")
    assert "long" not in found
    assert event.omitted == 102 - len(found)


def test_other_texts_are_cut() -> None:
    long = "x" * 10_000
    event = event_of({"user.id": long, "heliograph.token.id": long}, event_name=long, body=long)

    assert {len(text or "") for text in (event.actor, event.token_id, event.event_name, event.body)} == {MAX_TEXT}
