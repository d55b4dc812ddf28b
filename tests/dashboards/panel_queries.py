"""The queries of dashboards, as data, for tests that run or parse them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PanelQuery:
    """One query of a panel.

    Attributes:
        dashboard: The title of the dashboard.
        panel: The title of the panel.
        source: The id of the data source's plugin, such as ``prometheus`` or ``victoriametrics-logs-datasource``.
        target: The query, as Grafana stores it.
    """

    dashboard: str
    panel: str
    source: str
    target: dict[str, Any]


def panels_of(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels of a dashboard that have queries, also those in closed rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def panel_queries(dashboard: dict[str, Any]) -> list[PanelQuery]:
    """Return every query of every panel of a dashboard, in order."""
    return [
        PanelQuery(
            dashboard=dashboard["title"], panel=panel["title"], source=target["datasource"]["type"], target=target
        )
        for panel in panels_of(dashboard)
        for target in panel["targets"]
    ]


def variable_queries(dashboard: dict[str, Any]) -> dict[str, str]:
    """Return the query of each variable whose values come from Prometheus, by the name of the variable."""
    variables = dashboard["templating"]["list"]
    return {each["name"]: each["query"]["query"] for each in variables if each["type"] == "query"}
