"""The token operations of a `Host`, carried out by the handlers that its plugins register. Their path is at the top of `heliograph.host.host`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping

from heliograph.ambient_actor import Actor
from heliograph.classes import qualified_name
from heliograph.errors import NoTokenHandler, PluginError, TokenHandlerNotFound, TokenInvalid
from heliograph.hooks.plugins import Plugins, flatten_results
from heliograph.hooks.specs import hookimpl
from heliograph.settings import DATABASE, SIGNED
from heliograph.tokens.handler import TokenHandler, TokenHandlerLike, TokenHost, is_token_handler
from heliograph.tokens.rejections import is_rejection, rejection_as
from heliograph.tokens.restrictions import TokenRestrictions, check_restrictions
from heliograph.tokens.signed import SignedTokenHandler
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.telemetry import TokenTelemetry
from heliograph.tokens.traced import record_creation
from heliograph.tokens.verification import verify_in_turn

REGISTER_TOKEN_HANDLER = "register_token_handler"  # noqa: S105 — the name of a hook


class BuiltInTokensPlugin:
    """The built-in plugin for tokens. A host registers it first, so that pluggy calls it after all others.

    Args:
        names: The names of the handlers, in order: ``signed`` and ``database``.
        database: The handler of the tokens in a database, or `None`.
    """

    def __init__(self, names: Iterable[str], database: DatabaseTokenHandler | None) -> None:
        found: dict[str, TokenHandler | None] = {SIGNED: SignedTokenHandler(), DATABASE: database}
        self._all = tuple(handler for name in names if (handler := found[name]) is not None)
        self._stored = tuple(handler for handler in self._all if handler is database)

    @hookimpl
    def register_token_handler(self, datasette: TokenHost) -> tuple[TokenHandler, ...]:
        """Return the handlers, without the signed one if the settings turn signed tokens off."""
        return self._all if datasette.setting("allow_signed_tokens") else self._stored


class TokenService:
    """Creates and verifies tokens for a host.

    It keeps no handlers: as in Datasette, the hook is called for every operation. So the handlers of a plugin that is registered
    later are used from the next operation on.

    Args:
        plugins: The plugins of the host.
        telemetry: Records the operations.
    """

    def __init__(self, plugins: Plugins, telemetry: TokenTelemetry) -> None:
        self._plugins = plugins
        self._telemetry = telemetry

    def _handlers(self, datasette: TokenHost) -> list[TokenHandlerLike]:
        """Return the handlers of all plugins, in pluggy's call order: last registered, first called.

        Raises:
            PluginError: A plugin returned something that is not a token handler.
        """
        handlers: list[TokenHandlerLike] = []
        for result in flatten_results(self._plugins.call(REGISTER_TOKEN_HANDLER, datasette=datasette)):
            if not is_token_handler(result):
                raise PluginError(_no_token_handler(result))
            handlers.append(result)
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
        """Create a token; see `Host.create_token`."""
        _check_arguments(actor_id, restrictions, handler)
        handlers = self._handlers(datasette)
        if not handlers:
            raise NoTokenHandler
        chosen = handlers[0] if handler is None else _handler_named(handler, handlers)
        return await record_creation(
            self._telemetry, chosen, datasette, actor_id, expires_after=expires_after, restrictions=restrictions
        )

    async def verify(self, datasette: TokenHost, token: str) -> Actor | None:
        """Verify a token; see `Host.verify_token`."""
        if not isinstance(token, str):
            # The message does not quote the value, which may be a secret.
            raise TypeError(f"a token is a string, not {type(token).__name__}")
        return await self._verify(self._handlers(datasette), datasette, token)

    def verification_without_waiting(self, datasette: TokenHost, token: str) -> Callable[[], Actor | None] | None:
        """Return a function that verifies a token in the calling thread; `None` if a handler may have to wait for something."""
        handlers = []
        for handler in self._handlers(datasette):
            ready = _without_waiting(handler, token)
            if ready is None:
                return None
            handlers.append(ready)
        return lambda: _run_to_end(self._verify(handlers, datasette, token))

    async def _verify(self, handlers: list[TokenHandlerLike], datasette: TokenHost, token: str) -> Actor | None:
        try:
            return await verify_in_turn(self._telemetry, handlers, datasette, token)
        except Exception as error:
            rejection = rejection_as(error, TokenInvalid) if is_rejection(error) else error
            if rejection is error:
                raise
            raise rejection from error


def _no_token_handler(result: object) -> str:
    kind, example = qualified_name(result), ""
    if isinstance(result, type):
        kind, example = f"builtins.type, the class {kind}", f", such as {result.__name__}()"
    return (
        f"the hook {REGISTER_TOKEN_HANDLER} returned an object of {kind}, which is not a token handler; return an instance of a "
        f"class with the methods create_token and verify_token{example}"
    )


def _check_arguments(actor_id: object, restrictions: object, handler: object) -> None:
    """Raise `TypeError` for an argument that would make a token that is worth nothing, or an error deep in a handler."""
    if not isinstance(actor_id, (str, int)):
        hint = "pass its id: actor['id']" if isinstance(actor_id, Mapping) else "pass the id as text"
        raise TypeError(f"actor_id is the id of an actor, not {type(actor_id).__name__}; {hint}")
    if restrictions is not None and not hasattr(restrictions, "abbreviated"):
        raise TypeError(
            f"restrictions is an object of TokenRestrictions, not {type(restrictions).__name__}; write "
            "TokenRestrictions().allow_all('view-table')"
        )
    if isinstance(restrictions, TokenRestrictions):
        check_restrictions(restrictions)
    if handler is not None and not isinstance(handler, str):
        raise TypeError(f"handler is the name of a token handler, not {type(handler).__name__}; pass its `name`")


def _without_waiting(handler: TokenHandlerLike, token: str) -> TokenHandlerLike | None:
    # The exact classes: a subclass may do anything in its `verify_token`.
    if type(handler) is DatabaseTokenHandler:
        return handler.without_waiting(token)
    return handler if type(handler) is SignedTokenHandler else None


def _run_to_end(coroutine: Coroutine[object, None, Actor | None]) -> Actor | None:
    """Return the result of a coroutine that waits for nothing, so it needs no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Actor | None = end.value
        return result
    coroutine.close()  # pragma: no cover — the handlers wait for nothing
    raise RuntimeError("a token handler waited for something")  # pragma: no cover — see above


def _handler_named(name: str, handlers: list[TokenHandlerLike]) -> TokenHandlerLike:
    # Only the two methods make an object a token handler, so it may have no name.
    names = [getattr(handler, "name", "") for handler in handlers]
    if name not in names:
        raise TokenHandlerNotFound(name, names)
    return handlers[names.index(name)]
