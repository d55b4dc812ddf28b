"""Record each operation of a token handler as a span, and its duration as a metric.

No token and no part of one is ever recorded. The message and the traceback of an exception may quote a token, so they are
recorded nowhere: not in the span, and not in a log line about a provider that failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode, use_span

from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import PROGRAM_ERRORS
from heliograph.runtime.safe_logger import SafeLogger
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
from heliograph.tokens.rejections import is_rejection, rejection_result
from heliograph.values.attributes import Attributes

logger: Final = SafeLogger(SCOPE)


class TokenTelemetry:
    """Records the operations of token handlers. Any number of threads and tasks may record at once.

    Args:
        providers: The OpenTelemetry providers that telemetry goes to.
        actor: Selects the keys of an actor that are exported.
    """

    def __init__(self, providers: Providers, actor: ActorFilter) -> None:
        metrics = metrics_of(providers)
        self._providers = providers
        self._actor = actor
        self._failures = LimitedLog(logger)
        self._durations = {
            TOKEN_CREATE: metrics.token_create_duration,
            TOKEN_VERIFY: metrics.token_verify_duration,
        }

    @contextmanager
    def operation(self, name: SpanName, handler: str) -> Iterator[TokenOperation]:
        """Record the block as one operation of a handler. An exception of the block is recorded, and raised.

        Args:
            name: The name of the span.
            handler: The name of the token handler.
        """
        operation = TokenOperation(self._actor)
        start = time.perf_counter()
        span = self._start_span(name)
        # use_span must neither end the span, which needs its attributes first, nor record the exception or set a status
        # from it: both would quote the exception's message.
        current = (
            nullcontext()
            if span is None
            else use_span(span, end_on_exit=False, record_exception=False, set_status_on_exception=False)
        )
        with current:  # while the duration is recorded, too: its exemplars refer to the current span
            try:
                yield operation
            except BaseException as error:
                operation.set_failure(error)
                raise
            finally:
                seconds = time.perf_counter() - start
                shared = {TOKEN_HANDLER: handler, **operation.metric_attributes()}
                self._record_duration(name, seconds, shared)
                if span is not None:
                    self._end_span(span, operation, shared)

    # A provider that raises must not make a host reject a token: each of these three steps catches what it raises.

    def _start_span(self, name: SpanName) -> Span | None:
        try:
            return self._providers.tracer().start_span(name, kind=SpanKind.INTERNAL)
        except PROGRAM_ERRORS as error:
            self._log_failure(error)
            return None

    def _record_duration(self, name: SpanName, seconds: float, attributes: dict[str, str]) -> None:
        try:
            self._durations[name].record(seconds, attributes)
        except PROGRAM_ERRORS as error:
            self._log_failure(error)

    def _end_span(self, span: Span, operation: TokenOperation, shared: dict[str, str]) -> None:
        try:
            span.set_attributes({**shared, **operation.span_attributes})
            if operation.error_type is not None:
                span.set_status(StatusCode.ERROR)
            span.end()
        except PROGRAM_ERRORS as error:
            self._log_failure(error)

    def _log_failure(self, error: BaseException) -> None:
        """Log the class of a provider's exception, without its message or traceback, which may quote a token."""
        kind = error_type(error)
        self._failures.log(kind, "A provider failed to record a token operation: %s", kind)


class TokenOperation:
    """The outcome of one operation, as far as it is known.

    Attributes:
        result: A value of `heliograph.token.result`.
        error_type: The class of the exception if the handler failed, or `None`.
        span_attributes: The attributes that only the span has: no user is an attribute of a metric.
    """

    def __init__(self, actor: ActorFilter) -> None:
        self.result = "error"  # until the handler returns
        self.error_type: str | None = None
        self.span_attributes: Attributes = {}
        self._actor = actor

    def set_user(self, actor_id: object) -> None:
        """Record the id of the actor that the token belongs to, if the settings allow it."""
        self._actor.put_user(self.span_attributes, actor_id)

    def set_failure(self, error: BaseException) -> None:
        """Record the exception that ended the operation: the rejection of a token is a result, anything else an error."""
        if is_rejection(error):
            self.result = rejection_result(error)
        else:
            self.error_type = error_type(error)

    def metric_attributes(self) -> dict[str, str]:
        """Return the attributes that the span and the metric have in common, besides the handler."""
        known = {TOKEN_RESULT: self.result, ERROR_TYPE: self.error_type}
        return {name: value for name, value in known.items() if value is not None}
