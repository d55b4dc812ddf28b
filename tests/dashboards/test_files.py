"""Dashboards as files: what Grafana and a reader can rely on, whatever the events and the backends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from dashboards.everything import BACKENDS, OrderPlaced, ShopOpened, dashboards, schemas
from dashboards.panel_queries import panel_queries, panels_of
from heliograph import Event
from heliograph.dashboards.backends import EVENT_STORES, TRACE_STORES, Backends
from heliograph.dashboards.files import dashboard_files
from heliograph.semconv import USER_HASH

GRAFANAS_OWN = re.compile(r"__\w+")
VARIABLE = re.compile(r"\$\{?(\w+)")
DASHBOARDS = {
    f"{name}-{uid}": dashboard
    for name, backends in BACKENDS.items()
    for uid, dashboard in dashboards(schemas(OrderPlaced, ShopOpened), backends).items()
}

every_dashboard = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)


def test_the_same_events_give_the_same_bytes() -> None:
    """The order of the classes does not matter."""
    one, other = (
        dashboard_files(schemas(*each), BACKENDS["own"])
        for each in ((OrderPlaced, ShopOpened), (ShopOpened, OrderPlaced))
    )

    assert one == other


def test_identifiers_are_stable() -> None:
    """Links that people have made lead to these identifiers."""
    files = dashboard_files(schemas(ShopOpened), BACKENDS["own"])

    assert {name: json.loads(text)["uid"] for name, text in files.items()} == {
        f"heliograph-{name}.json": f"heliograph-{name}" for name in ("events", "tokens", "delivery", "catalogue")
    }


def test_a_catalogue_can_have_a_name() -> None:
    """With names, one Grafana has the catalogues of several programs."""
    texts = dashboard_files(schemas(ShopOpened), BACKENDS["own"], "shop")

    named = json.loads(texts["heliograph-catalogue-shop.json"])
    assert (named["uid"], named["title"]) == ("heliograph-catalogue-shop", "Catalogue: shop")


def test_actors_are_identified_by_their_hash() -> None:
    """With that setting, events have no other id of the actor."""
    backends = Backends(events=EVENT_STORES["victorialogs"](USER_HASH), traces=TRACE_STORES["jaeger"]())

    for text in dashboard_files(schemas(ShopOpened), backends).values():
        assert "user.id" not in text


@every_dashboard
def test_every_panel_is_explained(dashboard: dict[str, Any]) -> None:
    """A panel has a title, a description in sentences, and a text for the case that there is no data."""
    for panel in panels_of(dashboard):
        assert panel["title"][0].isupper()
        assert panel["description"][-1] in ".?", panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"]


@every_dashboard
def test_queries_of_a_panel_have_names_of_their_own(dashboard: dict[str, Any]) -> None:
    """Grafana requires a refId for each target."""
    for panel in panels_of(dashboard):
        names = [target["refId"] for target in panel["targets"]]
        assert names
        assert names == [*"ABCDEFGH"[: len(names)]]


@every_dashboard
def test_panels_fill_their_lines_and_do_not_overlap(dashboard: dict[str, Any]) -> None:
    """The panels at one height fill the width of the grid; each id is used once."""
    places = [panel["gridPos"] for panel in panels_of(dashboard)]
    rows = [panel["gridPos"] for panel in dashboard["panels"] if panel["type"] == "row"]
    cells = [
        (x, y)
        for at in [*places, *rows]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    ids = [panel["id"] for panel in [*panels_of(dashboard), *dashboard["panels"]] if panel["type"] != "row"]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len(cells) == 24 * (1 + max(y for _, y in cells))
    assert len(set(ids)) == len(list(panels_of(dashboard)))


@every_dashboard
def test_no_row_is_empty(dashboard: dict[str, Any]) -> None:
    """A row is followed by a panel, or has panels inside if it is closed."""
    panels = dashboard["panels"]
    for row, following in zip(panels, [*panels[1:], {"type": "row"}]):
        if row["type"] == "row":
            assert bool(row["panels"]) is row["collapsed"]
            assert row["collapsed"] or following["type"] != "row"


@every_dashboard
def test_every_variable_is_defined_and_used(dashboard: dict[str, Any]) -> None:
    """A field at the top that changes nothing would mislead; a name that is not defined finds nothing."""
    defined = {each["name"] for each in dashboard["templating"]["list"]}

    assert set(_used(dashboard)) == defined


def _used(dashboard: dict[str, Any]) -> Iterator[str]:
    for name in VARIABLE.findall(json.dumps(dashboard)):
        if not GRAFANAS_OWN.fullmatch(name):
            yield name


@every_dashboard
def test_data_sources_are_those_of_the_backends(dashboard: dict[str, Any]) -> None:
    """Each query asks a data source that a field at the top chooses, of the same kind."""
    chosen = {each["name"]: each["query"] for each in dashboard["templating"]["list"] if each["type"] == "datasource"}

    for query in panel_queries(dashboard):
        name = VARIABLE.findall(query.target["datasource"]["uid"])[0]
        assert chosen[name] == query.source


def test_many_events_are_in_closed_rows() -> None:
    """The queries of a closed row are not run, so that a long catalogue opens fast."""
    few, many = (
        dashboards(schemas(*(_event(number) for number in range(count))), BACKENDS["own"])["heliograph-catalogue"]
        for count in (3, 4)
    )

    assert [row["collapsed"] for row in few["panels"] if row["type"] == "row"] == [False] * 3
    assert [row["collapsed"] for row in many["panels"] if row["type"] == "row"] == [True] * 4


def _event(number: int) -> type:
    return dataclass(type(f"Event{number}", (Event,), {"name": f"event-{number}", "__module__": __name__}))
