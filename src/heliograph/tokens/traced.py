"""A span and a duration for every operation of any token handler."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode, use_span

from heliograph.errors import TokenExpired, TokenInvalid, TokenRevoked
from heliograph.events import Actor
from heliograph.schema.shape import read
from heliograph.schema.values import Attributes
from heliograph.semconv import (
    ERROR_TYPE,
    SCOPE,
    TOKEN_CREATE,
    TOKEN_HANDLER,
    TOKEN_RESULT,
    TOKEN_VERIFY,
    USER_ID,
    SpanName,
)
from heliograph.telemetry.actor import ActorFilter
from heliograph.telemetry.metrics import error_type, metrics_of
from heliograph.telemetry.providers import Providers
from heliograph.tokens.handler import TokenHandler, TokenHandlerLike, TokenHost, is_token_handler
from heliograph.tokens.restrictions import TokenRestrictions

logger: Final = logging.getLogger(SCOPE)

DATASETTE_EXPIRED: Final = "Token has expired"
"""Datasette's handler tells an expired token from a forged one by this text alone."""


class TokenTelemetry:
    """Records what token handlers do.

    Args:
        providers: Where telemetry goes.
        actor: Which of an actor's keys may leave.
    """

    def __init__(self, providers: Providers, actor: ActorFilter) -> None:
        metrics = metrics_of(providers)
        self._providers = providers
        self._actor = actor
        self._durations = {
            TOKEN_CREATE: metrics.token_create_duration,
            TOKEN_VERIFY: metrics.token_verify_duration,
        }

    @contextmanager
    def operation(self, name: SpanName, handler: str) -> Iterator[Operation]:
        """A span around an operation of a handler, and its duration.

        Neither the message nor the traceback of an exception is recorded: either may quote the token.
        """
        operation = Operation(self._actor)
        start = time.perf_counter()
        span = self._start_span(name)
        current = nullcontext() if span is None else use_span(span, False, False, False)
        try:
            with current:
                yield operation
        except BaseException as error:
            operation.failed(error)
            raise
        finally:
            seconds = time.perf_counter() - start
            self._record(operation, handler, span, lambda measured: self._durations[name].record(seconds, measured))

    def _start_span(self, name: SpanName) -> Span | None:
        try:
            return self._providers.tracer().start_span(name, kind=SpanKind.INTERNAL)
        except Exception as error:  # a provider that throws is no reason to refuse a token
            _tell(error)
            return None

    def _record(
        self, operation: Operation, handler: str, span: Span | None, measure: Callable[[Mapping[str, str]], None]
    ) -> None:
        measured = {TOKEN_HANDLER: handler, **operation.measured()}
        try:
            measure(measured)
        except Exception as error:  # see _start_span
            _tell(error)
        try:
            if span is not None:
                span.set_attributes({**measured, **operation.attributes})
                if operation.error_type is not None:
                    span.set_status(StatusCode.ERROR)
                span.end()
        except Exception as error:  # see _start_span
            _tell(error)


def _tell(error: Exception) -> None:
    """Log a provider's failure by its class alone: its message and its context may quote the token."""
    logger.error("A provider failed to take a token operation: %s", error_type(error))


class Operation:
    """What is known so far of an operation.

    Attributes:
        result: A value of `heliograph.token.result`.
        error_type: The class of what broke, or `None`.
        attributes: What the span alone says.
    """

    def __init__(self, actor: ActorFilter) -> None:
        self.result = "error"
        self.error_type: str | None = None
        self.attributes: Attributes = {}
        self._actor = actor

    def user(self, actor_id: object) -> None:
        """Tell whose token it is."""
        if actor_id is not None and self._actor.allows("id"):
            self.attributes[USER_ID] = self._actor.user_id(actor_id)

    def failed(self, error: BaseException) -> None:
        """Tell why it ended: a refused token is a result, anything else an error."""
        if is_token_invalid(error):
            self.result = _refusal(error)
        else:
            self.error_type = error_type(error)

    def measured(self) -> dict[str, str]:
        """What the metric says too."""
        known = {TOKEN_RESULT: self.result, ERROR_TYPE: self.error_type}
        return {name: value for name, value in known.items() if value is not None}


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
        pretended = known if base is None or issubclass(known, base) else _both(known, base)
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


def is_token_invalid(error: BaseException) -> bool:
    """Whether a handler says by this exception, ours or Datasette's, that it refuses a token."""
    theirs = getattr(sys.modules.get("datasette.tokens"), "TokenInvalid", TokenInvalid)  # never imported for this
    return isinstance(error, (TokenInvalid, theirs))


def refused_as(base: type[Exception]) -> Callable[[Exception], Exception]:
    """A function that makes an exception one of ``base`` too: the same class, data and message beside it."""

    def refuse(error: Exception) -> Exception:
        if isinstance(error, base):
            return error
        cls = _both(type(error), base)  # type: ignore[arg-type]  # mypy takes a class for not hashable
        refusal: Exception = cls.__new__(cls, *error.args)
        refusal.__dict__.update(error.__dict__)
        return refusal

    return refuse


@functools.lru_cache(maxsize=256)
def _both(first: type, second: type) -> type:
    return type(first.__name__, (first, second), {"__module__": first.__module__})


def _refusal(error: BaseException) -> str:
    if isinstance(error, TokenExpired) or str(error) == DATASETTE_EXPIRED:
        return "expired"
    return "revoked" if isinstance(error, TokenRevoked) else "invalid"


def _name_of(handler: object) -> str:
    name = read(handler, "name")
    return name if isinstance(name, str) and name else type(handler).__name__


def _id_of(actor: object) -> object:
    try:
        return actor.get("id") if isinstance(actor, Mapping) else None
    except Exception:  # a mapping's own code may do anything; the token is good all the same
        return None
