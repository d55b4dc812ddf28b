"""Run the queries of panels as Grafana's data sources do, and return the data that they find."""

from __future__ import annotations

import json
import math
import re
import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from backends.program import get, get_json
from backends.single_node import SingleNode
from dashboards.panel_queries import PanelQuery
from stack.variables import replaced

STEP_SECONDS = 1
"""The time between two values of a graph. A queue is not empty for some seconds only."""
CHOSEN = re.compile(r"\bin\(([^\")]+)\)")
"""The value of a variable in a query in LogsQL."""


@dataclass(frozen=True)
class Shown:
    """Backends, and the part of their data that a dashboard shows.

    Attributes:
        node: The backends.
        since: The beginning of the time that is shown, in seconds since 1970. It ends now.
        variables: The values of the dashboard's variables, by name.
    """

    node: SingleNode
    since: float
    variables: Mapping[str, str]

    def data_of(self, query: PanelQuery) -> list[object]:
        """Return the values, records or traces that a query finds, without values that are 0 or no numbers."""
        match query.source:
            case "prometheus":
                return self._of_prometheus(query.target)
            case "victoriametrics-logs-datasource":
                return self._of_victorialogs(query.target)
            case "jaeger":
                return self._of_jaeger(query.target)
            case _:
                raise ValueError(f"{query.source} is not run here")

    def _of_prometheus(self, target: Mapping[str, Any]) -> list[object]:
        interval = {"__interval": target["interval"]} if "interval" in target else {}
        asked = {"query": replaced(target["expr"], {**self.variables, **interval})}
        url = f"{self.node.prometheus.url}/api/v1"
        if target["instant"]:
            return _values(get_json(f"{url}/query", asked))
        times = {"start": str(self.since), "end": str(time.time()), "step": str(STEP_SECONDS)}
        return _values(get_json(f"{url}/query_range", {**asked, **times}))

    def _of_victorialogs(self, target: Mapping[str, Any]) -> list[object]:
        logsql = CHOSEN.sub(_as_the_plugin_writes_it, replaced(target["expr"], self.variables))
        asked = {"query": logsql, "start": str(self.since), "end": str(time.time() + 1), "step": f"{STEP_SECONDS}s"}
        url = f"{self.node.victorialogs.url}/select/logsql"
        match target["queryType"]:
            case "instant":
                return list(get(f"{url}/query", {**asked, "limit": "10"}).splitlines())
            case "stats":
                return _values(get_json(f"{url}/stats_query", {**asked, "time": asked["end"]}))
            case "statsRange":
                return _values(get_json(f"{url}/stats_query_range", asked))
            case other:
                raise ValueError(f"{other} is not run here")

    def _of_jaeger(self, target: Mapping[str, Any]) -> list[object]:
        tags = dict(each.split("=", 1) for each in shlex.split(replaced(target["tags"], self.variables)))
        asked = {
            "service": replaced(target["service"], self.variables),
            "operation": target.get("operation", ""),
            "tags": json.dumps(tags),
            "limit": str(target["limit"]),
            "lookback": "1h",
        }
        found = get_json(f"{self.node.jaeger.url}/api/traces", {key: value for key, value in asked.items() if value})
        return list(found["data"])


def _as_the_plugin_writes_it(chosen: re.Match[str]) -> str:
    """Return `in(…)` as the plugin of VictoriaLogs sends it: the choice of all values is `*`, and others are quoted."""
    return "in(*)" if chosen[1] == ".*" else f"in({json.dumps(chosen[1])})"


def _values(answer: Mapping[str, Any]) -> list[object]:
    """Return the values of all series in an answer in the form of Prometheus' API."""
    series = answer["data"]["result"]
    texts = (text for each in series for _, text in each.get("values", [each.get("value")]))
    return list(_above_zero(map(float, texts)))


def _above_zero(numbers: Iterable[float]) -> Iterable[float]:
    return (number for number in numbers if number > 0 and not math.isinf(number))
