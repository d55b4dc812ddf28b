"""Panels have one style, a text for the case without data, and at most one unit."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Panel

from heliograph.dashboards import panels, promql
from heliograph.dashboards.panels import BAD, GOOD, WARNING

EVERY: list[Callable[..., Panel]] = [
    panels.number,
    panels.graph,
    panels.ranking,
    panels.shares,
    panels.event_list,
    panels.trace_list,
    lambda *given: panels.label_table(*given, hidden=("Time",), nothing="No alert fires"),
]


def queries(count: int = 1) -> list[Any]:
    return [promql.now(f"sum(series_{number})", f"{number}") for number in range(count)]


def stored(panel: Panel) -> dict[str, Any]:
    """Return a panel as Grafana stores it."""
    found: dict[str, Any] = json.loads(json.dumps(panel, cls=JSONEncoder))
    return found


@pytest.mark.parametrize("create", EVERY)
def test_every_panel_is_explained_and_asks_its_queries(create: Callable[..., Panel]) -> None:
    """The queries have letters, and the panel has the data source of the first."""
    found = stored(create("Title", "A description.", queries(3)))

    assert (found["title"], found["description"]) == ("Title", "A description.")
    assert found["fieldConfig"]["defaults"]["noValue"]
    assert [target["refId"] for target in found["targets"]] == ["A", "B", "C"]
    assert found["datasource"] == found["targets"][0]["datasource"]
    assert found["gridPos"]["h"] in set(panels.Height)


@pytest.mark.parametrize(
    ("thresholds", "colors"),
    [
        (panels.limits(5), [(None, GOOD), (5, BAD)]),
        (panels.limits(5, 9), [(None, GOOD), (5, WARNING), (9, BAD)]),
    ],
    ids=["one", "two"],
)
def test_limits_have_colors(thresholds: Any, colors: list[tuple[float | None, str]]) -> None:
    """With one limit, all from there on is bad. With two, there is something between."""
    found = stored(panels.number("Title", "Text.", queries(), thresholds=thresholds))

    steps = found["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["value"], step["color"]) for step in steps] == colors


def test_number_without_limits_is_neither_good_nor_bad() -> None:
    """Of a count, only whole numbers are shown, and no data is 0."""
    found = stored(panels.number("Title", "Text.", queries(), is_count=True))["fieldConfig"]["defaults"]

    assert {step["color"] for step in found["thresholds"]["steps"]}.isdisjoint({GOOD, WARNING, BAD})
    assert (found["decimals"], found["noValue"]) == (0, "0")
    assert "decimals" not in stored(panels.number("Title", "Text.", queries()))["fieldConfig"]["defaults"]


def test_counts_are_stacked_bars_and_other_values_are_lines() -> None:
    """The sum of the bars is the number of things in an interval."""
    counts = stored(panels.graph("Title", "Text.", queries(), are_counts=True))["fieldConfig"]["defaults"]
    others = stored(panels.graph("Title", "Text.", queries()))["fieldConfig"]["defaults"]
    bars, lines = counts["custom"], others["custom"]

    assert (bars["drawStyle"], bars["stacking"]["mode"]) == ("bars", "normal")
    assert (counts["decimals"], others.get("decimals")) == (0, None)
    assert "stacking" not in lines
    assert lines.get("drawStyle", "line") == "line"


def test_limit_of_a_graph_is_a_line() -> None:
    """The line of a limit is dashed, and a graph without a limit has none."""
    with_limit = stored(panels.graph("Title", "Text.", queries(), thresholds=panels.limits(5)))
    without = stored(panels.graph("Title", "Text.", queries()))

    assert with_limit["fieldConfig"]["defaults"]["custom"]["thresholdsStyle"]["mode"] == "dashed"
    assert "thresholdsStyle" not in without["fieldConfig"]["defaults"]["custom"]


def test_value_of_a_ranking_may_be_a_link() -> None:
    link = panels.link_to("Only this actor", "/d/events?var-actor=a")
    [found] = stored(panels.ranking("Title", "Text.", queries(), link=link))["fieldConfig"]["defaults"]["links"]

    assert (found["title"], found["url"]) == ("Only this actor", "/d/events?var-actor=a")


def test_columns_are_hidden() -> None:
    """The columns that a person does not need are excluded by their names."""
    table = panels.label_table("Title", "Text.", queries(), hidden=("Time", "Value"), nothing="No alert fires")
    [found] = stored(table)["transformations"]

    assert found["options"]["excludeByName"] == {"Time": True, "Value": True}


def test_list_of_traces_may_be_repeated_for_each_service() -> None:
    """Jaeger searches in one service at a time."""
    repeated = stored(panels.trace_list("Title", "Text.", queries(), for_each_service=True))

    assert repeated["repeat"] == "service"
    assert "repeat" not in stored(panels.trace_list("Title", "Text.", queries()))
