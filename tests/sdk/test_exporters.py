"""The environment selects the exporters of each signal."""

from __future__ import annotations

import pytest

from heliograph.sdk.exporters import TelemetrySignal, select

EVERY_SIGNAL = pytest.mark.parametrize("signal", list(TelemetrySignal))


def names(signal: TelemetrySignal, **environ: str) -> list[str]:
    """Return the names of the selected exporters; there must be no problem."""
    selection = select(signal, environ)
    assert selection.problems == ()
    return [exporter.name for exporter in selection.exporters]


@EVERY_SIGNAL
def test_default_is_otlp_over_http(signal: TelemetrySignal) -> None:
    """If the variable is not set or empty, OTLP over HTTP is selected."""
    assert names(signal) == ["otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: ""}) == ["otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: "otlp"}) == ["otlp_proto_http"]


@EVERY_SIGNAL
def test_protocol_chooses_the_otlp_exporter(signal: TelemetrySignal) -> None:
    """The protocol of the signal takes precedence over the common one; an empty variable counts as not set, and spaces do not count."""
    own, common = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"

    assert names(signal, **{common: "grpc"}) == ["otlp_proto_grpc"]
    assert names(signal, **{common: "grpc", own: "http/protobuf"}) == ["otlp_proto_http"]
    assert names(signal, **{common: "http/protobuf", own: "grpc"}) == ["otlp_proto_grpc"]
    assert names(signal, **{common: "grpc", own: ""}) == ["otlp_proto_grpc"]
    assert names(signal, **{common: " grpc ", own: " "}) == ["otlp_proto_grpc"]


@EVERY_SIGNAL
def test_exporters_by_name(signal: TelemetrySignal) -> None:
    """The variable has one name or several, with spaces or without; each is the name of an entry point."""
    assert names(signal, **{signal.exporter_variable: "console"}) == ["console"]
    assert names(signal, **{signal.exporter_variable: " console , otlp,"}) == ["console", "otlp_proto_http"]
    assert names(signal, **{signal.exporter_variable: "otlp_proto_grpc"}) == ["otlp_proto_grpc"]


@EVERY_SIGNAL
def test_none_is_no_exporter(signal: TelemetrySignal) -> None:
    """`none` selects no exporter, in any case and with spaces around it."""
    for value in ("none", " None", "NONE,", "none,none"):
        assert names(signal, **{signal.exporter_variable: value}) == []
        assert signal.is_unwanted({signal.exporter_variable: value})


@EVERY_SIGNAL
@pytest.mark.parametrize("value", ["none,console", "otlp, None"])
def test_none_beside_an_exporter_is_a_problem(signal: TelemetrySignal, value: str) -> None:
    """The two contradict each other: nothing would be exported, although an exporter is named."""
    [problem] = select(signal, {signal.exporter_variable: value}).problems

    assert problem.startswith(f"{signal.exporter_variable}: ")
    assert "is beside other exporters; remove it" in problem
    assert not signal.is_unwanted({signal.exporter_variable: value})


def test_prometheus_is_an_exporter_of_metrics() -> None:
    """An exporter of another installed distribution is found."""
    assert names(TelemetrySignal.METRICS, OTEL_METRICS_EXPORTER="prometheus") == ["prometheus"]


@EVERY_SIGNAL
def test_unknown_exporter_is_a_problem(signal: TelemetrySignal) -> None:
    """The problem names the variable, the value, and the possible names. The other exporters are still selected."""
    selection = select(signal, {signal.exporter_variable: "zipkon,console"})

    [problem] = selection.problems
    assert problem.startswith(f"{signal.exporter_variable}: ")
    assert "'zipkon'" in problem
    for there_is in ("none", "console", "otlp_proto_http", "otlp_proto_grpc"):
        assert there_is in problem
    assert [exporter.name for exporter in selection.exporters] == ["console"]


@EVERY_SIGNAL
def test_unknown_protocol_is_a_problem(signal: TelemetrySignal) -> None:
    """The problem names the variable, its value, and the possible protocols."""
    own = f"OTEL_EXPORTER_OTLP_{signal.value.upper()}_PROTOCOL"

    [problem] = select(signal, {own: "http/json"}).problems
    [common] = select(signal, {"OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}).problems

    assert problem == f"{own}: 'http/json' must be one of http/protobuf, grpc"
    assert common == "OTEL_EXPORTER_OTLP_PROTOCOL: 'carrier-pigeon' must be one of http/protobuf, grpc"


def test_protocol_does_not_matter_to_other_exporters() -> None:
    """An unknown protocol is no problem if OTLP is not selected."""
    assert names(TelemetrySignal.LOGS, OTEL_LOGS_EXPORTER="console", OTEL_EXPORTER_OTLP_PROTOCOL="x") == ["console"]
