"""Compute charts of counts per minute, as data. The template draws them, and escapes every text.

A chart has a column for each minute, with a bar for each name, one on top of the other. The horizontal unit is a minute, and the
vertical unit is a hundredth of the highest column. The page stretches the chart to its size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MAX_NAMES: Final = 6
"""The number of names that have bars of their own. All others have one bar together."""
OTHERS: Final = "all others"
HEIGHT: Final = 100

_LEAST_HEIGHT: Final = 1.0
"""The smallest height of a bar, so that it is visible beside one that is a thousand times as high."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """The bars of one name.

    Attributes:
        name: The name.
        colour: The number of its colour in the style sheet.
        total: The sum of its counts.
    """

    name: str
    colour: int
    total: int


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar in a column.

    Attributes:
        colour: The number of its colour in the style sheet.
        y: The distance of its upper end from the top of the chart.
        height: Its height.
    """

    colour: int
    y: float
    height: float


@dataclass(frozen=True, kw_only=True)
class Column:
    """A minute with at least one count.

    Attributes:
        x: The distance from the left edge, in minutes.
        time: The minute, as hours and minutes in UTC.
        bars: The bars, from the lowest one upwards.
        counts: The count of each series of the chart, in their order.
        text: The counts in words.
    """

    x: int
    time: str
    bars: tuple[Bar, ...]
    counts: tuple[int, ...]
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Counts per minute, by name.

    Attributes:
        series: The names that occur.
        columns: The minutes with counts, in their order.
        highest: The sum of the counts of the highest column.
        total: The sum of all counts.
        minutes: The number of minutes.
        height: The height of the highest column.
        times: The first minute, one in the middle, and the current one, as hours and minutes in UTC.
    """

    series: tuple[Series, ...]
    columns: tuple[Column, ...]
    highest: int
    total: int
    minutes: int
    height: int
    times: tuple[str, ...]


def chart(times: Sequence[str], counts: Sequence[Mapping[str, int]], *, first: Sequence[str] = ()) -> Chart:
    """Return the chart of successive minutes.

    Args:
        times: The minutes, in ISO 8601.
        counts: For each minute, the counts by name.
        first: Names that come first, in this order, each with a colour that is always the same. All others come in the order of their
            totals.
    """
    series = _series(counts, first)
    by_minute = [_counts_of(series, each) for each in counts]
    highest = max(map(sum, by_minute), default=0)
    clock_times = [time[11:16] for time in times]
    columns = [_column(series, x, clock_times[x], found, highest) for x, found in enumerate(by_minute) if sum(found)]
    return Chart(
        series=series,
        columns=tuple(columns),
        highest=highest,
        total=sum(each.total for each in series),
        minutes=len(times),
        height=HEIGHT,
        times=(clock_times[0], clock_times[len(times) // 2], clock_times[-1]),
    )


def _series(counts: Iterable[Mapping[str, int]], first: Sequence[str]) -> tuple[Series, ...]:
    totals: Counter[str] = Counter()
    for by_name in counts:
        totals.update(by_name)
    others = sorted(totals.keys() - set(first), key=lambda name: (-totals[name], name))
    own, rest = [*first, *others][:MAX_NAMES], [*first, *others][MAX_NAMES:]
    series = [Series(name=name, colour=colour, total=totals[name]) for colour, name in enumerate(own) if totals[name]]
    if any(totals[name] for name in rest):
        series.append(Series(name=OTHERS, colour=MAX_NAMES, total=sum(totals[name] for name in rest)))
    return tuple(series)


def _counts_of(series: Sequence[Series], by_name: Mapping[str, int]) -> tuple[int, ...]:
    """Return the count of each series in a minute."""
    own = [by_name.get(each.name, 0) for each in series if each.colour < MAX_NAMES]
    return tuple(own) if len(own) == len(series) else (*own, sum(by_name.values()) - sum(own))


def _column(series: Sequence[Series], x: int, time: str, counts: tuple[int, ...], highest: int) -> Column:
    bars: list[Bar] = []
    y = float(HEIGHT)
    for each, count in zip(series, counts):
        if count:
            height = max(_LEAST_HEIGHT, round(HEIGHT * count / highest, 2))
            y = max(0.0, round(y - height, 2))
            bars.append(Bar(colour=each.colour, y=y, height=height))
    words = ", ".join(f"{each.name} {count}" for each, count in zip(series, counts) if count)
    return Column(x=x, time=time, bars=tuple(bars), counts=counts, text=f"{time}: {words}")
