"""The creation of a token is tracked once: by the event of Datasette's page, or by our own when the request ends."""

from __future__ import annotations

import asyncio

import pytest
from datasette.events import CreateTokenEvent

from heliograph.integrations.datasette.created_tokens import (
    CreatedTokens,
    of_request,
    with_created_tokens,
    with_token_id,
)
from heliograph.tokens.events import TokenCreated

pytestmark = pytest.mark.anyio

EVENTS = [TokenCreated(token_id=f"t{number}", handler="signed", actor=None) for number in range(3)]


def test_event_that_another_one_replaces_is_not_tracked() -> None:
    """The page creates one token, and tracks its event at once: that is the newest."""
    created = CreatedTokens()
    assert created.remove_newest() is None
    assert [created.keep(event) for event in EVENTS] == [True, True, True]

    assert created.remove_newest() is EVENTS[2]
    assert created.end() == EVENTS[:2]


def test_nothing_is_kept_after_the_request() -> None:
    """A task that outlives its request has to track its event itself."""
    created = CreatedTokens()
    created.end()

    assert not created.keep(EVENTS[0])
    assert created.end() == []


async def test_events_are_tracked_when_the_request_has_ended() -> None:
    """A request that fails has created its tokens nevertheless."""
    tracked: list[TokenCreated] = []

    async def app(scope, receive, send):
        created = of_request.get()
        assert created is not None
        created.keep(EVENTS[0])
        assert tracked == []
        raise LookupError

    async def track(event: TokenCreated) -> None:
        tracked.append(event)

    with pytest.raises(LookupError):
        await with_created_tokens(app, track)({"type": "http"}, None, None)  # type: ignore[arg-type]

    assert tracked == [EVENTS[0]]
    assert of_request.get() is None


async def test_only_requests_keep_events() -> None:
    """The lifespan of the server and connections of websockets have no end that somebody waits for."""
    seen = []

    async def app(scope, receive, send):
        seen.append(of_request.get())

    await with_created_tokens(app, lambda event: asyncio.sleep(0))({"type": "lifespan"}, None, None)  # type: ignore[arg-type,return-value]

    assert seen == [None]


async def test_event_of_the_core_without_a_known_token_is_unchanged() -> None:
    """Nobody created a token in this request, or its handler has no ids."""
    event = CreateTokenEvent(
        actor=None, expires_after=None, restrict_all=[], restrict_database={}, restrict_resource={}
    )
    seen = []

    async def app(scope, receive, send):
        seen.append(with_token_id(event))
        created = of_request.get()
        assert created is not None
        created.keep(TokenCreated(token_id=None, handler="other", actor=None))
        seen.append(with_token_id(event))
        created.keep(TokenCreated(token_id="t1", handler="signed", actor=None))
        seen.append(with_token_id(event))

    await with_created_tokens(app, lambda event: asyncio.sleep(0))({"type": "http"}, None, None)  # type: ignore[arg-type,return-value]

    assert with_token_id(event) is event
    assert seen[:2] == [event, event]
    assert seen[2].actor == {"token": "dstok", "token_id": "t1"}
    assert event.actor is None
