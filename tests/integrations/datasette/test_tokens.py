"""Each operation of a token handler in Datasette is recorded, and has the same result as without the plugin."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import datasette.tokens
import pytest
from datasette import Response

import heliograph
from heliograph import hookimpl
from heliograph.tokens.traced import TracedTokenHandler

pytestmark = pytest.mark.anyio

SECRET = "the secret of both hosts"


class Handlers:
    """A plugin that registers token handlers."""

    def __init__(self, handlers: object) -> None:
        self._handlers = handlers

    @hookimpl
    def register_token_handler(self):
        return self._handlers


class WhoAmI:
    """A plugin with a page that returns the actor of the request."""

    @hookimpl
    def register_routes(self):
        async def who(request):
            return Response.json(request.actor)

        return [(r"^/who$", who)]


class Letters(heliograph.TokenHandler):
    """A handler built on heliograph's class. A token is a letter, which selects the result, and the id of an actor."""

    name = "letters"

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        return f"g:{actor_id}"

    async def verify_token(self, datasette, token):
        letter, _, actor_id = token.partition(":")
        rejections = {
            "r": heliograph.TokenRevoked(),
            "s": heliograph.TokenSignatureInvalid(),
            "e": heliograph.TokenExpired(1),
            "b": RuntimeError(f"broken by {token}"),
        }
        if letter in rejections:
            raise rejections[letter]
        return {"id": actor_id} if letter == "g" else None


@dataclass(frozen=True)
class Frozen(datasette.tokens.TokenHandler):
    """A handler built on Datasette's class, whose attributes cannot be changed."""

    name: str = "frozen"
    known: dict[str, str] = field(default_factory=lambda: {"one": "alice"})

    async def verify_token(self, datasette, token):
        return {"id": self.known[token]} if token in self.known else None


def bearer(token: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


def operations(telemetry) -> list[tuple[str, dict[str, Any]]]:
    """Return the name and the attributes of each token span, in order, without the prefix `heliograph.token.` and the id."""
    return [
        (
            span.name,
            {
                name.removeprefix("heliograph.token."): value
                for name, value in span.attributes.items()
                if name != "heliograph.token.id"
            },
        )
        for span in telemetry.spans
        if span.name.startswith("token.")
    ]


def signed(payload: dict[str, Any], secret: str = SECRET) -> str:
    """Return a token in Datasette's format with this payload."""
    with heliograph.Host(heliograph.Settings(secret=(secret,))) as host:
        return "dstok_" + host.sign(payload, namespace="token")


async def test_datasettes_own_handler_is_recorded(instances, telemetry) -> None:
    """Creating and verifying a signed token is one span each. The request has the actor of the token."""
    instance = await instances(WhoAmI(), secret=SECRET)

    token = await instance.create_token("alice", expires_after=60)
    answer = await instance.client.get("/who", **bearer(token))

    assert answer.json()["id"] == "alice"
    assert operations(telemetry) == [
        ("token.create", {"handler": "signed", "result": "created", "user.id": "alice"}),
        ("token.verify", {"handler": "signed", "result": "valid", "user.id": "alice"}),
    ]


NOW = int(time.time())


@pytest.mark.parametrize(
    ("token", "result", "message"),
    [
        (signed({"a": "alice", "t": NOW - 100, "d": 50}), "expired", "Token has expired"),
        (signed({"a": "alice", "t": NOW}, secret="another"), "invalid", "Invalid token signature"),
        ("dstok_nonsense", "invalid", "Invalid token signature"),
        (signed({"a": "alice"}), "invalid", "Invalid token: no timestamp"),
        (signed({"a": "alice", "t": "now"}), "invalid", "Invalid token: invalid timestamp"),
        (signed({"a": "alice", "t": NOW, "d": "long"}), "invalid", "Invalid token: invalid duration"),
    ],
    ids=["expired", "forged", "nonsense", "no timestamp", "odd timestamp", "odd duration"],
)
async def test_datasettes_rejections_have_different_results(instances, telemetry, token, result, message) -> None:
    """An expired token has another result than a forged one, recognized by Datasette's message. Neither is an error."""
    instance = await instances(secret=SECRET)

    answer = await instance.client.get("/-/actor.json", **bearer(token))

    assert answer.status_code == 401
    assert message in answer.text
    assert operations(telemetry) == [("token.verify", {"handler": "signed", "result": result})]
    [span] = [span for span in telemetry.spans if span.name == "token.verify"]
    assert span.status.status_code.name == "UNSET"
    assert span.events == ()


async def test_expiry_by_datasettes_setting_is_expired(instances, telemetry) -> None:
    """`max_signed_tokens_ttl` limits the lifetime of a token that has none of its own."""
    instance = await instances(secret=SECRET, settings={"max_signed_tokens_ttl": 10})

    answer = await instance.client.get("/-/actor.json", **bearer(signed({"a": "alice", "t": NOW - 100})))

    assert answer.status_code == 401
    assert operations(telemetry) == [("token.verify", {"handler": "signed", "result": "expired"})]


async def test_unknown_token_is_unrecognized(instances, telemetry) -> None:
    """An unknown token is no error: the request has no actor. All handlers together have one verdict."""
    instance = await instances(Handlers(Letters()), WhoAmI(), secret=SECRET)

    answer = await instance.client.get("/who", **bearer("something"))

    assert answer.status_code == 200
    assert answer.json() is None
    assert operations(telemetry) == [("token.verify", {"result": "unrecognized"})]


async def test_handler_built_on_heliographs_class_is_accepted_by_datasette(instances, telemetry) -> None:
    """Datasette accepts only instances of its own class. The traced handler is one, and creates and verifies tokens."""
    instance = await instances(Handlers(Letters()), WhoAmI(), secret=SECRET)

    token = await instance.create_token("alice", handler="letters")
    answer = await instance.client.get("/who", **bearer(token))

    assert answer.json() == {"id": "alice"}
    assert operations(telemetry) == [
        ("token.create", {"handler": "letters", "result": "created", "user.id": "alice"}),
        ("token.verify", {"handler": "letters", "result": "valid", "user.id": "alice"}),
    ]


@pytest.mark.parametrize(
    ("token", "result", "message"),
    [("r:x", "revoked", "revoked"), ("s:x", "invalid", "signature"), ("e:x", "expired", "expired")],
)
async def test_heliographs_rejections_become_datasettes(instances, telemetry, token, result, message) -> None:
    """Our `TokenInvalid` and its subclasses are responses with status 401 and the reason, not 500."""
    instance = await instances(Handlers(Letters()), secret=SECRET)

    answer = await instance.client.get("/-/actor.json", **bearer(token))

    assert answer.status_code == 401
    assert message in answer.text
    assert operations(telemetry) == [("token.verify", {"handler": "letters", "result": result})]


async def test_rejection_is_an_instance_of_both_classes(instances) -> None:
    """Code that catches Datasette's exception, or ours, catches a rejection, which keeps its data."""
    instance = await instances(Handlers(Letters()), secret=SECRET)

    with pytest.raises(datasette.tokens.TokenInvalid) as caught:
        await instance.verify_token("e:x")

    assert isinstance(caught.value, heliograph.TokenExpired)
    assert caught.value.expired_at == 1
    assert caught.value.message == "Token has expired"


async def test_handler_that_fails_is_an_error_without_its_message(instances, telemetry) -> None:
    """An exception that is not a rejection is raised unchanged. The span has its class only: its message quotes the token."""
    instance = await instances(Handlers(Letters()), secret=SECRET)

    with pytest.raises(RuntimeError, match="broken"):
        await instance.verify_token("b:secret-of-the-token")

    [span] = [span for span in telemetry.spans if span.name == "token.verify"]
    assert dict(span.attributes) == {
        "heliograph.token.handler": "letters",
        "heliograph.token.result": "error",
        "error.type": "RuntimeError",
    }
    assert span.status.status_code.name == "ERROR"
    assert "secret-of-the-token" not in span.to_json()


async def test_handlers_in_a_list_are_all_recorded(instances, telemetry) -> None:
    """A plugin may register several handlers, built on either class, also one whose attributes cannot be changed."""
    instance = await instances(Handlers([Frozen(), Letters()]), secret=SECRET)

    assert await instance.verify_token("one") == {"id": "alice"}
    assert await instance.verify_token("g:bob") == {"id": "bob"}

    assert operations(telemetry) == [
        ("token.verify", {"handler": "frozen", "result": "valid", "user.id": "alice"}),
        ("token.verify", {"handler": "letters", "result": "valid", "user.id": "bob"}),
    ]


async def test_traced_handlers_keep_their_classes_and_attributes(instances) -> None:
    """`isinstance` finds the classes of Datasette and of plugins, and attributes are the handler's own."""
    frozen = Frozen()
    instance = await instances(Handlers([frozen, Letters()]), secret=SECRET)

    found = instance._token_handlers()

    assert [type(handler) for handler in found] == [TracedTokenHandler] * 3
    assert isinstance(found[0], Frozen)
    assert isinstance(found[1], Letters)
    assert isinstance(found[1], datasette.tokens.TokenHandler)
    assert isinstance(found[2], datasette.tokens.SignedTokenHandler)
    assert found[0].known is frozen.known
    assert [handler.name for handler in found] == ["frozen", "letters", "signed"]


async def test_handler_that_a_plugin_keeps_is_traced_once(instances, telemetry) -> None:
    """Datasette calls the hook for each operation. A handler that is returned again is not wrapped again."""
    kept = Letters()
    instance = await instances(Handlers(kept), secret=SECRET)

    for _ in range(3):
        instance._token_handlers()
    await instance.verify_token("g:alice")

    assert len(operations(telemetry)) == 1


async def test_default_handler_is_the_one_of_datasette(instances) -> None:
    """The first handler in pluggy's order creates tokens, as without the plugin."""
    instance = await instances(secret=SECRET)

    assert (await instance.create_token("alice")).startswith("dstok_")
    with pytest.raises(ValueError, match="unknown"):
        await instance.create_token("alice", handler="unknown")


async def test_tracer_provider_that_fails_rejects_no_token(instances, telemetry, set_globally) -> None:
    """If the tracer provider raises, there is no span, and the request succeeds."""

    class Throwing(type(telemetry.tracer_provider)):
        def get_tracer(self, name, *args, **kwargs):
            if name == "heliograph":
                raise RuntimeError("this provider fails")
            return super().get_tracer(name, *args, **kwargs)

    set_globally(**{**telemetry.providers, "tracer_provider": Throwing(shutdown_on_exit=False)})
    instance = await instances(WhoAmI(), secret=SECRET)

    token = await instance.create_token("alice")
    answer = await instance.client.get("/who", **bearer(token))

    assert answer.status_code == 200
    assert answer.json()["id"] == "alice"


async def test_no_part_of_a_token_is_exported(instances, telemetry) -> None:
    """The telemetry contains no twelve successive characters of any token, valid or rejected."""
    instance = await instances(Handlers(Letters()), WhoAmI(), secret=SECRET)
    tokens = [
        await instance.create_token("alice-and-her-long-name", handler="signed", expires_after=60),
        signed({"a": "alice", "t": NOW - 100, "d": 50}),
        signed({"a": "alice", "t": NOW}, secret="another"),
        "r:revoked-token-of-alice",
    ]

    for token in tokens:
        await instance.client.get("/who", **bearer(token))

    everything = telemetry.everything()
    parts = [token[5:][start : start + 12] for token in tokens for start in range(len(token[5:]) - 11)]
    assert [part for part in parts if part in everything] == []
