"""The messages of failed assertions list the events, and name a field that a class does not have."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from heliograph import Event, Host
from heliograph.testing import capture
from heliograph.testing.failures import MAX_EVENTS, describe_events, problem_of_fields


@dataclass
class CountedEvent(Event):
    name = "counted"
    number: int

    unit = "items"


def test_last_events_are_listed() -> None:
    with capture(host := Host(events=[CountedEvent])) as captured:
        for number in range(MAX_EVENTS + 5):
            host.track(CountedEvent(number=number))
    host.shutdown()

    first, *lines = describe_events(captured.events).split("\n")

    assert first == ":"
    assert lines[0] == "  … and 5 earlier ones"
    assert len(lines) == 1 + MAX_EVENTS
    assert f"number={MAX_EVENTS + 4}" in lines[-1]
    assert "earlier" not in describe_events(captured.events[:MAX_EVENTS])


def test_no_event() -> None:
    assert describe_events([]) == "; no event was tracked at all"


@pytest.mark.parametrize("fields", [(), ("number",), ("actor", "created"), ("unit",)])
def test_fields_and_attributes_of_a_class(fields: tuple[str, ...]) -> None:
    """An attribute of the class may be compared as well."""
    assert problem_of_fields(CountedEvent, fields) is None


def test_missing_field_is_named() -> None:
    problem = problem_of_fields(CountedEvent, ["number", "size"])

    assert problem == "CountedEvent has no field 'size'; its fields are: actor, created, number"


def test_class_without_known_fields_has_no_problem() -> None:
    """Only the objects of such a class know their fields."""
    assert problem_of_fields(object, ["size"]) is None
