"""A traced handler behaves like the handler that it wraps, in both hosts."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import datasette.tokens
import pytest

from heliograph import SignedTokenHandler, TokenExpired, TokenHandler, TokenInvalid
from heliograph.tokens.traced import TracedTokenHandler, trace_handlers
from recorder import Telemetry
from tokens.scripted import TOKEN, Handlers, Scripted, host_with, token_telemetry

pytestmark = pytest.mark.anyio


# The proxy


async def test_traced_handler_is_an_instance_of_its_handlers_class(telemetry: Telemetry) -> None:
    """A plugin that looks for its own handler among a host's finds it."""
    [proxy] = trace_handlers([Scripted()], token_telemetry(telemetry))

    assert isinstance(proxy, Scripted)
    assert isinstance(proxy, TokenHandler)
    assert proxy.__class__ is Scripted
    assert type(proxy) is TracedTokenHandler


async def test_attributes_of_the_proxy_are_those_of_the_handler(telemetry: Telemetry) -> None:
    """Attributes are read from and set on the handler, and a missing one is missing."""
    handler = Scripted()
    [proxy] = trace_handlers([handler], token_telemetry(telemetry))

    proxy.outcome = {"id": "changed"}

    assert handler.outcome == {"id": "changed"}
    assert proxy.outcome is handler.outcome
    assert proxy.name == "scripted"
    assert repr(proxy) == repr(handler)
    with pytest.raises(AttributeError, match="missing"):
        _ = proxy.missing
    assert await proxy.verify_token(None, TOKEN) == {"id": "changed"}


async def test_frozen_dataclass_can_be_traced(telemetry: Telemetry) -> None:
    """A handler on which nothing can be set is wrapped, not changed."""

    @dataclass(frozen=True)
    class Frozen(TokenHandler):
        name: str = "frozen"
        tokens: dict = field(default_factory=dict)

        async def verify_token(self, datasette, token):
            return self.tokens.get(token)

    async with host_with(telemetry, Frozen(tokens={TOKEN: {"id": "root"}})) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.handler"] == "frozen"


@pytest.mark.parametrize("name", [None, "", 7], ids=repr)
async def test_handler_without_a_usable_name_is_recorded_by_its_class(telemetry: Telemetry, name: object) -> None:
    """Any object with the two methods is a handler, even one with `__slots__` and without a name."""

    class Slotted:
        __slots__ = ()

        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            return TOKEN

        async def verify_token(self, datasette, token):
            return {"id": "root"}

    if name is not None:
        Slotted.name = name
    async with host_with(telemetry, Slotted()) as host:
        assert await host.create_token("root") == TOKEN
        assert await host.verify_token(TOKEN) == {"id": "root"}

    assert {span.attributes["heliograph.token.handler"] for span in telemetry.spans} == {"Slotted"}


async def test_traced_handler_can_be_copied(telemetry: Telemetry) -> None:
    """`copy` asks a proxy that is not filled yet for attributes, which must not recurse without end."""
    [proxy] = trace_handlers([SignedTokenHandler()], token_telemetry(telemetry))

    assert isinstance(copy.copy(proxy), SignedTokenHandler)


async def test_actor_whose_own_code_fails_is_valid(telemetry: Telemetry) -> None:
    """The caller gets the actor, although its id cannot be read for the span."""

    class Failing(Mapping[str, object]):
        def __getitem__(self, key: str) -> object:
            raise RuntimeError

        def __iter__(self) -> Iterator[str]:
            raise RuntimeError

        def __len__(self) -> int:
            return 1

    actor = Failing()
    async with host_with(telemetry, Scripted(actor)) as host:
        assert await host.verify_token(TOKEN) is actor

    [span] = telemetry.spans
    assert span.attributes["heliograph.token.result"] == "valid"


# The results of the hook


async def test_each_handler_in_a_list_or_tuple_is_traced(telemetry: Telemetry) -> None:
    """A hook may return several handlers. Other objects are returned unchanged."""
    one, two, three = trace_handlers([[Scripted(), "no handler"], (Scripted(),), None], token_telemetry(telemetry))

    assert [type(thing) for thing in one] == [TracedTokenHandler, str]
    assert [type(thing) for thing in two] == [TracedTokenHandler]
    assert (type(one), type(two), three) == (list, tuple, None)


async def test_traced_handler_is_not_traced_again(telemetry: Telemetry) -> None:
    """One operation has one span, although two hosts trace the same handler."""
    once = trace_handlers([Scripted({"id": "root"})], token_telemetry(telemetry))

    twice = trace_handlers([once], token_telemetry(telemetry))

    assert twice[0][0] is once[0]
    await twice[0][0].verify_token(None, TOKEN)
    assert len(telemetry.spans) == 1


async def test_class_of_handlers_is_not_traced(telemetry: Telemetry) -> None:
    """A hook that returns the class instead of an instance made a mistake, which the host reports."""
    assert trace_handlers([Scripted], token_telemetry(telemetry)) == [Scripted]


async def test_handlers_of_heliograph_become_instances_of_another_base(telemetry: Telemetry) -> None:
    """Datasette requires its own base class. A handler that has it, or that is not built on ours, keeps its class."""

    class Theirs(datasette.tokens.TokenHandler):
        pass

    class Both(TokenHandler, datasette.tokens.TokenHandler):
        pass

    ours, theirs, both = trace_handlers(
        [Scripted(), Theirs(), Both()], token_telemetry(telemetry), base=datasette.tokens.TokenHandler
    )

    assert isinstance(ours, datasette.tokens.TokenHandler)
    assert isinstance(ours, Scripted)
    assert theirs.__class__ is Theirs
    assert both.__class__ is Both


# Rejections


async def test_rejection_is_raised_as_an_exception_of_the_host(telemetry: Telemetry) -> None:
    """The original exception is its cause."""
    original = TokenExpired(7)
    [proxy] = trace_handlers(
        [Scripted(original)], token_telemetry(telemetry), rejection_class=datasette.tokens.TokenInvalid
    )

    with pytest.raises(datasette.tokens.TokenInvalid) as caught:
        await proxy.verify_token(None, TOKEN)

    assert caught.value.expired_at == 7
    assert caught.value.__cause__ is original


@pytest.mark.parametrize("error", [TokenExpired(7), ValueError("Token has expired")], ids=repr)
async def test_any_other_exception_is_raised_unchanged(telemetry: Telemetry, error: Exception) -> None:
    """An exception that already is of the host's class, or that is no rejection, stays the same object without a cause."""
    [proxy] = trace_handlers([Scripted(error)], token_telemetry(telemetry), rejection_class=TokenInvalid)

    with pytest.raises(type(error)) as caught:
        await proxy.verify_token(None, TOKEN)

    assert caught.value is error
    assert caught.value.__cause__ is None


async def test_handler_of_datasette_works_in_a_host(telemetry: Telemetry) -> None:
    """A rejection is a `TokenInvalid` of both hosts, and an expired token has the result `expired`."""
    async with telemetry.host(Handlers(datasette.tokens.SignedTokenHandler())) as host:
        token = await host.create_token("root", expires_after=60)
        assert (await host.verify_token(token))["id"] == "root"
        expired = "dstok_" + host.sign({"a": "root", "t": 1, "d": 1}, namespace="token")
        for rejected, message in ((token[:-3], "Invalid token signature"), (expired, "Token has expired")):
            with pytest.raises(TokenInvalid, match=message) as caught:
                await host.verify_token(rejected)
            assert isinstance(caught.value, datasette.tokens.TokenInvalid)

    assert [span.attributes["heliograph.token.result"] for span in telemetry.spans] == [
        "created",
        "valid",
        "invalid",
        "expired",
    ]


async def test_subclass_of_datasettes_handler_works_in_a_host(telemetry: Telemetry) -> None:
    """A plugin that is built on Datasette's base class needs nothing of heliograph."""

    class Theirs(datasette.tokens.TokenHandler):
        name = "theirs"

        async def verify_token(self, datasette, token):
            return {"id": "root"} if token == TOKEN else None

    async with telemetry.host(Handlers([Theirs()])) as host:
        assert await host.verify_token(TOKEN) == {"id": "root"}
        with pytest.raises(NotImplementedError):
            await host.create_token("root", handler="theirs")

    assert [span.attributes["heliograph.token.result"] for span in telemetry.spans] == ["valid", "error"]
