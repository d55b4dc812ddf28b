"""Events of tokens that cannot be tracked are logged, and nothing else fails."""

from __future__ import annotations

import pytest

from heliograph.host.token_tracker import HostTracker
from heliograph.runtime.loop import BackgroundLoop
from heliograph.tokens.events import TokenEvent, TokenRevoked

pytestmark = pytest.mark.anyio

EVENT = TokenRevoked(token_id="id", handler="database")


async def fail(_: TokenEvent) -> None:
    raise OSError("the outbox is full")


async def test_event_is_tracked_by_the_function_for_its_place(background: BackgroundLoop) -> None:
    """An event is tracked in the caller's loop, or on the host's own."""
    here: list[TokenEvent] = []
    there: list[TokenEvent] = []

    async def track(event: TokenEvent) -> None:
        here.append(event)

    async def track_in_threads(event: TokenEvent) -> None:
        there.append(event)

    tracker = HostTracker(background, track, track_in_threads)
    await tracker.track(EVENT)
    assert (here, there) == ([EVENT], [])

    await tracker.track_after_verification(EVENT)
    assert (here, there) == ([EVENT], [EVENT])


@pytest.mark.parametrize("method", ["track", "track_after_verification"])
async def test_failure_is_logged(background: BackgroundLoop, warnings: pytest.LogCaptureFixture, method: str) -> None:
    """The token was created or verified nevertheless."""
    tracker = HostTracker(background, fail, fail)

    await getattr(tracker, method)(EVENT)

    [record] = warnings.records
    assert record.getMessage() == "An event about a token could not be tracked."
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], OSError)


async def test_loop_that_cannot_be_started_is_logged(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system has no more threads, or the interpreter ends."""

    def submit(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "submit", submit)

    HostTracker(background, fail, fail).run_later(lambda: fail(EVENT))

    [record] = warnings.records
    assert record.getMessage() == "An event about a token could not be tracked."
