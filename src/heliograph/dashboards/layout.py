"""Lay out a dashboard: sections with lines of panels. The panels of a line share its whole width equally."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
)

from heliograph.values.text import to_readable_json

TAG: Final = "heliograph"
"""The tag of all dashboards. Each has links to the others by it."""

WIDTH: Final = 24
"""The number of columns of Grafana's grid."""

Line: TypeAlias = tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Lines of panels below a title.

    Attributes:
        lines: The panels.
        title: The title, or `None` for the first panels of a dashboard.
        is_closed: True if its panels appear, and run their queries, only after a click on the title.
    """

    lines: tuple[Line, ...]
    title: str | None = None
    is_closed: bool = False


def dashboard_json(
    uid: str, title: str, description: str, variables: Sequence[VariableModel], sections: Sequence[Section]
) -> str:
    """Return a dashboard as the text of a JSON file. The same arguments give the same text."""
    dashboard = Dashboard(title)
    dashboard.uid(uid)
    dashboard.description(description)
    dashboard.tags([TAG])
    dashboard.time("now-6h", "now")
    dashboard.refresh("1m")
    dashboard.tooltip(DashboardCursorSync.CROSSHAIR)
    dashboard.link(_links())
    built = dashboard.build()
    built.templating.list_val = list(variables)
    built.panels = list(_placed(sections))
    return to_readable_json(json.loads(json.dumps(built, cls=JSONEncoder, sort_keys=True))) + "\n"


def _links() -> DashboardLink:
    link = DashboardLink("")
    link.type(DashboardLinkType.DASHBOARDS)
    link.tags([TAG])
    link.include_vars(True)
    link.keep_time(True)
    return link


def _placed(sections: Sequence[Section]) -> Iterator[Panel | RowPanel]:
    number, y = 0, 0
    for section in sections:
        row = None
        if section.title is not None:
            number += 1
            row = RowPanel(
                id_val=number,
                title=section.title,
                collapsed=section.is_closed,
                grid_pos=GridPos(h=1, w=WIDTH, x=0, y=y),
            )
            y += 1
            yield row
        for line in section.lines:
            y = _place_line(line, number, y)
            number += len(line)
            if row is not None and section.is_closed:
                row.panels += line
            else:
                yield from line


def _place_line(line: Line, number: int, y: int) -> int:
    """Set the positions and ids of the panels of a line, and return the vertical position below them."""
    height: int = max(panel.grid_pos.h for panel in line if panel.grid_pos is not None)
    width = WIDTH // len(line)
    for index, panel in enumerate(line):
        panel.id_val = number + index + 1
        panel.grid_pos = GridPos(h=height, w=width, x=index * width, y=y)
    return y + height
