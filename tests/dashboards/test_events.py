"""The dashboard *Events* shows the events that its fields choose, and what went wrong with events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dashboards.everything import BACKENDS
from dashboards.panel_queries import panel_queries, panels_of
from heliograph.dashboards.events import events_dashboard
from heliograph.semconv import EMIT_FAILURES, HOOK_FAILURES, VIOLATIONS

DASHBOARDS = {name: json.loads(events_dashboard(backends)) for name, backends in BACKENDS.items()}
PROBLEMS = {
    "Events that violate their schema": VIOLATIONS,
    "Events that could not be emitted": EMIT_FAILURES,
    "Plugin hooks that failed": HOOK_FAILURES,
}

every_backend = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))


@every_backend
def test_every_choice_is_in_every_query_on_events(dashboard: dict[str, Any]) -> None:
    """A choice at the top holds for the whole dashboard."""
    found = [query for query in panel_queries(dashboard) if query.source != "prometheus"]

    assert found
    for query in found:
        for variable in ("$service", "$event", "${actor:regex}", "${token:regex}"):
            assert variable in query.target["expr"], query.panel


@every_backend
def test_rankings_lead_to_the_events_of_one_actor_or_token(dashboard: dict[str, Any]) -> None:
    """The link is to this dashboard, with what was chosen before."""
    links = {
        panel["title"]: link["url"]
        for panel in panels_of(dashboard)
        for link in panel["fieldConfig"]["defaults"].get("links", ())
    }

    assert links.keys() == {"Most active actors", "Most used tokens"}
    for url in links.values():
        assert url.startswith(f"/d/{dashboard['uid']}?")
        assert "${service:queryparam}&${event:queryparam}" in url
    assert "&var-actor=" in links["Most active actors"]
    assert "&var-token=" in links["Most used tokens"]


def test_each_counter_of_problems_has_a_panel() -> None:
    """A person who sees a gap in the events finds the reason below it."""
    [row] = [panel for panel in DASHBOARDS["own"]["panels"] if panel["type"] == "row"]
    queries = {query.panel: query.target["expr"] for query in panel_queries(DASHBOARDS["own"])}

    assert row["title"] == "Problems with events"
    for title, metric in PROBLEMS.items():
        assert metric.replace(".", "_") in queries[title]
