"""The SQLite file of the quarantine, which only its owner can read.

Events are added by every thread that tracks an invalid event, in every process that uses the file. The command line
reads and deletes them, usually in another process. `heliograph.sqlite_file` describes how the file is created, checked
and locked, so that all of them may do this at the same time, also across a fork.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import msgspec
from opentelemetry.trace import SpanContext, TraceFlags, format_span_id, format_trace_id

from heliograph.errors import QuarantineError
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.spool import Spool, has_lines
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.sqlite_file import SqliteFile
from heliograph.values.text import counted, json_of, to_json

APPLICATION_ID: Final = 0x48454C51
"""The mark of a quarantine file: SQLite's ``application_id``, the letters "HELQ"."""
MAX_BYTES: Final = 2**30
"""The largest size of the file. An event that no longer fits is emitted instead."""

_TABLE: Final = "quarantine"
_TABLES: Final = """
create table if not exists quarantine (
    id integer primary key, uid text not null unique, event_name text not null, version text, event_class text not null,
    happened text not null, set_aside text not null, time_unix_nano integer not null, actor text not null,
    properties text not null, violations text not null, trace_id text not null, span_id text not null,
    trace_flags integer not null
);
create index if not exists quarantine_event_name on quarantine (event_name);
"""
_Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Row: TypeAlias = tuple[str, str, str | None, str, str, str, _Integer, str, str, str, str, str, _Integer]
"""The columns of an event, in the order of the statement below. The first version of the spool had them, as JSON, in each line."""
_Line: TypeAlias = tuple[
    str, str, str | None, str, _Integer, _Integer, msgspec.Raw, msgspec.Raw, msgspec.Raw, str, str, _Integer
]
"""An event as JSON, in the order of `to_line`: both times are numbers, and the columns with JSON are part of it, not texts inside of it."""

# "or ignore": an event that is put into the file twice is kept once, because its uid is unique
_INSERT: Final = """
insert or ignore into quarantine (
    uid, event_name, version, event_class, happened, set_aside, time_unix_nano, actor, properties, violations, trace_id,
    span_id, trace_flags
) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_DECODER: Final = msgspec.json.Decoder(_Line)
_FORMER_DECODER: Final[msgspec.json.Decoder[Row]] = msgspec.json.Decoder(Row)
_MAX_WAIT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.01

logger: Final = SafeLogger(SCOPE)


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """An event in the quarantine.

    Attributes:
        id: The number of the event in the file.
        happened: The time of the event, in ISO 8601.
        set_aside: The time at which it was put into the quarantine, in ISO 8601.
        record: The event.
    """

    id: int
    happened: str
    set_aside: str
    record: InvalidRecord


class Quarantine:
    """A file of invalid events. Any number of threads and processes may use it at the same time.

    Args:
        path: The file. It is created, readable for its owner only, when the first event is put into it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser()
        self._file = SqliteFile(
            self.path,
            application_id=APPLICATION_ID,
            tables=_TABLES,
            wrong_file=QuarantineError,
            max_bytes=MAX_BYTES,
            is_own=True,
        )

    def check(self) -> None:
        """Return if events can be put into the file, as far as this can be known without creating it.

        Raises:
            QuarantineError: Its directory does not exist, the file or its directory cannot be written, or the file is not a
                quarantine.
        """
        self._file.check_writable()

    def put(self, record: InvalidRecord) -> None:
        """Add an event. When this returns, the event is on disk.

        Raises:
            QuarantineError: The file is not a quarantine.
            sqlite3.Error: The file cannot be written, or is full.
            OSError: The file cannot be created.
        """
        self.put_lines([to_line(record)])

    def put_rows(self, rows: Sequence[Row]) -> None:
        """Add events, in one transaction. It raises the same exceptions as `put`."""
        if rows:
            with self._file.writing() as connection:
                connection.executemany(_INSERT, rows)

    def put_lines(self, lines: Iterable[bytes]) -> None:
        """Add events from lines of `to_line`, in one transaction. Damaged lines are counted in the log. It raises the same as `put`."""
        rows, damaged = [], 0
        for line in lines:
            try:
                rows.append(_read_line(line))
            except (msgspec.DecodeError, UnicodeDecodeError):
                damaged += 1
        self.put_rows(rows)
        if damaged:
            logger.error("Invalid events are damaged, and are not in the quarantine: %s.", counted(damaged, "event"))

    def take_orphans(self) -> None:
        """Add the events in the spools of processes that have died. It raises the same exceptions as `put`."""
        for spool in Spool.orphans(self.path):
            try:
                self.put_lines(spool.read())
            except BaseException:
                spool.close()
                raise
            spool.delete()

    def _wait_for_others(self) -> None:
        """Add the events in the spools of dead processes, and wait up to two seconds until living ones have added theirs."""
        try:
            self.take_orphans()
        except (sqlite3.Error, OSError) as error:
            logger.warning("Events that dead processes have set aside cannot be put into the quarantine: %s", error)
        end = time.monotonic() + _MAX_WAIT_SECONDS
        while has_lines(self.path) and time.monotonic() < end:
            time.sleep(_PAUSE_SECONDS)

    def find(
        self,
        *,
        ids: Iterable[int] = (),
        event_name: str | None = None,
        kind: str | None = None,
        before: datetime | None = None,
    ) -> Iterator[Quarantined]:
        """Return the events that meet every given condition, in the order in which they were added.

        They are read a page at a time. Events that were already returned may be removed meanwhile. Before, it waits up to two seconds for
        events that other processes have set aside and not yet put into the file.

        Args:
            ids: The numbers of the events. Empty means any number.
            event_name: The event name on the wire.
            kind: A kind of violation that the event has, such as ``"datatype-mismatch"``.
            before: A time; the event happened earlier.

        Raises:
            QuarantineError: The file does not exist, or is not a quarantine.
        """
        # Not a generator itself: the file is checked at the call, not at the first `next`.
        self._wait_for_others()
        if not self.path.exists():
            raise QuarantineError(self.path, "the file does not exist, so no event was set aside there yet")
        self._file.check()
        wanted = list(ids)
        values_by_condition = {
            "event_name = ?": event_name,
            "violations like ?": kind and f'%"{kind}%',  # a JSON array of "kind: path"
            "time_unix_nano < ?": before and int(before.timestamp()) * 1_000_000_000,
            # There is one parameter for all ids, because SQLite limits the number of parameters.
            "id in (select value from json_each(?))": to_json(wanted) if wanted else None,
        }
        used = {condition: value for condition, value in values_by_condition.items() if value is not None}
        rows = self._file.rows(_TABLE, " and ".join(used) or "true", list(used.values()))
        return map(_from_row, rows)

    def counts(self) -> dict[str, int]:
        """Return the number of events in the file by their event name. A missing file has none.

        Before, it waits as `find` does.

        Raises:
            QuarantineError: The file is not a quarantine.
            sqlite3.Error: The file cannot be read.
        """
        self._wait_for_others()
        with self._file.reading() as connection:
            rows = connection.execute(f"select event_name, count(*) from {_TABLE} group by 1 order by 1")  # noqa: S608 — no user's text
            return {row[0]: row[1] for row in rows}

    def remove(self, ids: Iterable[int]) -> None:
        """Delete the events with these numbers. Their bytes in the file are overwritten."""
        self._file.remove(_TABLE, ids)


def to_line(record: InvalidRecord) -> bytes:
    """Return an event, set aside now, as a line of a spool, for `Quarantine.put_lines`.

    The caller waits for it, so times become text only when the line is read.
    """
    span = record.span
    line = (
        record.uid,
        record.event_name,
        record.version,
        record.event_class,
        record.time_unix_nano,
        time.time_ns(),
        record.actor,
        record.properties,
        record.violations,
        format_trace_id(span.trace_id),
        format_span_id(span.span_id),
        int(span.trace_flags),
    )
    return json_of(line) + b"\n"


def _read_line(line: bytes) -> Row:
    try:
        uid, event_name, version, event_class, happened, set_aside, *documents, trace_id, span_id, trace_flags = (
            _DECODER.decode(line)
        )
    except msgspec.ValidationError:
        # A process of the first version may have died before its events were in the quarantine.
        return _FORMER_DECODER.decode(line)
    actor, properties, violations = (bytes(each).decode() for each in documents)
    times = _iso(happened), _iso(set_aside), happened
    return uid, event_name, version, event_class, *times, actor, properties, violations, trace_id, span_id, trace_flags


def _iso(unix_nano: int) -> str:
    return datetime.fromtimestamp(unix_nano / 1e9, tz=timezone.utc).isoformat(timespec="milliseconds")


def _from_row(row: sqlite3.Row) -> Quarantined:
    """Return the event in a row of the table."""
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
