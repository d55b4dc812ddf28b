"""Real servers of each protocol are recognized."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from backends import free_port
from delivery.loopback import Certificates, serving
from heliograph.delivery.transport.destination import OtlpProtocol
from heliograph.delivery.transport.port_probe import (
    closes_after_handshake,
    speaks_http1,
    speaks_http2,
    speaks_tls,
)


def answers(endpoint: str) -> tuple[bool, bool, bool]:
    return speaks_http1(endpoint), speaks_http2(endpoint), speaks_tls(endpoint)


def test_servers_of_each_protocol(tmp_path: Path) -> None:
    """A server of HTTP, of gRPC and of TLS is found to speak that alone."""
    with serving(OtlpProtocol.HTTP) as http, serving(OtlpProtocol.GRPC) as grpc:
        assert answers(f"http://127.0.0.1:{http.port}/v1/logs") == (True, False, False)
        assert answers(f"127.0.0.1:{grpc.port}") == (False, True, False)
    with serving(OtlpProtocol.HTTP, certificates=Certificates(tmp_path)) as server:
        assert answers(f"http://127.0.0.1:{server.port}") == (False, False, True)


@pytest.mark.parametrize("protocol", list(OtlpProtocol))
def test_server_that_wants_a_certificate_of_the_client(protocol: OtlpProtocol, tmp_path: Path) -> None:
    """Such a server ends the connection after the handshake, by an alert or without one."""
    certificates = Certificates(tmp_path)
    with serving(protocol, certificates=certificates, wants_client_certificate=True) as server:
        assert speaks_tls(f"http://127.0.0.1:{server.port}")
        assert closes_after_handshake(f"http://127.0.0.1:{server.port}")
    with serving(OtlpProtocol.GRPC, certificates=certificates) as server:
        assert not closes_after_handshake(f"http://127.0.0.1:{server.port}")


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:{}", "127.0.0.1:{}", "http://127.0.0.1:x{}", "unix:/x{}"])
def test_nobody_answers(endpoint: str) -> None:
    """An endpoint that cannot be understood speaks nothing."""
    endpoint = endpoint.format(free_port())

    assert answers(endpoint) == (False, False, False)


def test_server_that_is_silent() -> None:
    """A port without an answer is asked for a second at most, and counts as none of the protocols."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = f"127.0.0.1:{listener.getsockname()[1]}"

        assert answers(endpoint) == (False, False, False)
        assert not closes_after_handshake(endpoint)
