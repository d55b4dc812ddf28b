"""Queries on events in LogQL, the language of Loki.

Loki stores the attributes of a record as structured metadata, with underscores in place of dots and other characters. The name of the event
is one of them: `collector-config/otelcol/loki.yaml` copies it to an attribute, for versions of Loki that drop it.

The tests check these queries by the grammar of LogQL. They do not run Loki.
"""

from __future__ import annotations

import re

from grafana_foundation_sdk.models.loki import Dataquery as LokiQuery
from typing_extensions import assert_never

from heliograph.dashboards.data_sources import DataSource, Query
from heliograph.dashboards.event_store import (
    EVENT_NAME_FIELD,
    LATEST,
    SERVICE_FIELD,
    Chosen,
    Condition,
    Conditions,
    Contains,
    EventStore,
    Is,
    IsAtLeast,
    IsNoneOf,
    IsOneOf,
    quoted,
)


class Loki(EventStore):
    """Writes LogQL."""

    data_source = DataSource.LOKI
    # Loki rejects a selector of streams that also matches an empty label.
    every_service = ".+"
    can_unroll = False

    def value_in_link(self, field: str) -> str:
        """See `EventStore`. Loki returns a series for each value, with a label for the field."""
        return f"${{__field.labels.{label(field)}:percentencode}}"

    def latest(self, where: Conditions) -> Query:
        """See `EventStore`."""
        return LokiQuery(expr=_pipeline(where), query_type="range", max_lines=LATEST, datasource=DataSource.LOKI.ref)

    def count(self, where: Conditions) -> Query:
        """See `EventStore`."""
        return _now(f"sum(count_over_time({_pipeline(where)} [$__range]))")

    def count_distinct(self, where: Conditions, field: str) -> Query:
        """See `EventStore`."""
        return _now(f"count({_counts(where, field)})")

    def over_time(self, where: Conditions, by: str) -> Query:
        """See `EventStore`."""
        expr = f"sum by ({label(by)}) (count_over_time({_pipeline(where)} [$__interval]))"
        return _in_intervals(expr, f"{{{{{label(by)}}}}}")

    def most_frequent(self, where: Conditions, field: str, *, is_array: bool = False) -> Query:
        """See `EventStore`. Loki counts whole arrays."""
        del is_array
        return _now(f"topk(10, {_counts(where, field)})", f"{{{{{label(field)}}}}}")

    def total(self, where: Conditions, field: str) -> Query:
        """See `EventStore`."""
        return _now(f"sum(sum_over_time({_numbers(where, field)} [$__range]))")

    def distribution(self, where: Conditions, field: str) -> list[Query]:
        """See `EventStore`."""
        numbers = f"{_numbers(where, field)} [$__interval]"
        return [
            _in_intervals(f"quantile_over_time(0.5, {numbers}) by ()", "median"),
            _in_intervals(f"quantile_over_time(0.95, {numbers}) by ()", "95 %"),
            _in_intervals(f"max_over_time({numbers}) by ()", "maximum"),
        ]


def label(field: str) -> str:
    """Return the name that Loki gives an attribute.

    >>> label("app.ban_user.user-id"), label("2fa.method")
    ('app_ban_user_user_id', 'key_2fa_method')
    """
    name = re.sub(r"[^A-Za-z0-9_:]", "_", field)
    return f"key_{name}" if name[:1].isdigit() else name


def _in_intervals(expr: str, legend: str) -> LokiQuery:
    return LokiQuery(expr=expr, legend_format=legend, query_type="range", datasource=DataSource.LOKI.ref)


def _now(expr: str, legend: str | None = None) -> LokiQuery:
    return LokiQuery(expr=expr, legend_format=legend, query_type="instant", datasource=DataSource.LOKI.ref)


def _counts(where: Conditions, field: str) -> str:
    return f'sum by ({label(field)}) (count_over_time({_pipeline(where)} | {label(field)}!="" [$__range]))'


def _numbers(where: Conditions, field: str) -> str:
    return f'{_pipeline(where)} | {label(field)}!="" | unwrap {label(field)} | __error__=""'


def _pipeline(where: Conditions) -> str:
    selector = f'{{{label(SERVICE_FIELD)}=~"$service"}}'
    return " | ".join([selector, f'{label(EVENT_NAME_FIELD)}!=""', *map(_condition, where)])


def _condition(condition: Condition) -> str:
    name = label(condition.field)
    match condition:
        case Is():
            return f"{name}={quoted(condition.value)}"
        case IsOneOf():
            return f"{name}=~{_any_of(condition.values)}"
        case IsNoneOf():
            return f"{name}!~{_any_of(condition.values)}"
        case Chosen():
            return f'{name}=~"${condition.variable}"'
        case Contains():
            return f"{name}=~`.*${{{condition.variable}:regex}}.*`"
        case IsAtLeast():
            return f"{name}>={condition.number}"
        case _:
            assert_never(condition)


def _any_of(values: tuple[str, ...]) -> str:
    return quoted("|".join(map(re.escape, values)))
