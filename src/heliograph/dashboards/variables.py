"""Create the fields at the top of a dashboard, which select services, events, actors, tokens and data sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from grafana_foundation_sdk.models.dashboard import (
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from heliograph.dashboards.data_sources import DataSource
from heliograph.dashboards.promql import SERVICE, counter, label
from heliograph.semconv import EVENT_NAME, EVENTS

ALL: Final = VariableOption(selected=True, text="All", value="$__all")
"""The choice of all values."""

_TITLES: Final = {"metrics": "Data: metrics", "logs": "Data: events", "traces": "Data: traces"}


def services(every_service: str) -> VariableModel:
    """Return the variable `service`: any number of services that track events, at first all of them.

    Args:
        every_service: The regular expression that means all of them.
    """
    return _query("service", "Service", f"label_values({counter(EVENTS)}, {SERVICE})", all_value=every_service)


def service(event_names: Sequence[str]) -> VariableModel:
    """Return the variable `service`: one of the services that track one of these events."""
    names = "|".join(name.replace(".", "[.]") for name in event_names)
    series = f'{counter(EVENTS)}{{{label(EVENT_NAME)}=~"{names}"}}'
    return _query("service", "Service", f"label_values({series}, {SERVICE})", all_value=None)


def events() -> VariableModel:
    """Return the variable `event`: any number of events, at first all of them."""
    series = f'{counter(EVENTS)}{{{SERVICE}=~"$service"}}'
    return _query("event", "Event", f"label_values({series}, {label(EVENT_NAME)})", all_value=".*")


def text(name: str, title: str, description: str) -> VariableModel:
    """Return a variable for a text that is searched. It is empty at first."""
    return _variable(
        VariableType.TEXTBOX,
        name=name,
        label=title,
        description=description,
        query="",
        current=VariableOption(text="", value=""),
    )


def choice(name: str, title: str, description: str, values: Sequence[str]) -> VariableModel:
    """Return a variable for one of these values, at first the first one."""
    options = [VariableOption(selected=value == values[0], text=value, value=value) for value in values]
    return _variable(
        VariableType.CUSTOM,
        name=name,
        label=title,
        description=description,
        query=",".join(values),
        options=options,
        current=options[0],
    )


def data_source(kind: DataSource) -> VariableModel:
    """Return the variable for the data source of a kind, at first Grafana's default one."""
    return _variable(
        VariableType.DATASOURCE,
        name=kind.variable,
        label=_TITLES[kind.variable],
        query=kind.plugin,
        refresh=VariableRefresh.ON_DASHBOARD_LOAD,
    )


def _variable(kind: VariableType, **settings: Any) -> VariableModel:
    # `None`, because Grafana's SDK would otherwise write the settings of interval variables into variables of all types.
    return VariableModel(type_val=kind, auto=None, auto_min=None, auto_count=None, **settings)


def _query(name: str, title: str, query: str, *, all_value: str | None) -> VariableModel:
    has_all = all_value is not None
    return _variable(
        VariableType.QUERY,
        name=name,
        label=title,
        datasource=DataSource.PROMETHEUS.ref,
        query={"query": query, "refId": name},
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=VariableSort.ALPHABETICAL_ASC,
        multi=has_all,
        include_all=has_all,
        all_value=all_value,
        current=ALL if has_all else None,
    )
