"""The exporters in the file of `OTEL_CONFIG_FILE`, as the variables that mean the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from heliograph.doctor.config_file import ConfigFile
from heliograph.errors import SettingsError
from packages import require

LOGS = "OTEL_EXPORTER_OTLP_LOGS_"


@pytest.fixture(autouse=True)
def reader_of_files() -> None:
    require("opentelemetry.configuration")


def load(folder: Path, text: str) -> ConfigFile:
    path = folder / "otel.yaml"
    path.write_text(f'file_format: "1.0"\n{text}\n')
    return ConfigFile.load(str(path))


def variables_of_logs(folder: Path, *exporters: str) -> list[dict[str, str]]:
    """Return the variables, without their prefix, of each exporter in a file with these exporters of log records."""
    processors = ", ".join(f"{{batch: {{exporter: {{{each}}}}}}}" for each in exporters)
    found = load(folder, f"logger_provider: {{processors: [{processors}]}}").exporters
    return [{name.removeprefix(LOGS): value for name, value in (each.variables or {}).items()} for each in found]


def test_empty_file(tmp_path: Path) -> None:
    assert load(tmp_path, "") == ConfigFile(is_disabled=False, samples_nothing=False, exporters=[])


@pytest.mark.parametrize(
    ("disabled", "sampler", "expected"),
    [
        ("${OFF:-true}", "always_off: {}", (True, True)),
        ("false", "parent_based: {root: {always_off: }}", (False, True)),
        ("", "parent_based: {remote_parent_not_sampled: {always_off: }}", (False, False)),
        ("${OFF:-false}", "trace_id_ratio_based: {ratio: 0.5}", (False, False)),
    ],
)
def test_telemetry_that_is_switched_off(
    tmp_path: Path, disabled: str, sampler: str, expected: tuple[bool, bool]
) -> None:
    """All telemetry is, or all traces are. A sampler that drops only what the parent's process dropped is not meant."""
    processors = "[{simple: {exporter: {console: }}}]"
    provider = f"tracer_provider: {{processors: {processors}, sampler: {{{sampler}}}}}"
    config = load(tmp_path, f"disabled: {disabled}\n{provider}")
    assert (config.is_disabled, config.samples_nothing) == expected


def test_every_exporter_has_its_signal(tmp_path: Path) -> None:
    """Exporters are in the order of the signals. A processor without one is left out, and other kinds have no variables."""
    found = load(
        tmp_path,
        """
meter_provider: {readers: [{periodic: {exporter: {otlp_http: {}}}}, {periodic: {exporter: {console: }}}, {pull: {exporter: {prometheus/development: {}}}}]}
logger_provider: {processors: [{event_to_span_event_bridge/development: }, {simple: {exporter: {otlp_grpc: {}}}}]}
tracer_provider: {processors: [{batch: {exporter: {otlp_http: {}}}}, {simple: {exporter: {my_own: {a: b}}}}]}
""",
    ).exporters

    assert [(each.signal.value, each.name, each.variables) for each in found] == [
        ("traces", "otlp_http", {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}),
        ("traces", "my_own", None),
        ("metrics", "otlp_http", {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf"}),
        ("metrics", "console", None),
        ("metrics", "prometheus_development", None),
        ("logs", "otlp_grpc", {"OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc"}),
    ]


def test_all_that_an_exporter_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may refer to variables. What it does not say is no variable: the exporter reads that from the environment."""
    monkeypatch.setenv("LOGS_HOST", "logs")
    files = "{ca_file: /ca.pem, cert_file: /cert.pem, key_file: /key.pem}"
    assert variables_of_logs(
        tmp_path,
        "otlp_http: ",
        f"otlp_http: {{endpoint: 'https://${{LOGS_HOST}}:${{LOGS_PORT:-4318}}/v1/logs', compression: gzip, tls: {files}}}",
        "otlp_grpc: {endpoint: 'http://logs:4317', tls: {insecure: true}}",
        "otlp_grpc: {endpoint: 'https://logs:4317', tls: {insecure: false}}",
    ) == [
        {"PROTOCOL": "http/protobuf"},
        {
            "PROTOCOL": "http/protobuf",
            "ENDPOINT": "https://logs:4318/v1/logs",
            "COMPRESSION": "gzip",
            "CERTIFICATE": "/ca.pem",
            "CLIENT_CERTIFICATE": "/cert.pem",
            "CLIENT_KEY": "/key.pem",
        },
        {"PROTOCOL": "grpc", "ENDPOINT": "http://logs:4317", "INSECURE": "true"},
        {"PROTOCOL": "grpc", "ENDPOINT": "https://logs:4317"},
    ]


HEADERS = {
    "headers: [{name: a, value: b}]": "a=b",
    "headers: [{name: a, value: 'b,c=d e%'}]": "a=b%2Cc%3Dd%20e%25",
    "headers: [{name: a, value: }]": "a=",
    "headers_list: 'a=b, c = d '": "a=b,c=d",
    "headers_list: 'a=b=c,,nothing'": "a=b%3Dc",
    "headers_list: ''": "",
    "headers_list: 'a=old,b=c', headers: [{name: a, value: new}]": "a=new,b=c",
}


def test_headers(tmp_path: Path) -> None:
    """Headers are written as in the variable. `headers` takes precedence over `headers_list`."""
    found = variables_of_logs(tmp_path, *(f"otlp_http: {{{each}}}" for each in HEADERS))
    assert [each["HEADERS"] for each in found] == list(HEADERS.values())


@pytest.mark.parametrize(
    "text",
    [
        "logger_provider: {canary",
        "logger_provider: {processors: [{batch: {exporter: {otlp_http: canary}}}]}",
    ],
)
def test_file_that_cannot_be_used_is_not_quoted(tmp_path: Path, text: str) -> None:
    """A file of configuration may have credentials."""
    with pytest.raises(SettingsError, match=r"otel\.yaml") as raised:
        load(tmp_path, text)
    assert "canary" not in str(raised.value)


def test_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing\.yaml"):
        ConfigFile.load(str(tmp_path / "missing.yaml"))
