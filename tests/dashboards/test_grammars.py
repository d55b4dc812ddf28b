"""The queries of dashboards for Loki and Tempo, which are not run here, have the syntax of LogQL and TraceQL."""

from __future__ import annotations

from backends.grammars import Language, syntax_errors
from dashboards.everything import BACKENDS, OrderPlaced, ShopOpened, dashboards, schemas
from dashboards.panel_queries import panel_queries
from stack.variables import replaced

CHOSEN = {"service": "shop", "event": "shop.order", "actor": "a+b", "token": "", "result": "valid"}


def test_queries_for_loki_and_tempo_parse() -> None:
    """Those of every panel, with values in place of the variables."""
    built = dashboards(schemas(OrderPlaced, ShopOpened), BACKENDS["grafana"]).values()
    targets = [query for dashboard in built for query in panel_queries(dashboard)]
    logql: list[tuple[Language, str]] = [("logql", query.target["expr"]) for query in targets if query.source == "loki"]
    traceql: list[tuple[Language, str]] = [
        ("traceql", query.target["query"]) for query in targets if query.source == "tempo"
    ]

    assert logql
    assert traceql
    assert syntax_errors([(language, replaced(text, CHOSEN)) for language, text in [*logql, *traceql]]) == []
