"""The queries of dashboards for Loki and Tempo, which are not run here, have the syntax of LogQL and TraceQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backends.grammars import Language, syntax_errors
from dashboards.everything import BACKENDS, OrderPlaced, ShopOpened, dashboards, schemas
from dashboards.panel_queries import panel_queries
from heliograph import Event
from heliograph.demo import forum
from stack.variables import replaced

LANGUAGES: dict[str, tuple[Language, str]] = {"loki": ("logql", "expr"), "tempo": ("traceql", "query")}
"""For each data source, its language, and the name of the query in a target."""
OPENED = {"service": ".+", "event": ".*", "actor": "", "token": "", "result": "error"}
"""The values of variables when a dashboard opens."""
CHOSEN = {"service": "shop", "event": "(shop.order|shop.return)", "actor": "a-b", "token": "a_1", "result": "expired"}


@dataclass
class MeasuredEvent(Event, namespace="shop"):
    """An event with names that LogQL does not allow."""

    name = "measured"
    größe: int  # noqa: PLC2401 — Python allows it
    Höhe: str  # noqa: PLC2401 — Python allows it


def asked(variables: dict[str, str], *classes: type) -> Iterator[tuple[Language, str]]:
    """Yield each query for Loki and Tempo of the dashboards of these classes, with the variables replaced."""
    for dashboard in dashboards(schemas(*classes), BACKENDS["grafana"]).values():
        for query in panel_queries(dashboard):
            if query.source in LANGUAGES:
                language, key = LANGUAGES[query.source]
                yield language, replaced(query.target[key], variables)


def test_queries_parse() -> None:
    """The queries of all dashboards have the right syntax, when they are opened and when something is chosen."""
    classes = (OrderPlaced, ShopOpened, MeasuredEvent, *forum.EVENTS)
    queries = [each for variables in (OPENED, CHOSEN) for each in asked(variables, *classes)]

    assert {language for language, _ in queries} == {"logql", "traceql"}
    assert syntax_errors(queries) == []


def test_a_name_in_another_form_is_refused() -> None:
    """An attribute keeps its dots in no query for Loki."""
    [first, *_] = [text for language, text in asked(OPENED, ShopOpened) if language == "logql"]
    wrong = first.replace("event_name", "event.name")

    assert wrong != first
    assert len(syntax_errors([("logql", wrong)])) == 1
