"""Where to send to, from the standard environment."""

from __future__ import annotations

import pytest

from heliograph.delivery.transport.destination import Destination, OtlpProtocol
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.errors import SettingsError

PREFIX = "OTEL_EXPORTER_OTLP_"


def read(allow_plaintext: bool = False, **variables: str) -> Destination:
    return destination_from_env(
        {f"{PREFIX}{name}": value for name, value in variables.items()}, allow_plaintext=allow_plaintext
    )


def test_defaults_are_those_of_the_specification() -> None:
    """HTTP to this host, ten seconds, no compression."""
    found = read()

    assert (found.protocol, found.url) == (OtlpProtocol.HTTP, "http://localhost:4318/v1/logs")
    assert (found.timeout_seconds, found.gzip, dict(found.headers)) == (10.0, False, {})
    assert read(PROTOCOL="grpc").url == "http://localhost:4317"


def test_variables_of_the_signal_go_first() -> None:
    """Its endpoint is taken as it is; the common one is a base."""
    assert read(ENDPOINT="http://a:1/base/").url == "http://a:1/base/v1/logs"
    assert read(ENDPOINT="http://a:1", LOGS_ENDPOINT="https://b:2/own").url == "https://b:2/own"
    assert read(TIMEOUT="2000", LOGS_TIMEOUT="500").timeout_seconds == 0.5
    assert read(COMPRESSION="none", LOGS_COMPRESSION="gzip").gzip


def test_headers_are_read_and_never_shown() -> None:
    """Percent-encoded, with names in lower case."""
    found = read(ENDPOINT="https://a", HEADERS="Authorization=Bearer%20canary,x-team=a")

    assert dict(found.headers) == {"authorization": "Bearer canary", "x-team": "a"}
    assert "canary" not in repr(found)
    assert "canary" in found.secrets


def test_credentials_go_over_plain_http_to_this_host_alone() -> None:
    """Unless somebody says otherwise."""
    with pytest.raises(SettingsError, match="HELIOGRAPH_OUTBOX_ALLOW_PLAINTEXT"):
        read(ENDPOINT="http://collector.example", HEADERS="authorization=canary")

    assert read(ENDPOINT="http://collector.example", HEADERS="authorization=canary", allow_plaintext=True).headers
    assert read(ENDPOINT="http://127.0.0.1:4318", HEADERS="authorization=canary").headers


def test_every_problem_is_told_at_once_without_a_value_of_a_header() -> None:
    """By the variable's name."""
    with pytest.raises(SettingsError) as caught:
        read(PROTOCOL="http/json", TIMEOUT="soon", HEADERS="canary", COMPRESSION="zip", CERTIFICATE="/no/such")

    text = str(caught.value)
    for name in ("PROTOCOL", "TIMEOUT", "HEADERS", "COMPRESSION", "CERTIFICATE"):
        assert f"{PREFIX}{name}" in text
    assert "canary" not in text
