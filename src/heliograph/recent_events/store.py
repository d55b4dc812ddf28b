"""The SQLite file of recent events, and of counts per minute. Only its owner can read it.

Each process that has this file in its settings adds to it, and reads the events of all of them. `heliograph.sqlite_file` describes
how the file is created, checked and locked.

The file is bounded: it has at most `MAX_EVENTS` events, each of which has a bounded size, and at most `MAX_COUNTS` counts, of the last
`MINUTES` minutes. A new event replaces the oldest one. `MAX_BYTES` is a limit that all of this together does not reach.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, TypeAlias

from heliograph.errors import FileFormatError
from heliograph.recent_events.record import RecentEvent
from heliograph.sqlite_file import SqliteFile

APPLICATION_ID: Final = 0x48454C52
"""The mark of a file of recent events: SQLite's ``application_id``, the letters "HELR"."""
MAX_EVENTS: Final = 5000
"""The number of events that are kept. The newest are kept."""
MINUTES: Final = 60
"""The number of minutes, with the current one, whose counts are kept."""
MAX_COUNTS: Final = 100 * MINUTES
"""The number of counts that are kept."""
MAX_BYTES: Final = 64 * 2**20
"""The largest size of the file."""

_TABLES: Final = """
create table if not exists recent_events (
    id integer primary key, pid integer not null, time_unix_nano integer not null, event_name text not null, actor text,
    token_id text, body text not null, trace_id text, attributes text not null, omitted integer not null
);
create table if not exists counts (
    minute integer not null, kind text not null, name text not null, count integer not null,
    primary key (minute, kind, name)
) without rowid;
"""
_INSERT: Final = """
insert into recent_events (
    pid, time_unix_nano, event_name, actor, token_id, body, trace_id, attributes, omitted
) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_COUNT: Final = """
insert into counts (minute, kind, name, count) values (?, ?, ?, ?)
on conflict (minute, kind, name) do update set count = count + excluded.count
"""
_TRIM_EVENTS: Final = "delete from recent_events where id <= (select max(id) from recent_events) - ?"
# The next minute may have begun while this process waited for the lock, and another has written counts of it. What is later was counted
# before the clock was set back.
_TRIM_MINUTES: Final = "delete from counts where minute <= ? or minute > ?"
_TRIM_COUNTS: Final = """
delete from counts where (minute, kind, name) in (select minute, kind, name from counts order by minute desc limit -1 offset ?)
"""


class CountKind(str, enum.Enum):
    """The kinds of counts."""

    EVENT = "event"
    """Events that were emitted, by event name."""
    TOKEN = "token"  # noqa: S105 — the name of a kind
    """Verifications of tokens, by result."""
    NOT_KEPT = "not_kept"
    """Events that were emitted, but are not in the file, because there were too many at once, or it could not be written."""


Counts: TypeAlias = "Mapping[tuple[int, CountKind, str], int]"
"""Numbers of occurrences, by minute (minutes since the Unix epoch), kind and name."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An event in the file.

    Attributes:
        pid: The process that emitted it.
        event: The event.
    """

    pid: int
    event: RecentEvent


class RecentEventStore:
    """A file of recent events. Any number of threads and processes may use it at the same time.

    Args:
        path: The file. It is created, readable for its owner only, with the first event.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = SqliteFile(
            path,
            application_id=APPLICATION_ID,
            tables=_TABLES,
            wrong_file=_wrong_file,
            max_bytes=MAX_BYTES,
            is_own=True,
        )

    def check(self) -> None:
        """Return if events can be put into the file, as far as this can be known without creating it.

        Raises:
            FileFormatError: The file or its directory cannot be used.
        """
        self._file.check_writable()

    def put(self, pid: int, events: Iterable[RecentEvent], counts: Counts, *, minute: int) -> None:
        """Add events and counts of a process, and delete the oldest ones.

        Args:
            pid: The process.
            events: The events, the newest last.
            counts: The counts. They are added to the counts in the file.
            minute: The current minute, since the Unix epoch.

        Raises:
            FileFormatError: The file is not one of recent events.
            sqlite3.Error: The file cannot be written, or is full.
            OSError: The file cannot be created.
        """
        with self._file.writing() as connection:
            connection.executemany(_INSERT, ((pid, *astuple(event)) for event in events))
            connection.executemany(_COUNT, ((*key, count) for key, count in counts.items()))
            connection.execute(_TRIM_EVENTS, [MAX_EVENTS])
            connection.execute(_TRIM_MINUTES, [minute - MINUTES, minute + 1])
            connection.execute(_TRIM_COUNTS, [MAX_COUNTS])

    def find(
        self, *, event_name: str = "", actor: str = "", token_id: str = "", limit: int = MAX_EVENTS
    ) -> Sequence[Found]:
        """Return the events that meet every given condition, the newest first. A missing file has none.

        Args:
            event_name: The event name on the wire; empty means any.
            actor: The id of the actor, or its hash, as it was exported; empty means any.
            token_id: The id of the token; empty means any.
            limit: The number of events that are returned.

        Raises:
            FileFormatError: The file is not one of recent events.
            sqlite3.Error: The file cannot be read.
        """
        given = {"event_name": event_name, "actor": actor, "token_id": token_id}
        wanted = {name: value for name, value in given.items() if value}
        condition = " and ".join(f"{name} = ?" for name in wanted) or "true"
        sql = f"select * from recent_events where {condition} order by id desc limit ?"  # noqa: S608 — no user's text
        with self._file.reading() as connection:
            return [_found(row) for row in connection.execute(sql, [*wanted.values(), limit])]

    def counts(self, *, minute: int) -> Counts:
        """Return the counts of the last `MINUTES` minutes. A missing file has none.

        Args:
            minute: The current minute, since the Unix epoch.

        Raises:
            FileFormatError: The file is not one of recent events.
            sqlite3.Error: The file cannot be read.
        """
        sql = "select minute, kind, name, count from counts where minute > ? and minute <= ?"
        with self._file.reading() as connection:
            rows = connection.execute(sql, [minute - MINUTES, minute]).fetchall()
        return {(row["minute"], CountKind(row["kind"]), row["name"]): row["count"] for row in rows}


def _found(row: sqlite3.Row) -> Found:
    columns = {name: row[name] for name in row.keys() if name not in {"id", "pid"}}  # noqa: SIM118 — `in row` asks for a value
    return Found(pid=row["pid"], event=RecentEvent(**columns))


def _wrong_file(path: Path, reason: str) -> FileFormatError:
    return FileFormatError(
        f"{path} cannot be used for recent events: {reason}; set HELIOGRAPH_RECENT_EVENTS to another file"
    )
