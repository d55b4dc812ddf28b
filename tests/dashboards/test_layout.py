"""A dashboard is laid out in lines of panels, below the titles of sections, and the same arguments give the same text."""

from __future__ import annotations

import json
from typing import Any

from heliograph.dashboards import panels, promql
from heliograph.dashboards.layout import TAG, WIDTH, Section, dashboard_json


def number(title: str) -> Any:
    return panels.number(title, "Text.", [promql.now("1", "one")])


def graph(title: str) -> Any:
    return panels.graph(title, "Text.", [promql.now("1", "one")])


def laid_out(*sections: Section) -> list[dict[str, Any]]:
    """Return the panels of a dashboard with these sections."""
    found: list[dict[str, Any]] = json.loads(dashboard_json("uid", "Title", "Text.", [], sections))["panels"]
    return found


def place(panel: dict[str, Any]) -> tuple[int, int, int, int]:
    at = panel["gridPos"]
    return at["x"], at["y"], at["w"], at["h"]


def test_panels_of_a_line_share_its_width() -> None:
    """The next line begins below the highest of them."""
    lines = ((number("a"), graph("b")), (number("c"),))
    first, second, third = laid_out(Section(lines=lines))

    assert len({panel["id"] for panel in (first, second, third)}) == 3
    assert place(first) == (0, 0, WIDTH // 2, 8)
    assert place(second) == (WIDTH // 2, 0, WIDTH // 2, 8)
    assert place(third) == (0, 8, WIDTH, 4)


def test_title_of_a_section_is_a_row_above_its_panels() -> None:
    """Each panel and each row has an id of its own."""
    found = laid_out(Section(lines=((number("a"),),)), Section(title="More", lines=((number("b"),),)))

    assert [(panel["title"], panel["type"], panel["gridPos"]["y"]) for panel in found] == [
        ("a", "stat", 0),
        ("More", "row", 4),
        ("b", "stat", 5),
    ]
    assert len({panel["id"] for panel in found}) == 3


def test_panels_of_a_closed_section_are_inside_of_its_row() -> None:
    """Grafana runs the queries of the panels when the section is opened."""
    [row, following] = laid_out(
        Section(title="Closed", lines=((number("a"), number("b")),), is_closed=True),
        Section(title="Open", lines=()),
    )

    assert row["collapsed"]
    assert [panel["title"] for panel in row["panels"]] == ["a", "b"]
    assert following["gridPos"]["y"] == 5
    assert not following["collapsed"]


def test_dashboard_has_links_to_the_others() -> None:
    """A link keeps the chosen time and the values of the fields at the top."""
    found = json.loads(dashboard_json("uid", "Title", "Text.", [], []))
    [link] = found["links"]

    assert (found["uid"], found["title"], found["description"], found["tags"]) == ("uid", "Title", "Text.", [TAG])
    assert (link["tags"], link["includeVars"], link["keepTime"]) == ([TAG], True, True)


def test_same_arguments_give_the_same_text() -> None:
    """A file in version control changes only if the dashboard does."""
    first, second = (dashboard_json("uid", "Title", "Text.", [], [Section(lines=((graph("a"),),))]) for _ in range(2))

    assert first == second
    assert first.endswith("}\n")
