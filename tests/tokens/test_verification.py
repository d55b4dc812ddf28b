"""A verification has one verdict, and everything that a token does can be found by its id."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import datasette.tokens
import pytest
from datasette.app import Datasette
from opentelemetry.trace import SpanKind

from heliograph import Event, Settings, TokenExpired, TokenInvalid, TokenRevoked, acting_as
from heliograph.tokens.signed import SignedTokenHandler
from heliograph.tokens.traced import trace_handlers
from heliograph.tokens.verification import token_id_of
from recorder import SECRET, Telemetry
from registrar import Registrar
from tokens.scripted import TOKEN, Handlers, Scripted, host_with, token_telemetry

pytestmark = pytest.mark.anyio

RESULT, HANDLER, ID = "heliograph.token.result", "heliograph.token.handler", "heliograph.token.id"


class Named(Scripted):
    """A scripted handler with a name of its own."""

    def __init__(self, name: str, outcome: object = None) -> None:
        super().__init__(outcome)
        self.name = name


def verdicts(telemetry: Telemetry) -> list[dict[str, object]]:
    """Return the attributes of each span of a verification, without the user."""
    return [
        {name: value for name, value in (span.attributes or {}).items() if name != "user.id"}
        for span in telemetry.spans
        if span.name == "token.verify"
    ]


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ([None, None, None], {RESULT: "unrecognized"}),
        ([{"id": "a"}, None, None], {RESULT: "valid", HANDLER: "h0"}),
        ([None, {"id": "a"}, None], {RESULT: "valid", HANDLER: "h1"}),
        ([None, None, {"id": "a"}], {RESULT: "valid", HANDLER: "h2"}),
        ([None, TokenRevoked(), None], {RESULT: "revoked", HANDLER: "h1"}),
        ([None, None, TokenExpired(1)], {RESULT: "expired", HANDLER: "h2"}),
        ([None, datasette.tokens.TokenInvalid("This token was revoked"), None], {RESULT: "revoked", HANDLER: "h1"}),
        ([None, RuntimeError(), None], {RESULT: "error", HANDLER: "h1", "error.type": "RuntimeError"}),
    ],
)
async def test_verification_has_one_verdict(
    telemetry: Telemetry, outcomes: list[object], verdict: dict[str, object]
) -> None:
    """The span, the duration and the counter have the verdict of the handler that decided."""
    handlers = [Named(f"h{number}", outcome) for number, outcome in enumerate(outcomes)]
    async with host_with(telemetry, *handlers) as host:
        for _ in range(2):
            with contextlib.suppress(TokenInvalid, RuntimeError):
                await host.verify_token(TOKEN)

    assert verdicts(telemetry) == [verdict] * 2
    values = tuple(verdict[name] for name in sorted(verdict))
    assert telemetry.counts("heliograph.token.verify.duration") == {values: 2}
    counted = tuple(verdict[name] for name in (HANDLER, RESULT) if name in verdict)
    assert telemetry.counts("heliograph.token.verifications") == {counted: 2}


async def test_counter_begins_at_zero(telemetry: Telemetry) -> None:
    """An alert on rejections would miss the first one otherwise."""
    async with host_with(telemetry):
        zeros = telemetry.zeros("heliograph.token.verifications")

    assert zeros == {(result,) for result in ("valid", "expired", "revoked", "invalid", "unrecognized", "error")}


async def test_span_is_current_while_each_handler_runs(telemetry: Telemetry) -> None:
    """Spans that handlers make are its children."""

    class Working(Named):
        async def verify_token(self, datasette: object, token: str) -> object:
            telemetry.tracer.start_span(self.name).end()
            return await super().verify_token(datasette, token)

    async with host_with(telemetry, Working("one"), Working("two", {"id": "a"})) as host:
        await host.verify_token(TOKEN)

    by_name = {span.name: span for span in telemetry.spans}
    verify = by_name["token.verify"]
    assert by_name["one"].parent == by_name["two"].parent == verify.context
    assert verify.end_time >= by_name["two"].end_time  # type: ignore[operator]


async def test_host_that_stops_early_has_a_verdict(telemetry: Telemetry) -> None:
    """If the host drops its handlers, no handler recognized the token. That is recorded with the next operation."""
    tokens = token_telemetry(telemetry)
    handlers = trace_handlers([Named("one"), Named("two")], tokens)
    await handlers[0].verify_token(None, TOKEN)  # type: ignore[attr-defined]
    del handlers
    gc.collect()
    assert verdicts(telemetry) == []

    [handler] = trace_handlers([Named("three", {"id": "a"})], tokens)
    await handler.verify_token(None, "another")  # type: ignore[attr-defined]

    assert [each[RESULT] for each in verdicts(telemetry)] == ["unrecognized", "valid"]


async def test_destructor_takes_no_lock_of_a_provider(telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A destructor may run in a garbage collection, in the middle of code of the provider that holds a lock."""
    tokens = token_telemetry(telemetry)
    handlers = trace_handlers([Named("one"), Named("two")], tokens)
    await handlers[0].verify_token(None, TOKEN)  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(tokens, "end", pytest.fail)
        del handlers
        gc.collect()
    tokens.end_abandoned()
    tokens.end_abandoned()

    assert verdicts(telemetry) == [{RESULT: "unrecognized"}]


async def test_handlers_that_are_kept_verify_many_tokens(telemetry: Telemetry) -> None:
    """Kept handlers verify one token after the other, the same one again, and several at the same time."""
    gate = asyncio.Event()

    class Slow(Named):
        async def verify_token(self, datasette: object, token: str) -> object:
            await gate.wait()
            return {"id": token} if token == self.name else None

    first, second = trace_handlers([Slow("one"), Slow("two")], token_telemetry(telemetry))

    async def verify(token: str) -> object:
        return await first.verify_token(None, token) or await second.verify_token(None, token)  # type: ignore[attr-defined]

    running = [asyncio.create_task(verify(token)) for token in ("one", "two", "three")]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*running)
    await first.verify_token(None, "four")  # type: ignore[attr-defined]
    await verify("four")  # the host begins again

    assert sorted(str(each[RESULT]) for each in verdicts(telemetry)) == [*["unrecognized"] * 3, "valid", "valid"]
    assert {each.get(HANDLER) for each in verdicts(telemetry) if each[RESULT] == "valid"} == {"one", "two"}


@pytest.mark.parametrize(
    ("accepting", "results"),
    [("one", ["valid"] * 2), ("two", ["unrecognized", "valid", "valid"]), ("", ["unrecognized"] * 2)],
)
async def test_one_token_is_verified_twice_at_the_same_time(
    telemetry: Telemetry, accepting: str, results: list[str]
) -> None:
    """No verdict of a handler is lost, although handlers that are kept cannot know which of the calls belong together."""
    gate = asyncio.Event()

    class Slow(Named):
        async def verify_token(self, datasette: object, token: str) -> object:
            await gate.wait()
            return {"id": token} if self.name == accepting else None

    handlers = trace_handlers([Slow("one"), Slow("two")], token_telemetry(telemetry))

    async def verify() -> object:
        for handler in handlers:
            if actor := await handler.verify_token(None, TOKEN):  # type: ignore[attr-defined]
                return actor["id"]
        return None

    running = [asyncio.create_task(verify()) for _ in range(2)]
    await asyncio.sleep(0)
    gate.set()

    assert await asyncio.gather(*running) == [TOKEN if accepting else None] * 2
    assert sorted(str(each[RESULT]) for each in verdicts(telemetry)) == results


async def test_span_of_the_request_names_the_token(telemetry: Telemetry) -> None:
    """An accepted token is an attribute of the SERVER span, and of no other span. A rejected one is not."""
    actor = {"id": "a", "token": "mine", "token_id": "t1"}
    async with host_with(telemetry, Named("one", actor)) as host:
        with telemetry.tracer.start_as_current_span("request", kind=SpanKind.SERVER):
            await host.verify_token(TOKEN)
        with telemetry.tracer.start_as_current_span("job"):
            await host.verify_token(TOKEN)
    async with host_with(telemetry, Named("one", TokenRevoked(token_id="t1"))) as host:
        with telemetry.tracer.start_as_current_span("rejected", kind=SpanKind.SERVER), pytest.raises(TokenRevoked):
            await host.verify_token(TOKEN)

    by_name = {span.name: dict(span.attributes or {}) for span in telemetry.spans}
    assert by_name["request"] == {ID: "t1", HANDLER: "one"}
    assert by_name["job"] == by_name["rejected"] == {}
    assert by_name["token.verify"] == {ID: "t1", HANDLER: "one", RESULT: "revoked"}


# The id


async def test_id_of_a_signed_token_is_a_hash_of_what_is_signed(telemetry: Telemetry) -> None:
    """The same signature can be written in many ways, which are all valid. They have one id."""
    async with telemetry.host() as host:
        token = await host.create_token("alice")
        payload, _, signature = token.removeprefix("dstok_").rpartition(".")
        padding = "=" * (-len(signature) % 4)
        raw = base64.urlsafe_b64decode(signature + padding)
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        spellings = {f"dstok_{payload}.{signature[:-1]}{last}{pad}" for last in alphabet for pad in ("", padding)} | {
            f"dstok_{payload}.{signature}é"
        }
        actors = []
        for spelling in spellings:
            try:
                actors.append(await host.verify_token(spelling))
            except TokenInvalid:
                continue

    assert len(raw) == 20
    assert len(actors) > 1
    assert {actor["token_id"] for actor in actors if actor} == {hashlib.sha256(payload.encode()).hexdigest()[:12]}


async def test_span_has_the_number_of_the_key(telemetry: Telemetry) -> None:
    """The number is the position of the key in the setting: 0 is the newest."""
    rotated = telemetry.host(settings=Settings(secret=("new", "old")))
    old = telemetry.host(settings=Settings(secret=("old",)))
    for signer in (rotated, old):
        actor = await rotated.verify_token(await signer.create_token("root"))
        assert actor is not None
        assert actor["id"] == "root"

    assert [verdict["heliograph.token.key_number"] for verdict in verdicts(telemetry)] == [0, 1]
    assert all("key_number" not in str(names) for names in telemetry.counts("heliograph.token.verifications"))


async def test_span_of_a_host_with_one_key_has_no_number(telemetry: Telemetry) -> None:
    """A Datasette does not number its keys; its tokens are valid nevertheless."""
    real = Datasette(memory=True, secret=SECRET)
    handlers = trace_handlers([SignedTokenHandler()], token_telemetry(telemetry))
    await handlers[0].verify_token(real, await real.create_token("root"))  # type: ignore[attr-defined]
    real.close()

    [verdict] = verdicts(telemetry)
    assert verdict["heliograph.token.result"] == "valid"
    assert "heliograph.token.key_number" not in verdict


async def test_id_is_added_to_a_copy(telemetry: Telemetry) -> None:
    """A handler may keep its actor. One that is not a mapping, or whose code fails, is returned as it is."""
    kept = {"id": "a"}

    class Signed(SignedTokenHandler):
        async def verify_token(self, datasette: object, token: str) -> Mapping[str, object]:  # type: ignore[override]
            return kept

    async with host_with(telemetry, Signed()) as host:
        assert await host.verify_token("dstok_x.y") == {"id": "a", "token_id": token_id_of("dstok_x.y", None)}
    assert kept == {"id": "a"}


@pytest.mark.parametrize(
    ("known", "token_id"), [("t1", "t1"), (7, "7"), (None, None), ("x" * 129, None), (True, None), ([], None)]
)
def test_id_of_another_handler_is_its_own(known: object, token_id: str | None) -> None:
    """Short texts and numbers are ids."""
    assert token_id_of(TOKEN, known) == token_id


@pytest.mark.parametrize("token", ["dstok_", "dstok_\ud800.x", "dstok_no-dot", "dstok_" + "." * 100])
def test_any_signed_text_has_an_id(token: str) -> None:
    """A text that no handler could have written has an id, too."""
    assert len(str(token_id_of(token, None))) == 12


@pytest.mark.parametrize(
    ("rejection", "token_id"),
    [
        (TokenExpired(1, token_id="t1"), "t1"),
        (TokenRevoked(token_id="t1"), "t1"),
        (TokenInvalid(), None),
        (RuntimeError(), None),
    ],
)
async def test_rejection_has_an_id_only_if_the_token_is_known(
    telemetry: Telemetry, rejection: Exception, token_id: str | None
) -> None:
    """Any other text may claim an id that is not its own."""
    rejection.token_id = "t1"  # type: ignore[attr-defined]
    async with host_with(telemetry, Named("one", rejection)) as host:
        with pytest.raises(type(rejection)):
            await host.verify_token("dstok_claimed.signature")

    assert verdicts(telemetry)[0].get(ID) == token_id


@dataclass
class SaleEvent(Event):
    name = "sale"
    price: int


async def test_events_carry_the_token(telemetry: Telemetry) -> None:
    """The id of the token is exported whatever keys of the actor are. Another actor inside has none."""
    async with telemetry.host(Registrar(SaleEvent), settings=Settings(secret=(SECRET,), actor=())) as host:
        actor = await host.verify_token(await host.create_token("alice"))
        assert actor is not None
        with acting_as(actor):
            await host.track_event(SaleEvent(price=1))
            with acting_as({"id": "bob"}):
                await host.track_event(SaleEvent(price=2))

    [_, (_, first), (_, second)] = telemetry.events
    assert (first[ID], first[HANDLER]) == (actor["token_id"], "signed")
    assert ID not in second
    assert not {name for name in first if name.startswith(("user.", "heliograph.actor"))}


async def test_events_name_a_handler_that_verified_a_token(telemetry: Telemetry) -> None:
    """The handler is found by the key `token` of its actors. A handler that is not known yet is not named."""
    actor = {"id": "a", "token": "mine", "token_id": "t1"}
    async with telemetry.host(Registrar(SaleEvent), Handlers([Named("one", actor)])) as host:
        await host.track_event(SaleEvent(price=1, actor=actor))
        await host.verify_token(TOKEN)
        await host.track_event(SaleEvent(price=2, actor=actor))

    (_, before), (_, after) = telemetry.events
    assert (before[ID], before.get(HANDLER)) == ("t1", None)
    assert (after[ID], after[HANDLER]) == ("t1", "one")
