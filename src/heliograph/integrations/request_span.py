"""The SERVER span of a request, for programs without an instrumentation that starts one: ``request_span=True``.

The span is the root of a new trace, so that a client cannot influence the sampling. The client's ``traceparent`` becomes a link, so that a
trace of a trusted caller can be found. Its ``tracestate`` and its baggage are not read. If another span is recording, no span is started.

Attributes, name and status follow OpenTelemetry's conventions for HTTP servers. The client's address and its user agent are not on the span.
Events have them, if ``HELIOGRAPH_CONTEXT`` names them. A client that disconnects is not an error.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    ERROR_TYPE,
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_METHOD_ORIGINAL,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    SCOPE,
    URL_PATH,
    URL_SCHEME,
)
from heliograph.telemetry.metrics import error_type
from heliograph.telemetry.request_context import OTHER_METHOD, exported_value

ReadAttribute: TypeAlias = Callable[[str], object]
"""A function that returns an attribute of the request, by its name in the semantic conventions."""

FIRST_SERVER_ERROR: Final = 500
STATUSES: Final = range(100, 1000)
MAX_TRACEPARENT_LENGTH: Final = 512
"""The length beyond which a ``traceparent`` is ignored. OpenTelemetry's propagator would log a warning for each, and anybody can send them."""

_AT_THE_START: Final = (HTTP_REQUEST_METHOD, URL_PATH, URL_SCHEME)
_PROPAGATOR: Final = TraceContextTextMapPropagator()

failures: Final = LimitedLog(SafeLogger(SCOPE))
"""Logs failures that may occur for every request, at a limited rate."""


class RequestSpan:
    """The span of one request. Several threads or tasks may use it, but never at the same time.

    Args:
        span: The span, which has been started.
        attribute: Returns an attribute of the request. The route is read at the end.

    Attributes:
        status: The status of the response; `None` as long as there is none.
        is_disconnected: True if the client has disconnected.
    """

    def __init__(self, span: Span, attribute: ReadAttribute) -> None:
        self._span = span
        self._attribute = attribute
        self._has_ended = False
        self._route: str | None = None
        self.status: int | None = None
        self.is_disconnected = False

    def current(self) -> AbstractContextManager[object]:
        """Return a context manager in which the span is the current one."""
        return use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def respond(self, status: int | str) -> None:
        """Keep the status of the response, and the route, which some frameworks do not have any more at the end of the request.

        Args:
            status: The status, as a number or as text. One that is not a valid status is left out of the span.
        """
        try:
            number = int(status) if isinstance(status, int) or status.isdecimal() else 0
            self.status = number if number in STATUSES else None
            self._route = exported_value(HTTP_ROUTE, self._attribute(HTTP_ROUTE))
        except program_errors() as failure:
            # A framework's own code may raise anything.
            _log(failure)

    def end(self, error: BaseException | None = None) -> None:
        """End the span. The second call and later ones have no effect.

        Args:
            error: The exception that ended the request. A cancelled request (`asyncio.CancelledError`) is not an error.
        """
        if self._has_ended:
            return
        self._has_ended = True
        try:
            self._describe(error)
        except program_errors() as failure:
            # A framework's and a provider's own code may raise anything.
            _log(failure)
        try:
            self._span.end()
        except program_errors() as failure:
            _log(failure)

    def _describe(self, error: BaseException | None) -> None:
        span, route = self._span, self._route or exported_value(HTTP_ROUTE, self._attribute(HTTP_ROUTE))
        if route is not None:
            span.set_attribute(HTTP_ROUTE, route)
            span.update_name(f"{_method_in_name(self._attribute)} {route}")
        if self.status is not None:
            span.set_attribute(HTTP_RESPONSE_STATUS_CODE, self.status)
        kind = self._error_type(error)
        if kind is not None:
            span.set_attribute(ERROR_TYPE, kind)
            # Without a description: the text of an exception may contain a private value.
            span.set_status(StatusCode.ERROR)

    def _error_type(self, error: BaseException | None) -> str | None:
        if isinstance(error, Exception) and not self.is_disconnected:
            return error_type(error)
        return str(self.status) if self.status is not None and self.status >= FIRST_SERVER_ERROR else None


def start_request_span(
    tracer: Callable[[], Tracer], attribute: ReadAttribute, traceparent: object
) -> RequestSpan | None:
    """Start the span of a request. Return `None` if a span records already, or if the provider fails.

    Args:
        tracer: Returns the tracer.
        attribute: Returns an attribute of the request, by its name in the semantic conventions.
        traceparent: The header ``traceparent``, if the request has exactly one.
    """
    try:
        if get_current_span().is_recording():
            return None
        values = {name: exported_value(name, attribute(name)) for name in _AT_THE_START}
        if values[HTTP_REQUEST_METHOD] == OTHER_METHOD:
            # It may be any text, so it is cut and masked as a path is. Under its own name it would be `OTHER_METHOD` again.
            values[HTTP_REQUEST_METHOD_ORIGINAL] = exported_value(URL_PATH, attribute(HTTP_REQUEST_METHOD))
        span = tracer().start_span(
            _method_in_name(attribute),
            # Not an empty context: it is false, so code could take it for a missing one, and use the current context.
            context=set_span_in_context(INVALID_SPAN, Context()),
            kind=SpanKind.SERVER,
            attributes={name: value for name, value in values.items() if value is not None},
            links=_links(traceparent),
        )
        return RequestSpan(span, attribute)
    except program_errors() as error:
        # A framework's and a provider's own code may raise anything.
        _log(error)
        return None


def _links(traceparent: object) -> list[Link]:
    if type(traceparent) is not str or len(traceparent) > MAX_TRACEPARENT_LENGTH:
        return []
    context = _PROPAGATOR.extract({"traceparent": traceparent}, Context())
    remote = get_current_span(context).get_span_context()
    return [Link(remote)] if remote.is_valid else []


def _method_in_name(attribute: ReadAttribute) -> str:
    method = exported_value(HTTP_REQUEST_METHOD, attribute(HTTP_REQUEST_METHOD))
    return "HTTP" if method in {None, OTHER_METHOD} else str(method)


def _log(error: BaseException) -> None:
    kind = error_type(error)
    failures.log(kind, "The span of a request could not be recorded: %s", kind)
