"""The SQLite databases of a host, in the shape that plugins know from Datasette."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Final, TypeAlias, TypeVar

import anyio.to_thread

from heliograph.runtime.fork import after_fork_in_child, around_fork
from heliograph.runtime.loop import BackgroundLoop

T = TypeVar("T")

Parameters: TypeAlias = "Sequence[object] | Mapping[str, object] | None"


FORK_TIMEOUT_SECONDS: Final = 5.0


@dataclass(frozen=True)
class Results:
    """The rows that a query gave: iterate over them, or ask for one.

    Attributes:
        rows: The rows, each readable by position and by name.
        truncated: Always False: a host has no limit of rows.
        description: The columns, as `sqlite3.Cursor.description` has them.
    """

    rows: list[sqlite3.Row]
    truncated: bool
    description: Sequence[Sequence[object]]

    @property
    def columns(self) -> list[object]:
        """The names of the columns."""
        return [column[0] for column in self.description]

    def first(self) -> sqlite3.Row | None:
        """The first row, or `None`."""
        return self.rows[0] if self.rows else None

    def single_value(self) -> object:
        """The value of a result of one row and one column.

        Raises:
            ValueError: There are more, or none.
        """
        if len(self.rows) != 1 or len(self.rows[0]) != 1:
            raise ValueError(f"the query gave {len(self.rows)} rows of {len(self.description)} columns, not one value")
        value: object = self.rows[0][0]
        return value

    def dicts(self) -> list[dict[str, object]]:
        """The rows as dicts."""
        return [dict(row) for row in self.rows]

    def __iter__(self) -> Iterator[sqlite3.Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class WriteResult:
    """What a statement that writes did.

    Attributes:
        rowcount: How many rows it changed; -1 where SQLite does not say.
        lastrowid: The id of the last row that it inserted, or `None`.
        description: The columns of what it returned, or `None`.
        rows: The rows that it returned.
    """

    rowcount: int
    lastrowid: int | None
    description: Sequence[Sequence[object]] | None
    rows: list[sqlite3.Row]

    def fetchall(self) -> list[sqlite3.Row]:
        """The rows that it returned."""
        return self.rows


class Database:
    """A SQLite database: reads and writes run in worker threads, off the event loop, one at a time.

    Args:
        name: Its name in the host.
        path: Its file; ``:memory:`` for one that lives as long as the host.
        background: Runs the writes that nobody waits for.
    """

    def __init__(self, name: str, path: str | PathLike[str], *, background: BackgroundLoop) -> None:
        self.name = name
        self.path = fspath(path)
        self._background = background
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._held = False
        around_fork(self._before_fork, self._after_fork_in_parent)
        after_fork_in_child(self._after_fork)

    def _before_fork(self) -> None:
        """No statement runs during a fork: SQLite's own record of the locks it holds would be wrong in the child."""
        self._held = self._lock.acquire(timeout=FORK_TIMEOUT_SECONDS)

    def _after_fork_in_parent(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()

    def _after_fork(self) -> None:
        """A connection never crosses a fork: the child opens its own, and leaves the parent's open."""
        self._lock = threading.RLock()
        self._inherited = self._connection  # closing it here would drop the locks that the parent holds
        self._connection = None

    async def execute(self, sql: str, params: Parameters = None) -> Results:
        """The rows of a query.

        Raises:
            sqlite3.Error: SQLite refuses it.
        """

        def read(connection: sqlite3.Connection) -> Results:
            cursor = connection.execute(sql, params or ())
            return Results(cursor.fetchall(), False, cursor.description or ())

        return await self.execute_fn(read)

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """What ``fn(connection)`` gives, run in a worker thread."""
        return await anyio.to_thread.run_sync(self._run, fn)

    async def execute_write(self, sql: str, params: Parameters = None, block: bool = True) -> WriteResult | uuid.UUID:
        """Run a statement that writes, in a transaction of its own; see `execute_write_fn` for ``block``.

        Raises:
            sqlite3.Error: SQLite refuses it; nothing is written.
        """

        def write(connection: sqlite3.Connection) -> WriteResult:
            cursor = connection.execute(sql, params or ())
            rows = cursor.fetchall() if cursor.description else []
            return WriteResult(cursor.rowcount, cursor.lastrowid, cursor.description, rows)

        return await self.execute_write_fn(write, block=block)

    async def execute_write_fn(
        self, fn: Callable[[sqlite3.Connection], T], block: bool = True, transaction: bool = True
    ) -> T | uuid.UUID:
        """What ``fn(connection)`` gives, run in a worker thread, in a transaction unless told otherwise.

        Args:
            fn: Gets the connection; what it raises undoes the transaction.
            block: False comes back at once, with the id of the task; the host's `flush` waits for it.
            transaction: False for statements that SQLite runs outside of a transaction only.
        """
        run = self._write if transaction else self._run
        if block:
            return await anyio.to_thread.run_sync(run, fn)

        async def later() -> None:
            await anyio.to_thread.run_sync(run, fn)

        self._background.submit(later, description=f"a write to the database {self.name!r}")
        return uuid.uuid4()

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            return fn(self._connect())

    def _write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, _transaction(self._connect()) as connection:
            return fn(connection)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
            connection.row_factory = sqlite3.Row
            self._connection = connection
        return self._connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("begin immediate")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
