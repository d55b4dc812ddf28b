"""Explanations of wrong endpoints, by real servers on loopback ports, over both protocols."""

from __future__ import annotations

from http.client import BadStatusLine, RemoteDisconnected

import pytest

from delivery.loopback import Reply, Server, always, serving
from delivery.outboxes import destination
from delivery.servers import serving as serving_http
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.explain import (
    GRPC_PORT_IS_HTTP,
    HTTP_PORT_IS_GRPC,
    NOT_OTLP,
    explain_grpc_details,
    explain_http_error,
    explain_status,
)
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import Action, Verdict
from heliograph.errors import SettingsError


def send(target: Destination) -> Verdict:
    transport = open_transport(target)
    try:
        return transport.send(b"\n\x00", 20)
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("server", "client", "explanation"),
    [
        (OtlpProtocol.GRPC, OtlpProtocol.HTTP, HTTP_PORT_IS_GRPC),
        (OtlpProtocol.HTTP, OtlpProtocol.GRPC, GRPC_PORT_IS_HTTP),
    ],
)
def test_port_of_the_other_protocol(server: OtlpProtocol, client: OtlpProtocol, explanation: str) -> None:
    """The message names the URL, and the setting that helps. The records wait."""
    with serving(server) as running:
        url = Server(client, always(Reply.ACCEPT), running.port).url
        verdict = send(Destination(protocol=client, url=url))

    assert verdict.action is Action.RETRY
    assert explanation in verdict.message
    assert url in verdict.message


@pytest.mark.parametrize(
    ("path", "explanation"),
    [
        ("/", "the URL has no path"),
        ("/v1/logs/v1/logs", "the path /v1/… is in the URL twice"),
        ("/v2/logs", "no receiver of OTLP is at this URL"),
    ],
)
def test_missing_page(path: str, explanation: str) -> None:
    """The message of a 404 has the URL without its query, the explanation, and the server's text."""
    with serving_http(lambda number, records: (404, {"Content-Type": "text/plain"}, b"page not found")) as server:
        verdict = send(destination(server.endpoint.replace("/v1/logs", f"{path}?key=secret-1")))

    url = server.endpoint.replace("/v1/logs", path)
    assert verdict.message.startswith(f"HTTP 404 from {url} ({explanation}")
    assert verdict.message.endswith("): page not found")
    assert "secret" not in verdict.message


def test_web_page_is_explained() -> None:
    """A login page answers with 200 and has delivered nothing. The message says what it is."""
    page = (200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")
    with serving_http(lambda number, records: page) as server:
        verdict = send(destination(server.endpoint))

    assert verdict.action is Action.HOLD
    assert (
        verdict.message
        == f"HTTP 200 from {server.endpoint}: the response is text/html, not an OTLP message; {NOT_OTLP}"
    )


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/logs", "the path /v1/… is appended to it"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/v1/traces/", "the path /v1/… is appended to it"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "it has to begin with http:// or https://"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "collector", "it has to begin with http:// or https://"),
    ],
)
def test_endpoint_that_cannot_work_is_an_error_at_the_start(variable: str, value: str, problem: str) -> None:
    """The message names the variable."""
    with pytest.raises(SettingsError) as error:
        destination_from_env({variable: value})

    assert variable in str(error.value)
    assert problem in str(error.value)


def test_other_failures_have_no_explanation() -> None:
    """An explanation that may be wrong would mislead."""
    circle = ValueError()
    circle.__cause__ = circle

    assert explain_http_error(RemoteDisconnected("Remote end closed connection without response")) == ""
    assert explain_http_error(BadStatusLine("SSH-2.0-OpenSSH_9.6")) == NOT_OTLP
    assert explain_http_error(TimeoutError()) == ""
    assert explain_http_error(circle) == ""
    assert explain_status(503, "http://localhost/") == ""
    assert explain_grpc_details("connection refused") == ""
    assert explain_grpc_details("Trying to connect an http1.x server") == GRPC_PORT_IS_HTTP
