"""The endpoints of each signal, and the mistakes that need no server to be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from heliograph.doctor.targets import find_targets
from heliograph.sdk.exporters import TelemetrySignal
from heliograph.settings import Settings


def ids(environ: dict[str, str], **settings: Any) -> list[tuple[str, str]]:
    """Return the id and the subject of each finding."""
    _, found = find_targets(environ, Settings(**settings))
    return [(each.kind.id, each.subject) for each in found]


def test_targets_are_those_of_the_exporters() -> None:
    """An endpoint of one signal is used as it is. An exporter that is named itself decides the protocol."""
    targets, found = find_targets(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/base",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "https://logs:9428/insert",
            "OTEL_METRICS_EXPORTER": "otlp_proto_grpc",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
        },
        Settings(),
    )

    assert found == []
    assert [(t.signal.value, t.destination.protocol.value, t.destination.url, t.source) for t in targets] == [
        ("traces", "http/protobuf", "http://collector:4318/base/v1/traces", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("metrics", "grpc", "http://collector:4318/base", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("logs", "http/protobuf", "https://logs:9428/insert", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
    ]


def test_default_endpoint() -> None:
    """Without variables, each signal goes to the endpoint of the specification."""
    targets, _ = find_targets({}, Settings())

    assert {(t.destination.url, t.source) for t in targets} == {
        (f"http://localhost:4318/v1/{signal.value}", "default") for signal in TelemetrySignal
    }


ALL = [("traces",), ("metrics",), ("logs",)]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, [("H003", "environment")]),
        ({"OTEL_CONFIG_FILE": "missing.yaml"}, [("H004", "environment"), ("H002", "environment")]),
        (
            {f"OTEL_{name}_EXPORTER": "none" for name in ("TRACES", "METRICS", "LOGS")},
            [("H006", "traces"), ("H006", "metrics"), ("H006", "logs"), ("H005", "environment")],
        ),
        ({"OTEL_LOGS_EXPORTER": "console"}, [("H007", "logs")]),
        ({"OTEL_LOGS_EXPORTER": "otpl"}, [("H002", "logs")]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "collector:4318"}, [("H010", "logs")]),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": " http://collector:4318/v1/logs"}, [("H002", "logs")]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318/v1/logs"},
            [("H011", "traces"), ("H011", "metrics"), ("H011", "logs")],
        ),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, [("H012", "traces")]),
        ({"OTEL_EXPORTER_OTLP_LOGS_HEADERS": "Bearer canary"}, [("H002", "logs")]),
    ],
)
def test_mistakes_in_the_environment(environ: dict[str, str], expected: list[tuple[str, str]]) -> None:
    """Each mistake has its own id, and names its signal or the environment."""
    assert ids(environ) == expected


def test_outbox_reads_the_environment_itself(tmp_path: Path) -> None:
    """An outbox is stricter: its timeout is in milliseconds, credentials need TLS, and it sends log records and spans alone."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=canary",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "10",
    }

    assert ids(environ) == []
    assert ids(environ, outbox=tmp_path) == [("H002", "traces"), ("H002", "traces"), ("H002", "logs"), ("H002", "logs")]


FILE = """
file_format: "1.0"
tracer_provider:
  processors:
  - batch:
      exporter:
        otlp_http:
          endpoint: https://traces:4318/v1/traces
          headers:
          - {name: authorization, value: "${TOKEN}"}
          headers_list: "authorization=old,x-team=a b"
          compression: gzip
  - simple:
      exporter:
        otlp_grpc: {endpoint: "http://traces:4317", tls: {insecure: true}}
logger_provider:
  processors:
  - batch: {exporter: {otlp_http: {}}}
meter_provider:
  readers:
  - pull: {exporter: {prometheus/development: {}}}
"""


def file(folder: Path, text: str) -> str:
    """Write a file of OpenTelemetry's declarative configuration, and return its path."""
    path = folder / "otel.yaml"
    path.write_text(text)
    return str(path)


def test_endpoints_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All exporters of a signal are tested. An endpoint that the file does not set is that of the environment."""
    monkeypatch.setenv("TOKEN", "Bearer canary")
    path = file(tmp_path, FILE)
    environ = {
        "OTEL_CONFIG_FILE": path,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318",
        "OTEL_LOGS_EXPORTER": "none",
    }

    targets, found = find_targets(environ, Settings())

    assert [(t.signal.value, t.destination.protocol.value, t.destination.url, t.source) for t in targets] == [
        ("traces", "http/protobuf", "https://traces:4318/v1/traces", path),
        ("traces", "grpc", "http://traces:4317", path),
        ("logs", "http/protobuf", "http://other:4318/v1/logs", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ]
    assert dict(targets[0].destination.headers) == {"authorization": "Bearer canary", "x-team": "a b"}
    assert targets[0].destination.gzip
    assert not targets[1].destination.headers
    assert [(each.kind.id, each.subject, each.kind.is_problem) for each in found] == [
        ("H004", "environment", False),
        ("H007", "metrics", False),
    ]
    assert found[1].detail == f"{path} names prometheus_development"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("disabled: true", [("H003", "environment")]),
        ("", [("H006", "traces"), ("H006", "metrics"), ("H006", "logs"), ("H005", "environment")]),
        (
            "tracer_provider: {sampler: {always_off: }, processors: [{simple: {exporter: {my_exporter: }}}]}",
            [("H012", "traces"), ("H007", "traces"), ("H006", "metrics"), ("H006", "logs")],
        ),
        (
            "tracer_provider: {sampler: {parent_based: {root: {always_off: }}}, processors: [{simple: {exporter: {console: }}}]}",
            [("H012", "traces"), ("H007", "traces"), ("H006", "metrics"), ("H006", "logs")],
        ),
        (
            "logger_provider: {processors: [{event_to_span_event_bridge/development: }, {batch: {exporter: {otlp_http: {endpoint: 'logs:4318'}}}}]}",
            [("H006", "traces"), ("H006", "metrics"), ("H010", "logs")],
        ),
        (
            "logger_provider: {processors: [{batch: {exporter: {otlp_grpc: {compression: zip}}}}]}",
            [("H006", "traces"), ("H006", "metrics"), ("H002", "logs")],
        ),
        ("logger_provider: {processors: [{batch: {exporter: {otlp_grpc: [canary]}}}]}", [("H002", "environment")]),
        ("logger_provider: {canary", [("H002", "environment")]),
    ],
)
def test_mistakes_in_a_file(text: str, expected: list[tuple[str, str]], tmp_path: Path) -> None:
    """A mistake has the id of the same mistake in variables, and names the file. Nothing of the file is quoted."""
    path = file(tmp_path, f'file_format: "1.0"\n{text}\n')
    _, found = find_targets({"OTEL_CONFIG_FILE": path}, Settings())

    assert [(each.kind.id, each.subject) for each in found[1:]] == expected
    assert "canary" not in str(found)
    assert all(path in each.detail for each in found)
