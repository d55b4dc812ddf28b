"""A host creates and verifies tokens with the handlers of its plugins, in call order."""

from __future__ import annotations

import pytest

from heliograph import (
    NoTokenHandler,
    PluginError,
    Settings,
    TokenHandler,
    TokenHandlerNotFound,
    TokenInvalid,
    TokenRestrictions,
    TokenRevoked,
    TokensDisabled,
    hookimpl,
)
from recorder import SECRET, Telemetry
from tokens.scripted import Handlers, Scripted

pytestmark = pytest.mark.anyio

NO_SIGNED_TOKENS = Settings(secret=(SECRET,), allow_signed_tokens=False)


class Prefixed(TokenHandler):
    """A handler whose tokens consist of its name and the id of the actor. It records the arguments of each call."""

    def __init__(self, name):
        self.name = name
        self.calls = []

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        self.calls.append((datasette, actor_id, expires_after, restrictions))
        return f"{self.name}:{actor_id}"

    async def verify_token(self, datasette, token):
        self.calls.append((datasette, token))
        name, _, actor_id = token.partition(":")
        return {"id": actor_id} if name == self.name else None


async def test_first_handler_in_call_order_creates_tokens(telemetry: Telemetry) -> None:
    """The plugin that was registered last is called first. The built-in handler is last."""
    async with telemetry.host(Handlers(Prefixed("first")), Handlers(Prefixed("last"))) as host:
        assert await host.create_token("root") == "last:root"


async def test_host_without_plugins_creates_signed_tokens(telemetry: Telemetry) -> None:
    """The built-in handler is always registered."""
    async with telemetry.host() as host:
        assert (await host.create_token("root")).startswith("dstok_")


async def test_handler_is_chosen_by_its_name(telemetry: Telemetry) -> None:
    """The chosen handler gets the host and every argument, and no other handler is called."""
    first, second = Prefixed("first"), Prefixed("second")
    restrictions = TokenRestrictions().allow_all("view-instance")
    async with telemetry.host(Handlers([first, second])) as host:
        token = await host.create_token("root", expires_after=60, restrictions=restrictions, handler="second")

        assert token == "second:root"
        assert (first.calls, second.calls) == ([], [(host, "root", 60, restrictions)])
        assert (await host.create_token("root", handler="signed")).startswith("dstok_")


async def test_unknown_handler_name_is_an_error_that_lists_the_names(telemetry: Telemetry) -> None:
    """The message is the same as in Datasette."""
    async with telemetry.host(Handlers([Prefixed("first"), Prefixed("second")])) as host:
        with pytest.raises(TokenHandlerNotFound) as caught:
            await host.create_token("root", handler="third")

    assert isinstance(caught.value, ValueError)
    assert (caught.value.name, caught.value.available) == ("third", ("first", "second", "signed"))
    assert str(caught.value) == "Token handler 'third' not found. Available handlers: ['first', 'second', 'signed']"


async def test_handler_without_a_name_does_not_hide_the_others(telemetry: Telemetry) -> None:
    """Such a handler cannot be chosen by name, but the handlers after it can."""

    class Nameless:
        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            return "nameless"

        async def verify_token(self, datasette, token):
            return None

    async with telemetry.host(Handlers([Nameless(), Prefixed("named")])) as host:
        assert await host.create_token("root", handler="named") == "named:root"
        with pytest.raises(TokenHandlerNotFound):
            await host.create_token("root", handler="other")


async def test_host_without_any_handler_creates_and_recognizes_no_token(telemetry: Telemetry) -> None:
    """Signed tokens are turned off, and there is no plugin with another handler."""
    async with telemetry.host(settings=NO_SIGNED_TOKENS) as host:
        with pytest.raises(NoTokenHandler, match="No token handlers are registered") as caught:
            await host.create_token("root")
        assert isinstance(caught.value, RuntimeError)
        assert await host.verify_token("dstok_anything") is None


async def test_signed_handler_itself_checks_that_signed_tokens_are_on(telemetry: Telemetry) -> None:
    """A plugin that registers the handler does not turn signed tokens on."""
    from heliograph import SignedTokenHandler

    async with telemetry.host(Handlers(SignedTokenHandler()), settings=NO_SIGNED_TOKENS) as host:
        with pytest.raises(TokensDisabled, match="Signed tokens are not enabled") as caught:
            await host.create_token("root")
        assert isinstance(caught.value, ValueError)
        with pytest.raises(TokensDisabled):
            await host.verify_token("dstok_anything")
        assert await host.verify_token("other_anything") is None


async def test_handlers_are_asked_in_order_until_one_recognizes_the_token(telemetry: Telemetry) -> None:
    """The handlers after that one are not called."""
    first, second, third = Prefixed("first"), Prefixed("second"), Prefixed("third")
    async with telemetry.host(Handlers((first, second, third))) as host:
        assert await host.verify_token("second:root") == {"id": "root"}
        assert [len(handler.calls) for handler in (first, second, third)] == [1, 1, 0]
        assert await host.verify_token("unknown") is None

    results = [span.attributes["heliograph.token.result"] for span in telemetry.spans]
    assert results == ["valid", "unrecognized"]


async def test_rejected_token_is_not_passed_to_the_next_handler(telemetry: Telemetry) -> None:
    """The first handler that recognizes a token decides."""

    class Rejecting(Prefixed):
        async def verify_token(self, datasette, token):
            raise TokenRevoked

    second = Prefixed("second")
    async with telemetry.host(Handlers([Rejecting("first"), second])) as host:
        with pytest.raises(TokenRevoked, match="Token has been revoked") as caught:
            await host.verify_token("second:root")

    assert isinstance(caught.value, TokenInvalid)
    assert second.calls == []


@pytest.mark.parametrize("thing", ["text", 1, object(), Prefixed, {"name": "first"}])
async def test_plugin_that_returns_no_token_handler_is_an_error(telemetry: Telemetry, thing: object) -> None:
    """The message names the class of the returned object, and what to return instead."""
    async with telemetry.host(Handlers([thing])) as host:
        with pytest.raises(PluginError, match=r"register_token_handler returned an object of .*not a token handler"):
            await host.verify_token("anything")
        with pytest.raises(
            PluginError, match="return an instance of a class with the methods create_token and verify_token"
        ):
            await host.create_token("root")


@pytest.mark.parametrize("token", [None, b"dstok_bytes", 1], ids=repr)
async def test_token_that_is_not_a_string_is_an_error(telemetry: Telemetry, token: object) -> None:
    """The message does not quote the value, which may be a secret."""
    async with telemetry.host() as host:
        with pytest.raises(TypeError, match=f"^a token is a string, not {type(token).__name__}$"):
            await host.verify_token(token)


async def test_startup_hooks_run_before_the_first_token(telemetry: Telemetry) -> None:
    """A handler that keeps its tokens in a database can rely on the tables that its startup hook created."""
    order = []

    class Stored(Prefixed):
        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            order.append("create")
            return "token"

    class Plugin(Handlers):
        @hookimpl
        def startup(self, datasette):
            async def start():
                order.append("startup")

            return start

    host = telemetry.host(Plugin(Stored("stored")))
    await host.create_token("root")
    await host.verify_token("token")

    assert order == ["startup", "create"]
    assert host.shutdown()


@pytest.mark.parametrize("actor", [{}, {"id": None}], ids=repr)
async def test_empty_actor_is_an_actor(telemetry: Telemetry, actor: object) -> None:
    """Only `None` means that a handler does not recognize the token."""
    second = Prefixed("second")
    async with telemetry.host(Handlers([Scripted(actor), second])) as host:
        assert await host.verify_token("second:root") == actor

    assert second.calls == []


async def test_plugin_that_is_registered_later_takes_part_at_once(telemetry: Telemetry) -> None:
    """Handlers are looked up for every operation, as in Datasette."""
    async with telemetry.host() as host:
        await host.create_token("root")
        host.register(Handlers(Prefixed("late")))

        assert await host.create_token("root") == "late:root"
