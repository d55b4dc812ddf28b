"""The SQLite databases of a `heliograph.Host`, with the interface that plugins know from Datasette.

Plugins call ``datasette.get_database(…)`` and use the result without asking which host they run in. So the names, parameters
and results here are Datasette's: classes ``Database``, ``Results`` and ``ExecuteWriteResult`` of
``datasette/database.py``, version 1.0a41, documented at https://docs.datasette.io/en/latest/internals.html#database-class.
Only the part that the three hooks and token handlers need is here: ``execute``, ``execute_fn``, ``execute_write``,
``execute_write_fn``. `tests/host/test_database.py` runs the same calls on both.

Differences from Datasette: there is no limit of rows or time, and one connection serves reads and writes, one call at
a time. Only a file with a write-ahead log has a second connection, for reads, so that they do not wait for writes. A host's databases
hold tokens and audit trails, where simplicity is worth more than parallel reads. Also, several connections to ``:memory:`` would be
several databases.

Threads: calls run in anyio's worker threads, so that SQLite never blocks an event loop. ``block=False`` writes are
started by the host's background loop, and run in such a worker thread, too. A `Database` has a lock for each of its two
connections, which is held during a call: SQLite's Python module allows a connection to be used by several threads if they take
turns (``check_same_thread=False``). Only `Database.close` holds both, the writer's first.

Forks: a fork waits until no call is running, with a timeout (see `ForkLock`). A forked child must not use the connection of its
parent, nor close it, and opens its own when it is first needed. A database in memory therefore starts empty in a child.
"""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.fork_lock import ForkLock
from heliograph.runtime.loop import BackgroundLoop
from heliograph.values.text import counted

T = TypeVar("T")

Parameters: TypeAlias = "Sequence[object] | Mapping[str, object] | None"

_inherited_connections: Final[list[sqlite3.Connection]] = []
"""In a forked child: the connections of its parent. They are kept, because SQLite forbids even closing them in the child
(https://www.sqlite.org/howtocorrupt.html, section 2.6), and Python closes a connection that nothing refers to."""


@dataclass(frozen=True)
class Results:
    """The result of a query: iterate over its rows, or ask for one of them.

    Attributes:
        rows: The rows. Values are read by position or by name.
        truncated: Always False. Datasette sets it when it cuts off rows at its limit; here there is no limit.
        description: The columns, in the form of `sqlite3.Cursor.description`.
    """

    rows: list[sqlite3.Row]
    truncated: bool
    description: Sequence[Sequence[object]]

    @property
    def columns(self) -> list[object]:
        """Return the names of the columns."""
        return [column[0] for column in self.description]

    def first(self) -> sqlite3.Row | None:
        """Return the first row, or `None` if there is none."""
        return self.rows[0] if self.rows else None

    def single_value(self) -> object:
        """Return the value of a result that has exactly one row and one column.

        Raises:
            ValueError: The result has another number of rows or columns.
        """
        if len(self.rows) != 1 or len(self.rows[0]) != 1:
            raise ValueError(
                f"expected one row and one column, but the query returned "
                f"{counted(len(self.rows), 'row')} of {counted(len(self.description), 'column')}"
            )
        value: object = self.rows[0][0]
        return value

    def dicts(self) -> list[dict[str, object]]:
        """Return the rows as dicts."""
        return [dict(row) for row in self.rows]

    def __iter__(self) -> Iterator[sqlite3.Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class WriteResult:
    """The result of a statement that writes.

    Attributes:
        rowcount: The number of changed rows, or -1 if SQLite does not report it.
        lastrowid: The id of the last inserted row, or `None`.
        description: The columns of the returned rows, or `None` if the statement returns none.
        rows: The returned rows.
    """

    rowcount: int
    lastrowid: int | None
    description: Sequence[Sequence[object]] | None
    rows: list[sqlite3.Row]

    def fetchall(self) -> list[sqlite3.Row]:
        """Return the returned rows."""
        return self.rows


class Database:
    """An SQLite database. Calls run in worker threads, one at a time. With a write-ahead log, one may read while another one writes.

    Args:
        name: The name of the database in the host.
        path: The file, or ``:memory:`` for a database that exists as long as the host. The first use opens it.
        background: The loop that starts writes with ``block=False``.
    """

    def __init__(self, name: str, path: str | PathLike[str], *, background: BackgroundLoop) -> None:
        self.name = name
        self.path = str(Path(path).expanduser())
        self._background = background
        self._lock = ForkLock()
        self._connection: sqlite3.Connection | None = None  # guarded by the lock
        self._reader_lock = ForkLock()
        self._reader: sqlite3.Connection | None = None  # guarded by the reader's lock
        after_fork_in_child(self._forget_connection)

    def _forget_connection(self) -> None:
        """In a forked child, open another connection at the next call. No lock is needed: the child has one thread."""
        for connection in (self._connection, self._reader):
            if connection is not None:
                _inherited_connections.append(connection)
        self._connection = self._reader = None

    async def execute(self, sql: str, params: Parameters = None) -> Results:
        """Run a query and return its result.

        Raises:
            sqlite3.Error: SQLite rejects the query, or cannot open the file.
        """

        def read(connection: sqlite3.Connection) -> Results:
            cursor = connection.execute(sql, params or ())
            return Results(cursor.fetchall(), False, cursor.description or ())

        return await self.execute_fn(read)

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of ``fn(connection)``, called in a worker thread. Like Datasette's, it is for reading."""
        from anyio import to_thread  # see `heliograph.runtime.loop`

        return await to_thread.run_sync(self._read, fn)

    async def execute_write(self, sql: str, params: Parameters = None, block: bool = True) -> WriteResult | uuid.UUID:
        """Run a statement in a transaction of its own. See `execute_write_fn` for ``block``.

        Raises:
            sqlite3.Error: SQLite rejects the statement. Nothing is written.
        """

        def write(connection: sqlite3.Connection) -> WriteResult:
            cursor = connection.execute(sql, params or ())
            rows = cursor.fetchall() if cursor.description else []
            return WriteResult(cursor.rowcount, cursor.lastrowid, cursor.description, rows)

        return await self.execute_write_fn(write, block=block)

    async def execute_write_fn(
        self, fn: Callable[[sqlite3.Connection], T], block: bool = True, transaction: bool = True
    ) -> T | uuid.UUID:
        """Return the result of ``fn(connection)``, called in a worker thread inside a transaction.

        Args:
            fn: A function of the connection. If it raises, the transaction is rolled back.
            block: If False, return the id of the task at once. The write runs in the background: the host's `flush` waits
                for it, and its failure is logged.
            transaction: False calls ``fn`` without a transaction, for statements that SQLite does not allow inside one,
                such as ``vacuum``.
        """
        from anyio import to_thread

        run = self._write if transaction else self._run
        if block:
            return await to_thread.run_sync(run, fn)

        async def write_in_background() -> None:
            await to_thread.run_sync(run, fn)

        self._background.submit(write_in_background, description=f"a write to the database {self.name!r}")
        return uuid.uuid4()

    def close(self) -> None:
        """Close the connection. The next use opens a new one."""
        with self._lock, self._reader_lock:
            for connection in (self._connection, self._reader):
                if connection is not None:
                    connection.close()
            self._connection = self._reader = None

    def _read(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with the connection for reads if the file has a write-ahead log, otherwise with the one that also writes."""
        with self._reader_lock:
            if self._reader is None and self._has_write_ahead_log():
                self._reader = self._open()
                self._reader.execute("pragma query_only = on")
            if self._reader is not None:
                return fn(self._reader)
        return self._run(fn)

    def _has_write_ahead_log(self) -> bool:
        """Return True if the file has a write-ahead log, so that a read does not wait for a write."""
        # A database in memory is not a file, and each connection would have one of its own.
        if not Path(self.path).is_file():
            return False
        # A file without the log is asked again at each read, because any program may switch the log on at any time. Neither a connection that
        # stays open nor the header of the file could be asked: no program can switch the log off while another connection is open, and closing
        # a file of our own would release SQLite's locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
        with contextlib.closing(self._open()) as connection:
            [mode] = connection.execute("pragma journal_mode").fetchone()
        return bool(mode == "wal")

    def _run(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            return fn(self._connect())

    def _write(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock, _transaction(self._connect()) as connection:
            return fn(connection)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        # isolation_level=None: the module begins no transaction by itself, so `_transaction` and ``fn`` decide.
        connection = sqlite3.connect(self.path, check_same_thread=False, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    # "immediate" takes SQLite's write lock now. A transaction that begins with a read, and writes later, would fail at
    # once if another process wrote in between, without waiting.
    connection.execute("begin immediate")
    try:
        yield connection
    except BaseException:
        # KeyboardInterrupt included: an open transaction would keep the write lock.
        connection.rollback()
        raise
    connection.commit()
