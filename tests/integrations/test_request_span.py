"""The SERVER span of a request: its status, its end, and the failures that it must not pass on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, IntEnum
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import get_current_span

from heliograph.integrations import request_span
from heliograph.integrations.asgi import HeliographMiddleware
from heliograph.integrations.request_span import start_request_span
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from recorder import Telemetry

SCOPE = {"type": "http", "method": "GET", "path": "/orders/7", "scheme": "https", "headers": []}
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Status(IntEnum):
    """A status whose text is its name, as that of each enum in Python 3.10."""

    UNAVAILABLE = 503
    __str__ = Enum.__str__


@pytest.fixture(autouse=True)
def new_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test sees the first warning of its kind."""
    monkeypatch.setattr(request_span, "failures", LimitedLog(SafeLogger("heliograph")))


async def responding(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": int(scope.get("query_string", b"") or 200), "headers": []})
    await send({"type": "http.response.body", "body": b""})


def run(
    telemetry: Telemetry,
    app: Any = responding,
    *,
    send: Callable[[Any], None] = lambda _: None,
    received: tuple[Any, ...] = (),
    **scope: Any,
) -> list[ReadableSpan]:
    """Run an application for one connection, and return the spans."""

    async def send_message(message: Any) -> None:
        send(message)

    messages = iter(received)

    async def receive() -> Any:
        return next(messages, {"type": "http.disconnect"})

    async def call() -> None:
        async with telemetry.host() as host:
            middleware = HeliographMiddleware(app, host, request_span=True)
            await middleware({**SCOPE, **scope}, receive, send_message)

    asyncio.run(call())
    return telemetry.spans


@pytest.mark.parametrize(
    ("status", "attributes", "code"),
    [(200, {}, "UNSET"), (404, {}, "UNSET"), (500, {"error.type": "500"}, "ERROR")],
)
def test_status(telemetry: Telemetry, status: int, attributes: dict[str, str], code: str) -> None:
    """An error of the client is no error of the server."""
    [span] = run(telemetry, query_string=str(status).encode())
    assert span.attributes == {
        "http.request.method": "GET",
        "url.path": "/orders/7",
        "url.scheme": "https",
        "http.response.status_code": status,
        **attributes,
    }
    assert (span.name, span.status.status_code.name, span.status.description) == ("GET", code, None)


def test_methods_of_others(telemetry: Telemetry) -> None:
    """The name of the span has no text of the client."""
    [span] = run(telemetry, method="x" * 5000)
    assert span.name == "HTTP"
    assert (span.attributes or {})["http.request.method"] == "_OTHER"
    assert (span.attributes or {})["http.request.method_original"] == "x" * 1024


def test_exceptions(telemetry: Telemetry) -> None:
    """The class of the exception is the type of the error, and its text is not exported."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a secret")

    with pytest.raises(LookupError):
        run(telemetry, failing)
    [span] = telemetry.spans
    assert (span.attributes or {})["error.type"] == "LookupError"
    assert (span.status.status_code.name, span.status.description, span.events) == ("ERROR", None, ())


def test_client_that_goes_away_is_no_error(telemetry: Telemetry) -> None:
    """The server of such a client cancels the request, or raises an `OSError` out of `send`."""

    async def cancelled(scope: Any, receive: Any, send: Any) -> None:
        raise asyncio.CancelledError

    def disconnect(_: Any) -> None:
        raise ConnectionResetError

    with pytest.raises(asyncio.CancelledError):
        run(telemetry, cancelled)
    with pytest.raises(ConnectionResetError):
        run(telemetry, send=disconnect)
    assert [span.status.status_code.name for span in telemetry.spans] == ["UNSET", "UNSET"]


def test_client_that_goes_away_during_its_upload_is_no_error(telemetry: Telemetry) -> None:
    """Starlette raises an exception, and responds to it with a status that nobody gets."""

    async def uploading(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass
        await send({"type": "http.response.start", "status": 500, "headers": []})
        raise LookupError

    with pytest.raises(LookupError):
        run(telemetry, uploading, received=({"type": "http.request", "body": b"a", "more_body": True},))
    [span] = telemetry.spans
    assert span.status.status_code.name == "UNSET"
    assert not {"error.type", "http.response.status_code"} & set(span.attributes or {})


def test_client_that_has_the_whole_response_has_not_gone_away(telemetry: Telemetry) -> None:
    """An application may wait for the end of the connection, and fail afterwards."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await responding(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"
        raise LookupError

    with pytest.raises(LookupError):
        run(telemetry, failing)
    [span] = telemetry.spans
    assert (span.attributes or {})["error.type"] == "LookupError"


@pytest.mark.parametrize(("sent", "status"), [(Status.UNAVAILABLE, 503), ("503", 503), ("x", None), (10**30, None)])
def test_status_of_another_type(telemetry: Telemetry, sent: object, status: int | None) -> None:
    """The server decides about such a status. The span has a number, or none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": sent, "headers": []})

    [span] = run(telemetry, app)
    number = (span.attributes or {}).get("http.response.status_code")
    assert (type(number), number) == (type(status), status)
    assert (span.attributes or {}).get("error.type") == (None if status is None else "503")


def test_long_traceparent_is_not_logged(telemetry: Telemetry, warnings: pytest.LogCaptureFixture) -> None:
    """Anybody can send one with each request."""
    [span] = run(telemetry, headers=[(b"traceparent", b"0" * 513)])
    assert (span.links, warnings.records) == ((), [])


def test_span_is_current_until_the_application_returns(telemetry: Telemetry) -> None:
    """The span includes what runs after the response, such as background tasks."""
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await responding(scope, receive, send)
        seen.append(get_current_span().get_span_context().span_id)
        assert telemetry.spans == []

    [span] = run(telemetry, app)
    assert seen == [span.context.span_id]
    assert not get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_connections_have_no_span(telemetry: Telemetry, kind: str) -> None:
    """A websocket may last for days."""
    assert run(telemetry, type=kind) == []


def test_no_span_where_one_records(telemetry: Telemetry) -> None:
    """The span of an instrumentation stays the only one."""
    with telemetry.tracer.start_as_current_span("of an instrumentation"):
        run(telemetry)
    assert [span.name for span in telemetry.spans] == ["of an instrumentation"]


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ([], 0),
        ([(b"traceparent", TRACEPARENT)], 1),
        ([(b"Traceparent", TRACEPARENT), (b"tracestate", b"a=b")], 1),
        ([(b"traceparent", TRACEPARENT), (b"traceparent", TRACEPARENT)], 0),
        ([(b"traceparent", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01")], 0),
        ([(b"traceparent", b"x" * 5000)], 0),
    ],
)
def test_links(telemetry: Telemetry, headers: list[tuple[bytes, bytes]], number: int) -> None:
    """A single valid `traceparent` becomes a link, without its `tracestate`."""
    [span] = run(telemetry, headers=headers)
    assert span.parent is None
    assert len(span.links) == number
    assert all(not link.context.trace_state for link in span.links)


def test_failures_of_a_provider_do_not_reach_the_request(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """Failures are logged, without their texts."""

    def broken() -> Any:
        raise LookupError("a secret")

    assert start_request_span(broken, SCOPE.get, None) is None
    span = start_request_span(lambda: telemetry.tracer, lambda name: 1 / 0 if name == "http.route" else None, None)
    assert span is not None
    span.end()
    span.end()
    assert [each.name for each in telemetry.spans] == ["HTTP"]
    span._has_ended = False
    span._span.end = broken  # type: ignore[method-assign]
    span.end()
    assert "a secret" not in warnings.text
    assert len(warnings.records) == 2


def test_route_that_cannot_be_read_costs_the_route_alone(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """A framework's own code finds the route when the response begins."""
    is_broken = [True]
    span = start_request_span(
        lambda: telemetry.tracer, lambda name: 1 / 0 if name == "http.route" and is_broken else None, None
    )
    assert span is not None
    span.respond(404)
    is_broken.clear()
    span.end()

    assert [dict(each.attributes or {})["http.response.status_code"] for each in telemetry.spans] == [404]
    assert len(warnings.records) == 1
