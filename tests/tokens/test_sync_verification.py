"""`Host.verify` has the same verdict, span and metric as `Host.verify_token`."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from heliograph import Settings, TokenHandler, TokenInvalid, TokenRevoked, tokens
from recorder import SECRET, Telemetry
from tokens.scripted import Handlers


def test_signed_token_is_verified_in_the_calling_thread(telemetry: Telemetry) -> None:
    """The span of each verification and its result are those of any other."""
    with telemetry.host() as host:
        token = host.call(host.create_token, "alice")
        host.call = None  # type: ignore[assignment, method-assign]
        actor = host.verify(token)
        assert actor is not None
        assert actor["id"] == "alice"
        assert host.verify("unknown") is None
        with pytest.raises(TokenInvalid):
            host.verify(token + "x")

    assert telemetry.counts("heliograph.token.verifications") == {
        ("signed", "valid"): 1,
        ("signed", "invalid"): 1,
        ("unrecognized",): 1,
    }
    spans = [span.attributes["heliograph.token.result"] for span in telemetry.spans if span.name == "token.verify"]  # type: ignore[index]
    assert spans == ["valid", "unrecognized", "invalid"]


def test_verification_starts_the_host(telemetry: Telemetry) -> None:
    """A verification may be the first thing that a program asks of a host."""
    issuer, host = telemetry.host(), telemetry.host()
    token = issuer.call(issuer.create_token, "alice")
    try:
        actor = host.verify(token)
    finally:
        issuer.shutdown()
        host.shutdown()

    assert actor is not None
    assert actor["id"] == "alice"


def test_token_of_a_database_is_read_once(telemetry: Telemetry) -> None:
    """A revocation has an effect at once."""
    settings = Settings(secret=(SECRET,), token_handlers=("database",), token_database=Path(":memory:"))
    with telemetry.host(settings=settings) as host:
        issued = host.call(tokens.issue, host, "alice")
        actors = [host.verify(issued.token) for _ in range(3)]
        host.call(tokens.revoke, host, issued.id)
        with pytest.raises(TokenRevoked):
            host.verify(issued.token)
        with pytest.raises(TypeError):
            host.verify(b"x")  # type: ignore[arg-type]

    assert [actor and actor["token_id"] for actor in actors] == [issued.id] * 3
    assert telemetry.counts("heliograph.token.verifications") == {
        ("database", "valid"): 3,
        ("database", "revoked"): 1,
    }


def test_handler_of_a_plugin_is_awaited_on_the_loop_of_the_host(telemetry: Telemetry) -> None:
    """A handler of a plugin may wait for anything."""

    class Slow(TokenHandler):
        name = "slow"

        async def create_token(self, *_: object, **__: object) -> str:
            return "slow"

        async def verify_token(self, *_: object) -> dict[str, object]:
            return {"id": threading.current_thread().name}

    with telemetry.host(Handlers(Slow())) as host:
        assert host.verify("slow") == {"id": "heliograph-loop"}
