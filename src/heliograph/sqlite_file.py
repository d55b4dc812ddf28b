"""SQLite files that heliograph creates: the quarantine, the dead letters, recent events, and the store of the receiver.

Each kind of file carries its own ``application_id`` (a number in the header of every SQLite file), so that a mistyped
path is recognized before anything is written. `heliograph.host.database` is different: it opens whatever file a program
names, in Datasette's way.

Rules that hold for every file here:

- A new file is created with mode 0600 in one step. SQLite itself would create it with the permissions that the umask
  allows. For the same reason SQLite opens files with ``mode=rw``, never ``mode=rwc``: if a file is deleted after the
  check, opening it fails, and no file is created that others can read.
- An existing file is checked before every use. A file that is neither empty nor of the right kind is never written to.
- Reading creates no file and no table. It still opens with ``mode=rw``, because SQLite must be able to roll back a
  transaction that a killed process left unfinished. ``mode=ro`` would fail on such a file.
- Deleted rows are overwritten with zeros (``secure_delete``), since they may hold personal data.

Threads, processes and forks:

- Every use opens its own connection and closes it again. No connection is shared between threads, or between a process
  and its forked child. (A `LastingConnection` is the exception: it belongs to one thread of a program that does not fork.)
- Processes are kept apart by SQLite's own file locks, and wait up to `BUSY_TIMEOUT_SECONDS` for each other.
- Threads of one process are kept apart by a `ForkLock` for each `SqliteFile`. SQLite would be correct without it, but
  a thread that waits for SQLite's file lock sleeps and polls, and may time out if many threads write.
- The same lock keeps a fork from happening while a connection is open. SQLite keeps a table, in memory, of the file locks that the
  process holds. A forked child inherits the table, but not the locks (https://www.sqlite.org/howtocorrupt.html, section 2.6).
  After a fork in the middle of a transaction, SQLite in the child would believe that it holds locks which only the parent has,
  and could damage the file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from os.path import samestat
from pathlib import Path
from typing import Final

from heliograph.runtime.fork_lock import ForkLock
from heliograph.runtime.ownership import ownership_problem

BUSY_TIMEOUT_SECONDS: Final = 5.0
"""The time that SQLite waits for a lock that another connection holds."""
COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""The endings of the files that SQLite has beside a file. SQLite would write a journal that somebody else has prepared into the file."""
PAGE_ROWS: Final = 500
"""The number of rows that `SqliteFile.rows` reads at a time."""


class SqliteFile:
    """A file of one kind. Threads and processes may use it at the same time.

    Args:
        path: The file. It is created by the first write.
        application_id: The number that marks files of this kind.
        tables: The ``create … if not exists`` statements of its tables. They run before each write, so that a newer
            version can add a table or an index to an existing file.
        wrong_file: Creates the exception for a file that is not of this kind, from its path and a reason.
        max_bytes: The largest size that a write may give the file. `None` means no limit.
        is_own: True if a file that somebody else may have prepared is never used. (The outbox checks its files itself.)

    Attributes:
        path: The file.
        lock: Held while SQLite works on the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        application_id: int,
        tables: str,
        wrong_file: Callable[[Path, str], Exception],
        max_bytes: int | None = None,
        is_own: bool = False,
    ) -> None:
        self.path = path
        self._application_id = application_id
        self._tables = tables
        self._wrong_file = wrong_file
        self._max_bytes = max_bytes
        self._is_own = is_own
        self.lock = ForkLock()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, and create file and tables if they are missing.

        The transaction is committed at the end of the block, and rolled back if the block raises.

        Raises:
            sqlite3.Error: The file cannot be written, is full, or stays locked by another process.
            OSError: The file cannot be created.
            Exception: The file is not of this kind. The exception is the one that ``wrong_file`` returns.
        """
        with self.lock, closing(self.connect()) as connection, connection:
            yield connection

    def connect(self) -> sqlite3.Connection:
        """Open a connection for writing, and create file and tables if they are missing. Hold `lock` meanwhile.

        Raises:
            sqlite3.Error: The file cannot be written, or stays locked by another process.
            OSError: The file cannot be created.
            Exception: The file is not of this kind. The exception is the one that ``wrong_file`` returns.
        """
        create_private(self.path)
        connection = self._open()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        is_empty = self._check(connection)
        if self._max_bytes is not None:
            [page_bytes] = connection.execute("pragma page_size").fetchone()
            connection.execute(f"pragma max_page_count = {self._max_bytes // page_bytes}")
        connection.execute("pragma secure_delete = on")
        # This comes first, so that a file with tables always has its mark, whenever a process is killed.
        if is_empty:
            connection.execute(f"pragma application_id = {self._application_id}")
        connection.executescript(self._tables)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open the file for queries. If it is missing or empty, yield an empty database in memory with the same tables.

        Raises:
            sqlite3.Error: The file cannot be read, or stays locked by another process.
            Exception: The file is not of this kind. The exception is the one that ``wrong_file`` returns.
        """
        with self.lock:
            if self.path.exists():
                with closing(self._open()) as connection:
                    if not self._check(connection):
                        yield connection
                        return
            with closing(sqlite3.connect(":memory:")) as connection:
                connection.row_factory = sqlite3.Row
                connection.executescript(self._tables)
                yield connection

    def rows(self, table: str, condition: str = "true", parameters: Sequence[object] = ()) -> Iterator[sqlite3.Row]:
        """Yield the rows of a table that meet an SQL condition, in the order of their ids.

        One page of rows is read at a time. Between two pages nothing is locked, so the caller may work for as long as
        it wants, and remove the rows that it has seen.
        """
        sql = f"select * from {table} where id > ? and ({condition}) order by id limit {PAGE_ROWS}"  # noqa: S608 — no user's text
        last_id = 0
        while True:
            with self.reading() as connection:
                page = connection.execute(sql, [last_id, *parameters]).fetchall()
            yield from page
            if len(page) < PAGE_ROWS:
                return
            last_id = page[-1]["id"]

    def remove(self, table: str, ids: Iterable[int]) -> None:
        """Delete the rows with these ids. A missing file stays missing."""
        if self.path.exists():
            with self.writing() as connection:
                connection.executemany(f"delete from {table} where id = ?", [(each,) for each in ids])  # noqa: S608 — no user's text

    def check(self) -> None:
        """Raise the exception of ``wrong_file`` if the file is not of this kind. An empty file is of every kind."""
        with self.lock, closing(self._open()) as connection:
            self._check(connection)

    def check_writable(self) -> None:
        """Return if the file can be written, as far as this can be known without creating it.

        Raises:
            sqlite3.Error: The file stays locked by another process.
            Exception: Its directory does not exist, the file or its directory cannot be written, or the file is not of this kind.
                The exception is the one that ``wrong_file`` returns.
        """
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise self._wrong_file(self.path, f"the directory {folder} does not exist")
        # SQLite creates its journal beside the file.
        if not os.access(folder, os.W_OK | os.X_OK):
            raise self._wrong_file(self.path, f"the directory {folder} cannot be written")
        if self.path.exists():
            if not os.access(self.path, os.R_OK | os.W_OK):
                raise self._wrong_file(self.path, "it cannot be read and written")
            self.check()

    def _check_owner(self) -> None:
        """Raise the exception of ``wrong_file`` if somebody else may have prepared the file, or what SQLite would write into it."""
        for path in (self.path, *(self.path.with_name(self.path.name + ending) for ending in COMPANIONS)):
            with suppress(FileNotFoundError):
                problem = ownership_problem(path.stat(), self.path.absolute().parent)
                if problem is not None:
                    raise self._wrong_file(path, problem)

    def _open(self) -> sqlite3.Connection:
        if self._is_own:
            self._check_owner()
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        try:
            connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS)
        except sqlite3.Error as error:
            raise self._wrong_file(self.path, f"it cannot be opened as an SQLite file ({error})") from error
        connection.row_factory = sqlite3.Row
        return connection

    def _check(self, connection: sqlite3.Connection) -> bool:
        """Return True if the file is empty. Raise the exception of ``wrong_file`` if it is another program's."""
        try:
            # One transaction for both queries: another process may be creating the tables between them.
            connection.execute("begin")
            [found] = connection.execute("pragma application_id").fetchone()
            [tables] = connection.execute("select count(*) from sqlite_master").fetchone()
            connection.rollback()
        except sqlite3.Error as error:
            raise self._wrong_file(self.path, f"it cannot be read as an SQLite file ({error})") from error
        if tables and found != self._application_id:
            raise self._wrong_file(self.path, "it is an SQLite file of another program")
        return not tables


class LastingConnection:
    """A connection that stays open for many transactions of one thread. Readers do not wait for them: the file is in WAL mode.

    It is opened by the first transaction, and again if the file was deleted or replaced. A transaction survives the death of the
    process, and not that of the machine. The process must not fork while the connection is open.

    Args:
        file: The file.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction, as `SqliteFile.writing` does. It raises the same exceptions."""
        with self._file.lock:
            connection = self._current()
            with connection:
                yield connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _current(self) -> sqlite3.Connection:
        with suppress(FileNotFoundError):
            if self._connection and self._opened and samestat(self._file.path.stat(), self._opened):
                return self._connection
        self.close()
        connection = self._file.connect()
        try:
            opened = self._file.path.stat()
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
        except BaseException:
            connection.close()
            raise
        # Only a connection that is completely set up is kept.
        self._connection, self._opened = connection, opened
        return connection


def create_private(path: Path) -> None:
    """Create a file that only its owner can read and write, if it does not exist. SQLite would create it as the umask allows.

    Raises:
        OSError: It cannot be created.
    """
    # O_EXCL: a file or symbolic link of that name stays as it is. Nothing is created behind a link that points to a missing file.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def open_read_only(path: Path) -> sqlite3.Connection:
    """Open any SQLite file without the right to change it. For files that may belong to another program.

    Raises:
        sqlite3.Error: The file cannot be opened. A missing file is not created.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_SECONDS)


def has_application_id(path: Path, application_id: int) -> bool:
    """Return True if the path is an SQLite file with this ``application_id``. The file is not changed."""
    try:
        with closing(open_read_only(path)) as connection:
            found: int = connection.execute("pragma application_id").fetchone()[0]
    except sqlite3.Error:
        return False
    return found == application_id
