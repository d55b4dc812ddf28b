"""Queries on events in LogsQL, the language of VictoriaLogs.

Attributes keep their names there. Grafana's plugin for VictoriaLogs inserts the values of variables: it quotes values in `in(…)`, and
changes ``in(.*)`` to ``in(*)``, which every record meets.
"""

from __future__ import annotations

import re
from typing import Final

from typing_extensions import assert_never

from heliograph.dashboards.data_sources import DataSource, Query, VictoriaLogsQuery
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

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)


class VictoriaLogs(EventStore):
    """Writes LogsQL."""

    data_source = DataSource.VICTORIALOGS
    every_service = ".*"
    can_unroll = True

    def value_in_link(self, field: str) -> str:
        """See `EventStore`. The plugin returns a table with a column for the field."""
        return f'${{__data.fields["{field}"]:percentencode}}'

    def latest(self, where: Conditions) -> Query:
        """See `EventStore`."""
        return VictoriaLogsQuery(expr=_filter(where), query_type="instant", max_lines=LATEST)

    def count(self, where: Conditions) -> Query:
        """See `EventStore`."""
        return _stats(where, "stats count() as events")

    def count_distinct(self, where: Conditions, field: str) -> Query:
        """See `EventStore`."""
        return _stats(where, f"stats count_uniq({_name(field)}) as values")

    def over_time(self, where: Conditions, by: str) -> Query:
        """See `EventStore`."""
        expr = f"{_filter(where)} | stats by ({_name(by)}) count() as events"
        return VictoriaLogsQuery(expr=expr, query_type="statsRange", legend_format=f"{{{{{by}}}}}")

    def most_frequent(self, where: Conditions, field: str, *, is_array: bool = False) -> Query:
        """See `EventStore`."""
        name = _name(field)
        unrolled = f"unroll by ({name}) | " if is_array else ""
        count = f"stats by ({name}) count() as events | sort by (events desc, {name}) limit 10"
        return _stats(where, f"filter {name}:* | {unrolled}{count}")

    def total(self, where: Conditions, field: str) -> Query:
        """See `EventStore`."""
        return _stats(where, f"filter {_name(field)}:* | stats sum({_name(field)}) as total")

    def distribution(self, where: Conditions, field: str) -> list[Query]:
        """See `EventStore`."""
        name = _name(field)
        values = f'quantile(0.5, {name}) as median, quantile(0.95, {name}) as "95 %", max({name}) as maximum'
        expr = f"{_filter(where)} {name}:* | stats {values}"
        return [VictoriaLogsQuery(expr=expr, query_type="statsRange", legend_format="{{__name__}}")]


def _stats(where: Conditions, pipes: str) -> Query:
    return VictoriaLogsQuery(expr=f"{_filter(where)} | {pipes}", query_type="stats")


def _filter(where: Conditions) -> str:
    return " ".join([f"{SERVICE_FIELD}:in($service)", f"{EVENT_NAME_FIELD}:*", *map(_condition, where)])


def _condition(condition: Condition) -> str:
    name = _name(condition.field)
    match condition:
        case Is():
            return f"{name}:={quoted(condition.value)}"
        case IsOneOf():
            return f"{name}:in({', '.join(map(quoted, condition.values))})"
        case IsNoneOf():
            return f"!{name}:in({', '.join(map(quoted, condition.values))})"
        case Chosen():
            return f"{name}:in(${condition.variable})"
        case Contains():
            return f"{name}:~`${{{condition.variable}:regex}}`"
        case IsAtLeast():
            return f"{name}:>={condition.number}"
        case _:
            assert_never(condition)


def _name(field: str) -> str:
    return field if _PLAIN_NAME.fullmatch(field) else quoted(field)
