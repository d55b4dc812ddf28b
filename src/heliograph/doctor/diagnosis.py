"""Derive a finding from the verdict on a test record. The functions that find out the protocol of a port are passed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from typing_extensions import assert_never

from heliograph.delivery.transport import explain
from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.doctor import findings
from heliograph.doctor.findings import Finding, Kind

BY_EXPLANATION: Final[Mapping[str, Kind]] = {
    explain.HTTP_PORT_IS_GRPC: findings.HTTP_TO_GRPC,
    explain.GRPC_PORT_IS_HTTP: findings.GRPC_TO_HTTP,
    explain.PATH_TWICE: findings.PATH_TWICE,
    explain.NO_PATH: findings.NO_RECEIVER,
    explain.NO_RECEIVER: findings.NO_RECEIVER,
    explain.NOT_OTLP: findings.WEB_PAGE,
}
_PLAIN_SERVER: Final = re.compile(r"wrong.version.number|unknown protocol|record layer|packet length", re.IGNORECASE)
"""The texts of OpenSSL and BoringSSL about a server that does not speak TLS."""
_NO_SUCH_PATH: Final = re.compile(r"^HTTP 400 from \S+: .*unsupported path", re.IGNORECASE)
"""The response of VictoriaLogs, and of related servers, for a path that does not exist."""
_NOT_CONNECTED: Final = re.compile(r"failed to connect|DNS resolution failed|connection refused", re.IGNORECASE)
_UNAVAILABLE: Final = frozenset({Reason.THROTTLED, Reason.UNAVAILABLE, Reason.INTERNAL, Reason.CANCELLED})

Ask = Callable[[str], bool]
"""Connects to an endpoint, and returns True if its port speaks a protocol."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """Functions that find out the protocol of an endpoint's port. They are called only after a failure.

    Attributes:
        speaks_tls: Returns True for TLS.
        speaks_http1: Returns True for HTTP/1 without TLS.
        speaks_http2: Returns True for HTTP/2 without TLS, which is what gRPC uses.
        closes_after_handshake: Returns True if the server closes a connection of HTTP/2 after the TLS handshake, as one does that requires a
            client certificate.
    """

    speaks_tls: Ask
    speaks_http1: Ask
    speaks_http2: Ask
    closes_after_handshake: Ask


def diagnose(verdict: Verdict, destination: Destination, port: Port) -> Finding | None:
    """Return the problem that a verdict shows, or `None` if the test record was accepted."""
    if verdict.action is Action.DELIVERED:
        return None
    kind = (
        BY_EXPLANATION.get(verdict.explanation)
        or _kind_by_message(verdict, destination)
        or _kind_by_reason(verdict.reason)
    )
    if kind in _MAY_BE_ANOTHER_PROTOCOL:
        kind = _kind_by_protocol(destination, port) or kind
    return Finding(kind=kind, subject=destination.signal, detail=verdict.message or verdict.reason.value)


_MAY_BE_ANOTHER_PROTOCOL: Final = (
    findings.UNREACHABLE,
    findings.UNAVAILABLE,
    findings.REJECTED,
    findings.TIMED_OUT,
    findings.REFUSED,
)


def _kind_by_protocol(destination: Destination, port: Port) -> Kind | None:
    """Return the kind of finding if the port speaks another protocol, or `None`.

    The failure itself does not show this: servers close a connection with the wrong protocol, or respond with any status.
    """
    if destination.proxy is not None:
        return None
    is_grpc = destination.protocol is OtlpProtocol.GRPC
    if destination.secure:
        wants_certificate = is_grpc and not destination.client_certificate
        return findings.TLS_FAILED if wants_certificate and port.closes_after_handshake(destination.url) else None
    if port.speaks_tls(destination.url):
        return findings.NEEDS_TLS
    if is_grpc:
        return findings.GRPC_TO_HTTP if port.speaks_http1(destination.url) else None
    # Some servers of gRPC speak HTTP/1 as well, on one port.
    is_grpc_alone = port.speaks_http2(destination.url) and not port.speaks_http1(destination.url)
    return findings.HTTP_TO_GRPC if is_grpc_alone else None


def _kind_by_message(verdict: Verdict, destination: Destination) -> Kind | None:
    """Return the kind of finding if the message says more than the reason, or `None`."""
    message = verdict.message
    if verdict.reason is Reason.TLS and _PLAIN_SERVER.search(message):
        return findings.NO_TLS
    if verdict.reason is Reason.BAD_DATA and _NO_SUCH_PATH.search(message):
        return findings.NO_RECEIVER
    # gRPC has one status for a server that cannot be reached and for a server that is overloaded.
    is_grpc = destination.protocol is OtlpProtocol.GRPC
    if verdict.reason in _UNAVAILABLE and is_grpc and _NOT_CONNECTED.search(message):
        return findings.UNREACHABLE
    return None


def _kind_by_reason(reason: Reason) -> Kind:
    match reason:
        case Reason.UNAUTHENTICATED:
            return findings.UNAUTHENTICATED
        case Reason.FORBIDDEN:
            return findings.FORBIDDEN
        case Reason.NOT_FOUND:
            return findings.NO_RECEIVER
        case Reason.REDIRECT:
            return findings.REDIRECTED
        case Reason.UNREADABLE:
            return findings.WEB_PAGE
        case Reason.TLS:
            return findings.TLS_FAILED
        case Reason.PROXY:
            return findings.PROXY_FAILED
        case Reason.TIMEOUT:
            return findings.TIMED_OUT
        case Reason.CONNECTION:
            return findings.UNREACHABLE
        case Reason.THROTTLED | Reason.UNAVAILABLE | Reason.INTERNAL | Reason.CANCELLED:
            return findings.UNAVAILABLE
        case Reason.BAD_DATA | Reason.PARTIAL_SUCCESS | Reason.TOO_LARGE | Reason.ACCEPTED:
            return findings.REJECTED
        case Reason.UNSUPPORTED | Reason.REFUSED:
            return findings.REFUSED
        case unknown:
            assert_never(unknown)
