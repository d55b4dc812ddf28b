"""Every operation of every token handler has a span and a duration, and neither says more than it may."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import datasette.tokens
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TracerProvider

from heliograph import (
    Host,
    Settings,
    SignedTokenHandler,
    TokenExpired,
    TokenHandler,
    TokenInvalid,
    TokenMalformed,
    TokenRevoked,
    TokensDisabled,
    TokenSignatureInvalid,
    hookimpl,
)
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.providers import Providers
from heliograph.tokens.rejections import is_rejection, rejection_as
from heliograph.tokens.telemetry import TokenTelemetry
from heliograph.tokens.traced import TracedTokenHandler, trace_handlers
from recorder import SECRET, Telemetry

TOKEN = "mine_dG9wc2VjcmV0_signature"

pytestmark = pytest.mark.anyio


class Scripted(TokenHandler):
    """A handler that answers as it was told: by returning, or by raising."""

    name = "scripted"

    def __init__(self, answer=None):
        self.answer = answer

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        return self._say(f"{actor_id} {expires_after} {restrictions}")

    async def verify_token(self, datasette, token):
        return self._say(self.answer)

    def _say(self, answer):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return answer


class Handlers:
    """A plugin that brings what it was given as token handlers."""

    def __init__(self, handlers):
        self._handlers = handlers

    @hookimpl
    def register_token_handler(self, datasette):
        return self._handlers


def telemetry_of(telemetry: Telemetry, *actor: str) -> TokenTelemetry:
    return TokenTelemetry(Providers(**telemetry.providers), ActorFilter(actor or ("*", "-email")))


def host_with(telemetry: Telemetry, *handlers: object, **settings: object) -> Host:
    """A host with those handlers alone."""
    return telemetry.host(
        Handlers(list(handlers)), settings=Settings(**{"secret": SECRET, "allow_signed_tokens": False, **settings})
    )


def the_span(telemetry: Telemetry):
    (span,) = telemetry.spans
    return span


async def test_creating_a_token_has_a_span_and_a_duration(telemetry: Telemetry) -> None:
    """The span is INTERNAL, and says which handler, for whom, and that it was done."""
    async with host_with(telemetry, Scripted()) as host:
        assert await host.create_token("root", expires_after=60) == "root 60 None"

    span = the_span(telemetry)
    assert (span.name, span.kind, span.status.status_code) == ("token.create", SpanKind.INTERNAL, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "heliograph.token.handler": "scripted",
        "heliograph.token.result": "created",
        "user.id": "root",
    }
    metric = telemetry.metrics()["heliograph.token.create.duration"]
    assert metric.unit == "s"
    assert telemetry.counts(metric.name) == {("scripted", "created"): 1}


async def test_a_good_token_has_the_result_valid_and_its_actor(telemetry: Telemetry) -> None:
    """The actor's id is on the span, and never on the metric."""
    async with host_with(telemetry, Scripted({"id": 7, "token": "t"})) as host:
        assert await host.verify_token(TOKEN) == {"id": 7, "token": "t"}

    span = the_span(telemetry)
    assert (span.name, span.kind, span.status.status_code) == ("token.verify", SpanKind.INTERNAL, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "heliograph.token.handler": "scripted",
        "heliograph.token.result": "valid",
        "user.id": "7",
    }
    assert telemetry.counts("heliograph.token.verify.duration") == {("scripted", "valid"): 1}


@pytest.mark.parametrize(
    ("refusal", "result"),
    [
        (TokenInvalid(), "invalid"),
        (TokenMalformed(), "invalid"),
        (TokenSignatureInvalid(), "invalid"),
        (TokensDisabled(), "invalid"),
        (TokenExpired(1), "expired"),
        (TokenExpired(1, "too late"), "expired"),
        (TokenRevoked(), "revoked"),
        (datasette.tokens.TokenInvalid("Invalid token signature"), "invalid"),
        (datasette.tokens.TokenInvalid("Token has expired"), "expired"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
async def test_a_refused_token_is_a_result_and_no_error(telemetry: Telemetry, refusal: Exception, result: str) -> None:
    """The span of a refusal has a result, an unset status, and no `error.type`; ours comes to the caller."""
    async with host_with(telemetry, Scripted(refusal)) as host:
        with pytest.raises(TokenInvalid) as caught:
            await host.verify_token(TOKEN)

    assert isinstance(caught.value, type(refusal))
    assert str(caught.value) == str(refusal)
    span = the_span(telemetry)
    assert dict(span.attributes) == {"heliograph.token.handler": "scripted", "heliograph.token.result": result}
    assert (span.status.status_code, span.events) == (StatusCode.UNSET, ())
    assert telemetry.counts("heliograph.token.verify.duration") == {("scripted", result): 1}


async def test_a_token_of_nobodys_is_unrecognized_by_each_handler(telemetry: Telemetry) -> None:
    """Each handler that was asked has its span."""
    first, second = Scripted(), Scripted()
    first.name = "first"
    async with host_with(telemetry, first, second) as host:
        assert await host.verify_token(TOKEN) is None

    assert [
        (span.attributes["heliograph.token.handler"], span.attributes["heliograph.token.result"])
        for span in telemetry.spans
    ] == [("first", "unrecognized"), ("scripted", "unrecognized")]


@pytest.mark.parametrize("operation", ["create", "verify"])
async def test_a_handler_that_breaks_is_an_error_and_quotes_nothing(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, operation: str
) -> None:
    """Its message, which quotes the token, is in no attribute, event, status or log; its class is."""

    async with host_with(telemetry, Scripted(ConnectionError(f"no answer about {TOKEN}"))) as host:
        with pytest.raises(ConnectionError, match=TOKEN):
            await (host.verify_token(TOKEN) if operation == "verify" else host.create_token("root"))

    span = the_span(telemetry)
    assert span.attributes["heliograph.token.result"] == "error"
    assert span.attributes["error.type"] == "builtins.ConnectionError"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert span.events == ()
    name = f"heliograph.token.{operation}.duration"
    assert telemetry.counts(name) == {("builtins.ConnectionError", "scripted", "error"): 1}
    for part in TOKEN.split("_"):
        assert part not in telemetry.everything().replace("token.create", "")
        assert part not in warnings.text


async def test_a_refusal_that_quotes_the_token_leaves_no_part_of_it(telemetry: Telemetry) -> None:
    """A refusal's words are for who presented the token, not for the telemetry."""
    async with host_with(telemetry, Scripted(TokenInvalid(f"{TOKEN} is not good"))) as host:
        with pytest.raises(TokenInvalid):
            await host.verify_token(TOKEN)

    assert "dG9wc2VjcmV0" not in telemetry.everything()


async def test_a_signed_token_leaves_no_part_of_itself(telemetry: Telemetry) -> None:
    """Creating, verifying and refusing a signed token says neither its payload nor its signature."""
    async with telemetry.host() as host:
        token = await host.create_token("root", expires_after=60)
        await host.verify_token(token)
        with pytest.raises(TokenInvalid):
            await host.verify_token(token[:-3])

    payload, signature = token.removeprefix("dstok_").rsplit(".", 1)
    for part in (payload, signature[:-3]):
        assert part not in telemetry.everything()


@pytest.mark.parametrize("keys", [(), ("name",), ("*", "-id")])
async def test_the_id_is_left_out_when_the_actor_setting_forbids_it(
    telemetry: Telemetry, keys: tuple[str, ...]
) -> None:
    """Neither span says whose token it is."""
    async with host_with(telemetry, Scripted({"id": "root"}), actor=keys) as host:
        await host.create_token("root")
        await host.verify_token(TOKEN)

    assert len(telemetry.spans) == 2
    assert "root" not in telemetry.everything()


async def test_an_actor_without_an_id_has_none_on_the_span(telemetry: Telemetry) -> None:
    """A valid token need not stand for a user; and an actor that is no mapping breaks nothing."""
    async with host_with(telemetry, Scripted({"role": "robot"})) as host:
        await host.verify_token(TOKEN)
    async with host_with(telemetry, Scripted("an actor of another shape")) as host:
        await host.verify_token(TOKEN)

    assert [span.attributes["heliograph.token.result"] for span in telemetry.spans] == ["valid", "valid"]
    assert all("user.id" not in span.attributes for span in telemetry.spans)


async def test_the_operations_are_children_of_the_programs_span(telemetry: Telemetry) -> None:
    """What a handler does inside is a child of its operation's span."""

    class Querying(Scripted):
        async def verify_token(self, datasette, token):
            with telemetry.tracer.start_as_current_span("query"):
                return {"id": "root"}

    async with host_with(telemetry, Querying()) as host:
        with telemetry.tracer.start_as_current_span("request"):
            await host.verify_token(TOKEN)

    query, verify, request = telemetry.spans
    assert (query.parent.span_id, verify.parent.span_id) == (verify.context.span_id, request.context.span_id)


# The proxy


async def test_a_traced_handler_is_an_instance_of_its_class(telemetry: Telemetry) -> None:
    """A plugin that looks for its own handler among a host's finds it."""
    (proxy,) = trace_handlers([Scripted()], telemetry_of(telemetry))

    assert isinstance(proxy, Scripted)
    assert isinstance(proxy, TokenHandler)
    assert proxy.__class__ is Scripted
    assert type(proxy) is TracedTokenHandler


async def test_attributes_are_the_handlers_own(telemetry: Telemetry) -> None:
    """What is read and set through the proxy is the handler's; what is not there is not there."""
    handler = Scripted()
    (proxy,) = trace_handlers([handler], telemetry_of(telemetry))

    proxy.answer = {"id": "changed"}

    assert handler.answer == {"id": "changed"}
    assert proxy.answer is handler.answer
    assert proxy.name == "scripted"
    assert repr(proxy) == repr(handler)
    with pytest.raises(AttributeError, match="missing"):
        _ = proxy.missing
    assert await proxy.verify_token(None, TOKEN) == {"id": "changed"}


async def test_a_frozen_dataclass_can_be_traced(telemetry: Telemetry) -> None:
    """A handler that lets nothing be set on it is wrapped, not changed."""

    @dataclass(frozen=True)
    class Frozen(TokenHandler):
        name: str = "frozen"
        tokens: dict = field(default_factory=dict)

        async def verify_token(self, datasette, token):
            return self.tokens.get(token)

    async with host_with(telemetry, Frozen(tokens={TOKEN: {"id": "root"}})) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}

    assert the_span(telemetry).attributes["heliograph.token.handler"] == "frozen"


async def test_a_handler_with_slots_can_be_traced(telemetry: Telemetry) -> None:
    """A handler of any shape with the two methods is one; without a name it goes by its class."""

    class Slotted:
        __slots__ = ("tokens",)

        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            return TOKEN

        async def verify_token(self, datasette, token):
            return {"id": "root"}

    async with host_with(telemetry, Slotted()) as host:
        assert await host.create_token("root") == TOKEN
        assert await host.verify_token(TOKEN) == {"id": "root"}

    assert {span.attributes["heliograph.token.handler"] for span in telemetry.spans} == {"Slotted"}


async def test_lists_and_tuples_of_handlers_are_traced_each(telemetry: Telemetry) -> None:
    """A hook may return several handlers; what is no handler is left as it is."""
    one, two, three = trace_handlers([[Scripted(), "no handler"], (Scripted(),), None], telemetry_of(telemetry))

    assert [type(thing) for thing in one] == [TracedTokenHandler, str]
    assert [type(thing) for thing in two] == [TracedTokenHandler]
    assert three is None


async def test_a_handler_is_traced_once(telemetry: Telemetry) -> None:
    """A traced handler that comes along again stays as it is."""
    once = trace_handlers([Scripted({"id": "root"})], telemetry_of(telemetry))

    twice = trace_handlers([once], telemetry_of(telemetry))

    assert twice[0][0] is once[0]
    await twice[0][0].verify_token(None, TOKEN)
    assert len(telemetry.spans) == 1


async def test_a_class_is_no_handler(telemetry: Telemetry) -> None:
    """A hook that returns the class instead of an instance has nothing of it traced."""
    assert trace_handlers([Scripted], telemetry_of(telemetry)) == [Scripted]


async def test_handlers_of_ours_can_be_made_instances_of_another_base(telemetry: Telemetry) -> None:
    """So Datasette takes a handler that knows heliograph alone; one built on its own base stays of its class."""

    class Theirs(datasette.tokens.TokenHandler):
        pass

    ours, theirs = trace_handlers([Scripted(), Theirs()], telemetry_of(telemetry), base=datasette.tokens.TokenHandler)

    assert isinstance(ours, datasette.tokens.TokenHandler)
    assert isinstance(ours, Scripted)
    assert theirs.__class__ is Theirs


# Refusals of both worlds


async def test_a_refusal_becomes_one_of_the_other_world_too() -> None:
    """Class, message and data are kept beside it; one that is of that world already stays the same object."""
    refusal = rejection_as(TokenExpired(1234), datasette.tokens.TokenInvalid)

    assert isinstance(refusal, TokenExpired)
    assert isinstance(refusal, datasette.tokens.TokenInvalid)
    assert (str(refusal), refusal.message, refusal.expired_at) == ("Token has expired", "Token has expired", 1234)
    assert rejection_as(refusal, TokenInvalid) is refusal


async def test_only_refusals_of_the_two_worlds_are_refusals() -> None:
    """Anything else that a handler raises is an error."""
    assert is_rejection(TokenRevoked())
    assert is_rejection(datasette.tokens.TokenInvalid())
    assert not is_rejection(ValueError("Token has expired"))


async def test_datasettes_own_handler_works_in_a_host(telemetry: Telemetry) -> None:
    """Its refusals are `TokenInvalid` of both, and its expired tokens have the result expired."""
    theirs = datasette.tokens.SignedTokenHandler()
    async with telemetry.host(Handlers(theirs)) as host:
        token = await host.create_token("root", expires_after=60)
        assert (await host.verify_token(token))["id"] == "root"
        expired = "dstok_" + host.sign({"a": "root", "t": 1, "d": 1}, namespace="token")
        for refused, message in ((token[:-3], "Invalid token signature"), (expired, "Token has expired")):
            with pytest.raises(TokenInvalid, match=message) as caught:
                await host.verify_token(refused)
            assert isinstance(caught.value, datasette.tokens.TokenInvalid)

    assert [span.attributes["heliograph.token.result"] for span in telemetry.spans] == [
        "created",
        "valid",
        "invalid",
        "expired",
    ]


async def test_a_subclass_of_datasettes_handler_works_in_a_host(telemetry: Telemetry) -> None:
    """A plugin that builds on Datasette's base class needs nothing of heliograph."""

    class Theirs(datasette.tokens.TokenHandler):
        name = "theirs"

        async def verify_token(self, datasette, token):
            return {"id": "root"} if token == TOKEN else None

    async with telemetry.host(Handlers([Theirs()])) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}
        with pytest.raises(NotImplementedError):
            await host.create_token("root", handler="theirs")

    assert [span.attributes["heliograph.token.result"] for span in telemetry.spans] == ["valid", "error"]


async def test_a_traced_handler_can_be_copied(telemetry: Telemetry) -> None:
    """Copying the proxy, as programs do with what they are given, does not recurse without end."""
    (proxy,) = trace_handlers([SignedTokenHandler()], telemetry_of(telemetry))

    assert isinstance(copy.copy(proxy), SignedTokenHandler)


class Throwing(TracerProvider):
    """A provider whose tracer, or whose spans, throw an exception that quotes the token."""

    def __init__(self, *, spans=False):
        self._spans = spans

    def get_tracer(self, *args, **kwargs):
        if not self._spans:
            raise RuntimeError(TOKEN)
        tracer = Telemetry().tracer_provider.get_tracer("throwing")
        tracer.start_span = self._start_span
        return tracer

    def _start_span(self, *args, **kwargs):
        span = NonRecordingSpan(SpanContext(1, 2, is_remote=False))
        span.set_attributes = self._throw
        return span

    def _throw(self, *args, **kwargs):
        raise RuntimeError(TOKEN)


@pytest.mark.parametrize("spans", [False, True], ids=["tracer", "span"])
async def test_a_provider_that_throws_refuses_no_token(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture, spans: bool
) -> None:
    """The operation has its result, the duration is measured, and the log names the failure's class alone."""
    handler = Scripted({"id": "root"})
    plugin = Handlers([handler])
    async with telemetry.host(plugin, tracer_provider=Throwing(spans=spans)) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}
        handler.answer = OSError(TOKEN)
        with pytest.raises(OSError, match=TOKEN):
            await host.verify_token(TOKEN)

    assert sum(telemetry.counts("heliograph.token.verify.duration").values()) == 2
    assert warnings.messages == ["A provider failed to record a token operation: builtins.RuntimeError"] * 2
    assert TOKEN not in warnings.text
