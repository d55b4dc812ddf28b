"""The SQLite file in which the receiver stores telemetry, for people to look at.

`heliograph.sqlite_file` describes how the file is created, checked and locked. The server's threads (one per client
connection) add rows, while the program that started the server queries them. Each call has a connection of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Final

from heliograph.errors import FileFormatError
from heliograph.receiver.rows import Tables, rows_of
from heliograph.receiver.signals import OtlpRequest
from heliograph.sqlite_file import SqliteFile, has_application_id

APPLICATION_ID: Final = 0x48454C49
"""The mark of a receiver's file: SQLite's ``application_id``, the letters "HELI"."""

# `events` and `span_events` have no key: a record that is delivered twice has two rows, so that people see it. A span that is
# delivered twice has one row. Of a metric, only the last value of each series is kept, since each export repeats the whole sum.
_TABLES: Final = """
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


def is_store(path: str | PathLike[str]) -> bool:
    """Return True if the file was created by a `Store`. The file is not changed."""
    return has_application_id(Path(path), APPLICATION_ID)


class Store:
    """An SQLite file with the tables ``events`` (log records), ``spans``, ``span_events`` and ``metrics``.

    Any number of threads may use it at the same time.

    Args:
        path: The file. It is created, readable for its owner only, if it is missing.

    Raises:
        FileFormatError: The file exists, and is not a `Store`.
        sqlite3.Error: The file cannot be written.
        OSError: The file cannot be created.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self._file = SqliteFile(
            Path(path),
            application_id=APPLICATION_ID,
            tables=_TABLES,
            wrong_file=lambda path, reason: FileFormatError(f"{path} is not a file of the receiver: {reason}"),
        )
        with self._file.writing():
            pass  # creates file and tables, so that a wrong path fails before anything is received

    def add(self, request: OtlpRequest) -> None:
        """Add log records; spans with their span events; or data points, each of which replaces the earlier one of its series."""
        self._insert(rows_of(request))

    def rows(self, sql: str, parameters: Iterable[object] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query."""
        with self._file.reading() as connection:
            return connection.execute(sql, tuple(parameters)).fetchall()

    def _insert(self, tables: Tables) -> None:
        """Insert rows in one transaction: a request is stored as a whole, or not at all."""
        with self._file.writing() as connection:
            for table, rows in tables.items():
                for row in rows:
                    names = ", ".join(row)
                    places = ", ".join("?" * len(row))
                    connection.execute(  # the names are those of `receiver.rows`, never a sender's; values are bound
                        f"insert or replace into {table} ({names}) values ({places})",  # noqa: S608
                        tuple(row.values()),
                    )
