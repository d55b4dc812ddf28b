"""Events are made when a token is created, first used, rejected, revoked or rotated."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from heliograph import Host, Settings, TokenInvalid, TokenRestrictions, acting_as, hookimpl, tokens
from heliograph.tokens.stored.operations import handler_of
from recorder import SECRET, Telemetry

ID = "heliograph.token.id"
TARGET = "heliograph.token.target.id"
HANDLER = "heliograph.token.handler"
DATABASE_TOKENS = {"token_handlers": ("database", "signed"), "token_database": Path(":memory:")}


@pytest.fixture
def host(telemetry: Telemetry) -> Iterator[Host]:
    """A host with both kinds of tokens."""
    with telemetry.host(settings=Settings(secret=(SECRET,), **DATABASE_TOKENS)) as host:  # type: ignore[arg-type]
        yield host


def rejected(host: Host, token: str) -> None:
    """Verify a token that is rejected."""
    with pytest.raises(TokenInvalid):
        host.call(host.verify_token, token)


def events(host: Host, telemetry: Telemetry, name: str) -> list[dict[str, Any]]:
    """Return the attributes of the events with a name, after all were tracked."""
    assert host.flush(60_000)
    return [attributes for found, attributes in telemetry.events if found == f"heliograph.{name}"]


def test_every_event_has_the_token_and_its_actor(host: Host, telemetry: Telemetry) -> None:
    """The actor of a creation, a rotation and a revocation is the ambient one, and that of a first use the token's own."""
    with acting_as({"id": "admin"}):
        issued = host.call(tokens.issue, host, "alice")
        host.call(host.verify_token, issued.token)
        host.call(host.verify_token, issued.token)
        host.call(tokens.rotate, host, issued.id, grace=60)
        host.call(tokens.revoke, host, issued.id)
        host.call(tokens.revoke, host, issued.id)
        rejected(host, issued.token)

    about = {ID: issued.id, TARGET: issued.id, HANDLER: "database"}
    assert host.flush(60_000)
    assert dict(telemetry.events) == {
        "heliograph.token_created": {**about, "user.id": "admin"},
        "heliograph.token_first_used": {**about, "user.id": "alice"},
        "heliograph.token_rotated": {**about, "user.id": "admin", "heliograph.token_rotated.grace": 60},
        "heliograph.token_revoked": {**about, "user.id": "admin"},
        "heliograph.token_rejected": {
            **about,
            "heliograph.token_rejected.reason": "revoked",
            "heliograph.token_rejected.unreported": 0,
        },
    }
    assert len(telemetry.events) == 5, "each of them once"


def test_tokens_of_every_handler_have_events(host: Host, telemetry: Telemetry) -> None:
    """The id of a signed token is the same when it is created and when it is used."""
    database = host.call(host.create_token, "alice")
    signed = host.call(host.create_token, "alice", handler="signed")
    actor = host.call(host.verify_token, signed)
    assert actor is not None

    created = events(host, telemetry, "token_created")
    assert [(each[HANDLER], each[TARGET]) for each in created] == [
        ("database", database[6:18]),
        ("signed", actor["token_id"]),
    ]
    spans = [dict(span.attributes or {}) for span in telemetry.spans if span.name == "token.create"]
    assert [span[ID] for span in spans] == [each[TARGET] for each in created]


@pytest.mark.parametrize("way", ["issue", "default handler", "named handler"])
def test_creation_has_one_span_and_one_event_whichever_way_it_takes(host: Host, telemetry: Telemetry, way: str) -> None:
    """Both have the id of the token, and the span the actor that it is for."""
    if way == "issue":
        token = host.call(tokens.issue, host, "alice").token
    else:
        token = host.call(host.create_token, "alice", handler=None if way == "default handler" else "database")

    [span] = [span for span in telemetry.spans if span.name == "token.create"]
    expected = {ID: token[6:18], HANDLER: "database", "heliograph.token.result": "created", "user.id": "alice"}
    assert dict(span.attributes or {}) == expected
    [event] = events(host, telemetry, "token_created")
    assert event[TARGET] == token[6:18]


def test_creation_that_fails_has_a_span_with_the_error_and_no_event(host: Host, telemetry: Telemetry) -> None:
    """The span does not have the message of the exception."""
    with pytest.raises(ValueError, match="expires_after"):
        host.call(tokens.issue, host, "alice", expires_after=-1)

    [span] = [span for span in telemetry.spans if span.name == "token.create"]
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert not span.status.is_ok
    assert events(host, telemetry, "token_created") == []


def test_token_that_was_used_to_change_another_one_is_named_too(host: Host, telemetry: Telemetry) -> None:
    """The event tells what a leaked token was used for."""
    used, changed = (host.call(tokens.issue, host, name) for name in ("admin", "alice"))
    with acting_as(host.call(host.verify_token, used.token)):
        host.call(tokens.revoke, host, changed.id)

    [event] = events(host, telemetry, "token_revoked")
    assert (event[ID], event[TARGET], event["user.id"]) == (used.id, changed.id, "admin")


def test_each_token_of_an_actor_is_revoked_with_an_event(host: Host, telemetry: Telemetry) -> None:
    """A token that was revoked before has no second event."""
    issued = [host.call(tokens.issue, host, "alice") for _ in range(3)]
    host.call(tokens.revoke, host, issued[0].id)
    assert host.call(tokens.revoke_all, host, "alice") == 2

    assert {each[TARGET] for each in events(host, telemetry, "token_revoked")} == {each.id for each in issued}
    assert len(events(host, telemetry, "token_revoked")) == 3


def test_rejection_has_the_id_of_a_known_token_only(host: Host, telemetry: Telemetry) -> None:
    """A forged token may claim the id of another one."""
    issued = host.call(tokens.issue, host, "alice", expires_after=1)
    forged = host.call(tokens.issue, host, "alice").token
    host.call(_forget, host, forged)
    handler_of(host).clock = lambda: time.time() + 10

    for token in (issued.token, forged, issued.token[:-1] + "-", "dstok_x"):
        rejected(host, token)
    host.call(host.verify_token, "unknown")

    found = [
        (each["heliograph.token_rejected.reason"], each.get(ID), each.get(TARGET), each[HANDLER])
        for each in events(host, telemetry, "token_rejected")
    ]
    assert found == [
        ("expired", issued.id, issued.id, "database"),
        ("invalid", None, None, "database"),
        ("invalid", None, None, "database"),
        ("invalid", None, None, "signed"),
    ]


async def _forget(host: Host, token: str) -> None:
    await handler_of(
        host
    ).store._database.execute_write_fn(  # a token that was made by somebody else
        lambda connection: connection.execute("delete from heliograph_token_secrets where token_id = ?", [token[6:18]])
    )


def test_event_of_a_verification_has_the_trace_of_the_request(host: Host, telemetry: Telemetry) -> None:
    """The event is tracked later, but in the context of the request."""
    token = host.call(host.create_token, "alice")
    with telemetry.tracer.start_as_current_span("request") as span:
        host.call(host.verify_token, token)
        rejected(host, "dstok_x")
    assert host.flush(60_000)

    records = [log.log_record for log in telemetry.logs if log.log_record.event_name != "heliograph.token_created"]
    assert [record.trace_id for record in records] == [span.get_span_context().trace_id] * 2
    assert all(record.span_id for record in records)


class Hanging:
    """A plugin whose hook waits until the test ends."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.released = threading.Event()

    @hookimpl
    def track_event(self, event):
        self.names.append(event.name)
        if event.name in {"token-rejected", "token-first-used"}:
            self.released.wait(60)
            raise RuntimeError("a hook that fails")


def test_no_verification_waits_for_a_hook(telemetry: Telemetry, caplog: pytest.LogCaptureFixture) -> None:
    """The verification that made the event returns before its hooks end, and so do later ones. A failure is only logged."""
    hanging = Hanging()
    with telemetry.host(hanging, settings=Settings(secret=(SECRET,), **DATABASE_TOKENS)) as host:  # type: ignore[arg-type]
        token = host.call(host.create_token, "alice")

        actors = [host.call(host.verify_token, token) for _ in range(3)]
        rejected(host, "dstok_x")
        assert not host.flush(1), "the hook still waits"
        hanging.released.set()
        assert host.flush(60_000)

    assert [actor and actor["id"] for actor in actors] == ["alice"] * 3
    assert hanging.names == ["token-created", "token-first-used", "token-rejected"]
    messages = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(message.startswith("The hook track_event of the plugin") for message in messages)


def test_failing_hook_fails_no_operation(telemetry: Telemetry) -> None:
    """The token is created, revoked and rotated nevertheless."""

    class Failing:
        @hookimpl
        def track_event(self, event):
            async def fail() -> None:
                raise RuntimeError

            return fail

    with telemetry.host(Failing(), settings=Settings(secret=(SECRET,), **DATABASE_TOKENS)) as host:  # type: ignore[arg-type]
        issued = host.call(tokens.issue, host, "alice")
        assert host.call(tokens.rotate, host, issued.id, grace=0).id == issued.id
        assert host.call(tokens.revoke, host, issued.id)


def test_ambient_actor_may_verify_a_token(telemetry: Telemetry) -> None:
    """The event about a rejection does not ask for the actor: that would be without end."""
    with telemetry.host() as host:

        def actor() -> object:
            return host.call(host.verify_token, "dstok_x")

        with acting_as(actor):  # type: ignore[arg-type]
            rejected(host, "dstok_x")

        [event] = events(host, telemetry, "token_rejected")
    assert "user.id" not in event


def test_rejections_are_limited_as_events_and_counted_always(telemetry: Telemetry) -> None:
    """Each reason has a limit of its own: a flood of forged tokens does not hide a revoked one."""
    settings = Settings(secret=(SECRET,), token_rejections_per_minute=2, **DATABASE_TOKENS)  # type: ignore[arg-type]
    with telemetry.host(settings=settings) as host:
        issued = host.call(tokens.issue, host, "alice")
        host.call(tokens.revoke, host, issued.id)
        for _ in range(5):
            rejected(host, "dstok_x")
        rejected(host, issued.token)

        reasons = [each["heliograph.token_rejected.reason"] for each in events(host, telemetry, "token_rejected")]
        assert reasons == ["invalid", "invalid", "revoked"]
        assert telemetry.counts("heliograph.token.verifications") == {
            ("signed", "invalid"): 5,
            ("database", "revoked"): 1,
        }


def test_restricting_is_no_event(host: Host, telemetry: Telemetry) -> None:
    """Nobody can do more than before, and the docs say so."""
    issued = host.call(tokens.issue, host, "alice")
    host.call(tokens.restrict, host, issued.id, TokenRestrictions().allow_all("view-table"))

    assert len(events(host, telemetry, "token_created")) == 1
    assert len(telemetry.events) == 1


def test_first_use_is_an_event_once_among_hosts(tmp_path: Path, telemetry: Telemetry) -> None:
    """Hosts that share a file may verify the same token at the same time."""
    settings = Settings(
        secret=(SECRET,), token_handlers=("database",), token_database=tmp_path / "tokens.db", token_cache_seconds=0
    )
    with telemetry.host(settings=settings) as one, telemetry.host(settings=settings) as other:
        token = one.call(one.create_token, "alice")

        async def verify() -> None:
            await asyncio.gather(*(host.verify_token(token) for host in (one, other) for _ in range(5)))

        asyncio.run(verify())
        assert other.flush(60_000)
        assert len(events(one, telemetry, "token_first_used")) == 1
