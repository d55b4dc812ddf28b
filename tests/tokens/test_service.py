"""A host asks its plugins' token handlers in call order, and says which is missing."""

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

pytestmark = pytest.mark.anyio

NO_SIGNED_TOKENS = Settings(secret=(SECRET,), allow_signed_tokens=False)


class Prefixed(TokenHandler):
    """Tokens that are the handler's name and the actor's id."""

    def __init__(self, name):
        self.name = name
        self.asked = []

    async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
        self.asked.append((datasette, actor_id, expires_after, restrictions))
        return f"{self.name}:{actor_id}"

    async def verify_token(self, datasette, token):
        self.asked.append((datasette, token))
        name, _, actor_id = token.partition(":")
        return {"id": actor_id} if name == self.name else None


class Handlers:
    """A plugin that brings what it was given as token handlers."""

    def __init__(self, handlers):
        self._handlers = handlers

    @hookimpl
    def register_token_handler(self, datasette):
        return self._handlers


async def test_the_first_handler_in_call_order_creates(telemetry: Telemetry) -> None:
    """The plugin that was registered last is called first; the built-in handler comes last."""
    async with telemetry.host(Handlers(Prefixed("first")), Handlers(Prefixed("last"))) as host:
        assert await host.create_token("root") == "last:root"


async def test_without_plugins_tokens_are_signed(telemetry: Telemetry) -> None:
    """The built-in handler is there from the beginning."""
    async with telemetry.host() as host:
        assert (await host.create_token("root")).startswith("dstok_")


async def test_a_handler_can_be_asked_for_by_its_name(telemetry: Telemetry) -> None:
    """It gets the host and every argument, and no other handler is asked."""
    first, second = Prefixed("first"), Prefixed("second")
    restrictions = TokenRestrictions().allow_all("view-instance")
    async with telemetry.host(Handlers([first, second])) as host:
        token = await host.create_token("root", expires_after=60, restrictions=restrictions, handler="second")

        assert token == "second:root"
        assert (first.asked, second.asked) == ([], [(host, "root", 60, restrictions)])
        assert (await host.create_token("root", handler="signed")).startswith("dstok_")


async def test_a_name_that_no_handler_has_is_an_error_with_the_names_there_are(telemetry: Telemetry) -> None:
    """The message is Datasette's."""
    async with telemetry.host(Handlers([Prefixed("first"), Prefixed("second")])) as host:
        with pytest.raises(TokenHandlerNotFound) as caught:
            await host.create_token("root", handler="third")

    assert isinstance(caught.value, ValueError)
    assert (caught.value.name, caught.value.available) == ("third", ("first", "second", "signed"))
    assert str(caught.value) == "Token handler 'third' not found. Available handlers: ['first', 'second', 'signed']"


async def test_a_handler_without_a_name_does_not_hide_the_others(telemetry: Telemetry) -> None:
    """It cannot be asked for, and those after it can."""

    class Nameless:
        async def create_token(self, datasette, actor_id, *, expires_after=None, restrictions=None):
            return "nameless"

        async def verify_token(self, datasette, token):
            return None

    async with telemetry.host(Handlers([Nameless(), Prefixed("named")])) as host:
        assert await host.create_token("root", handler="named") == "named:root"
        with pytest.raises(TokenHandlerNotFound):
            await host.create_token("root", handler="other")


async def test_without_any_handler_none_can_be_created_and_none_is_known(telemetry: Telemetry) -> None:
    """With signed tokens off and no plugin there is nobody to ask."""
    async with telemetry.host(settings=NO_SIGNED_TOKENS) as host:
        with pytest.raises(NoTokenHandler, match="No token handlers are registered") as caught:
            await host.create_token("root")
        assert isinstance(caught.value, RuntimeError)
        assert await host.verify_token("dstok_anything") is None


async def test_signed_tokens_that_are_off_are_refused_by_the_handler_itself(telemetry: Telemetry) -> None:
    """A plugin that brings the handler all the same does not turn them on."""
    from heliograph import SignedTokenHandler

    async with telemetry.host(Handlers(SignedTokenHandler()), settings=NO_SIGNED_TOKENS) as host:
        with pytest.raises(TokensDisabled, match="Signed tokens are not enabled") as caught:
            await host.create_token("root")
        assert isinstance(caught.value, ValueError)
        with pytest.raises(TokensDisabled):
            await host.verify_token("dstok_anything")
        assert await host.verify_token("other_anything") is None


async def test_handlers_are_asked_in_turn_until_one_knows_the_token(telemetry: Telemetry) -> None:
    """The ones after it are not asked."""
    first, second, third = Prefixed("first"), Prefixed("second"), Prefixed("third")
    async with telemetry.host(Handlers((first, second, third))) as host:
        assert await host.verify_token("second:root") == {"id": "root"}
        assert [len(handler.asked) for handler in (first, second, third)] == [1, 1, 0]
        assert await host.verify_token("nobody's") is None

    results = [span.attributes["heliograph.token.result"] for span in telemetry.spans]
    assert results == ["unrecognized", "valid", *["unrecognized"] * 4]


async def test_a_refusal_ends_the_asking(telemetry: Telemetry) -> None:
    """A token that its handler refuses is not offered to the next one."""

    class Refusing(Prefixed):
        async def verify_token(self, datasette, token):
            raise TokenRevoked

    second = Prefixed("second")
    async with telemetry.host(Handlers([Refusing("first"), second])) as host:
        with pytest.raises(TokenRevoked, match="Token has been revoked") as caught:
            await host.verify_token("second:root")

    assert isinstance(caught.value, TokenInvalid)
    assert second.asked == []


@pytest.mark.parametrize("thing", ["text", 1, object(), Prefixed, {"name": "first"}], ids=repr)
async def test_what_is_no_token_handler_is_an_error_of_the_plugin(telemetry: Telemetry, thing: object) -> None:
    """The message says what was returned and what is needed."""
    async with telemetry.host(Handlers([thing])) as host:
        with pytest.raises(PluginError, match=r"register_token_handler returned an object of .*not a token handler"):
            await host.verify_token("anything")
        with pytest.raises(
            PluginError, match="return an instance of a class with the methods create_token and verify_token"
        ):
            await host.create_token("root")


@pytest.mark.parametrize("token", [None, b"dstok_bytes", 1], ids=repr)
async def test_a_token_is_a_string(telemetry: Telemetry, token: object) -> None:
    """Anything else is a mistake of the program, and its message does not quote it."""
    async with telemetry.host() as host:
        with pytest.raises(TypeError, match=f"^a token is a string, not {type(token).__name__}$"):
            await host.verify_token(token)


async def test_the_first_token_starts_the_host(telemetry: Telemetry) -> None:
    """A handler that keeps its tokens in a database finds it set up."""
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


async def test_a_base_handler_creates_and_verifies_nothing(telemetry: Telemetry) -> None:
    """A subclass that leaves a method out says so when it is asked."""

    class Half(TokenHandler):
        name = "half"

    async with telemetry.host(Handlers(Half())) as host:
        with pytest.raises(NotImplementedError, match="Half does not create tokens"):
            await host.create_token("root")
        with pytest.raises(NotImplementedError, match="Half does not verify tokens"):
            await host.verify_token("any")
