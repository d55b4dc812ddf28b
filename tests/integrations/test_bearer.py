"""The token of a request, and the errors for requests without a good one."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from heliograph import PluginError, TokenExpired, TokenInvalid, TokenRevoked
from heliograph.integrations import bearer
from heliograph.integrations.bearer import Refused, RequestToken, verify
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from recorder import Telemetry
from tokens.scripted import Handlers, Scripted

ACTOR = {"id": "root"}
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test see the first failure of its kind."""
    monkeypatch.setattr(bearer, "failures", LimitedLog(SafeLogger("heliograph")))


async def verified(telemetry: Telemetry, outcome: object, authorization: str | None) -> RequestToken:
    """Verify a token with a handler that has the given outcome."""
    async with telemetry.host(Handlers([Scripted(outcome)])) as host:
        return await verify(host, authorization)


@pytest.mark.parametrize("authorization", ["Bearer x", "bearer x", "BEARER   x ", " bearer x"])
async def test_scheme_has_no_case(telemetry: Telemetry, authorization: str) -> None:
    """The token is verified, however `Bearer` is written."""
    token = await verified(telemetry, ACTOR, authorization)
    assert (token.is_sent, token.actor) == (True, ACTOR)
    assert token.require() == ACTOR


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearerx", "x"])
async def test_request_without_token(telemetry: Telemetry, authorization: str | None) -> None:
    """Nothing is verified, and the challenge has no error code (RFC 6750, section 3.1)."""
    token = await verified(telemetry, ACTOR, authorization)
    assert (token.is_sent, token.actor) == (False, None)
    assert telemetry.spans == []
    with pytest.raises(Refused) as refused:
        token.require()
    assert (refused.value.status, refused.value.headers) == (401, {"WWW-Authenticate": "Bearer"})


async def test_token_that_no_handler_recognizes(telemetry: Telemetry) -> None:
    """An unknown token is accepted, without an actor, unless one is required."""
    token = await verified(telemetry, None, "Bearer x")
    assert (token.is_sent, token.actor) == (True, None)
    with pytest.raises(Refused) as refused:
        token.require()
    assert (refused.value.status, refused.value.challenge) == (401, 'Bearer error="invalid_token"')


@pytest.mark.parametrize(
    ("rejection", "detail"),
    [
        (TokenExpired(1), "Token has expired"),
        (TokenRevoked(), str(TokenRevoked())),
        (TokenInvalid('"quoted"\r\nSet-Cookie: x'), '"quoted"\r\nSet-Cookie: x'),
    ],
)
async def test_token_that_is_rejected(telemetry: Telemetry, rejection: TokenInvalid, detail: str) -> None:
    """The text of the handler is in the body, and never in a header."""
    with pytest.raises(Refused) as refused:
        await verified(telemetry, rejection, "Bearer x")
    assert (refused.value.status, refused.value.detail) == (401, detail)
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}


async def test_token_that_cannot_be_verified(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """A client must not throw its token away because a database is down. Nothing of the exception's text is shown."""
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            await verified(telemetry, sqlite3.OperationalError("no table for s3cr3t"), "Bearer s3cr3t")
        assert (refused.value.status, refused.value.headers) == (503, {})
        assert "s3cr3t" not in refused.value.detail
    assert warnings.text.count("response is 503: sqlite3.OperationalError") == 1
    assert "s3cr3t" not in warnings.text


async def test_mistakes_of_the_programmer_pass(telemetry: Telemetry) -> None:
    """A wrong plugin is no matter of the client, so the error is raised as it is."""
    async with telemetry.host(Handlers(["no handler"])) as host:
        with pytest.raises(PluginError):
            await verify(host, "Bearer x")


@pytest.mark.parametrize(
    ("restrictions", "allowed"),
    [
        (None, {"insert-row", "ban-user"}),
        ({"a": ["ir"]}, {"insert-row"}),
        ({"a": ["insert-row", "ban-user"]}, {"insert-row", "ban-user"}),
        ({"a": []}, set()),
        ({}, set()),
        ({"d": {"data": ["ir"]}, "r": {"data": {"t": ["ir"]}}}, set()),
        ({"a": "insert-row"}, set()),
        ({"a": [None]}, set()),
        ("insert-row", set()),
    ],
)
async def test_restrictions(telemetry: Telemetry, restrictions: object, allowed: set[str]) -> None:
    """An action that is allowed for one database, or in another form than a handler writes, is not allowed."""
    actor: dict[str, Any] = {"id": "root"} if restrictions is None else {"id": "root", "_r": restrictions}
    token = await verified(telemetry, actor, "Bearer x")
    assert token.require() == actor
    for action in ("insert-row", "ban-user"):
        if action in allowed:
            assert token.require(action) == actor
            continue
        with pytest.raises(Refused) as refused:
            token.require(action)
        assert (refused.value.status, refused.value.challenge) == (403, 'Bearer error="insufficient_scope"')
    if allowed != {"insert-row", "ban-user"}:
        with pytest.raises(Refused):
            token.require("insert-row", "ban-user")
