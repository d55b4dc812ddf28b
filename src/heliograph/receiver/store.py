"""The SQLite file in which the receiver stores telemetry, for people to look at.

`heliograph.sqlite_file` describes how the file is created, checked and locked. Any thread may call `Store.add` and `Store.rows` at any
time: each call opens a connection of its own. A `StoreWriter` has one connection, and belongs to one thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any, Final

from heliograph.errors import FileFormatError
from heliograph.receiver.rows import Tables, rows_of
from heliograph.receiver.signals import OtlpRequest
from heliograph.sqlite_file import LastingConnection, SqliteFile, has_application_id

APPLICATION_ID: Final = 0x48454C49
"""The mark of a receiver's file: SQLite's ``application_id``, the letters "HELI"."""

# `events` and `span_events` have no key: a record that is delivered twice has two rows, so that people see it. A span that is
# delivered twice has one row. Of a metric, only the last value of each series is kept, since each export repeats the whole sum.
#
# The views are for people: one row for each event, however often and in whatever form it was delivered, and times as text. Their
# `…_unix_nano` is for `order by`: it has an index, so the latest rows are found without reading all.
_SCHEMA: Final = """
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
create index if not exists events_uid on events (uid);
create index if not exists events_time on events (time_unix_nano);
create index if not exists span_events_uid on span_events (uid);
create index if not exists span_events_time on span_events (time_unix_nano);
create index if not exists spans_time on spans (start_unix_nano);
create index if not exists token_spans on spans (start_unix_nano) where name in ('token.create', 'token.verify');
create view if not exists event_view as
    select
        strftime('%Y-%m-%dT%H:%M:%fZ', time_unix_nano / 1e9, 'unixepoch') as time, event_name as name,
        coalesce(user_id, json_extract(attributes, '$."user.hash"')) as actor, body, trace_id,
        json_extract(attributes, '$."heliograph.token.id"') as token_id, service, attributes, uid, time_unix_nano
    from events
    where event_name != '' and (uid is null or rowid = (select min(rowid) from events as same where same.uid = events.uid))
    union all
    select
        strftime('%Y-%m-%dT%H:%M:%fZ', time_unix_nano / 1e9, 'unixepoch'), event_name,
        coalesce(json_extract(attributes, '$."user.id"'), json_extract(attributes, '$."user.hash"')), cast('' as text), trace_id,
        json_extract(attributes, '$."heliograph.token.id"'),
        (select service from spans where spans.span_id = span_events.span_id), attributes, uid, time_unix_nano
    from span_events
    where uid is not null
        and not exists (select 1 from events where events.uid = span_events.uid)
        and rowid = (select min(rowid) from span_events as same where same.uid = span_events.uid);
create view if not exists span_view as
    select
        strftime('%Y-%m-%dT%H:%M:%fZ', start_unix_nano / 1e9, 'unixepoch') as time, name, kind, status,
        (end_unix_nano - start_unix_nano) / 1e6 as duration_ms, service, trace_id, span_id, parent_span_id, attributes,
        start_unix_nano
    from spans;
create view if not exists token_view as
    select
        strftime('%Y-%m-%dT%H:%M:%fZ', start_unix_nano / 1e9, 'unixepoch') as time, name as operation,
        json_extract(attributes, '$."heliograph.token.result"') as result,
        json_extract(attributes, '$."heliograph.token.handler"') as handler,
        coalesce(json_extract(attributes, '$."user.id"'), json_extract(attributes, '$."user.hash"')) as actor,
        json_extract(attributes, '$."heliograph.token.id"') as token_id,
        (end_unix_nano - start_unix_nano) / 1e6 as duration_ms, service, trace_id, span_id, start_unix_nano
    from spans
    where name in ('token.create', 'token.verify');
"""


def is_store(path: str | PathLike[str]) -> bool:
    """Return True if the file exists and was created by a `Store`. The file is not changed."""
    return has_application_id(Path(path), APPLICATION_ID)


class Store:
    """An SQLite file with the tables ``events`` (log records), ``spans``, ``span_events`` and ``metrics``.

    The views ``event_view``, ``span_view`` and ``token_view`` show events, spans and operations on tokens to people.

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
            tables=_SCHEMA,
            wrong_file=lambda path, reason: FileFormatError(f"{path} is not a file of the receiver: {reason}"),
        )
        with self._file.writing():
            # The file and its tables are created now, so that a wrong path is reported before anything is received.
            pass

    def add(self, request: OtlpRequest) -> None:
        """Add the rows of a request. A span replaces the row with its id, and a data point the earlier one of its series.

        Raises:
            sqlite3.Error: The rows, or the file, cannot be written.
            OSError: The file cannot be created.
            FileFormatError: The file is not a `Store` any more.
        """
        with self._file.writing() as connection:
            _insert(connection, rows_of(request))

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, object] = ()) -> list[sqlite3.Row]:
        """Return the rows of a query. Parameters are in the order of their question marks, or by their names."""
        with self._file.reading() as connection:
            return connection.execute(sql, parameters).fetchall()

    def lasting_connection(self) -> LastingConnection:
        """Return a connection for many transactions of one thread."""
        return LastingConnection(self._file)


class StoreWriter:
    """Adds rows to a store, over a connection that stays open. For one thread.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._connection = store.lasting_connection()

    def insert(self, *requests: Tables) -> None:
        """Add the rows of requests in one transaction: all of them are stored, or none.

        Raises:
            sqlite3.Error: The rows, or the file, cannot be written.
            OSError: The file cannot be created.
            FileFormatError: The file is not a `Store` any more.
        """
        with self._connection.writing() as connection:
            for tables in requests:
                _insert(connection, tables)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _insert(connection: sqlite3.Connection, tables: Tables) -> None:
    for table, rows in tables.items():
        # The rows of a request have the same columns.
        for names, group in groupby(rows, key=tuple):
            columns, places = ", ".join(names), ", ".join("?" * len(names))
            # The names come from `receiver.rows`, never from a sender. The values are bound.
            connection.executemany(
                f"insert or replace into {table} ({columns}) values ({places})",  # noqa: S608
                (tuple(row.values()) for row in group),
            )
