"""What arrived, in a SQLite file that people can look at."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from os import PathLike, fspath
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.receiver.decode import Row, log_rows, metric_rows, span_rows

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


class Store:
    """A SQLite file with the tables `events` (log records), `spans`, `span_events` and `metrics` (the last values).

    Args:
        path: The file; made if it is not there.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(fspath(path), check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(SCHEMA)

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
