"""Record the operations of token handlers: a proxy for hosts that call the handlers, and a function for a new token."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from heliograph.ambient_actor import Actor
from heliograph.tokens.handler import TokenHandler, TokenHandlerLike, TokenHost, is_token_handler, name_of_handler
from heliograph.tokens.rejections import combined_class, is_rejection, rejection_as
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.stored import token_text
from heliograph.tokens.stored.handler import DatabaseTokenHandler
from heliograph.tokens.telemetry import TokenTelemetry
from heliograph.tokens.verification import Verification, token_id_of


class TracedTokenHandler:
    """A proxy of a token handler that records the handler's operations, and otherwise behaves like the handler.

    ``isinstance`` reports it as an instance of the handler's class, because it asks for ``__class__``. So Datasette, and a
    plugin that looks for its own handler among a host's, find what they expect. The alternative,
    assigning another ``__class__`` to the handler itself, fails for frozen dataclasses and for classes with ``__slots__``.

    Args:
        handler: The handler.
        telemetry: Records the creation of tokens.
        verification: Records the verdict of this handler and the others of the same host.
        base: Another class that ``isinstance`` reports, or `None`.
        rejection_class: The exception that the host expects for a rejected token; `None` raises the handler's unchanged.
    """

    _traced_handler: TokenHandlerLike
    _traced_telemetry: TokenTelemetry
    _traced_verification: Verification
    _traced_position: int
    _traced_class: type
    _traced_rejection_class: type[Exception] | None

    def __init__(
        self,
        handler: TokenHandlerLike,
        telemetry: TokenTelemetry,
        verification: Verification,
        *,
        base: type | None = None,
        rejection_class: type[Exception] | None = None,
    ) -> None:
        own_class = type(handler)
        # Our own __setattr__ would set it on the handler.
        vars(self).update(
            _traced_handler=handler,
            _traced_telemetry=telemetry,
            _traced_verification=verification,
            _traced_position=verification.handlers,
            _traced_class=(
                own_class if base is None or issubclass(own_class, base) else combined_class(own_class, base)
            ),
            _traced_rejection_class=rejection_class,
        )
        verification.handlers += 1

    @property  # type: ignore[misc]  # object.__class__ can be assigned; here it is always the handler's
    def __class__(self) -> type:
        return object.__getattribute__(self, "_traced_class")  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> object:
        # `copy` creates the object first and fills it later, so a lookup in the meantime must not recurse.
        if name.startswith("_traced_"):
            raise AttributeError(name)
        return getattr(self._traced_handler, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._traced_handler, name, value)

    def __repr__(self) -> str:
        return repr(self._traced_handler)

    async def create_token(
        self,
        datasette: TokenHost,
        actor_id: str,
        *,
        expires_after: int | None = None,
        restrictions: TokenRestrictions | None = None,
    ) -> str:
        """Call the handler's `create_token`, and record the call. The event is tracked after it has returned."""
        return await record_creation(
            self._traced_telemetry,
            self._traced_handler,
            datasette,
            actor_id,
            expires_after=expires_after,
            restrictions=restrictions,
        )

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """Call the handler's `verify_token`, and record the verdict if it decides.

        Raises:
            Exception: The handler's exception. A rejection is raised as an instance of the host's class as well.
        """
        handler = self._traced_handler
        try:
            return await self._traced_verification.ask(
                self._traced_position, name_of_handler(handler), handler, datasette, token
            )
        except Exception as error:
            if self._traced_rejection_class is None or not is_rejection(error):
                raise
            rejection = rejection_as(error, self._traced_rejection_class)
            if rejection is error:
                raise
            raise rejection from error


def trace_handlers(
    results: Iterable[object],
    telemetry: TokenTelemetry,
    *,
    base: type | None = None,
    rejection_class: type[Exception] | None = None,
) -> list[object]:
    """Return the results of the hook ``register_token_handler``, with each token handler in them traced, once.

    Lists and tuples of handlers keep their shape. Anything that is not a token handler is returned unchanged: the host
    reports it.

    Args:
        results: The results of the hook.
        telemetry: Records the operations of the handlers.
        base: A class that handlers built on heliograph's `TokenHandler` become instances of as well, or `None`.
        rejection_class: The exception that the host expects for a rejected token; `None` raises the handler's unchanged.
    """
    verification = Verification(telemetry)
    return [_trace(result, telemetry, verification, base, rejection_class) for result in results]


# Not a function inside of the other one: it would refer to itself, and keep the verification alive until the garbage collector runs.
def _trace(
    result: object,
    telemetry: TokenTelemetry,
    verification: Verification,
    base: type | None,
    rejection_class: type[Exception] | None,
) -> object:
    """Return one result of the hook with its token handlers traced; see `trace_handlers`."""
    if isinstance(result, (list, tuple)):
        return type(result)(_trace(each, telemetry, verification, base, rejection_class) for each in result)
    if type(result) is TracedTokenHandler or not is_token_handler(result):
        return result
    is_ours = isinstance(result, TokenHandler)
    return TracedTokenHandler(
        result, telemetry, verification, base=base if is_ours else None, rejection_class=rejection_class
    )


async def record_creation(
    telemetry: TokenTelemetry,
    handler: TokenHandlerLike,
    datasette: TokenHost,
    actor_id: str,
    *,
    expires_after: int | None,
    restrictions: TokenRestrictions | None,
) -> str:
    """Return a new token of a handler, and record its creation. The event is tracked after the handler has returned."""
    create = partial(handler.create_token, datasette, actor_id, expires_after=expires_after, restrictions=restrictions)
    return await telemetry.creation(name_of_handler(handler), actor_id, create, partial(id_of_created, handler))


def id_of_created(handler: object, token: object) -> str | None:
    """Return the id of a token that a handler has just created, or `None` if its kind of token has none."""
    if isinstance(handler, DatabaseTokenHandler):
        return token_text.id_of(str(token))
    return token_id_of(token, None) if isinstance(token, str) else None
