"""Record each creation and each verification of a token as a span, and its duration as a metric.

No token and no usable part of one is ever recorded. The message and the traceback of an exception may quote a token, so they are
recorded nowhere: not in the span, and not in a log line about a provider that failed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Token
from typing import Final, TypeVar

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    ERROR_TYPE,
    SCOPE,
    TOKEN_CREATE,
    TOKEN_HANDLER,
    TOKEN_ID,
    TOKEN_RESULT,
    TOKEN_VERIFY,
    SpanName,
)
from heliograph.telemetry.actor_attributes import ActorFilter
from heliograph.telemetry.metrics import error_type, metrics_of
from heliograph.telemetry.observers import TokenSpan, observers, show_token
from heliograph.telemetry.providers import Providers
from heliograph.tokens.lifecycle import TokenLifecycle
from heliograph.tokens.rejections import ERROR, REJECTIONS, RESULTS, VALID, is_rejection, rejection_result
from heliograph.values.attributes import Attributes

T = TypeVar("T")

logger: Final = SafeLogger(SCOPE)

# str(): lookups in a dict, of which the SDK makes many, are slower with keys of a subclass of str.
_ERROR_TYPE, _HANDLER, _ID, _RESULT = map(str, (ERROR_TYPE, TOKEN_HANDLER, TOKEN_ID, TOKEN_RESULT))


class TokenTelemetry:
    """Records the operations on tokens. Any number of threads and tasks may record at once.

    Args:
        providers: The OpenTelemetry providers that telemetry goes to.
        actor: Selects the keys of an actor that are exported.
        lifecycle: Makes the events of the operations.
        source: The object that observers recognize a host by.

    Attributes:
        actor: Selects the keys of an actor that are exported.
        lifecycle: Makes the events of the operations.
    """

    def __init__(
        self, providers: Providers, actor: ActorFilter, lifecycle: TokenLifecycle, *, source: object = None
    ) -> None:
        metrics = metrics_of(providers)
        self._providers = providers
        self.actor = actor
        self.lifecycle = lifecycle
        self._source = source
        self._failures = LimitedLog(logger)
        # A destructor adds to it. It may run in the middle of any line, in a garbage collection, and while a provider holds a lock.
        self._abandoned: deque[TokenOperation] = deque()
        self._verifications = metrics.token_verifications
        for result in RESULTS:
            self._verifications.begin(result)
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
        operation = self.begin(name)
        operation.handler = handler
        entered = operation.enter()
        try:
            yield operation
        except BaseException as error:
            operation.set_failure(error)
            raise
        finally:
            operation.leave(entered)
            operation.measure()
            self.end(operation)

    async def creation(
        self, handler: str, actor_id: object, create: Callable[[], Awaitable[T]], id_of: Callable[[T], str | None]
    ) -> T:
        """Return the result of a function that creates a token, and record the call. The event is tracked afterwards.

        Args:
            handler: The name of the token handler.
            actor_id: The id of the actor that the token belongs to.
            create: Creates the token.
            id_of: Returns the id of the token in the result of `create`.
        """
        with self.operation(TOKEN_CREATE, handler) as operation:
            operation.set_user(actor_id)
            created = await create()
            operation.result = "created"
            operation.token_id = id_of(created)
        await self.lifecycle.created(operation.token_id, handler)
        return created

    # A provider that raises must not make a host reject a token: each of these steps catches what it raises.

    def begin(self, name: SpanName) -> TokenOperation:
        """Begin an operation, which `end` records."""
        if self._abandoned:
            self.end_abandoned()
        parent, span, context = get_current_span(), None, None
        try:
            tracer = self._tracer()
            if tracer is not None:
                span = tracer.start_span(name, kind=SpanKind.INTERNAL)
                context = set_span_in_context(span)
        except program_errors() as error:
            self._log_failure(error)
        return TokenOperation(name, span, context, parent, self.actor)

    def _tracer(self) -> Tracer | None:
        """Return the tracer; `None` while no provider is set: a program may set it later."""
        return self._providers.tracer() if self._providers.has_traces() else None

    def end(self, operation: TokenOperation) -> None:
        """Record the outcome of an operation: its duration, its span, and the credential of the request around it."""
        shared = operation.metric_attributes()
        try:
            self._durations[operation.name].record(operation.seconds, shared, operation.context)
        except program_errors() as error:
            self._log_failure(error)
        try:
            operation.end_span(shared)
        except program_errors() as error:
            self._log_failure(error)
        if observers:
            show_token(self._source, operation.as_span(shared))
        if operation.name is TOKEN_VERIFY:
            self._end_verification(operation.result, operation.token_id, operation.handler)

    def abandon(self, operation: TokenOperation) -> None:
        """Let the next operation, or `end_abandoned`, end this one. A destructor may call it, because it takes no lock."""
        self._abandoned.append(operation)

    def end_abandoned(self) -> None:
        """End the operations that were abandoned."""
        while self._abandoned:
            # Another thread may just have ended the last one.
            with suppress(IndexError):
                self.end(self._abandoned.popleft())

    def _end_verification(self, result: str, token_id: str | None, handler: str | None) -> None:
        """Count the verdict, and make the event of a rejection."""
        self._verifications.add(*((result,) if handler is None else (result, handler)))
        if result in REJECTIONS:
            self.lifecycle.rejected(result, token_id, handler)

    def _log_failure(self, error: BaseException) -> None:
        """Log the class of a provider's exception, without its message or traceback, which may quote a token."""
        kind = error_type(error)
        self._failures.log(kind, "A provider failed to record a token operation: %s", kind)


class TokenOperation:
    """One operation, and its outcome as far as it is known.

    Args:
        name: The name of its span.
        span: The span; `None` if no provider is set, or it failed.
        context: The context with the span as the current one; `None` if there is no span.
        parent: The span that was current when it began.
        actor: Selects the keys of an actor that are exported.

    Attributes:
        name: The name of its span.
        actor: Selects the keys of an actor that are exported.
        handler: The name of the handler that decided, or `None` if none did.
        result: A value of `heliograph.token.result`.
        token_id: The id of the token, if it is known for sure.
        error_type: The class of the exception if the handler failed, or `None`.
        span_attributes: The attributes that only the span has: no user is an attribute of a metric.
        seconds: The duration up to the last `measure`.
        context: The context with the span as the current one, to which the exemplars of durations refer; `None` if there is no span of
            this operation.
    """

    __slots__ = (
        "_end_time",
        "_parent",
        "_span",
        "_start",
        "actor",
        "context",
        "error_type",
        "handler",
        "name",
        "result",
        "seconds",
        "span_attributes",
        "token_id",
    )

    def __init__(
        self, name: SpanName, span: Span | None, context: Context | None, parent: Span, actor: ActorFilter
    ) -> None:
        self.name = name
        self.handler: str | None = None
        self.result = ERROR  # until a handler returns
        self.token_id: str | None = None
        self.error_type: str | None = None
        self.span_attributes: Attributes = {}
        self.seconds = 0.0
        self._start = time.perf_counter()
        self._end_time: int | None = None
        self._span = span
        self.context = context
        self._parent = parent
        self.actor = actor

    # Not `use_span`: it costs several times as much, and would record the exception and its message.

    def enter(self) -> Token[Context] | None:
        """Make the span the current one, until `leave`."""
        return None if self.context is None else attach(self.context)

    def leave(self, entered: Token[Context] | None) -> None:
        """Make the former span the current one again."""
        if entered is not None:
            detach(entered)

    def measure(self) -> None:
        """Note the duration until now. If another handler is asked after that, this is called again."""
        self.seconds = time.perf_counter() - self._start
        if self._span is not None:
            self._end_time = time.time_ns()

    def set_user(self, actor_id: object) -> None:
        """Record the id of the actor that the token belongs to, if the settings allow it."""
        if self._span is not None or observers:
            self.actor.put_user(self.span_attributes, actor_id)

    def set_failure(self, error: BaseException) -> None:
        """Record the exception that ended the operation: the rejection of a token is a result, anything else an error."""
        if is_rejection(error):
            self.result = rejection_result(error)
        else:
            self.error_type = error_type(error)

    def metric_attributes(self) -> dict[str, str]:
        """Return the attributes that the span and the metric have in common."""
        attributes = {_RESULT: self.result}
        if self.handler is not None:
            attributes[_HANDLER] = self.handler
        if self.error_type is not None:
            attributes[_ERROR_TYPE] = self.error_type
        return attributes

    def end_span(self, shared: dict[str, str]) -> None:
        """End the span, and name the credential in the span of the request if it was accepted."""
        if (
            self.name is TOKEN_VERIFY
            and self.result == VALID
            and getattr(self._parent, "kind", None) is SpanKind.SERVER
        ):
            self._parent.set_attributes({**self._credential, _HANDLER: str(self.handler)})
        if self._span is not None:
            self._span.set_attributes(self._attributes(shared))
            if self.error_type is not None:
                self._span.set_status(StatusCode.ERROR)
            self._span.end(self._end_time)

    def as_span(self, shared: dict[str, str]) -> TokenSpan:
        """Return the operation as observers see it, whether a provider records its span or not."""
        return TokenSpan(
            name=str(self.name),
            handler=self.handler,
            result=self.result,
            token_id=self.token_id,
            error_type=self.error_type,
            attributes=self._attributes(shared),
        )

    def _attributes(self, shared: dict[str, str]) -> Attributes:
        return {**shared, **self._credential, **self.span_attributes}

    @property
    def _credential(self) -> Attributes:
        return {} if self.token_id is None else {_ID: self.token_id}
