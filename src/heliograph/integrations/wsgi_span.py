"""A WSGI middleware that gives each request its SERVER span (`heliograph.integrations.request_span`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from opentelemetry.trace import Tracer

from heliograph.integrations.request_attributes import Environ, of_environ
from heliograph.integrations.request_span import RequestSpan, start_request_span
from heliograph.semconv import HTTP_ROUTE

StartResponse: TypeAlias = Callable[..., Any]
WsgiApp: TypeAlias = Callable[[Any, StartResponse], Iterable[bytes]]
RouteOf: TypeAlias = Callable[[Environ], object]
"""A function that returns the route of a request, once the application has found it."""

_END: Final = object()


class RequestSpanMiddleware:
    """Runs a WSGI application, with a span that lasts until the response has been read and closed.

    Args:
        app: The application.
        tracer: Returns the tracer.
        route_of: Returns the route of a request.
    """

    def __init__(self, app: WsgiApp, tracer: Callable[[], Tracer], route_of: RouteOf) -> None:
        self._app = app
        self._tracer = tracer
        self._route_of = route_of

    def __call__(self, environ: Any, start_response: StartResponse) -> Iterable[bytes]:
        """Respond to a request."""

        def attribute(name: str) -> object:
            return self._route_of(environ) if name == HTTP_ROUTE else of_environ(environ, name)

        span = start_request_span(self._tracer, attribute, environ.get("HTTP_TRACEPARENT"))
        if span is None:
            return self._app(environ, start_response)

        def start(status: str, *arguments: Any) -> Any:
            span.respond(status[:3])
            return start_response(status, *arguments)

        try:
            with span.current():
                return _Content(self._app(environ, start), span)
        except BaseException as error:
            span.end(error)
            raise


class _Content:
    """The content of a response. The span is the current one while each part is produced, and ends with the content."""

    def __init__(self, content: Iterable[bytes], span: RequestSpan) -> None:
        self._content = content
        self._iterator = iter(content)
        self._span = span

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            with self._span.current():
                part: Any = next(self._iterator, _END)
        except BaseException as error:
            self._span.end(error)
            raise
        if part is _END:
            raise StopIteration
        return part  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the content, and end the span. Servers call this also if the client disconnects."""
        close = getattr(self._content, "close", None)
        try:
            if close is not None:
                with self._span.current():
                    close()
        except BaseException as error:
            self._span.end(error)
            raise
        finally:
            self._span.end()
