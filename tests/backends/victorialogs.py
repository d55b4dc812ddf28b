"""VictoriaLogs, the store of log records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from backends.ports import free_port
from backends.program import Backend, get, get_json


class VictoriaLogs(Backend):
    """A VictoriaLogs that keeps log records in its directory."""

    program = "victoria-logs"

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.logs_endpoint = f"{self.url}/insert/opentelemetry/v1/logs"
        super().__init__(
            directory,
            {"HELIOGRAPH_VICTORIALOGS_PORT": self.port},
            health=f"{self.url}/health",
            HELIOGRAPH_VICTORIALOGS_DATA=str(directory / "data"),
        )

    def query(self, logsql: str) -> list[dict[str, str]]:
        """Return the records that a query in LogsQL finds. Every value of a field is a text."""
        lines = get(f"{self.url}/select/logsql/query", {"query": logsql}).splitlines()
        return [cast("dict[str, str]", json.loads(line)) for line in lines]

    def stats(self, logsql: str) -> dict[str, float]:
        """Return the results of a query that ends in `stats` without `by`, by name."""
        found = get_json(f"{self.url}/select/logsql/stats_query", {"query": logsql})["data"]["result"]
        return {series["metric"]["__name__"]: float(series["value"][1]) for series in found}
