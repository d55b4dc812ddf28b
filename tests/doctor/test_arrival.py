"""Real backends are asked if they stored the test record, and if the name of the event survived."""

from __future__ import annotations

from typing import Any

import pytest

from backends import Collector, Jaeger, Prometheus, VictoriaLogs, free_port
from doctor.wrong_servers import responding
from heliograph.doctor import arrival
from heliograph.doctor.arrival import ask_backend
from heliograph.doctor.examination import Question, examine
from heliograph.doctor.query_api import QueryError
from heliograph.doctor.records import new_test_record
from heliograph.doctor.report import Report
from heliograph.sdk.exporters import TelemetrySignal

CANARY = "canary-7f3a"


@pytest.fixture
def stack(jaeger: Jaeger, victorialogs: VictoriaLogs, prometheus: Prometheus) -> dict[str, str]:
    """The environment of a program that sends each signal to the backend that stores it."""
    return {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{jaeger.otlp_http_endpoint}/v1/traces",
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": victorialogs.logs_endpoint,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": prometheus.metrics_endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {CANARY}",
    }


def backends_of(report: Report) -> list[tuple[str, str | None]]:
    assert CANARY not in "\n".join(report.lines())
    return [(each.backend, each.finding and each.finding.kind.id) for each in report.arrivals]


def test_record_is_stored(
    stack: dict[str, str], jaeger: Jaeger, victorialogs: VictoriaLogs, prometheus: Prometheus
) -> None:
    """Each backend is recognized, and has the record of its signal."""
    report = examine(stack, questions=[Question(url=each.url) for each in (jaeger, victorialogs, prometheus)])

    assert backends_of(report) == [("jaeger", None), ("victorialogs", None), ("prometheus", None)]
    assert report.is_well
    assert f"  victorialogs at {victorialogs.url}: stored" in report.lines()


def test_backend_that_drops_the_name_of_the_event(stack: dict[str, str], victorialogs: VictoriaLogs) -> None:
    """A real one that was asked to."""
    environ = {**stack, "OTEL_EXPORTER_OTLP_LOGS_HEADERS": "VL-Ignore-Fields=event_name"}
    report = examine(environ, questions=[Question(url=victorialogs.url)])

    assert backends_of(report) == [("victorialogs", "H041")]
    assert "victorialogs stored it without the name heliograph.doctor.test" in "\n".join(report.lines())
    assert f"  victorialogs at {victorialogs.url}: STORED WITHOUT THE NAME OF THE EVENT, H041" in report.lines()
    assert not report.is_well


def test_signals_that_victorialogs_does_not_store(victorialogs: VictoriaLogs) -> None:
    """VictoriaLogs answers 400 for a path that it does not have."""
    report = examine({"OTEL_EXPORTER_OTLP_ENDPOINT": f"{victorialogs.url}/insert/opentelemetry"})
    assert [(each.kind.id, each.subject) for each in report.findings] == [("H034", "traces"), ("H034", "metrics")]

    report = examine({"OTEL_EXPORTER_OTLP_ENDPOINT": victorialogs.url})
    assert {each.kind.id for each in report.findings} == {"H033"}


def test_record_that_was_accepted_and_is_not_stored(collector: Collector, victorialogs: VictoriaLogs) -> None:
    """The Collector of the tests does not forward logs."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.otlp_http_endpoint}
    questions = [Question(url=victorialogs.url, backend="victorialogs", timeout_seconds=0.5)]

    assert backends_of(examine(environ, questions=questions)) == [("victorialogs", "H040")]


def test_record_that_was_not_accepted(victorialogs: VictoriaLogs) -> None:
    """Nobody waits for the arrival of such a record."""
    questions = [Question(url=victorialogs.url, timeout_seconds=1000)]
    report = examine({"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{free_port()}"}, questions=questions)

    assert backends_of(report) == [("victorialogs", "H040")]


def test_backend_that_cannot_be_asked(jaeger: Jaeger) -> None:
    """Another service, a port without a server, and a text that is no URL are the same finding."""
    urls = [jaeger.otlp_http_endpoint, f"http://127.0.0.1:{free_port()}", "localhost:16686"]
    questions = [Question(url=url, timeout_seconds=0.3) for url in urls]
    report = examine({"OTEL_SDK_DISABLED": "true"}, questions=questions)

    assert backends_of(report) == [("", "H042")] * 3


def ask(url: str, **options: Any) -> str | None:
    record = new_test_record({})
    found = ask_backend(url, record, set(TelemetrySignal), **{"name": "jaeger", "timeout_seconds": 0.3, **options})
    return found.finding and found.finding.kind.id


def test_backend_whose_api_fails() -> None:
    """A backend may be starting, so it is asked until the time is over. An error status is no answer of any kind."""
    with responding(503) as url:
        assert ask(url) == "H042"
        assert ask(url, name=None) == "H042"


def test_failure_for_a_moment() -> None:
    """After a failure of the query, the next one counts."""
    answers: list[Any] = [QueryError("HTTP 503"), None, "stored"]

    def answer() -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    assert arrival._awaited(answer, float("inf")) == "stored"
