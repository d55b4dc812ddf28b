"""The dashboard *Catalogue*: a row for each event, with panels for what is on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from dashboards.everything import BACKENDS, OrderPlaced, ShopOpened, dashboards, schemas
from heliograph import Attribute, Event, Privacy


def rows(catalogue: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the panels of each row, by its title."""
    found: dict[str, list[dict[str, Any]]] = {}
    for panel in catalogue["panels"]:
        if panel["type"] == "row":
            title = panel["title"]
            found[title] = list(panel["panels"])
        elif found:
            found[title].append(panel)
    return found


def catalogue(*classes: type, backends: str = "own", **policy: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the catalogue of these classes."""
    return rows(dashboards(schemas(*classes, **policy), BACKENDS[backends])["heliograph-catalogue"])


def titles(panels: list[dict[str, Any]]) -> dict[str, str]:
    """Return the type of each panel for a field, by its title."""
    return {panel["title"]: panel["type"] for panel in panels[3:-1]}


def test_each_event_has_a_row() -> None:
    """The title of a row has the name and the version of the event, and its brief."""
    assert list(catalogue(ShopOpened, OrderPlaced)) == [
        "shop.order_placed@1: An order was placed.",
        "shop.shop_opened: The shop opened.",
    ]


def test_an_event_without_fields_has_panels() -> None:
    """The panels show how often it happened, by whom, in which traces, and the events themselves."""
    [panels] = catalogue(ShopOpened).values()

    assert [panel["title"] for panel in panels] == [
        "How often",
        "By whom",
        "Latest traces with this event",
        "Latest events",
    ]


def test_fields_have_panels_by_their_types() -> None:
    """Masked, dropped and structured values, times and binary data have none."""
    [panels] = catalogue(OrderPlaced).values()

    assert titles(panels) == {
        "Distribution of total": "timeseries",
        "Sum of total": "stat",
        "Distribution of seconds": "timeseries",
        "Sum of seconds": "stat",
        "Distribution of discount": "timeseries",
        "Most frequent product_id": "bargauge",
        "Share of each stars": "piechart",
        "Sum of stars": "stat",
        "Distribution of grade": "timeseries",
        "Sum of grade": "stat",
        "Share of each color": "piechart",
        "Share of each payment": "piechart",
        "Share of each is_gift": "piechart",
        "Most frequent id": "bargauge",
        "Most frequent coupon": "bargauge",
        "Most frequent customer.country": "bargauge",
        "Most frequent customer.email": "bargauge",
        "Most frequent tags": "bargauge",
    }


def test_lines_of_panels_are_balanced() -> None:
    """Of the panels for fields, no line has one while another has three."""
    [panels] = catalogue(OrderPlaced).values()
    heights = [panel["gridPos"]["y"] for panel in panels[3:-1]]
    numbers = [heights.count(height) for height in sorted(set(heights))]

    assert max(numbers) == 3
    assert max(numbers) - min(numbers) <= 1


def test_units_and_briefs_are_shown() -> None:
    """A panel has the unit and the brief that its field declares."""
    [panels] = catalogue(OrderPlaced).values()
    units = {panel["title"]: panel["fieldConfig"]["defaults"]["unit"] for panel in panels if " of " in panel["title"]}
    texts = {panel["title"]: panel["description"] for panel in panels}

    assert units["Sum of total"] == "suffix: EUR"
    assert units["Distribution of seconds"] == "s"
    assert units["Distribution of discount"] == "percent"
    assert texts["Sum of total"] == "The price. The attribute `shop.order.total`."
    assert "hash" in texts["Most frequent coupon"]


def test_panels_ask_for_the_version_of_the_event() -> None:
    """Two versions of an event have two rows, whose panels do not mix them."""
    [panels] = catalogue(OrderPlaced).values()
    queries = [panel["targets"][0]["expr"] for panel in panels if "expr" in panel["targets"][0]]

    assert all('event_name:="shop.order_placed" heliograph.event.version:="1"' in query for query in queries)


@dataclass
class OldShopOpened(Event, namespace="shop", version="\ud8000"):
    """It $opened {{so}} "q" `b`."""

    name = "shop-opened"
    where: Annotated[int, Attribute(brief='"\\', unit='"')]


def test_versions_are_apart_if_one_has_none() -> None:
    """The row of the event without a version shows the events without one. Texts may have any characters."""
    found = catalogue(ShopOpened, OldShopOpened)
    queries = [panels[0]["targets"][0]["expr"] for panels in found.values()]

    assert ['heliograph.event.version:=""' in query for query in queries] == [True, False]
    assert 'heliograph.event.version:="\ud8000"' in queries[1]


@dataclass
class Nested:
    country: str


@dataclass
class Plain(Event, namespace="shop"):
    name = "plain"
    city: str
    address: Nested


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, {"Most frequent city", "Most frequent address.country"}),
        ({"default": Privacy.MASK}, set()),
        ({"default": Privacy.HASH}, {"Most frequent city"}),
        ({"opt_out": ("shop.plain.city",)}, {"Most frequent address.country"}),
        ({"opt_out": ("shop.plain.address.country",)}, {"Most frequent city"}),
    ],
)
def test_settings_of_privacy_decide(policy: dict[str, Any], expected: set[str]) -> None:
    """A field has a panel only if its values are on the wire. What is inside of a hashed value is not."""
    [panels] = catalogue(Plain, **policy).values()

    assert set(titles(panels)) == expected


def test_names_in_loki() -> None:
    """The queries have underscores in names, as Loki stores attributes."""
    [panels] = catalogue(OrderPlaced, backends="grafana").values()
    expressions = {panel["title"]: [target.get("expr") for target in panel["targets"]] for panel in panels}

    assert expressions["Sum of total"] == [
        'sum(sum_over_time({service_name=~"$service"} | event_name!="" | event_name="shop.order_placed" | heliograph_event_version="1" '
        '| shop_order_total!="" | unwrap shop_order_total | __error__="" [$__range]))'
    ]


@dataclass
class Strange(Event, namespace="shop"):
    name = "strange"
    größe: str  # noqa: PLC2401


def test_names_that_need_quotes() -> None:
    """A name with other letters than ASCII is quoted in LogsQL."""
    [panels] = catalogue(Strange).values()
    queries = {panel["title"]: panel["targets"][0]["expr"] for panel in panels if "expr" in panel["targets"][0]}

    assert 'stats by ("shop.strange.größe") count()' in queries["Most frequent größe"]
