"""The dashboard *Delivery*: the flow of events through outboxes and Collectors, and where they wait or are lost.

Its thresholds are the limits of the alerts in `collector-config/prometheus/rules.yaml`.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.dashboard import Panel

from heliograph.dashboards import panels, promql, variables
from heliograph.dashboards.backends import Backends
from heliograph.dashboards.data_sources import DataSource, Query
from heliograph.dashboards.layout import Section, dashboard_json
from heliograph.dashboards.promql import SERVICE, WHOLE_RANGE
from heliograph.semconv import (
    OUTBOX_ACCEPTED,
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_DEPTH,
    OUTBOX_OLDEST_AGE,
    OUTBOX_REASON,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    OUTBOX_SIZE,
    MetricName,
)

UID: Final = "heliograph-delivery"

MANY_WAITING: Final = 1000
"""The number of waiting records above which the alerts OutboxGrows and CollectorQueueGrows can fire."""
LONG_WAIT_SECONDS: Final = 300
"""The age, in seconds, above which the alert OutboxAges fires."""

_NO_OUTBOX: Final = "No service with an outbox reports"
_NO_COLLECTOR: Final = "No Collector reports its own metrics"
_REASON: Final = promql.label(OUTBOX_REASON)
_SIGNALS: Final = {"events": "log_records", "spans": "spans", "metrics": "metric_points"}
"""The signals, and their names in the Collector's metrics."""


def delivery_dashboard(backends: Backends) -> str:
    """Return the dashboard, as JSON."""
    return dashboard_json(
        UID,
        "Delivery",
        "Do events arrive? Records that wait in the outboxes of services and in the Collector, retries, dead letters and losses.",
        [variables.services(backends.events.every_service), variables.data_source(DataSource.PROMETHEUS)],
        [
            Section(lines=(_numbers(), (_alerts(), _flow()))),
            Section(title="Outboxes of the services", lines=(_waiting(), _losses())),
            Section(title="Collectors", lines=(_collector_flow(), _collector_state())),
        ],
    )


def _numbers() -> tuple[Panel, ...]:
    return (
        panels.number(
            "Events that wait",
            "Records in the outboxes that have yet to be sent. They are on disk, and nothing is lost. If the number grows, look at the retries "
            "by reason: is the Collector up?",
            [promql.now(_over_services("sum", OUTBOX_DEPTH), "waiting")],
            thresholds=panels.limits(MANY_WAITING),
            nothing=_NO_OUTBOX,
        ),
        panels.number(
            "Age of the oldest event that waits",
            "If it grows, the Collector accepts nothing from this service. `heliograph doctor`, in the environment of the service, tests the "
            "connection.",
            [promql.now(_over_services("max", OUTBOX_OLDEST_AGE), "oldest")],
            unit="s",
            thresholds=panels.limits(60, LONG_WAIT_SECONDS),
            nothing=_NO_OUTBOX,
        ),
        _lost(
            "Dead letters",
            OUTBOX_DEAD,
            "Records that a server refused for good. They are kept: `heliograph outbox dead list` shows the server's answers, and "
            "`heliograph outbox dead requeue` sends them again.",
        ),
        _lost(
            "Lost events",
            OUTBOX_REJECTED,
            "Records that the outbox or the server rejected. The graph below has the reasons.",
        ),
    )


def _over_services(function: str, metric: MetricName, by: str = "") -> str:
    """Return the sum or maximum of a gauge of the chosen services, or of each of them if `by` is their label."""
    return f"{function}{f' by ({by}) ' if by else ''}({promql.of_services(promql.gauge(metric))})"


def _lost(title: str, metric: MetricName, description: str) -> Panel:
    selector = promql.of_services(promql.counter(metric))
    return panels.number(
        title,
        description,
        [promql.now(promql.increase(selector, WHOLE_RANGE), title.lower())],
        is_count=True,
        thresholds=panels.limits(1),
        nothing=_NO_OUTBOX,
    )


def _alerts() -> Panel:
    return panels.label_table(
        "Alerts that fire now",
        "Prometheus shows at /alerts what to do about each. The rules are in prometheus/rules.yaml.",
        [promql.as_table('ALERTS{alertstate="firing"}')],
        hidden=("Time", "Value", "__name__", "alertstate"),
        nothing="No alert fires",
    )


def _flow() -> Panel:
    return panels.graph(
        "Events accepted and delivered",
        "Records that the outboxes accepted, and that a server accepted from them. Where the first is above the second, records wait.",
        [
            promql.counts(promql.of_services(promql.counter(metric)), legend)
            for metric, legend in ((OUTBOX_ACCEPTED, "accepted by the outbox"), (OUTBOX_DELIVERED, "delivered"))
        ],
        nothing=_NO_OUTBOX,
    )


def _waiting() -> tuple[Panel, ...]:
    by_service = promql.legend(SERVICE)
    return (
        panels.graph(
            "Events that wait, by service",
            "The line is the limit of the alert OutboxGrows.",
            [promql.over_time(_over_services("sum", OUTBOX_DEPTH, SERVICE), by_service)],
            thresholds=panels.limits(MANY_WAITING),
            nothing=_NO_OUTBOX,
        ),
        panels.graph(
            "Age of the oldest event, by service",
            "The line is the limit of the alert OutboxAges.",
            [promql.over_time(_over_services("max", OUTBOX_OLDEST_AGE, SERVICE), by_service)],
            unit="s",
            thresholds=panels.limits(LONG_WAIT_SECONDS),
            nothing=_NO_OUTBOX,
        ),
        panels.graph(
            "Size of the outboxes on disk",
            "With dead letters. An outbox that is full rejects events: HELIOGRAPH_OUTBOX_MAX_BYTES is its limit.",
            [promql.over_time(_over_services("max", OUTBOX_SIZE, SERVICE), by_service)],
            unit="bytes",
            nothing=_NO_OUTBOX,
        ),
    )


def _losses() -> tuple[Panel, ...]:
    return (
        _by_reason(
            "Retries by reason",
            OUTBOX_RETRIED,
            "Requests that are sent again. `connection`, `unavailable`: the Collector cannot be reached, or fails. `throttled`: it is too busy. "
            "`unauthenticated`, `forbidden`, `not_found`: the endpoint or its headers are wrong.",
        ),
        _by_reason(
            "Dead letters by reason",
            OUTBOX_DEAD,
            "`bad_data`: the server rejects the record as invalid. `too_large`: it exceeds the server's limit. `internal`: no request "
            "could be made of it.",
        ),
        _by_reason(
            "Lost events by reason",
            OUTBOX_REJECTED,
            "`outbox_full`, `dropped_oldest`: the Collector accepted nothing until the outbox was full. `memory_full`: the disk fails. "
            "`shut_down`: tracked after the host was shut down, or in memory then while the disk failed. `partial_success`: the server's response names the cause.",
        ),
        panels.graph(
            "Damaged records",
            "Records of the outbox that cannot be read. `heliograph outbox status` names the files.",
            [_counts_of(OUTBOX_DAMAGED, SERVICE)],
            are_counts=True,
            nothing=_NO_OUTBOX,
        ),
    )


def _by_reason(title: str, metric: MetricName, description: str) -> Panel:
    return panels.graph(
        title,
        description,
        [_counts_of(metric, _REASON)],
        are_counts=True,
        nothing=_NO_OUTBOX,
    )


def _counts_of(metric: MetricName, by: str) -> Query:
    return promql.counts(promql.of_services(promql.counter(metric)), promql.legend(by), by)


def _collector_flow() -> tuple[Panel, ...]:
    return (
        panels.graph(
            "Received by the Collectors",
            "Log records, spans and metric points that the Collectors accepted.",
            _of_each_signal("otelcol_receiver_accepted_{}_total"),
            nothing=_NO_COLLECTOR,
        ),
        panels.graph(
            "Sent by the Collectors",
            "Log records, spans and metric points that the backends accepted. One that is sent to several backends counts for each.",
            _of_each_signal("otelcol_exporter_sent_{}_total"),
            nothing=_NO_COLLECTOR,
        ),
        panels.graph(
            "Refused by the Collectors",
            "A memory limit was reached, or a queue was full. Log records and spans of an outbox wait and are sent again; everything else is lost "
            "after some seconds. Raise limit_mib with GOMEMLIMIT, or queue_size.",
            _of_each_signal("otelcol_receiver_refused_{}_total"),
            are_counts=True,
            nothing=_NO_COLLECTOR,
        ),
    )


def _of_each_signal(series: str) -> list[Query]:
    return [promql.counts(series.format(plural), signal) for signal, plural in _SIGNALS.items()]


def _collector_state() -> tuple[Panel, ...]:
    return (
        panels.graph(
            "Items that wait in the Collectors",
            "By exporter. The backend cannot be reached, or is too slow: start it, or look at its log. The line is the limit of the alert "
            "CollectorQueueGrows.",
            [promql.over_time("max by (exporter) (otelcol_exporter_queue_size)", "{{exporter}}")],
            thresholds=panels.limits(MANY_WAITING),
            nothing=_NO_COLLECTOR,
        ),
        panels.graph(
            "Failed in the Collectors",
            "By exporter. `rejected`: the backend rejected the data as invalid, and it was dropped; the Collector's log has the backend's "
            "response. `queue full`: the senders have to send it again.",
            _failures_of_exporters(),
            are_counts=True,
            nothing="Nothing failed",
        ),
        panels.graph(
            "Memory of the Collectors",
            "Resident memory. The memory limiter refuses data above 384 MiB, which is limit_mib minus spike_limit_mib.",
            [promql.over_time("max by (instance) (otelcol_process_memory_rss_bytes)", "{{instance}}")],
            unit="bytes",
            nothing=_NO_COLLECTOR,
        ),
    )


def _failures_of_exporters() -> list[Query]:
    return [
        promql.counts(
            f"otelcol_exporter_{verb}_failed_{plural}_total", f"{promql.legend('exporter')}: {meaning}", "exporter"
        )
        for verb, meaning in (("send", "rejected"), ("enqueue", "queue full"))
        for plural in _SIGNALS.values()
    ]
