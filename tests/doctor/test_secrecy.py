"""Variables are shown without anything that may be a credential."""

from __future__ import annotations

import pytest

from heliograph.doctor.secrecy import HIDDEN, is_shown, secrets_of, shown_names, shown_variable


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "grpc"),
        ("OTEL_LOGS_EXPORTER", "none", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://me:canary@c:4318/x?key=canary", "https://c:4318/x"),
        ("HTTPS_PROXY", "http://me:canary@proxy:8080", "http://proxy:8080"),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "authorization=Bearer canary, x-team=7", "authorization=…, x-team=…"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,vendor.token=canary", "service.name=…, vendor.token=…"),
        ("OTEL_EXPORTER_VENDOR_API_KEY", "canary", HIDDEN),
    ],
)
def test_value_of_a_variable(variable: str, value: str, shown: str) -> None:
    """Names of headers are shown, and their values are not. An unknown variable may be a credential."""
    assert is_shown(variable)
    assert shown_variable(variable, value) == shown


@pytest.mark.parametrize("headers", ["Bearer canary", "Y2FuYXJ5", "Y2FuYXJ5=", "Y2FuYXJ5==", "Bearer Y2FuYXJ5=x", "=x"])
def test_list_that_is_no_list(headers: str) -> None:
    """A token that was written instead of a list is hidden, also if it ends like a name."""
    assert shown_names(headers) == HIDDEN


def test_other_variables() -> None:
    """Variables of other programs are not part of a report."""
    assert not is_shown("AWS_SECRET_ACCESS_KEY")
    assert not is_shown("HELIOGRAPH_SECRET")


def test_secrets_to_remove_from_messages() -> None:
    """Hidden values are removed, whole and word by word. A short word is not: every message has it."""
    environ = {
        "OTEL_EXPORTER_OTLP_HEADERS": "a=Bearer canary",
        "OTEL_VENDOR_KEY": "hush-hush",
        "OTEL_SERVICE_NAME": "plain",
        "PATH": "/usr/bin",
    }

    assert secrets_of(environ) == ["Bearer", "a=Bearer canary", "canary", "hush-hush"]
