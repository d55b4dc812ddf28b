"""Create panels in one style. Each has a title in plain English, a description of what it shows and what to do, and one unit.

A panel without data shows the text `nothing`, which says what the absence means.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from grafana_foundation_sdk.builders import bargauge, common, logs, piechart, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import DashboardLink, FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    LogsSortOrder,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    FieldColorModeId,
    GridPos,
    Panel,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.piechart import PieChartLegendValues, PieChartType

from heliograph.dashboards.data_sources import Queries

NOTHING: Final = "Nothing in this time"
COUNT: Final = "short"
"""Grafana's unit for plain numbers."""

GOOD: Final = "green"
WARNING: Final = "orange"
BAD: Final = "red"

_NO_VALUES: Final = ("Time", "__name__")
"""Columns that the plugin for VictoriaLogs adds. Grafana would include them in the name of each value."""


class Height(enum.IntEnum):
    """The height of a panel, in the units of Grafana's grid."""

    NUMBER = 4
    GRAPH = 8
    LIST = 10


def limits(warning: float, bad: float | None = None) -> ThresholdsConfig:
    """Return thresholds. Values below `warning` are good. Without `bad`, values from `warning` on are bad."""
    steps = [Threshold(value=None, color=GOOD), Threshold(value=warning, color=WARNING if bad is not None else BAD)]
    if bad is not None:
        steps.append(Threshold(value=bad, color=BAD))
    thresholds = ThresholdsConfig()
    thresholds.mode(ThresholdsMode.ABSOLUTE)
    thresholds.steps(steps)
    return thresholds


def _neutral() -> ThresholdsConfig:
    thresholds = ThresholdsConfig()
    thresholds.mode(ThresholdsMode.ABSOLUTE)
    thresholds.steps([Threshold(value=None, color="blue")])
    return thresholds


def number(
    title: str,
    description: str,
    queries: Queries,
    *,
    unit: str = COUNT,
    is_count: bool = False,
    thresholds: ThresholdsConfig | None = None,
    nothing: str = "0",
) -> Panel:
    """Return a panel with one number."""
    panel = stat.Panel()
    panel.unit(unit)
    if is_count:
        # PromQL estimates increases, so they are not always whole numbers.
        panel.decimals(0)
    panel.no_value(nothing)
    panel.thresholds(thresholds or _neutral())
    panel.reduce_options(_last_value())
    panel.color_mode(BigValueColorMode.VALUE)
    panel.graph_mode(BigValueGraphMode.NONE)
    return _finished(panel.build(), title, description, queries, Height.NUMBER)


def graph(
    title: str,
    description: str,
    queries: Queries,
    *,
    unit: str = COUNT,
    are_counts: bool = False,
    thresholds: ThresholdsConfig | None = None,
    nothing: str = NOTHING,
) -> Panel:
    """Return a graph over time: stacked bars for counts of things, lines otherwise."""
    panel = timeseries.Panel()
    panel.unit(unit)
    panel.no_value(nothing)
    panel.axis_soft_min(0)
    if are_counts:
        panel.decimals(0)
        panel.draw_style(GraphDrawStyle.BARS)
        panel.fill_opacity(80)
        stacking = common.StackingConfig()
        stacking.mode(StackingMode.NORMAL)
        panel.stacking(stacking)
    else:
        panel.fill_opacity(10)
        panel.show_points(VisibilityMode.AUTO)
    if thresholds is not None:
        panel.thresholds(thresholds)
        style = common.GraphThresholdsStyleConfig()
        style.mode(GraphThresholdsStyleMode.DASHED)
        panel.thresholds_style(style)
    panel.legend(_legend())
    panel.tooltip(_tooltip())
    return _finished(panel.build(), title, description, queries, Height.GRAPH)


def ranking(
    title: str,
    description: str,
    queries: Queries,
    *,
    link: DashboardLink | None = None,
    nothing: str = NOTHING,
) -> Panel:
    """Return a list of values with a bar for each, the most frequent one first. A click on a value follows the link."""
    panel = bargauge.Panel()
    panel.unit(COUNT)
    panel.decimals(0)
    panel.no_value(nothing)
    panel.min(0)
    panel.thresholds(_neutral())
    panel.reduce_options(_every_value())
    panel.orientation(VizOrientation.HORIZONTAL)
    panel.with_transformation(_without_columns(_NO_VALUES))
    if link is not None:
        panel.data_links([link])
    return _finished(panel.build(), title, description, queries, Height.GRAPH)


def shares(title: str, description: str, queries: Queries) -> Panel:
    """Return a ring with the share of each value."""
    panel = piechart.Panel()
    panel.unit(COUNT)
    panel.decimals(0)
    panel.no_value(NOTHING)
    panel.with_transformation(_without_columns(_NO_VALUES))
    panel.pie_type(PieChartType.DONUT)
    panel.reduce_options(_every_value())
    legend = piechart.PieChartLegendOptions()
    legend.display_mode(LegendDisplayMode.TABLE)
    legend.placement(LegendPlacement.RIGHT)
    legend.show_legend(True)
    legend.values([PieChartLegendValues.VALUE, PieChartLegendValues.PERCENT])
    panel.legend(legend)
    color = FieldColor()
    color.mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME)
    panel.color_scheme(color)
    return _finished(panel.build(), title, description, queries, Height.GRAPH)


def event_list(title: str, description: str, queries: Queries, *, nothing: str = NOTHING) -> Panel:
    """Return a list of events, the latest one first. Each opens to its attributes, with a link to its trace."""
    panel = logs.Panel()
    panel.no_value(nothing)
    for turn_on in (panel.show_time, panel.enable_log_details, panel.wrap_log_message):
        turn_on(True)
    panel.sort_order(LogsSortOrder.DESCENDING)
    return _finished(panel.build(), title, description, queries, Height.LIST)


def trace_list(
    title: str, description: str, queries: Queries, *, for_each_service: bool = False, nothing: str = NOTHING
) -> Panel:
    """Return a list of traces, with links to them.

    Args:
        title: The title.
        description: The description.
        queries: The queries.
        for_each_service: True to repeat the panel for each chosen service.
        nothing: The text that is shown without data.
    """
    panel = table.Panel()
    panel.no_value(nothing)
    if for_each_service:
        panel.repeat("service")
        panel.max_per_row(2)
    return _finished(panel.build(), title, description, queries, Height.GRAPH)


def label_table(title: str, description: str, queries: Queries, hidden: Iterable[str], *, nothing: str) -> Panel:
    """Return a table of labels: a row for each series, without the columns that are hidden."""
    panel = table.Panel()
    panel.no_value(nothing)
    panel.with_transformation(_without_columns(hidden))
    return _finished(panel.build(), title, description, queries, Height.GRAPH)


def link_to(title: str, url: str) -> DashboardLink:
    """Return a link for the values of a panel."""
    link = DashboardLink(title)
    link.url(url)
    return link


def _last_value() -> common.ReduceDataOptions:
    reduced = common.ReduceDataOptions()
    reduced.calcs(["lastNotNull"])
    return reduced


def _every_value() -> common.ReduceDataOptions:
    reduced = common.ReduceDataOptions()
    reduced.values(True)
    return reduced


def _without_columns(names: Iterable[str]) -> DataTransformerConfig:
    return DataTransformerConfig(id_val="organize", options={"excludeByName": dict.fromkeys(names, True)})


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions()
    legend.display_mode(LegendDisplayMode.LIST)
    legend.placement(LegendPlacement.BOTTOM)
    legend.show_legend(True)
    return legend


def _tooltip() -> common.VizTooltipOptions:
    tooltip = common.VizTooltipOptions()
    tooltip.mode(TooltipDisplayMode.MULTI)
    tooltip.sort(SortOrder.DESCENDING)
    return tooltip


def _finished(panel: Panel, title: str, description: str, queries: Queries, height: Height) -> Panel:
    panel.title = title
    panel.description = description
    panel.grid_pos = GridPos(h=height)
    panel.datasource = queries[0].datasource
    for letter, query in zip("ABCDEFGH", queries):
        query.ref_id = letter
    panel.targets = list(queries)
    return panel
