"""Which exporters the environment asks for."""

from __future__ import annotations

import pytest

from heliograph.sdk.exporters import TelemetrySignal, asks_for_export, select

EVERY_SIGNAL = pytest.mark.parametrize("signal", list(TelemetrySignal))


def names(signal: TelemetrySignal, **environ: str) -> list[str]:
    """The names of the exporters, where nothing is wrong."""
    selection = select(signal, environ)
    assert selection.problems == ()
    return [exporter.name for exporter in selection.exporters]


@EVERY_SIGNAL
def test_default_is_otlp_over_http(signal: TelemetrySignal) -> None:
    """Without a word, and with an empty one, it is OTLP over HTTP."""
    assert names(signal) == ["otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: ""}) == ["otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: "otlp"}) == ["otlp_proto_http"]


@EVERY_SIGNAL
def test_protocol_chooses_the_otlp_exporter(signal: TelemetrySignal) -> None:
    """The protocol of the signal goes before the common one; an empty one counts as none."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"

    assert names(signal, **{common: "grpc"}) == ["otlp_proto_grpc"]
    assert names(signal, **{common: "grpc", own: "http/protobuf"}) == ["otlp_proto_http"]
    assert names(signal, **{common: "http/protobuf", own: "grpc"}) == ["otlp_proto_grpc"]
    assert names(signal, **{common: "grpc", own: ""}) == ["otlp_proto_grpc"]


@EVERY_SIGNAL
def test_exporters_by_name(signal: TelemetrySignal) -> None:
    """One name or several, with spaces or without; what is installed can be named by its entry point."""
    assert names(signal, **{signal.exporter_variable: "console"}) == ["console"]
    assert names(signal, **{signal.exporter_variable: " console , otlp,"}) == ["console", "otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: "otlp_proto_grpc"}) == ["otlp_proto_grpc"]


@EVERY_SIGNAL
def test_none_is_no_exporter(signal: TelemetrySignal) -> None:
    """`none` asks for no exporter, whatever else stands beside it."""
    assert names(signal, **{signal.exporter_variable: "none"}) == []
    assert names(signal, **{signal.exporter_variable: "none,console"}) == []


def test_prometheus_is_an_exporter_of_metrics() -> None:
    """An exporter that an installed distribution brings is found."""
    assert names(TelemetrySignal.METRICS, OTEL_METRICS_EXPORTER="prometheus") == ["prometheus"]


@EVERY_SIGNAL
def test_unknown_exporter_is_a_problem(signal: TelemetrySignal) -> None:
    """The problem names the variable, the value, and what there is; the others are found all the same."""
    selection = select(signal, {signal.exporter_variable: "zipkon,console"})

    [problem] = selection.problems
    assert problem.startswith(f"{signal.exporter_variable}: ")
    assert "'zipkon'" in problem
    for there_is in ("none", "console", "otlp_proto_http", "otlp_proto_grpc"):
        assert there_is in problem
    assert [exporter.name for exporter in selection.exporters] == ["console"]


@EVERY_SIGNAL
def test_unknown_protocol_is_a_problem(signal: TelemetrySignal) -> None:
    """The problem names the variable that said it, its value, and the protocols that there are."""
    own = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL"

    [problem] = select(signal, {own: "http/json"}).problems
    [common] = select(signal, {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}).problems

    assert problem == f"{own}: 'http/json' has to be one of http/protobuf, grpc"
    assert common == "OTEL_EXPORTER_OTLP_PROTOCOL: 'carrier-pigeon' has to be one of http/protobuf, grpc"


def test_protocol_does_not_matter_to_other_exporters() -> None:
    """An unknown protocol is no problem where OTLP is not asked for."""
    assert names(TelemetrySignal.LOGS, OTEL_LOGS_EXPORTER="console", OTEL_EXPORTER_OTLP_PROTOCOL="x") == ["console"]


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", True),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", True),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", True),
        ("OTEL_METRICS_EXPORTER", True),
        ("OTEL_SERVICE_NAME", False),
        ("OTEL_EXPORTER_OTLP_HEADERS", False),
    ],
)
def test_asks_for_export(name: str, asks: bool) -> None:
    """An endpoint or an exporter asks for export; an empty one, or another variable, does not."""
    assert asks_for_export({name: "x"}) is asks
    assert asks_for_export({name: ""}) is False
    assert asks_for_export({}) is False
