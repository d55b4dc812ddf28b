"""The variable of a signal replaces the common one."""

from __future__ import annotations

import pytest

from heliograph.delivery.transport.exporter_variables import find_variable

OWN, COMMON = "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({OWN: "grpc", COMMON: "http/json"}, (OWN, "grpc")),
        ({OWN: " grpc\t"}, (OWN, "grpc")),
        ({OWN: " ", COMMON: "grpc"}, (COMMON, "grpc")),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", COMMON: ""}, (COMMON, None)),
        ({}, (COMMON, None)),
    ],
)
def test_variable_of_the_signal_comes_first(environ: dict[str, str], found: tuple[str, str | None]) -> None:
    """An empty variable counts as unset, and spaces around a value do not count."""
    assert find_variable("PROTOCOL", "logs", environ) == found
