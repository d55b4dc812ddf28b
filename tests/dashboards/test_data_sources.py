"""Queries are written as Grafana stores them, and name the data source that is chosen at the top of the dashboard."""

from __future__ import annotations

import pytest

from heliograph.dashboards.data_sources import DataSource, JaegerQuery, VictoriaLogsQuery


@pytest.mark.parametrize("query", [VictoriaLogsQuery(expr="*", query_type="hits"), JaegerQuery(service="shop")])
def test_query_names_its_data_source(query: VictoriaLogsQuery | JaegerQuery) -> None:
    """Grafana shows the query with the plugin of that kind."""
    assert query.to_json()["datasource"] is query.datasource


@pytest.mark.parametrize("kind", DataSource)
def test_data_source_is_the_one_in_its_variable(kind: DataSource) -> None:
    """A person may choose another one of the same kind."""
    assert (kind.ref.type_val, kind.ref.uid) == (kind.plugin, f"${{{kind.variable}}}")


def stored(query: VictoriaLogsQuery | JaegerQuery) -> dict[str, object]:
    """Return a query as Grafana stores it, without its data source."""
    return {key: value for key, value in query.to_json().items() if key != "datasource"}


def test_query_for_victorialogs() -> None:
    """Settings without a value are left out: the plugin would take an empty legend for a text."""
    query = VictoriaLogsQuery(expr="*", query_type="stats", ref_id="A")
    assert stored(query) == {
        "editorMode": "code",
        "expr": "*",
        "queryType": "stats",
        "refId": "A",
    }
    query = VictoriaLogsQuery(expr="*", query_type="instant", legend_format="{{a}}", max_lines=0)
    assert {"legendFormat": "{{a}}", "maxLines": 0}.items() <= stored(query).items()


def test_search_in_jaeger() -> None:
    """An operation and tags may be left out, but not the service."""
    search = JaegerQuery(service="shop", ref_id="A")
    assert stored(search) == {
        "limit": 20,
        "queryType": "search",
        "refId": "A",
        "service": "shop",
    }
    search = JaegerQuery(service="shop", operation="pay", tags="a=1", limit=5)
    assert {"operation": "pay", "tags": "a=1", "limit": 5}.items() <= stored(search).items()
