"""The doctor against real servers, each wrong in one way: it says the id, and never the value of a header."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trustme

from backends import Collector, Jaeger, free_port, wait_until
from delivery.loopback import Certificates, serving
from doctor.wrong_servers import responding
from heliograph.delivery.transport.destination import OtlpProtocol
from heliograph.doctor.examination import DatasetteStart, examine
from heliograph.doctor.report import Report

CANARY = "canary-7f3a"
ONLY_LOGS = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


def examined(**environ: str) -> Report:
    """Return the report. No text of it has the value of the header that every request sends."""
    report = examine({"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARY}", **environ})
    assert CANARY not in json.dumps(report.to_json())
    assert CANARY not in "\n".join(report.lines())
    return report


def problems(**environ: str) -> dict[str, str]:
    """Return the id of the problem of each signal."""
    report = examined(**environ)
    assert not report.is_well
    return {
        subject: finding.kind.id
        for finding in report.findings
        if finding.kind.is_problem
        for subject in finding.subject.split(", ")
    }


def everywhere(kind: str) -> dict[str, str]:
    return dict.fromkeys(("traces", "metrics", "logs"), kind)


def grpc(endpoint: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}


def test_collector_accepts_all(collector: Collector) -> None:
    """The test record of each signal arrives there, over both protocols."""
    over_http = examined(OTEL_EXPORTER_OTLP_ENDPOINT=collector.otlp_http_endpoint)
    over_grpc = examined(**grpc(collector.otlp_grpc_endpoint))

    assert over_http.is_well
    assert over_grpc.is_well
    traces = {report.record.trace_id for report in (over_http, over_grpc)}
    uids = {report.record.uid for report in (over_http, over_grpc)}
    wait_until(lambda: traces <= {span.trace_id for span in collector.traces()})
    wait_until(lambda: uids <= {record.attributes.get("log.record.uid") for record in collector.logs()})
    wait_until(lambda: any(metric.name == "heliograph.doctor.test" for metric in collector.metrics()))


def test_jaeger_accepts_traces_only(jaeger: Jaeger) -> None:
    """404 over HTTP and UNIMPLEMENTED over gRPC mean that it stores no such signal, because it accepts another one."""
    missing = {"metrics": "H034", "logs": "H034"}

    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.otlp_http_endpoint) == missing
    assert problems(**grpc(jaeger.otlp_grpc_endpoint)) == missing


def test_ports_of_jaeger_with_the_wrong_protocol(jaeger: Jaeger) -> None:
    """The port of its web pages answers each request with a page, and status 200."""
    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.otlp_grpc_endpoint) == everywhere("H022")
    assert problems(**grpc(jaeger.otlp_http_endpoint)) == everywhere("H023")
    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=jaeger.url) == everywhere("H036")
    assert problems(**grpc(jaeger.url)) == everywhere("H023")


def test_tls_to_a_port_without_it(jaeger: Jaeger) -> None:
    """A target of gRPC without a scheme uses TLS."""
    secure = jaeger.otlp_http_endpoint.replace("http:", "https:")

    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=secure) == everywhere("H025")
    assert problems(**grpc(jaeger.otlp_grpc_endpoint.removeprefix("http://"))) == everywhere("H025")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("", {"logs": "H033"}), ("/v1/logs/v1/logs", {"logs": "H032"}), ("/otlp/v1/logs", {"logs": "H033"})],
)
def test_wrong_path(jaeger: Jaeger, path: str, expected: dict[str, str]) -> None:
    """The endpoint of one signal needs the whole path."""
    assert problems(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=jaeger.otlp_http_endpoint + path, **ONLY_LOGS) == expected


@pytest.mark.parametrize(
    ("status", "media_type", "expected"),
    [
        (200, "text/html", "H036"),
        (200, "text/plain", "H036"),
        (401, "text/html", "H030"),
        (403, "text/plain", "H031"),
        (404, "text/html", "H033"),
        (307, "text/html", "H035"),
        (400, "text/plain", "H038"),
        (418, "text/plain", "H039"),
        (503, "text/plain", "H037"),
    ],
)
def test_web_server(status: int, media_type: str, expected: str) -> None:
    """The page of a web server repeats the headers of the request. Their values are in no output."""
    with responding(status, media_type) as url:
        assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=url) == everywhere(expected)


@pytest.mark.parametrize("protocol", list(OtlpProtocol))
def test_tls(protocol: OtlpProtocol, tmp_path: Path) -> None:
    """The cases: no TLS, an unknown authority, the right one, and no certificate where the server wants one."""
    certificates = Certificates(tmp_path)
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    environ = {**ONLY_LOGS, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol.value}
    trusted = {**environ, "OTEL_EXPORTER_OTLP_CERTIFICATE": certificates.ca_file}
    other = {**environ, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "other.pem")}

    with serving(protocol, certificates=certificates) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{server.port}", **environ) == {"logs": "H026"}
        assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **other) == {"logs": "H024"}
        assert examined(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **trusted).is_well
    with serving(protocol, certificates=certificates, wants_client_certificate=True) as server:
        endpoint = f"https://127.0.0.1:{server.port}"
        assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **trusted) == {"logs": "H024"}


@pytest.mark.parametrize("protocol", list(OtlpProtocol))
def test_nobody_listens(protocol: OtlpProtocol) -> None:
    """The finding is the same over both protocols."""
    environ = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol.value}

    assert problems(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", **environ) == everywhere("H020")


def test_settings_that_cannot_be_used() -> None:
    """The endpoints are tested nevertheless."""
    with responding(401) as url:
        found = problems(HELIOGRAPH_NAMESPACE="!", OTEL_EXPORTER_OTLP_ENDPOINT=url)

    assert found == {"settings": "H001", **everywhere("H030")}


def test_other_settings_than_the_wrong_one_have_an_effect(tmp_path: Path) -> None:
    """The outbox asks for export, so that the plugin of Datasette is not dormant, and the namespace is shown."""
    environ = {
        "HELIOGRAPH_OUTBOX": str(tmp_path),
        "HELIOGRAPH_NAMESPACE": "shop",
        "HELIOGRAPH_TOKEN_TTL": "0",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}",
    }
    report = examine(environ)

    assert [each.detail for each in report.findings if each.kind.id == "H001"] == [
        "HELIOGRAPH_TOKEN_TTL: '0' must be a whole number above 0, and 2147483647 at most"
    ]
    lines = list(report.lines())
    assert "  HELIOGRAPH_NAMESPACE = shop (environment)" in lines
    assert f"  HELIOGRAPH_OUTBOX = {tmp_path} (environment)" in lines
    assert "  HELIOGRAPH_TOKEN_TTL = 0 (environment, not usable)" in lines


def test_datasette_that_nothing_asks_to_export() -> None:
    """The default endpoint is not used there."""
    report = examine({}, datasette=DatasetteStart())

    assert [each.kind.id for each in report.findings] == ["H014"]
    assert report.tests == []
    assert report.record.service == "datasette"
    assert [each.kind.id for each in examine({"OTEL_SDK_DISABLED": "true"}, datasette=DatasetteStart()).findings] == [
        "H003"
    ]


def test_plugin_of_datasette_that_takes_the_spans(collector: Collector, tmp_path: Path) -> None:
    """The endpoint accepts spans, and gets none. The configuration of the plugin counts."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http_endpoint,
        "DATASETTE_LOAD_PLUGINS": "heliograph,datasette-otel-viewer",
    }
    report = examine(environ, datasette=DatasetteStart(config={"namespace": "forum"}))

    assert [(each.kind.id, each.subject, each.detail) for each in report.findings] == [
        ("H013", "traces", "spans go to datasette-otel-viewer")
    ]
    assert "  HELIOGRAPH_NAMESPACE = forum (configuration)" in report.lines()


def test_datasette_that_does_not_start() -> None:
    """A plugin may quote a header in its message."""
    problem = f"it cannot start: invalid headers Bearer {CANARY}"
    environ = {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARY}", "DATASETTE_LOAD_PLUGINS": "heliograph"}
    report = examine(environ, datasette=DatasetteStart(problem=problem))

    assert [(each.kind.id, each.detail) for each in report.findings if each.subject == "datasette"] == [
        ("H015", "datasette: it cannot start: invalid headers *** ***")
    ]


def test_plugin_that_datasette_does_not_load(collector: Collector) -> None:
    """The endpoint accepts everything, and the plugin sends nothing there."""
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http_endpoint,
        "DATASETTE_LOAD_PLUGINS": "datasette-otel-otlp-exporter",
    }

    assert [each.kind.id for each in examine(environ, datasette=DatasetteStart()).findings] == ["H016"]
