"""Events of tokens are tracked in Datasette's loop, as long as the Datasette is there."""

from __future__ import annotations

import gc

import pytest

from heliograph.integrations.datasette.token_tracker import DatasetteTracker
from heliograph.tokens.events import TokenEvent, TokenRevoked

pytestmark = pytest.mark.anyio

EVENT = TokenRevoked(token_id="id", handler="database")


class Instance:
    """The part of a Datasette that tracks events."""

    def __init__(self) -> None:
        self.events: list[TokenEvent] = []

    async def track_event(self, event: TokenEvent) -> None:
        self.events.append(event)
        if len(self.events) > 1:
            raise RuntimeError("a hook that fails")


async def test_event_is_tracked_and_a_failure_is_logged(warnings: pytest.LogCaptureFixture) -> None:
    """The request goes on, whatever happens to the event."""
    instance = Instance()
    tracker = DatasetteTracker(instance)  # type: ignore[arg-type]

    for _ in range(2):
        await tracker.track(EVENT)

    assert instance.events == [EVENT, EVENT]
    [record] = warnings.records
    assert record.getMessage() == "An event about a token could not be tracked."


async def test_event_of_a_datasette_that_is_gone_is_dropped(warnings: pytest.LogCaptureFixture) -> None:
    """A task of it may still run, and the tracker must not keep the Datasette alive."""
    tracker = DatasetteTracker(Instance())  # type: ignore[arg-type]
    gc.collect()

    await tracker.track_after_verification(EVENT)

    assert warnings.records == []
