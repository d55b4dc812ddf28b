"""The server that requests are forwarded to: its address, and the headers that are not passed on.

Source: RFC 9110, section 7.6.1, for the hop-by-hop headers. They are about one connection, and are never forwarded.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

TARGET_TIMEOUT_SECONDS: Final = 10.0
"""The time that a target has to respond. Exporters wait for the same time, by default."""
MAX_RESPONSE_BYTES: Final = 4 * 1024 * 1024
"""The largest response of a target that is passed back."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HTTP_PORT, _GRPC_PORT = 4318, 4317
_SIGNAL_PATHS: Final = ("/v1/logs", "/v1/traces", "/v1/metrics")
_NO_URL: Final = "it must be a URL such as http://collector.example:4318"
_HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade"),
        # These are not hop-by-hop, but are created again for the connection to the target.
        *("content-length", "expect", "host"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The address of a server.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The name or the IP address.
        port: The port.
        path: The path below which the paths of OTLP are; empty if there is none.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def from_url(cls, url: str) -> Target:
        """Return the target of a URL.

        Raises:
            ValueError: The URL is not valid. The message quotes no part of it, because it may contain a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError(_NO_URL) from None
        if parts.username is not None:
            raise ValueError(
                "the URL must have no user and no password; headers of requests are passed on, credentials too"
            )
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.query:
            raise ValueError(_NO_URL)
        if parts.path.rstrip("/").endswith(_SIGNAL_PATHS):
            raise ValueError("the paths of the signals, such as /v1/logs, are added to the URL; leave them out")
        port = _DEFAULT_PORTS[parts.scheme] if port is None else port
        return cls(scheme=parts.scheme, host=parts.hostname, port=port, path=parts.path.rstrip("/"))

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def for_grpc(self) -> Target:
        """Return the address for gRPC on the same host: port 4317 if this one is for HTTP on port 4318, otherwise the same port."""
        port = _GRPC_PORT if self.port == _HTTP_PORT else self.port
        return Target(scheme=self.scheme, host=self.host, port=port, path="")

    def is_own_port(self, port: int) -> bool:
        """Return True if this is the address of a port of this machine's loopback interface, by whatever name or number."""
        return self.port == port and _is_this_machine(self.host)


def _is_this_machine(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        # There is no such host.
        return False
    # The system connects to this machine for 0.0.0.0 and ::, too.
    addresses = [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
    return any(each.is_loopback or each.is_unspecified for each in addresses)


def passed_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers of a request or a response without the hop-by-hop headers, and those that are created again."""
    headers = list(headers)
    named = {
        each.strip().lower() for name, value in headers if name.lower() == "connection" for each in value.split(",")
    }
    return [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP | named]


def passed_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[str, str | bytes]]:
    """Return the metadata, or the trailing metadata, of a call without the entries that gRPC creates itself."""
    own = {"content-type", "te", "user-agent", *_HOP_BY_HOP}
    return [
        (name, value)
        for name, value in metadata
        if name not in own and (not name.startswith("grpc-") or name == "grpc-status-details-bin")
    ]
