"""The pages in a real browser, of the Datasette whose pictures are in the docs: charts are drawn, and nothing is wider than the window."""

from __future__ import annotations

import html
import json
import re
import runpy
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends import REPOSITORY
from threads import LIMIT_SECONDS

SCREENSHOTS = runpy.run_path(str(REPOSITORY / "docs" / "screenshots.py"))
BROWSER = SCREENSHOTS["find_browser"]()

# The page is replaced by what was measured, which the browser prints.
MEASURE = """
const visible = (each) => each.getBoundingClientRect().width > 0 && each.getBoundingClientRect().height > 0;
const charts = [...document.querySelectorAll('.heliograph-chart')].map((chart) => {
  const bars = [...chart.querySelectorAll('svg[role=img] rect')];
  chart.querySelector('details').open = true;
  return {
    title: chart.querySelector('svg title').textContent,
    bars: bars.length,
    hidden: bars.filter((bar) => !visible(bar)).length,
    colours: [...new Set(bars.map((bar) => getComputedStyle(bar).fill))].sort(),
    legend: [...new Set([...chart.querySelectorAll('.legend rect')].map((each) => getComputedStyle(each).fill))].sort(),
    numbers: [...chart.querySelectorAll('td')].filter((cell) => visible(cell) && cell.textContent !== '0').length,
  };
});
document.querySelectorAll('details').forEach((each) => { each.open = true; });
const cell = document.querySelector('td[data-label]');
const measured = {
  charts,
  overhang: document.documentElement.scrollWidth - innerWidth,
  label: getComputedStyle(cell, '::before').content,
};
document.body.innerHTML = '<pre></pre>';
document.querySelector('pre').textContent = JSON.stringify(measured);
"""


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, int], dict[str, Any]]]:
    """A function that returns what is measured of a page in a window of some width."""
    if BROWSER is None:
        pytest.skip("Chromium is not installed")
    folder: Path = tmp_path_factory.mktemp("browser")
    server, url = SCREENSHOTS["serve"](folder)

    def measure(path: str, width: int) -> dict[str, Any]:
        options = ("--dump-dom", f"--window-size={width},1000")
        printed = SCREENSHOTS["browse"](BROWSER, url + path, folder, *options, script=MEASURE)
        [found] = re.findall("<pre>(.*?)</pre>", printed, re.DOTALL)
        measured: dict[str, Any] = json.loads(html.unescape(found))
        return measured

    try:
        yield measure
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(LIMIT_SECONDS)


@pytest.mark.parametrize("width", [500, 1200])
def test_charts_are_drawn_at_every_width(measure: Callable[[str, int], dict[str, Any]], width: int) -> None:
    """Each bar can be seen, has the colour of its name, and is in the table."""
    charts = measure("/-/heliograph", width)["charts"]

    assert [chart["title"] for chart in charts] == [
        "Events per minute, by name",
        "Verified tokens per minute, by result",
    ]
    for chart in charts:
        assert chart["bars"] > 50
        assert chart["hidden"] == 0
        assert chart["colours"] == chart["legend"]
        assert len(chart["colours"]) >= 3
        assert chart["numbers"] == chart["bars"]


@pytest.mark.parametrize("path", ["/-/heliograph", "/-/heliograph/tokens"])
def test_narrow_window_names_each_value_and_has_to_be_scrolled_in_one_direction(
    measure: Callable[[str, int], dict[str, Any]], path: str
) -> None:
    """As in Datasette's own tables, the heads of columns are beside the values there."""
    narrow, wide = measure(path, 500), measure(path, 1200)

    assert narrow["overhang"] <= 0
    assert narrow["label"] not in ("none", "normal")
    assert wide["label"] in ("none", "normal")
