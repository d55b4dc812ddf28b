"""The queries of alerts, rules, panels and documents find data in the real backends, after the fault that they are for."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from backends import wait_until
from backends.program import CONFIG, get_json
from dashboards.panel_queries import PanelQuery, panel_queries, variable_queries
from stack.panel_data import Shown
from stack.rules import alerts, rules_without_kafka
from stack.troubles import TroubledNode, troubled_node

PATIENCE_SECONDS = 300.0
"""The time from the start of the stack until which tests wait for data."""
DASHBOARDS = {
    dashboard["title"]: dashboard
    for path in sorted((CONFIG / "grafana" / "dashboards").glob("*.json"))
    for dashboard in [json.loads(path.read_text())]
}
QUERIES = [query for dashboard in DASHBOARDS.values() for query in panel_queries(dashboard)]
ALL: dict[str, str] = {"service": ".*", "event": ".*", "actor": "", "token": "", "result": "error"}
"""The values of variables when a dashboard opens."""
DEMO, SHOP = ({**ALL, "service": service} for service in ("demo", "shop"))
CHOICES = {"Events": [ALL], "Delivery": [ALL], "Tokens": [ALL, SHOP], "Catalogue": [DEMO, SHOP]}
"""The values of variables that each dashboard is tried with. One that shows a single service has to find data for one of them."""
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
DOCUMENTED = re.compile(r"(?<!\$labels\.)\b(?:heliograph|otelcol(?!_kafka))_\w+\b(?:\*)?")
SELF_OBSERVATION = (
    "sum(rate(otel_sdk_log_created_total{%s}[1m]))",
    "sum(rate(otel_sdk_exporter_log_exported_total{%s}[1m]))",
    "sum(otel_sdk_processor_log_queue_size{%s})",
    "sum(otel_sdk_exporter_log_inflight{%s})",
    "sum by (error_type) (rate(otel_sdk_processor_log_processed_total{%s}[1m]))",
    "histogram_quantile(0.95, sum by (le) (rate(otel_sdk_exporter_operation_duration_seconds_bucket"
    '{%s, otel_component_type="otlp_http_log_exporter"}[1m])))',
    'otel_sdk_processor_log_processed_total{%s, error_type="queue_full"}',
    'otel_sdk_exporter_log_exported_total{%s, error_type!=""}',
)
"""Queries on the SDK's metrics of its log pipeline, by the names and attributes of the semantic conventions.

The first four are in the dashboard "OpenTelemetry SDK" of the GitHub repository cznewt/observ-viz, and the next two are its queries on spans
and on all exporters, for log records.
"""
README = (CONFIG / "README.md").read_text()


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TroubledNode]:
    with troubled_node(tmp_path_factory.mktemp("troubled")) as running:
        yield running


def wait(troubled: TroubledNode, has_data: Callable[[], object]) -> None:
    """Wait for data. Many queries that find none have to share the time."""
    rest = max(1.0, troubled.since + PATIENCE_SECONDS - time.time())
    wait_until(lambda: bool(has_data()), timeout_seconds=rest, interval_seconds=0.5)


@pytest.mark.parametrize("alert", alerts(rules_without_kafka()), ids=lambda alert: alert["alert"])
def test_each_alert_is_caused_by_its_fault(troubled: TroubledNode, alert: dict[str, Any]) -> None:
    """An alert that waits for some minutes (`for`) is pending, and every other one fires."""
    assert troubled.alerts.get(alert["alert"]) == ("pending" if "for" in alert else "firing")


@pytest.mark.parametrize("name", sorted({rule["record"] for rule in rules_without_kafka() if "record" in rule}))
def test_each_recording_rule_records(troubled: TroubledNode, name: str) -> None:
    """The series exists. Dashboards may use it."""
    wait(troubled, lambda: troubled.node.prometheus.query(name))


def test_no_rule_fails(troubled: TroubledNode) -> None:
    """An expression with a valid syntax can still fail where it meets data."""
    assert troubled.node.prometheus.failing_rules() == {}


def test_samples_that_are_too_old_do_no_harm_to_others(troubled: TroubledNode) -> None:
    """Prometheus rejects the request that has such samples, and only that one."""
    found = troubled.node.prometheus.query("max_over_time(shop_orders_total[1d])")

    assert {dict(labels)["job"] for labels in found} == {"ended"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.dashboard}-{query.panel}-{query.target['refId']}")
def test_each_query_of_each_panel_finds_data(troubled: TroubledNode, query: PanelQuery) -> None:
    """Grafana shows something else than 0 in the panel."""
    views = [Shown(troubled.node, troubled.since, variables) for variables in CHOICES[query.dashboard]]

    wait(troubled, lambda: any(view.data_of(query) for view in views))


def test_a_query_with_a_name_that_does_not_exist_finds_nothing(troubled: TroubledNode) -> None:
    """A misspelt name on the wire is noticed, whatever the language of the query."""
    view = Shown(troubled.node, troubled.since, SHOP)
    renamed = [
        replace(query, target=json.loads(changed))
        for query in QUERIES
        if (changed := misspelt(text := json.dumps(query.target))) != text
    ]
    assert {query.source for query in renamed} == {query.source for query in QUERIES}

    assert [query.target for query in renamed if view.data_of(query)] == []


def misspelt(text: str) -> str:
    """Return a text with names on the wire that nobody has."""
    for name in ("heliograph", "event_name", "event.name"):
        text = text.replace(name, name[::-1])
    return text


@pytest.mark.parametrize("query", [query for query in QUERIES if query.dashboard == "Events"], ids=lambda q: q.panel)
def test_events_can_be_chosen(troubled: TroubledNode, query: PanelQuery) -> None:
    """The dashboard shows data of one service, of one of its events, and of an actor, of whom a part is named."""
    chosen = {**SHOP, "event": "shop.order", "actor": "roo"}
    if query.panel == "Most used tokens":
        chosen = {**DEMO, "event": "forum.delete_post", "actor": "ada"}
    if query.panel == "Warnings and errors":
        chosen = {**DEMO, "event": "forum.ban_user", "actor": "roo"}

    wait(troubled, lambda: Shown(troubled.node, troubled.since, chosen).data_of(query))


@pytest.mark.parametrize("result", ["valid", "invalid", "revoked", "unrecognized", "error"])
def test_traces_of_verifications_are_found_by_their_result(troubled: TroubledNode, result: str) -> None:
    """Jaeger has a trace for each choice of the dashboard *Tokens*."""
    [query] = [query for query in QUERIES if query.source == "jaeger" and query.dashboard == "Tokens"]
    options = {each["name"]: each.get("query") for each in DASHBOARDS["Tokens"]["templating"]["list"]}["result"]
    assert result in options.split(",")

    wait(troubled, lambda: Shown(troubled.node, troubled.since, {**SHOP, "result": result}).data_of(query))


@pytest.mark.parametrize("title", DASHBOARDS)
def test_variables_of_dashboards_have_values(troubled: TroubledNode, title: str) -> None:
    """Prometheus knows the services and the events that can be chosen."""
    for query in variable_queries(DASHBOARDS[title]).values():
        [(series, label)] = LABEL_VALUES.findall(query)
        url = f"{troubled.node.prometheus.url}/api/v1/label/{label}/values"
        asked = {"match[]": series.replace("$service", ".*")}
        wait(troubled, lambda url=url, asked=asked: get_json(url, asked)["data"])


def test_metrics_that_are_documented_exist(troubled: TroubledNode) -> None:
    """Names of metrics in the README of the stack, and in what alerts say about themselves, but for Kafka's. A name may end in `*`."""
    texts = [README, *(text for alert in alerts() for text in alert["annotations"].values())]
    names = {name for text in texts for name in DOCUMENTED.findall(text)}
    existing = get_json(f"{troubled.node.prometheus.url}/api/v1/label/__name__/values")["data"]

    missing = {name for name in names if not any(re.fullmatch(name.replace("*", ".*"), each) for each in existing)}
    assert names
    assert missing == set()


@pytest.mark.parametrize("logsql", re.findall(r"query=([^']+)'", README))
def test_queries_on_events_in_the_readme_find_data(troubled: TroubledNode, logsql: str) -> None:
    """VictoriaLogs answers each query with an event."""
    wait(troubled, lambda: troubled.node.victorialogs.query(f"{logsql} | limit 5"))


@pytest.mark.parametrize("name", ["event_name:=heliograph.token_rejected"])
def test_queries_in_alerts_find_data(troubled: TroubledNode, name: str) -> None:
    """The action of an alert names the query, which finds an event."""
    assert name in "".join(alert["annotations"]["action"] for alert in alerts())

    wait(troubled, lambda: troubled.node.victorialogs.query(f"{name} | limit 5"))


def test_searches_for_traces_in_the_readme_find_data(troubled: TroubledNode) -> None:
    """Jaeger finds traces by attributes of span events."""
    [(service, tags)] = re.findall(r"-d service=(\S+) --data-urlencode 'tags=([^']+)'", README)

    wait(troubled, lambda: troubled.node.jaeger.find(service, json.loads(tags)))


@pytest.mark.parametrize("promql", SELF_OBSERVATION)
def test_dashboards_for_the_metrics_of_the_sdk_have_data(troubled: TroubledNode, promql: str) -> None:
    """An outbox reports itself as a processor and an exporter of the SDK, so that dashboards for them are not empty."""
    services = 'job=~"shop|island"'

    wait(troubled, lambda: troubled.node.prometheus.query(promql % services))
