"""Addresses of targets, and the headers that are passed on."""

from __future__ import annotations

import pytest

from heliograph.receiver.target import Target, passed_headers, passed_metadata


def test_target_of_a_url() -> None:
    """The port is that of the scheme, if there is none. gRPC has the port beside that of HTTP."""
    target = Target.from_url("https://Collector.example/otlp/")

    assert target == Target(scheme="https", host="collector.example", port=443, path="/otlp")
    assert target.for_grpc() == Target(scheme="https", host="collector.example", port=443, path="")
    assert Target.from_url("http://[::1]:4318").for_grpc().address == "[::1]:4317"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "collector:4318",
        "grpc://x",
        "http://",
        "http://u:p@x",
        "http://x?a=b",
        "http://x/v1/logs",
        "http://x/otlp/v1/traces/",
        "http://x:y",
        "http://[x",
        "http://x:99999",
    ],
)
def test_other_texts_are_refused(url: str) -> None:
    """A message says what is expected, or what is wrong."""
    with pytest.raises(ValueError):
        Target.from_url(url)


def test_own_port() -> None:
    """A receiver that forwards to its own port would be an endless loop."""
    for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.1", "0.0.0.0", "[::1]", "[::]"):
        assert Target.from_url(f"http://{host}:4318").is_own_port(4318), host
    assert not Target.from_url("http://localhost:4319").is_own_port(4318)
    assert not Target.from_url("http://192.0.2.1:4318").is_own_port(4318)
    for unknown in ("x" * 70, "a..b"):
        assert not Target.from_url(f"http://{unknown}:4318").is_own_port(4318)


def test_headers_of_one_connection_are_not_passed() -> None:
    """Headers that `Connection` names are not, either. All others are, also if there are several of a name."""
    kept = [("Authorization", "Bearer x"), ("X-Scope-OrgID", "a"), ("X-Scope-OrgID", "b"), ("Content-Encoding", "gzip")]
    dropped = [
        ("Connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("TE", "trailers"),
        ("Host", "a"),
        ("Content-Length", "3"),
    ]

    assert passed_headers(dropped + kept) == kept


def test_metadata_of_one_connection_are_not_passed() -> None:
    """Details of an error are for the client."""
    kept = [("authorization", "Bearer x"), ("x-bin", b"\x00"), ("grpc-status-details-bin", b"x")]
    dropped = [
        ("user-agent", "x"),
        ("te", "trailers"),
        ("grpc-accept-encoding", "gzip"),
        ("content-type", "application/grpc"),
    ]

    assert passed_metadata(dropped + kept) == kept
