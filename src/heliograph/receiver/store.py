"""What arrived, in a SQLite file that people can look at."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing
from os import PathLike, fspath
from pathlib import Path
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.receiver.rows import (
    Row,
    log_rows,
    metric_rows,
    span_rows,
)

SCHEMA: Final = """
create table if not exists events (
    uid text, event_name text, time_unix_nano integer, severity_number integer, body text, user_id text,
    trace_id text, span_id text, service text, attributes text
);
create table if not exists spans (
    trace_id text, span_id text primary key, parent_span_id text, name text, kind text,
    start_unix_nano integer, end_unix_nano integer, status text, service text, attributes text
);
create table if not exists span_events (
    uid text, event_name text, time_unix_nano integer, trace_id text, span_id text references spans(span_id),
    attributes text
);
create table if not exists metrics (
    name text, unit text, attributes text, value real, count integer, time_unix_nano integer, service text,
    primary key (name, attributes, service)
);
"""


APPLICATION_ID: Final = 0x48454C49
"""What tells a file of ours from any other: SQLite's `application_id`, "HELI"."""


def is_store(path: str | PathLike[str]) -> bool:
    """Whether the file was made by a `Store`."""
    try:
        with closing(sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found: int = connection.execute("pragma application_id").fetchone()[0]
    except sqlite3.Error:
        return False
    return found == APPLICATION_ID


class Store:
    """A SQLite file with the tables `events` (log records), `spans`, `span_events` and `metrics` (the last values).

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(fspath(path), check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(f"pragma application_id = {APPLICATION_ID};{SCHEMA}")

    def add_logs(self, request: ExportLogsServiceRequest) -> None:
        """Keep log records."""
        self._insert({"events": log_rows(request)})

    def add_traces(self, request: ExportTraceServiceRequest) -> None:
        """Keep spans, and their events."""
        spans, events = [], []
        for span, of_span in span_rows(request):
            spans.append(span)
            events += of_span
        self._insert({"spans": spans, "span_events": events})

    def add_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Keep data points; a newer one replaces the one before."""
        self._insert({"metrics": metric_rows(request)})

    def rows(self, sql: str, parameters: Iterable[object] = ()) -> list[sqlite3.Row]:
        """The rows of a query."""
        with self._lock:
            return self._connection.execute(sql, tuple(parameters)).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _insert(self, tables: dict[str, Iterable[Row]]) -> None:
        with self._lock, self._connection:
            for table, rows in tables.items():
                for row in rows:
                    names = ", ".join(row)
                    places = ", ".join("?" * len(row))
                    self._connection.execute(  # names come from `decode`, values are bound
                        f"insert or replace into {table} ({names}) values ({places})",  # noqa: S608
                        tuple(row.values()),
                    )
