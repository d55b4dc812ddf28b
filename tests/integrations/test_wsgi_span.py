"""The middleware of WSGI that gives each request its SERVER span: every step of the response is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.trace import get_current_span

from heliograph.integrations import request_span
from heliograph.integrations.wsgi_span import RequestSpanMiddleware
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from recorder import Telemetry


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sees the first warning of its kind."""
    monkeypatch.setattr(request_span, "failures", LimitedLog(SafeLogger("heliograph")))


class Body:
    """The content of a response, which notes the current span in each step."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[int] = []
        self._fails_at = fails_at

    def __iter__(self) -> Iterator[bytes]:
        for number in range(3):
            self.seen.append(get_current_span().get_span_context().span_id)
            if number == self._fails_at:
                raise LookupError("a secret")
            yield b"."

    def close(self) -> None:
        self.seen.append(get_current_span().get_span_context().span_id)
        if self._fails_at == -1:
            raise LookupError("a secret")


def call(telemetry: Telemetry, app: Any, **environ: Any) -> Any:
    middleware = RequestSpanMiddleware(app, lambda: telemetry.tracer, lambda environ: environ.get("route"))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/orders/7", "wsgi.url_scheme": "http", **environ}
    return middleware(environ, lambda status, headers, exc_info=None: None)


def app_with(body: Any, status: str = "200 OK") -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    return app


def test_stream(telemetry: Telemetry) -> None:
    """Each step is in the span, which ends when the server closes the response. The route is known by then."""
    body = Body()
    content = call(telemetry, app_with(body), route="/orders/{id}")
    assert b"".join(content) == b"..."
    assert telemetry.spans == []
    content.close()
    [span] = telemetry.spans
    assert set(body.seen) == {span.context.span_id}
    assert span.name == "GET /orders/{id}"
    assert (span.attributes or {})["http.response.status_code"] == 200
    assert not get_current_span().get_span_context().is_valid


def test_client_that_goes_away(telemetry: Telemetry) -> None:
    """The server closes the response before its end."""
    content = call(telemetry, app_with(Body()))
    next(content)
    content.close()
    [span] = telemetry.spans
    assert span.status.status_code.name == "UNSET"


@pytest.mark.parametrize("fails_at", [1, -1])
def test_content_that_fails(telemetry: Telemetry, fails_at: int) -> None:
    """The span has the class of the exception, in whatever step it was raised."""
    content = call(telemetry, app_with(Body(fails_at)))
    with pytest.raises(LookupError):
        try:
            list(content)
        finally:
            content.close()
    [span] = telemetry.spans
    assert (span.attributes or {})["error.type"] == "LookupError"


def test_application_that_fails(telemetry: Telemetry) -> None:
    """A list has nothing to close, and an application may raise before it has a response."""

    def failing(environ: Any, start_response: Any) -> Any:
        raise LookupError("a secret")

    with pytest.raises(LookupError):
        call(telemetry, failing)
    call(telemetry, app_with([b"."], "503 Service Unavailable")).close()
    assert [(span.attributes or {})["error.type"] for span in telemetry.spans] == ["LookupError", "503"]


def test_status_that_is_no_number(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """Flask makes a status of any text."""
    assert list(call(telemetry, app_with([b"."], "0 custom status"), route="/orders/{id}")) == [b"."]
    call(telemetry, app_with([b"."], "custom status")).close()
    [span] = telemetry.spans
    assert "http.response.status_code" not in (span.attributes or {})
    assert warnings.records == []


def test_where_a_span_records(telemetry: Telemetry) -> None:
    """The response is that of the application itself."""
    body = [b"."]
    with telemetry.tracer.start_as_current_span("of an instrumentation"):
        assert call(telemetry, app_with(body)) is body
    assert len(telemetry.spans) == 1


def test_start_response_is_that_of_the_server(telemetry: Telemetry) -> None:
    """Arguments and result pass unchanged, also those of a second call, whose status counts."""
    started: list[tuple[object, ...]] = []
    written: list[bytes] = []

    def start_response(*arguments: object) -> Any:
        started.append(arguments)
        return written.append

    error = (LookupError, LookupError("a secret"), None)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("X", "y")])(b"early")
        start_response("500 Internal Server Error", [], error)
        return [b"late"]

    middleware = RequestSpanMiddleware(app, lambda: telemetry.tracer, lambda _: None)
    content: Any = middleware({"REQUEST_METHOD": "GET"}, start_response)
    assert list(content) == [b"late"]
    content.close()

    assert started == [("200 OK", [("X", "y")]), ("500 Internal Server Error", [], error)]
    assert written == [b"early"]
    [span] = telemetry.spans
    assert (span.attributes or {})["http.response.status_code"] == 500


@pytest.mark.parametrize("content", [[], (b".",), iter([b".", b"."])])
def test_content_that_cannot_be_closed(telemetry: Telemetry, content: Any) -> None:
    """The span of a response whose content is a list, a tuple or an iterator ends nevertheless, and once."""
    response = call(telemetry, app_with(content))
    list(response)
    response.close()
    response.close()
    assert len(telemetry.spans) == 1


def test_response_that_starts_with_its_first_part(telemetry: Telemetry) -> None:
    """A generator runs when the server asks for the first part, and its status is known then."""

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("404 Not Found", [])
        yield b"."

    response = call(telemetry, app)
    assert list(response) == [b"."]
    response.close()
    [span] = telemetry.spans
    assert (span.attributes or {})["http.response.status_code"] == 404
    assert not get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_program_that_is_interrupted(telemetry: Telemetry, error: type[BaseException]) -> None:
    """The exception passes, and the span ends. That is no error of the application."""

    def interrupted(environ: Any, start_response: Any) -> Any:
        raise error

    with pytest.raises(error):
        call(telemetry, interrupted)
    [span] = telemetry.spans
    assert span.status.status_code.name == "UNSET"


def test_response_that_is_none(telemetry: Telemetry) -> None:
    """A mistake of the application is its own error."""
    with pytest.raises(TypeError):
        call(telemetry, app_with(None))
    [span] = telemetry.spans
    assert (span.attributes or {})["error.type"] == "TypeError"
