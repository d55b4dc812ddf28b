"""An operation of a token handler becomes telemetry: a span, and a duration."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode, use_span

from heliograph.semconv import (
    ERROR_TYPE,
    SCOPE,
    TOKEN_CREATE,
    TOKEN_HANDLER,
    TOKEN_RESULT,
    TOKEN_VERIFY,
    SpanName,
)
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.metrics import error_type, metrics_of
from heliograph.telemetry.providers import Providers
from heliograph.tokens.rejections import is_token_invalid, result_of
from heliograph.values.attributes import Attributes

logger: Final = logging.getLogger(SCOPE)


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
        self._actor.put_user(self.attributes, actor_id)

    def failed(self, error: BaseException) -> None:
        """Tell why it ended: a refused token is a result, anything else an error."""
        if is_token_invalid(error):
            self.result = result_of(error)
        else:
            self.error_type = error_type(error)

    def measured(self) -> dict[str, str]:
        """What the metric says too."""
        known = {TOKEN_RESULT: self.result, ERROR_TYPE: self.error_type}
        return {name: value for name, value in known.items() if value is not None}
