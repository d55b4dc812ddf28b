"""Find the protocol of a port, after a failure that another protocol may explain. No telemetry and no credentials are sent."""

from __future__ import annotations

import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from heliograph.delivery.transport.endpoint import port_of, scheme_of

TIMEOUT_SECONDS: Final = 1.0

_HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"
"""The first bytes of a client of HTTP/2, with an empty frame of settings (RFC 9113, section 3.4)."""
_SETTINGS: Final = b"\x04"
_HTTP1_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def speaks_http1(endpoint: str) -> bool:
    """Return True if the port of an endpoint responds to a request of HTTP/1."""
    try:
        with _connected(endpoint) as connection:
            connection.sendall(_HTTP1_REQUEST)
            return connection.recv(16).startswith(b"HTTP/1.")
    except (OSError, ValueError):
        return False


def speaks_http2(endpoint: str) -> bool:
    """Return True if the port of an endpoint speaks HTTP/2 without TLS, as gRPC does: it responds with a SETTINGS frame."""
    try:
        with _connected(endpoint) as connection:
            connection.sendall(_HTTP2_PREFACE)
            head = connection.recv(9)
            return head[3:4] == _SETTINGS
    except (OSError, ValueError):
        return False


def speaks_tls(endpoint: str) -> bool:
    """Return True if the port of an endpoint completes a TLS handshake, or ends it with an alert of TLS."""
    try:
        with _connected(endpoint) as connection, _unverified().wrap_socket(connection):
            return True
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except (OSError, ValueError):
        return False


def closes_after_handshake(endpoint: str) -> bool:
    """Return True if a server of HTTP/2 ends the connection after the TLS handshake, as it does if it requires a client's certificate.

    With TLS 1.3, the handshake of the client is over before the server has seen that there is no certificate.
    """
    context = _unverified()
    context.set_alpn_protocols(["h2"])
    try:
        with _connected(endpoint) as connection, context.wrap_socket(connection) as secured:
            secured.sendall(_HTTP2_PREFACE)
            return not secured.recv(9)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return True
    except (OSError, ValueError):
        return False


def _unverified() -> ssl.SSLContext:
    """Return TLS settings that accept every certificate, which is safe here: nothing secret is sent, and no content is used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connected(endpoint: str) -> socket.socket:
    url = endpoint if scheme_of(endpoint) else f"http://{endpoint}"
    return socket.create_connection((urlsplit(url).hostname or "", port_of(url)), TIMEOUT_SECONDS)
