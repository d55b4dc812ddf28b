"""Dead letters: log records that no server will ever take, in SQLite, so that people can look at them with Datasette."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from heliograph.delivery.journal.batch import Entry, decode_record
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.errors import OutboxError
from heliograph.otlp import decode_attributes, decode_value
from heliograph.semconv import LOG_RECORD_UID
from heliograph.values.text import to_json

APPLICATION_ID: Final = 0x48454C44
"""What tells a file of ours from any other: SQLite's `application_id`, "HELD"."""

_BUSY_TIMEOUT_SECONDS: Final = 5.0
_SCHEMA: Final = f"""
pragma application_id = {APPLICATION_ID};
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
_FIND: Final = """
select * from dead_letters where :ids = '[]' or id in (select value from json_each(:ids)) order by id
"""


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """A record that was given up.

    Attributes:
        id: Its number in the file.
        died: When it was given up, in ISO 8601.
        reason: Why, as one of a few words.
        message: What the server said.
        uid: Its unique id, if it has one.
        event_name: Its name, if it has one.
        header: What it was made under.
        entry: The record, and the scope that it was made under.
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
    """Keeps dead letters in a file; each call opens it anew, so that processes can share it.

    Args:
        path: The file; made, for its owner alone, with the first of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, header: Header, entry: Entry, *, reason: str, message: str) -> None:
        """Keep a record.

        Raises:
            OutboxError: The file cannot be written.
        """
        record = decode_record(entry.encoded)
        row = (
            datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
            reason,
            message,
            *_columns(record),
            header.resource,
            header.schema_url,
            entry.scope.scope,
            entry.scope.schema_url,
            entry.encoded,
        )
        with self._write() as connection:
            connection.execute(_INSERT, row)

    def find(self, ids: Iterable[int] = ()) -> Iterator[DeadLetter]:
        """The dead letters, or those with these numbers, in order.

        Raises:
            OutboxError: The file cannot be read.
        """
        wanted = list(ids)
        if not self._path.exists():
            return
        with self._read() as connection:
            rows = connection.execute(_FIND, {"ids": to_json(wanted)}).fetchall()
        for row in rows:
            yield _dead_letter(row)

    def count(self) -> int:
        """How many there are."""
        if not self._path.exists():
            return 0
        with self._read() as connection:
            found: int = connection.execute("select count(*) from dead_letters").fetchone()[0]
            return found

    def is_sound(self) -> bool:
        """Whether SQLite finds nothing wrong with the file."""
        if not self._path.exists():
            return True
        try:
            with self._read() as connection:
                return bool(connection.execute("pragma integrity_check").fetchone()[0] == "ok")
        except OutboxError:
            return False

    def remove(self, ids: Iterable[int]) -> None:
        """Delete those with these numbers."""
        with self._write() as connection:
            connection.executemany("delete from dead_letters where id = ?", [(each,) for each in ids])

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A connection to what is there; it may have to undo what a process that died left half-done."""
        with self._connected(f"{self._path.absolute().as_uri()}?mode=rw") as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with _told(self._path):
            if not self._path.exists():
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with self._connected(self._path.absolute().as_uri()) as connection:
            connection.executescript(_SCHEMA)
            yield connection

    @contextmanager
    def _connected(self, uri: str) -> Iterator[sqlite3.Connection]:
        with (
            _told(self._path),
            closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_SECONDS)) as connection,
            connection,
        ):
            connection.row_factory = sqlite3.Row
            yield connection


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise OutboxError(path, f"its dead letters cannot be read and written: {error}") from error


def _columns(record: LogRecord | None) -> tuple[str | None, ...]:
    """The uid, the event name, the time, the body and the attributes, for people."""
    if record is None:
        return (None,) * 5
    attributes = decode_attributes(record.attributes)
    uid = attributes.get(LOG_RECORD_UID)
    happened = datetime.fromtimestamp(min(record.time_unix_nano / 1e9, 2**37), tz=timezone.utc)
    return (
        uid if isinstance(uid, str) else None,
        record.event_name or None,
        happened.isoformat(timespec="milliseconds"),
        str(decode_value(record.body)),
        to_json(attributes),
    )


def _dead_letter(row: sqlite3.Row) -> DeadLetter:
    return DeadLetter(
        **{name: row[name] for name in ("id", "died", "reason", "message", "uid", "event_name")},
        header=Header(resource=row["resource"], schema_url=row["resource_schema_url"]),
        entry=Entry(0, Scope(scope=row["scope"], schema_url=row["scope_schema_url"]), row["record"]),
    )
