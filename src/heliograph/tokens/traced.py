"""Token handlers whose operations are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from heliograph.events import Actor
from heliograph.semconv import TOKEN_CREATE, TOKEN_VERIFY
from heliograph.tokens.handler import TokenHandler, TokenHandlerLike, TokenHost, is_token_handler
from heliograph.tokens.rejections import both_classes, is_token_invalid
from heliograph.tokens.restrictions import TokenRestrictions
from heliograph.tokens.telemetry import TokenTelemetry
from heliograph.values.introspect import getattr_or_none


class TracedTokenHandler:
    """A token handler whose operations are recorded, and which is in all else the handler that it wraps.

    It is an instance of the handler's class (``isinstance`` asks for ``__class__``), so Datasette, and a plugin that
    looks for its own handler, find what they look for. A proxy, since the other way, a new ``__class__`` on the handler
    itself, fails on frozen dataclasses and on ``__slots__``.

    Args:
        handler: What is wrapped.
        telemetry: Where its operations are recorded.
        base: A class that it is an instance of too, or `None`.
        refuse: Turns the exception for a refused token into the one that the host understands.
    """

    _traced_handler: TokenHandlerLike
    _traced_telemetry: TokenTelemetry
    _traced_class: type
    _traced_refuse: Callable[[Exception], Exception]

    def __init__(
        self,
        handler: TokenHandlerLike,
        telemetry: TokenTelemetry,
        *,
        base: type | None = None,
        refuse: Callable[[Exception], Exception] = lambda error: error,
    ) -> None:
        known = type(handler)
        pretended = known if base is None or issubclass(known, base) else both_classes(known, base)
        for name, value in (("handler", handler), ("telemetry", telemetry), ("class", pretended), ("refuse", refuse)):
            object.__setattr__(self, f"_traced_{name}", value)

    @property  # type: ignore[misc]  # `object` lets it be set; here it is the handler's, and stays that
    def __class__(self) -> type:
        return object.__getattribute__(self, "_traced_class")  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> object:
        if name.startswith("_traced_"):  # not there yet: `copy` makes the object first, and fills it later
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
        """What the handler's `create_token` gives."""
        handler, telemetry = self._traced_handler, self._traced_telemetry
        with telemetry.operation(TOKEN_CREATE, _name_of(handler)) as operation:
            operation.user(actor_id)
            token: str = await handler.create_token(
                datasette, actor_id, expires_after=expires_after, restrictions=restrictions
            )
            operation.result = "created"
            return token

    async def verify_token(self, datasette: TokenHost, token: str) -> Actor | None:
        """What the handler's `verify_token` gives."""
        handler, telemetry = self._traced_handler, self._traced_telemetry
        try:
            with telemetry.operation(TOKEN_VERIFY, _name_of(handler)) as operation:
                actor: Actor | None = await handler.verify_token(datasette, token)
                operation.result = "unrecognized" if actor is None else "valid"
                operation.user(_id_of(actor))
                return actor
        except Exception as error:
            if not is_token_invalid(error):
                raise
            refusal = self._traced_refuse(error)
            if refusal is error:
                raise
            raise refusal from error


def traced(
    results: Iterable[object],
    telemetry: TokenTelemetry,
    *,
    base: type | None = None,
    refuse: Callable[[Exception], Exception] = lambda error: error,
) -> list[object]:
    """What `register_token_handler` hooks returned, with each token handler in it traced, once.

    Args:
        results: What the hooks returned.
        telemetry: Where the operations are recorded.
        base: A class that handlers built on heliograph's `TokenHandler` are made instances of too.
        refuse: Turns the exception for a refused token into the one that the host understands.
    """

    def wrap(thing: object) -> object:
        if isinstance(thing, (list, tuple)):
            return type(thing)(map(wrap, thing))
        if type(thing) is TracedTokenHandler or not is_token_handler(thing):
            return thing
        ours = isinstance(thing, TokenHandler)
        return TracedTokenHandler(thing, telemetry, base=base if ours else None, refuse=refuse)

    return [wrap(result) for result in results]


def _name_of(handler: object) -> str:
    name = getattr_or_none(handler, "name")
    return name if isinstance(name, str) and name else type(handler).__name__


def _id_of(actor: object) -> object:
    try:
        return actor.get("id") if isinstance(actor, Mapping) else None
    except Exception:  # a mapping's own code may do anything; the token is good all the same
        return None
