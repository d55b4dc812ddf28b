"""Observers see each event, whatever others do meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from heliograph import Event, Host, Settings
from heliograph.telemetry import observers
from heliograph.telemetry.observers import TokenSpan, TrackedEvent


@dataclass
class ThingEvent(Event):
    name = "thing"


class Once:
    """An observer that removes itself when it sees something."""

    replaces_providers = True

    def __init__(self) -> None:
        self.seen: list[object] = []

    def on_event(self, source: object, event: TrackedEvent) -> None:
        self.seen.append(event.event)
        observers.observers.remove(self)

    def on_token(self, source: object, span: TokenSpan) -> None:
        self.seen.append(span.name)
        observers.observers.remove(self)


@pytest.fixture
def two() -> Iterator[list[Once]]:
    """Two observers, before all others."""
    both = [Once(), Once()]
    observers.observers[:0] = both
    yield both
    observers.observers[:] = [each for each in observers.observers if each not in both]


def test_observer_that_is_removed_meanwhile_hides_nothing_from_the_next(two: list[Once]) -> None:
    """Another thread may end its capture in the middle of an event or of a token operation."""
    event = ThingEvent()
    with Host(Settings(secret=("x",)), events=[ThingEvent]) as host:
        host.track(event)
        assert [each.seen for each in two] == [[event], [event]]
        observers.observers[:0] = two
        span = TokenSpan(
            name="token.verify", handler=None, result="valid", token_id=None, error_type=None, attributes={}
        )
        observers.show_token(host.schemas, span)

    assert [each.seen[-1] for each in two] == ["token.verify", "token.verify"]


def test_observer_may_be_removed_twice() -> None:
    """A Datasette that is collected removes its own, which something else may have removed before."""
    observer = Once()
    observers.observers.append(observer)
    observers.remove_observer(observer)
    observers.remove_observer(observer)

    assert observer not in observers.observers
