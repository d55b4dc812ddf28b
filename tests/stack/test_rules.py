"""The rules of Prometheus: promtool accepts them, every alert fires once in its test, and a real Prometheus fires one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from backends import Prometheus, promtool, wait_until
from backends.program import CONFIG
from delivery.outboxes import logging_to
from delivery.servers import OK, serving
from heliograph import semconv
from heliograph.semconv import OUTBOX_DEAD, AttributeName, MetricName
from stack.rules import RULES, alerts, rules

TESTS = CONFIG / "prometheus" / "rules-test.yaml"
FIRING_SECONDS = 120.0


def test_promtool_accepts_the_rules() -> None:
    """Every expression and every template can be parsed."""
    checked = promtool("check", "rules", RULES)

    assert checked.returncode == 0, checked.stderr


def test_each_alert_fires_once() -> None:
    """Each test of rules-test.yaml ends as it says, and there is one for each alert."""
    tested = promtool("test", "rules", TESTS)

    assert tested.returncode == 0, tested.stdout + tested.stderr
    names = {test["name"] for test in yaml.safe_load(TESTS.read_text())["tests"]}
    assert names == {alert["alert"] for alert in alerts()}


def test_rules_read_metrics_and_attributes_that_exist() -> None:
    """Every name of ours in an expression is a declared one, in Prometheus' form."""
    declared = list(vars(semconv).values())
    labels = {name.replace(".", "_") for name in declared if isinstance(name, AttributeName)}
    metrics = {name.replace(".", "_") for name in declared if isinstance(name, MetricName)}
    forms = {metric + suffix for metric in metrics for suffix in ("", "_total", "_seconds", "_bytes")}

    used = {name for rule in rules() for name in re.findall(r"\b(?:heliograph|otel_event)_\w+", rule["expr"])}

    assert used
    assert used <= labels | forms


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_each_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    """An alert has a severity, a summary with the name of what failed, and an action, and the README lists it."""
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert alert["annotations"].keys() == {"summary", "action"}
    assert f"`{alert['alert']}`" in (CONFIG / "README.md").read_text()


def test_first_burst_of_dead_letters_fires_in_a_real_prometheus(tmp_path: Path) -> None:
    """The alert fires for a process whose first sample in Prometheus has the whole burst."""
    letters = [f"poison{number}" for number in range(5)]
    with (
        Prometheus(tmp_path) as prometheus,
        serving(lambda number, records: (400, {}, b"no") if set(letters) & set(records) else OK) as server,
    ):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(prometheus.metrics_endpoint), 3_600_000)
        meters = MeterProvider([reader], Resource({"service.name": "shop"}), shutdown_on_exit=False)
        with logging_to(tmp_path / "outbox", server.endpoint, meter_provider=meters) as emit:
            for number, letter in enumerate(letters):
                emit(f"r{number}")
                emit(letter)
            wait_until(lambda: emit.processor.counts.total(OUTBOX_DEAD) == len(letters), timeout_seconds=FIRING_SECONDS)
            assert meters.force_flush()
        meters.shutdown()

        [(labels, value)] = wait_until(
            lambda: prometheus.query('ALERTS{alertname="DeadLetters",alertstate="firing"}'),
            timeout_seconds=FIRING_SECONDS,
        ).items()

        assert value == 1
        assert {("job", "shop"), ("heliograph_outbox_reason", "bad_data")} <= labels
        assert set(prometheus.query("sum(heliograph_outbox_dead_total)").values()) == {len(letters)}
