"""The token operations of a host: by all the handlers that its plugins register."""

from __future__ import annotations

from heliograph.errors import NoTokenHandler, PluginError, TokenHandlerNotFound, TokenInvalid, qualified_name
from heliograph.events import Actor
from heliograph.hooks.plugins import Plugins, flatten_results
from heliograph.hooks.specs import hookimpl
from heliograph.tokens.handler import TokenHandlerLike, TokenHost, is_token_handler
from heliograph.tokens.rejections import refused_as
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.signed import SignedTokenHandler
from heliograph.tokens.telemetry import TokenTelemetry
from heliograph.tokens.traced import traced

REGISTER_TOKEN_HANDLER = "register_token_handler"  # noqa: S105 — the name of a hook


class SignedTokens:
    """The built-in plugin: it comes last in call order, since it is registered first."""

    @hookimpl
    def register_token_handler(self, datasette: TokenHost) -> SignedTokenHandler | None:
        """The signed handler, unless the host's setting forbids it."""
        return SignedTokenHandler() if datasette.setting("allow_signed_tokens") else None


class TokenService:
    """Creates and verifies tokens for a host.

    Args:
        plugins: Whose handlers are asked, in call order.
        telemetry: Where the operations are recorded.
    """

    def __init__(self, plugins: Plugins, telemetry: TokenTelemetry) -> None:
        self._plugins = plugins
        self._telemetry = telemetry

    def handlers(self, datasette: TokenHost) -> list[TokenHandlerLike]:
        """The handlers, in call order.

        Raises:
            PluginError: A plugin returned something that is no token handler.
        """
        handlers = []
        results = self._plugins.call(REGISTER_TOKEN_HANDLER, datasette=datasette)
        for thing in flatten_results(traced(results, self._telemetry, refuse=refused_as(TokenInvalid))):
            if not is_token_handler(thing):
                raise PluginError(
                    f"the hook {REGISTER_TOKEN_HANDLER} returned an object of {qualified_name(thing)}, which is no "
                    "token handler: give an instance of a class with the methods create_token and verify_token"
                )
            handlers.append(thing)
        return handlers

    async def create(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None,
        restrictions: TokenRestrictions | None,
        handler: str | None,
    ) -> str:
        """See `Host.create_token`."""
        handlers = self.handlers(datasette)
        if not handlers:
            raise NoTokenHandler
        chosen = handlers[0] if handler is None else _named(handlers, handler)
        return await chosen.create_token(datasette, actor_id, expires_after=expires_after, restrictions=restrictions)

    async def verify(self, datasette: TokenHost, token: str) -> Actor | None:
        """See `Host.verify_token`."""
        if not isinstance(token, str):
            raise TypeError(f"a token is a string, not {type(token).__name__}")
        for handler in self.handlers(datasette):
            actor = await handler.verify_token(datasette, token)
            if actor is not None:
                return actor
        return None


def _named(handlers: list[TokenHandlerLike], name: str) -> TokenHandlerLike:
    names = [getattr(handler, "name", "") for handler in handlers]  # a handler by its shape may have none
    if name not in names:
        raise TokenHandlerNotFound(name, names)
    return handlers[names.index(name)]
