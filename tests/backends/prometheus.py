"""Prometheus, the store of metrics, and promtool, which checks its rules."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from backends.ports import free_port
from backends.program import BIN, Backend, get_json, require

PROMTOOL_TIMEOUT_SECONDS = 120.0


class Prometheus(Backend):
    """A Prometheus that receives OTLP, and keeps samples in its directory."""

    program = "prometheus"

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.metrics_endpoint = f"{self.url}/api/v1/otlp/v1/metrics"
        super().__init__(
            directory,
            {"HELIOGRAPH_PROMETHEUS_PORT": self.port},
            health=f"{self.url}/-/ready",
            HELIOGRAPH_PROMETHEUS_DATA=str(directory / "data"),
        )

    def query(self, promql: str) -> dict[frozenset[tuple[str, str]], float]:
        """Return the value of each series that a query finds now, by the labels of the series."""
        found = get_json(f"{self.url}/api/v1/query", {"query": promql})["data"]["result"]
        return {frozenset(series["metric"].items()): float(series["value"][1]) for series in found}

    def query_range(self, promql: str, start: float, *, step_seconds: float = 5.0) -> list[dict[str, str]]:
        """Return the labels of each series that a query finds between a time, in seconds since 1970, and now, as a panel does."""
        query = {"query": promql, "start": str(start), "end": str(time.time()), "step": str(step_seconds)}
        found = get_json(f"{self.url}/api/v1/query_range", query)["data"]["result"]
        return [series["metric"] for series in found]

    def alerts(self) -> dict[str, str]:
        """Return the states of the alerts that are pending or firing, by name. `ALERTS` has them two evaluations later."""
        found = get_json(f"{self.url}/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert["state"] for alert in found}

    def failing_rules(self) -> dict[str, str]:
        """Return the errors of the rules whose last evaluation failed, by name."""
        groups = get_json(f"{self.url}/api/v1/rules")["data"]["groups"]
        return {rule["name"]: rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")}


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run promtool, and return its output and exit code. Skip the test if it was not built."""
    require("promtool")
    command = [BIN / "promtool", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PROMTOOL_TIMEOUT_SECONDS, check=False)
