"""Dead letters: log records that no server will ever accept, in an SQLite file that people can open with Datasette.

A record becomes a dead letter when a server rejects it for good. The worker then puts it here and acknowledges it in the
journal, so that the records behind it are delivered. ``heliograph outbox dead`` lists dead letters and puts them back.

Two threads or processes may meet at the file: the worker of each process, which adds records, and the command line,
which reads and deletes. `heliograph.sqlite_file` describes the locks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from heliograph.delivery.journal.batch import Entry, decode_record
from heliograph.delivery.journal.frames import Header, Scope
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
_INSERT: Final = """
insert into dead_letters (
    died, reason, message, uid, event_name, happened, body, attributes, resource, resource_schema_url, scope,
    scope_schema_url, record
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A log record that no server will ever accept.

    Attributes:
        id: The number of the dead letter in the file.
        died: The time at which it became a dead letter, in ISO 8601.
        reason: The reason, one word of a closed set.
        message: The message of the server.
        uid: The unique id of the record, or `None` if it has none.
        event_name: The event name, or `None` if the record has none.
        header: The header of the journal that held the record (its resource).
        entry: The record and its scope. Its sequence is 0, because it is no longer in a journal.
    """

    id: int
    died: str
    reason: str
    message: str
    uid: str | None
    event_name: str | None
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
            datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            reason,
            message,
            *_readable_columns(decode_record(entry.encoded)),
            header.resource,
            header.schema_url,
            entry.scope.scope,
            entry.scope.schema_url,
            entry.encoded,
        )
        with self._outbox_errors(), self._file.writing() as connection:
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


def _readable_columns(record: LogRecord | None) -> tuple[str | None, ...]:
    """Return the columns for people: uid, event name, time, body, attributes. All are `None` for a damaged record."""
    if record is None:
        return (None,) * 5
    attributes = decode_attributes(record.attributes)
    uid = attributes.get(LOG_RECORD_UID)
    # Never too late for `datetime`: 64 bits of nanoseconds end in the year 2554.
    happened = datetime.fromtimestamp(record.time_unix_nano / 1e9, tz=timezone.utc)
    return (
        uid if isinstance(uid, str) else None,
        record.event_name or None,
        happened.isoformat(timespec="milliseconds"),
        str(decode_value(record.body)),
        to_json(attributes),
    )


def _from_row(row: sqlite3.Row) -> DeadLetter:
    return DeadLetter(
        **{name: row[name] for name in ("id", "died", "reason", "message", "uid", "event_name")},
        header=Header(resource=row["resource"], schema_url=row["resource_schema_url"]),
        entry=Entry(0, Scope(scope=row["scope"], schema_url=row["scope_schema_url"]), row["record"]),
    )
