"""The events that were set aside, in an SQLite file that its owner alone can read."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

import msgspec
from opentelemetry.trace import SpanContext, TraceFlags, format_span_id, format_trace_id

from heliograph.errors import QuarantineError
from heliograph.quarantine.record import InvalidRecord
from heliograph.values.text import to_json

APPLICATION_ID: Final = 0x48454C51
"""What tells a file of ours from any other: SQLite's `application_id`, "HELQ"."""
MAX_BYTES: Final = 2**30
"""How large the file becomes; what does not fit any more is emitted instead."""

_PAGE_BYTES: Final = 4096
_PAGE_ROWS: Final = 500
_BUSY_TIMEOUT_SECONDS: Final = 5.0
_SCHEMA: Final = f"""
pragma application_id = {APPLICATION_ID};
create table if not exists quarantine (
    id integer primary key, uid text not null unique, event_name text not null, version text, event_class text not null,
    happened text not null, set_aside text not null, time_unix_nano integer not null, actor text not null,
    properties text not null, violations text not null, trace_id text not null, span_id text not null,
    trace_flags integer not null
);
create index if not exists quarantine_event_name on quarantine (event_name);
"""
_INSERT: Final = """
insert or ignore into quarantine (
    uid, event_name, version, event_class, happened, set_aside, time_unix_nano, actor, properties, violations, trace_id,
    span_id, trace_flags
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """An event that was set aside.

    Attributes:
        id: Its number in the file.
        happened: When it happened, in ISO 8601.
        set_aside: When it was set aside, in ISO 8601.
        record: The event.
    """

    id: int
    happened: str
    set_aside: str
    record: InvalidRecord


class Quarantine:
    """Keeps events in a file. Any number of threads and processes can use one; each call opens it anew.

    Args:
        path: The file; it is made, for its owner alone, when the first event is kept.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()

    def put(self, record: InvalidRecord) -> None:
        """Keep an event; when it returns, the event is in the file.

        Raises:
            QuarantineError: The file is no quarantine.
            sqlite3.Error: It cannot be written, or is full.
            OSError: It cannot be made.
        """
        self._make_private()
        with self._lock, self._opened() as connection:
            connection.executescript(_SCHEMA)
            connection.execute(_INSERT, _row_of(record))

    def _make_private(self) -> None:
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            self._check()

    def _check(self) -> None:
        """See that the file is ours, or empty.

        Raises:
            QuarantineError: It is another one's.
        """
        try:
            uri = f"{self.path.absolute().as_uri()}?mode=rw"  # a read-only one cannot mend what a killed process left
            with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_SECONDS)) as connection:
                connection.execute("begin")  # one state for both: another process may be making the tables
                [found] = connection.execute("pragma application_id").fetchone()
                [tables] = connection.execute("select count(*) from sqlite_master").fetchone()
        except sqlite3.Error as error:
            raise QuarantineError(self.path, f"it cannot be read as an SQLite file ({error})") from error
        if found != APPLICATION_ID and tables:
            raise QuarantineError(self.path, "it is an SQLite file of something else")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=_BUSY_TIMEOUT_SECONDS)) as connection, connection:
            connection.row_factory = sqlite3.Row
            connection.execute(f"pragma max_page_count = {MAX_BYTES // _PAGE_BYTES}")
            connection.execute("pragma secure_delete = on")  # what was purged is gone
            yield connection

    def find(
        self,
        *,
        ids: Iterable[int] = (),
        event_name: str | None = None,
        kind: str | None = None,
        before: datetime | None = None,
    ) -> Iterator[Quarantined]:
        """The events that are in the file and fit every condition, in the order in which they came.

        They are read a few at a time; those found can be removed meanwhile.

        Args:
            ids: Their numbers; none: of any number.
            event_name: Their name on the wire.
            kind: A kind of violation that they have.
            before: When they happened, before that.

        Raises:
            QuarantineError: There is no such file, or it is another one's.
        """
        if not self.path.exists():
            raise QuarantineError(self.path, "there is no such file: nothing was set aside there yet")
        self._check()
        wanted = list(ids)
        conditions = {
            "event_name = ?": event_name,
            "violations like ?": kind and f'%"{kind}%',
            "time_unix_nano < ?": before and int(before.timestamp()) * 1_000_000_000,
            "id in (select value from json_each(?))": json.dumps(wanted) if wanted else None,
        }
        used = {condition: value for condition, value in conditions.items() if value is not None}
        return self._pages(" and ".join(["id > ?", *used]), list(used.values()))

    def _pages(self, where: str, values: list[object]) -> Iterator[Quarantined]:
        last = 0
        while True:
            with self._opened() as connection:
                connection.executescript(_SCHEMA)
                sql = f"select * from quarantine where {where} order by id limit {_PAGE_ROWS}"  # noqa: S608 — conditions of ours
                rows = connection.execute(sql, [last, *values]).fetchall()
            yield from map(_quarantined, rows)
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1]["id"]

    def remove(self, ids: Iterable[int]) -> None:
        """Remove events from the file."""
        with self._lock, self._opened() as connection:
            connection.executemany("delete from quarantine where id = ?", [(each,) for each in ids])


def _row_of(record: InvalidRecord) -> tuple[object, ...]:
    return (
        record.uid,
        record.event_name,
        record.version,
        record.event_class,
        _iso(record.time_unix_nano / 1e9),
        _iso(datetime.now(timezone.utc).timestamp()),
        record.time_unix_nano,
        to_json(record.actor),
        to_json(record.properties),
        to_json(record.violations),
        format_trace_id(record.span.trace_id),
        format_span_id(record.span.span_id),
        int(record.span.trace_flags),
    )


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="milliseconds")


def _quarantined(row: sqlite3.Row) -> Quarantined:
    span = SpanContext(
        trace_id=int(row["trace_id"], 16),
        span_id=int(row["span_id"], 16),
        is_remote=False,
        trace_flags=TraceFlags(row["trace_flags"]),
    )
    record = InvalidRecord(
        **{name: row[name] for name in ("uid", "event_name", "version", "event_class", "time_unix_nano")},
        actor=msgspec.json.decode(row["actor"]),
        properties=msgspec.json.decode(row["properties"]),
        violations=tuple(msgspec.json.decode(row["violations"])),
        span=span,
    )
    return Quarantined(id=row["id"], happened=row["happened"], set_aside=row["set_aside"], record=record)
