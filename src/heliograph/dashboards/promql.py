"""Write queries on metrics in PromQL, with the names that metrics and attributes have in Prometheus.

Source: OpenTelemetry's "Prometheus and OpenMetrics compatibility": dots become underscores, and the unit and `total` are appended.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.models.prometheus import Dataquery as PrometheusQuery
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from heliograph.dashboards.data_sources import DataSource
from heliograph.semconv import AttributeName, MetricName

SERVICE: Final = "service_name"
"""The label with the name of the service. Prometheus is configured to copy it from the resource to each series."""

RATE_WINDOW: Final = "$__rate_interval"
"""Grafana's variable for the time that one point of a graph looks back."""

_EACH_INTERVAL: Final = "$__interval"
"""Grafana's variable for the time between two points of a graph."""

_LEAST_INTERVAL: Final = "4m"
"""The shortest time between two points of a graph of counts. Services export metrics once a minute, and an increase needs several values."""

WHOLE_RANGE: Final = "$__range"
"""Grafana's variable for the time that the dashboard shows."""

_UNITS: Final = {"s": "_seconds", "By": "_bytes"}


def label(attribute: AttributeName) -> str:
    """Return the label that an attribute has in Prometheus.

    >>> from heliograph.semconv import OUTBOX_REASON
    >>> label(OUTBOX_REASON)
    'heliograph_outbox_reason'
    """
    return attribute.replace(".", "_")


def gauge(metric: MetricName) -> str:
    """Return the name of the series of a gauge or an up-down counter.

    >>> from heliograph.semconv import OUTBOX_OLDEST_AGE
    >>> gauge(OUTBOX_OLDEST_AGE)
    'heliograph_outbox_oldest_age_seconds'
    """
    return metric.replace(".", "_") + _UNITS.get(metric.unit, "")


def counter(metric: MetricName) -> str:
    """Return the name of the series of a counter."""
    return f"{gauge(metric)}_total"


def buckets(metric: MetricName) -> str:
    """Return the name of the series of the buckets of a histogram."""
    return f"{gauge(metric)}_bucket"


def of_services(series: str, *matchers: str) -> str:
    """Return a selector for the chosen services, possibly with further matchers."""
    chosen = ", ".join([f'{SERVICE}=~"$service"', *matchers])
    return f"{series}{{{chosen}}}"


def legend(*labels: str) -> str:
    """Return the name of each series: the values of these labels.

    >>> legend("job", "instance")
    '{{job}} {{instance}}'
    """
    return " ".join(f"{{{{{each}}}}}" for each in labels)


def increase(selector: str, window: str, *by: str) -> str:
    """Return an expression for the increase of counters within a time window.

    A counter that was not reported in the hour before the window is a new one. Its whole value is counted, which PromQL's `increase` would
    miss: the events of a program that ran for a second, or the first failure of a process.
    """
    grouping = f" by ({', '.join(by)})" if by else ""
    new_counters = f"max_over_time({selector}[{window}]) unless last_over_time({selector}[1h] offset {window})"
    return f"sum{grouping} (({new_counters}) or increase({selector}[{window}]))"


def quantile(share: float, metric: MetricName, window: str, *by: str) -> str:
    """Return a quantile of a histogram."""
    return f"histogram_quantile({share:g}, {increase(of_services(buckets(metric)), window, 'le', *by)})"


def over_time(expr: str, named: str, *, exemplars: bool = False) -> PrometheusQuery:
    """Return a query for a graph.

    Args:
        expr: The query.
        named: The name of each series, such as the result of `legend`.
        exemplars: True to query the traces behind single values, too.
    """
    return PrometheusQuery(
        expr=expr,
        legend_format=named,
        range_val=True,
        instant=False,
        exemplar=exemplars or None,
        editor_mode=QueryEditorMode.CODE,
        datasource=DataSource.PROMETHEUS.ref,
    )


def counts(selector: str, named: str, *by: str) -> PrometheusQuery:
    """Return a query for a graph of the increase of counters in each interval. No interval overlaps with the next one."""
    query = over_time(increase(selector, _EACH_INTERVAL, *by), named)
    query.interval = _LEAST_INTERVAL
    return query


def now(expr: str, named: str) -> PrometheusQuery:
    """Return a query for one value of each series, at the end of the time that the dashboard shows."""
    return PrometheusQuery(
        expr=expr,
        legend_format=named,
        range_val=False,
        instant=True,
        editor_mode=QueryEditorMode.CODE,
        datasource=DataSource.PROMETHEUS.ref,
    )


def as_table(expr: str) -> PrometheusQuery:
    """Return a query for a table: a row for each series, with its labels."""
    query = now(expr, "")
    query.format_val = PromQueryFormat.TABLE
    return query
