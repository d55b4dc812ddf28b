"""The SDK's exporters with wrong endpoints: the log explains them, by name, and no flush takes them for a success."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

import forked
from backends import free_port
from delivery import loopback
from delivery.servers import OK, serving
from heliograph.delivery.transport.destination import OtlpProtocol
from heliograph.delivery.transport.explain import GRPC_PORT_IS_HTTP, HTTP_PORT_IS_GRPC, NOT_OTLP
from heliograph.sdk import explained_exporters
from heliograph.sdk.explained_exporters import create_exporter, endpoint_problem
from heliograph.sdk.exporters import TelemetrySignal
from processes import clean_environment


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        explained_exporters, "_log", explained_exporters.LimitedLog(explained_exporters.SafeLogger("heliograph"))
    )


def entry_point(name: str, signal: TelemetrySignal = TelemetrySignal.LOGS) -> EntryPoint:
    [found] = entry_points(group=signal.entry_point_group, name=name)
    return found


def export_one(monkeypatch: pytest.MonkeyPatch, name: str, endpoint: str, timeout_seconds: int = 10) -> Any:
    """Export a record, and return the exporter."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", str(timeout_seconds))
    exporter = create_exporter(entry_point(name), TelemetrySignal.LOGS)
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("tests").emit(LogRecord(body="one"))
    provider.shutdown()
    return exporter


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "heliograph"]


@pytest.mark.parametrize(
    ("answer", "explanation"),
    [
        ((200, {"Content-Type": "text/html"}, b"<html>"), f"HTTP 200, but the response is text/html: {NOT_OTLP}"),
        ((302, {"Location": "/elsewhere"}, b""), "HTTP 302: redirects are not followed"),
        ((404, {}, b""), "HTTP 404: no receiver of OTLP is at this URL"),
    ],
)
def test_response_that_is_no_success(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answer: Any, explanation: str
) -> None:
    """One line names the signal, the URL without its query, and the problem. The export is a failure."""
    with serving(lambda number, records: answer) as server:
        exporter = export_one(monkeypatch, "otlp_proto_http", f"{server.endpoint}?key=secret-1")

    [message] = messages(caplog)
    assert message.startswith(f"Telemetry is not delivered (logs) to {server.endpoint}: {explanation}")
    assert exporter.counts._failures == 1
    assert exporter.counts._delivered == 0


def test_success_is_not_explained(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The same holds for a failure that the endpoint does not cause."""
    with serving(lambda number, records: OK) as server:
        assert export_one(monkeypatch, "otlp_proto_http", server.endpoint).counts._delivered == 1
    with serving(lambda number, records: (400, {}, b"")) as server:
        assert export_one(monkeypatch, "otlp_proto_http", server.endpoint).counts._failures == 1

    assert messages(caplog) == []


@pytest.mark.parametrize(
    ("server", "name", "explanation"),
    [
        (OtlpProtocol.GRPC, "otlp_proto_http", HTTP_PORT_IS_GRPC),
        (OtlpProtocol.HTTP, "otlp_proto_grpc", GRPC_PORT_IS_HTTP),
    ],
)
def test_port_of_the_other_protocol(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, server: OtlpProtocol, name: str, explanation: str
) -> None:
    """Over HTTP, the bytes of the response show the protocol; over gRPC, the server is asked after the failure."""
    with loopback.serving(server) as running:
        export_one(monkeypatch, name, f"http://127.0.0.1:{running.port}", timeout_seconds=1)

    assert len(messages(caplog)) == 1
    assert explanation in messages(caplog)[0]


def test_server_that_is_down_is_not_explained(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A server is asked once a minute at most, and not over TLS."""
    exporter = export_one(monkeypatch, "otlp_proto_grpc", f"127.0.0.1:{free_port()}", timeout_seconds=1)
    exporter.on_failure()
    explained_exporters.GrpcExplanation(TelemetrySignal.LOGS, "https://127.0.0.1:1")()

    assert messages(caplog) == []


def test_exporter_without_a_known_client_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of an exporter is private, and may be another one in a later release."""

    class Exporter:
        """An exporter of a later release."""

    monkeypatch.setattr(EntryPoint, "load", lambda found: Exporter)
    exporter = create_exporter(entry_point("otlp_proto_http"), TelemetrySignal.LOGS)

    assert vars(exporter).keys() == {"counts", "on_failure"}


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318/v1/logs"}, "the path /v1/… is appended to it"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318 "}, "remove the spaces before or after the URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"}, "it has to begin with http:// or https://"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost:4318"}, "it has to begin with http:// or https://"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "it is not a URL with a host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://"}, "it is not a URL with a host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a b"}, "it contains characters that are not allowed in a URL"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a..b"}, "it is not a URL with a host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://bücher.example:4318"}, None),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:port"}, "it is not a URL with a host"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:99999"}, "it is not a URL with a host"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://me:secret@otel_collector:4318"}, None),
        ({}, None),
    ],
)
def test_endpoint_is_checked_at_the_start(environ: dict[str, str], problem: str | None) -> None:
    """The message names the variable. For gRPC, an endpoint without a scheme is allowed."""
    signal = TelemetrySignal.TRACES
    found = endpoint_problem(entry_point("otlp_proto_http", signal), signal, environ)

    assert (found is None) == (problem is None)
    assert found is None or (next(iter(environ)) in found and str(problem) in found)
    assert endpoint_problem(entry_point("otlp_proto_grpc", signal), signal, environ) is None


@pytest.mark.parametrize("name", ["otlp_proto_http", "otlp_proto_grpc"])
@pytest.mark.parametrize(
    ("value", "is_wrong"), [("0", True), ("-1", True), ("nan", True), ("inf", True), ("2.5", False)]
)
def test_timeout_in_which_nothing_is_delivered_is_a_warning(
    caplog: pytest.LogCaptureFixture, name: str, value: str, is_wrong: bool
) -> None:
    """The message names the variable. The exporter itself reads the variables of the process."""
    create_exporter(entry_point(name), TelemetrySignal.LOGS, {"OTEL_EXPORTER_OTLP_TIMEOUT": value})
    create_exporter(entry_point("console"), TelemetrySignal.LOGS, {"OTEL_EXPORTER_OTLP_TIMEOUT": value})

    assert [message.startswith("OTEL_EXPORTER_OTLP_TIMEOUT: ") for message in messages(caplog)] == [True] * is_wrong


def test_timeout_that_is_no_number_is_the_exporters_default(caplog: pytest.LogCaptureFixture) -> None:
    """The exporter itself logs a wrong timeout."""
    create_exporter(entry_point("otlp_proto_http"), TelemetrySignal.LOGS, {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"})

    assert messages(caplog) == []


PROGRAM = """
from heliograph import configure
with configure() as host:
    host.flush(1000)
"""


def test_wrong_endpoint_is_an_error_of_the_program_that_names_it(tmp_path: Path) -> None:
    """All signals share the variable, and the error is reported once."""
    environment = clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT="localhost:4318")
    ended = forked.run([sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment)

    assert ended.returncode == 1
    assert ended.stderr.count("OTEL_EXPORTER_OTLP_ENDPOINT: it has to begin with http:// or https://") == 1


def test_lines_of_a_program_without_logging_carry_our_name(tmp_path: Path) -> None:
    """Python prints the message alone if nothing is configured."""
    program = (
        "from heliograph.runtime.safe_logger import SafeLogger\nSafeLogger('heliograph').warning('%d records wait', 3)"
    )
    configured = f"import logging\nlogging.basicConfig()\n{program}"
    ended = [
        forked.run([sys.executable, "-c", each], cwd=tmp_path, env=clean_environment())
        for each in (program, configured)
    ]

    assert [each.stderr for each in ended] == ["heliograph: 3 records wait\n", "WARNING:heliograph:3 records wait\n"]
