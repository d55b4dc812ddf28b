"""From verdicts to findings. Each verdict is one that the transport returns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.doctor.diagnosis import Port, diagnose

HTTP = Destination(protocol=OtlpProtocol.HTTP, url="http://localhost:4318/v1/logs")
GRPC = Destination(protocol=OtlpProtocol.GRPC, url="http://localhost:4317")
SILENT = Port(
    speaks_tls=lambda _: False,
    speaks_http1=lambda _: False,
    speaks_http2=lambda _: False,
    closes_after_handshake=lambda _: False,
)
TLS = replace(SILENT, speaks_tls=lambda _: True)
HTTP1 = replace(SILENT, speaks_http1=lambda _: True)
HTTP2 = replace(SILENT, speaks_http2=lambda _: True)
BOTH = replace(HTTP1, speaks_http2=lambda _: True)
CLOSES = replace(SILENT, closes_after_handshake=lambda _: True)


def kind_of(reason: Reason, destination: Destination = HTTP, port: Port = SILENT, message: str = "") -> str:
    finding = diagnose(Verdict(action=Action.RETRY, reason=reason, message=message), destination, port)
    assert finding is not None
    assert (finding.subject, finding.detail) == ("logs", message or reason.value)
    return finding.kind.id


def test_success_has_no_finding() -> None:
    """No further question is asked of a server that has accepted the record."""
    assert diagnose(Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED), HTTP, TLS) is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.UNAUTHENTICATED, "H030"),
        (Reason.FORBIDDEN, "H031"),
        (Reason.NOT_FOUND, "H033"),
        (Reason.REDIRECT, "H035"),
        (Reason.UNREADABLE, "H036"),
        (Reason.TLS, "H024"),
        (Reason.PROXY, "H027"),
        (Reason.TIMEOUT, "H021"),
        (Reason.CONNECTION, "H020"),
        (Reason.THROTTLED, "H037"),
        (Reason.UNAVAILABLE, "H037"),
        (Reason.INTERNAL, "H037"),
        (Reason.CANCELLED, "H037"),
        (Reason.BAD_DATA, "H038"),
        (Reason.PARTIAL_SUCCESS, "H038"),
        (Reason.TOO_LARGE, "H038"),
        (Reason.UNSUPPORTED, "H039"),
        (Reason.REFUSED, "H039"),
    ],
)
def test_kind_of_each_reason(reason: Reason, expected: str) -> None:
    """Each reason of the closed set has its kind of finding."""
    assert kind_of(reason) == expected


def test_grpc_has_one_status_for_away_and_overloaded() -> None:
    """The text of the status shows which of the two it is."""
    away = "gRPC UNAVAILABLE: failed to connect to all addresses; last error: connection refused"

    assert kind_of(Reason.UNAVAILABLE, GRPC, message=away) == "H020"
    assert kind_of(Reason.UNAVAILABLE, GRPC, message="gRPC UNAVAILABLE: no such luck") == "H037"


def test_failed_handshake_with_a_server_without_tls() -> None:
    """OpenSSL and BoringSSL have the same words for the failure."""
    assert kind_of(Reason.TLS, message="no response: [SSL: WRONG_VERSION_NUMBER] wrong version number") == "H025"


def test_path_that_a_server_does_not_have_is_no_fault_of_the_data() -> None:
    """VictoriaLogs responds with the status of invalid data."""
    message = 'HTTP 400 from http://localhost:9428/v1/logs: unsupported path requested: "/v1/logs"'

    assert kind_of(Reason.BAD_DATA, message=message) == kind_of(Reason.NOT_FOUND)
    assert kind_of(Reason.BAD_DATA, message="HTTP 400 from http://localhost:9428/v1/logs: no such luck") == "H038"


@pytest.mark.parametrize(
    ("destination", "port", "expected"),
    [
        (HTTP, TLS, "H026"),
        (GRPC, TLS, "H026"),
        (GRPC, HTTP1, "H023"),
        (HTTP, HTTP2, "H022"),
        (HTTP, HTTP1, "H020"),
        (HTTP, BOTH, "H020"),
    ],
)
def test_port_is_asked_after_a_lost_connection(destination: Destination, port: Port, expected: str) -> None:
    """A server that speaks another protocol may close the connection."""
    assert kind_of(Reason.CONNECTION, destination, port) == expected


def test_certificate_that_a_server_of_grpc_wants() -> None:
    """With TLS 1.3, the client sees a closed connection. A client that shows a certificate has another problem."""
    secure = Destination(protocol=OtlpProtocol.GRPC, url="https://localhost:4317")

    assert kind_of(Reason.CONNECTION, secure, CLOSES) == "H024"
    assert kind_of(Reason.CONNECTION, secure, SILENT) == "H020"
    assert kind_of(Reason.CONNECTION, replace(secure, client_certificate="c.pem"), CLOSES) == "H020"


def test_port_is_not_asked_through_a_proxy() -> None:
    """The answer would be the proxy's. Over HTTP, an alert of TLS says enough."""
    secure = Destination(protocol=OtlpProtocol.HTTP, url="https://localhost:4318/v1/logs")
    proxied = Destination(protocol=OtlpProtocol.HTTP, url=HTTP.url, proxy="http://proxy:8080")

    assert kind_of(Reason.CONNECTION, secure, TLS) == "H020"
    assert kind_of(Reason.CONNECTION, proxied, TLS) == "H020"
