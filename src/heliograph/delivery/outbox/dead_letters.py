"""Dead letters: log records and spans that no server will ever accept, in an SQLite file that people can open with Datasette.

A record becomes a dead letter when a server rejects it permanently. The worker then stores it here and acknowledges it in the
journal, so that the records after it are delivered. ``heliograph outbox dead`` lists dead letters and puts them back.

Two threads or processes may meet at the file: the worker of each process, which adds records, and the command line,
which reads and deletes. `heliograph.sqlite_file` describes the locks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from heliograph.delivery.journal.batch import Entry, decode_record
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.signals import BY_NAME, LOGS
from heliograph.delivery.trust import check_file
from heliograph.errors import OutboxError
from heliograph.otlp import decode_attributes, decode_value
from heliograph.semconv import LOG_RECORD_UID
from heliograph.sqlite_file import COMPANIONS, SqliteFile
from heliograph.values.text import to_json

APPLICATION_ID: Final = 0x48454C44
"""The mark of a file of dead letters: SQLite's ``application_id``, the letters "HELD"."""

_TABLE: Final = "dead_letters"
# The columns `uid` to `attributes` are for people, and repeat what is in `record`. The blobs are the bytes of the journal:
# with them a dead letter is put back exactly as it was.
_TABLES: Final = """
create table if not exists dead_letters (
    id integer primary key, died text not null, reason text not null, message text not null, uid text, event_name text,
    happened text, body text, attributes text, resource blob not null, resource_schema_url text not null,
    scope blob not null, scope_schema_url text not null, record blob not null
);
"""
# In files of the first releases they are missing. A row that such a release adds later is one of a log record.
_ADDED_COLUMNS: Final[Mapping[str, str]] = {
    "signal": "text not null default 'logs'",
    "trace_id": "text",
    "span_id": "text",
}
_INSERT: Final = """
insert into dead_letters (
    signal, died, reason, message, trace_id, span_id, uid, event_name, happened, body, attributes, resource, resource_schema_url,
    scope, scope_schema_url, record
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A log record or a span that no server will ever accept.

    Attributes:
        id: The number of the dead letter in the file.
        died: The time at which it became a dead letter, in ISO 8601.
        reason: The reason, one word of a closed set.
        message: The message of the server.
        trace_id: The trace id in hexadecimal digits, or `None` if the record has none.
        span_id: The span id in hexadecimal digits, or `None` if the record has none.
        uid: The unique id of the record, or `None` if it has none.
        event_name: The event name, or the span's name; `None` if the record has none.
        happened: The time of the record, or of the end of the span, in ISO 8601; `None` if the record is damaged.
        header: The header of the journal that held the record (its resource and its signal).
        entry: The record and its scope. Its sequence is 0, because it is no longer in a journal.
    """

    id: int
    died: str
    reason: str
    message: str
    trace_id: str | None
    span_id: str | None
    uid: str | None
    event_name: str | None
    happened: str | None
    header: Header
    entry: Entry


class DeadLetters:
    """A file of dead letters. Any number of threads and processes may use it at the same time.

    Args:
        path: The file. It is created, readable for its owner only, with the first dead letter.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = SqliteFile(path, application_id=APPLICATION_ID, tables=_TABLES, wrong_file=OutboxError)

    def put(self, header: Header, entry: Entry, *, reason: str, message: str) -> None:
        """Add a record. When this returns, it is on disk.

        Raises:
            OutboxError: The file cannot be written, or is not a file of dead letters.
        """
        row = (
            header.signal.name,
            datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            reason,
            message,
            *_readable_columns(decode_record(entry.encoded, header.signal)),
            header.resource,
            header.schema_url,
            entry.scope.scope,
            entry.scope.schema_url,
            entry.encoded,
        )
        with self._outbox_errors(), self._file.writing() as connection:
            _add_columns(connection)
            connection.execute(_INSERT, row)

    def find(self, ids: Iterable[int] = ()) -> Iterator[DeadLetter]:
        """Yield the dead letters with these numbers, or all of them, in the order of their numbers.

        Raises:
            OutboxError: The file cannot be read, or is not a file of dead letters. A missing file is no error.
        """
        wanted = list(ids)
        with self._outbox_errors():
            if wanted:
                rows = self._file.rows(_TABLE, "id in (select value from json_each(?))", [to_json(wanted)])
            else:
                rows = self._file.rows(_TABLE)
            for row in rows:
                yield _from_row(row)

    def newest(self, count: int) -> list[DeadLetter]:
        """Return the dead letters that were added last, the newest first.

        Raises:
            OutboxError: The file cannot be read, or is not a file of dead letters. A missing file is no error.
        """
        with self._outbox_errors(), self._file.reading() as connection:
            rows = connection.execute("select * from dead_letters order by id desc limit ?", [count]).fetchall()
        return [_from_row(row) for row in rows]

    def count(self) -> int:
        """Return the number of dead letters.

        Raises:
            OutboxError: The file cannot be read, or is not a file of dead letters. A missing file is no error.
        """
        with self._outbox_errors(), self._file.reading() as connection:
            found: int = connection.execute("select count(*) from dead_letters").fetchone()[0]
            return found

    def is_sound(self) -> bool:
        """Return True if the file is missing, or SQLite finds no damage in it."""
        try:
            with self._outbox_errors(), self._file.reading() as connection:
                return bool(connection.execute("pragma integrity_check").fetchone()[0] == "ok")
        except OutboxError:
            return False

    def remove(self, ids: Iterable[int]) -> None:
        """Delete the dead letters with these numbers.

        Raises:
            OutboxError: The file cannot be written, or is not a file of dead letters.
        """
        with self._outbox_errors():
            self._file.remove(_TABLE, ids)

    @contextmanager
    def _outbox_errors(self) -> Iterator[None]:
        try:
            for suffix in ("", *COMPANIONS):
                with suppress(FileNotFoundError):
                    check_file(Path(f"{self._path}{suffix}"), self._path.parent)
            yield
        except OutboxError:
            raise
        except (OSError, sqlite3.Error) as error:
            raise OutboxError(self._path, f"its dead letters cannot be read or written: {error}") from error


def _add_columns(connection: sqlite3.Connection) -> None:
    """Add the columns that a file of an earlier release lacks."""
    there = {row["name"] for row in connection.execute(f"pragma table_info({_TABLE})")}
    for name, definition in _ADDED_COLUMNS.items():
        if name not in there:
            connection.execute(f"alter table {_TABLE} add column {name} {definition}")


def _readable_columns(record: LogRecord | Span | None) -> tuple[str | None, ...]:
    """Return the columns for people: the ids, name, time, body and attributes. All are `None` for a damaged record."""
    if record is None:
        return (None,) * 7
    attributes = decode_attributes(record.attributes)
    uid = attributes.get(LOG_RECORD_UID)
    match record:
        case Span():
            name, body, nanoseconds = record.name, None, record.end_time_unix_nano
        case _:
            name, body, nanoseconds = record.event_name, str(decode_value(record.body)), record.time_unix_nano
    # Never too late for `datetime`: 64 bits of nanoseconds end in the year 2554.
    happened = datetime.fromtimestamp(nanoseconds / 1e9, tz=timezone.utc)
    return (
        record.trace_id.hex() or None,
        record.span_id.hex() or None,
        uid if isinstance(uid, str) else None,
        name or None,
        happened.isoformat(timespec="milliseconds"),
        body,
        to_json(attributes),
    )


_FIELDS: Final = ("id", "died", "reason", "message", "trace_id", "span_id", "uid", "event_name", "happened")


def _from_row(row: sqlite3.Row) -> DeadLetter:
    there = dict(row)
    # Files of the first releases lack some of the columns.
    columns: dict[str, Any] = {name: there.get(name) for name in _FIELDS}
    signal = BY_NAME[there.get("signal", LOGS.name)]
    return DeadLetter(
        **columns,
        header=Header(resource=row["resource"], schema_url=row["resource_schema_url"], signal=signal),
        entry=Entry(0, Scope(scope=row["scope"], schema_url=row["scope_schema_url"]), row["record"]),
    )
