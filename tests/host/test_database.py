"""A host's databases have the interface of Datasette's, and work in threads, off the event loop."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from datasette.app import Datasette

from heliograph.host.database import Database, Results, _inherited_connections
from heliograph.runtime.loop import BackgroundLoop
from processes import clean_environment
from processes import run as run_process


@pytest.fixture
def database(tmp_path: Path, background: BackgroundLoop) -> Iterator[Database]:
    opened = Database("events", tmp_path / "events.db", background=background)
    opened._background.call(opened.execute_write, "create table t (id integer primary key, a text)")
    background.stop()
    yield opened
    opened.close()


@pytest.mark.anyio
async def test_written_rows_are_read(database: Database, tmp_path: Path) -> None:
    """Parameters may be positional or named, and so are the values of a row. Other programs read the file, too."""
    await database.execute_write("insert into t (a) values (?)", ["x"])
    await database.execute_write("insert into t (a) values (:a)", {"a": "y"})

    results = await database.execute("select id, a from t where a != ? order by id", ("z",))

    assert results.columns == ["id", "a"]
    assert [tuple(row) for row in results] == [(1, "x"), (2, "y")]
    assert results.dicts() == [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}]
    assert results.rows[0]["a"] == "x"
    assert (len(results), results.truncated) == (2, False)
    with sqlite3.connect(tmp_path / "events.db") as other:
        assert other.execute("select count(*) from t").fetchone() == (2,)
    other.close()


@pytest.mark.anyio
async def test_path_begins_at_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration that names a database may be a file in which no shell expands `~`."""
    monkeypatch.setenv("HOME", str(tmp_path))

    background = BackgroundLoop()
    database = Database("events", "~/events.db", background=background)
    await database.execute_write("create table t (a)")
    database.close()
    background.stop()

    assert (tmp_path / "events.db").exists()


@pytest.mark.anyio
async def test_results_have_datasettes_methods(database: Database) -> None:
    """`first` returns None, and `single_value` raises, if there is no such value."""
    assert (await database.execute("select 7")).single_value() == 7
    assert (await database.execute("select a from t")).first() is None
    first = (await database.execute("select 1 as one, 2 as two")).first()
    assert first is not None
    assert dict(first) == {"one": 1, "two": 2}
    for sql in ("select 1, 2", "select a from t", "select 1 union select 2"):
        with pytest.raises(ValueError, match="expected one row and one column"):
            (await database.execute(sql)).single_value()


@pytest.mark.anyio
async def test_result_of_a_write(database: Database) -> None:
    """A result has the number of changed rows, the last id, and the rows of `returning`."""
    result = await database.execute_write("insert into t (a) values ('x') returning id, a")

    assert not isinstance(result, uuid.UUID)
    assert result.lastrowid == 1
    assert [tuple(row) for row in result.fetchall()] == [(1, "x")]
    updated = await database.execute_write("update t set a = 'y'")
    assert not isinstance(updated, uuid.UUID)
    assert (updated.rowcount, updated.fetchall()) == (1, [])


@pytest.mark.anyio
async def test_write_fn_is_one_transaction(database: Database) -> None:
    """If the function raises, none of its statements has an effect."""

    def write(connection: sqlite3.Connection) -> str:
        connection.execute("insert into t (a) values ('x')")
        connection.execute("insert into t (a) values ('y')")
        return "done"

    def fail(connection: sqlite3.Connection) -> None:
        write(connection)
        raise LookupError

    assert await database.execute_write_fn(write) == "done"
    with pytest.raises(LookupError):
        await database.execute_write_fn(fail)

    assert (await database.execute("select count(*) from t")).single_value() == 2


@pytest.mark.anyio
async def test_write_fn_without_a_transaction(database: Database) -> None:
    """A function may run a statement that SQLite does not allow inside a transaction."""
    with pytest.raises(sqlite3.OperationalError, match="VACUUM"):
        await database.execute_write("vacuum")

    await database.execute_write_fn(lambda connection: connection.execute("vacuum"), transaction=False)


@pytest.mark.anyio
async def test_statement_without_a_transaction_is_committed_at_once(database: Database, tmp_path: Path) -> None:
    """No transaction stays open after a statement outside of one."""
    await database.execute_write_fn(
        lambda connection: connection.execute("insert into t (a) values ('x')"), transaction=False
    )

    with closing(sqlite3.connect(tmp_path / "events.db")) as other:
        assert other.execute("select a from t").fetchall() == [("x",)]


@pytest.mark.anyio
async def test_error_of_sqlite_is_raised_and_the_next_call_works(database: Database) -> None:
    """A call that fails releases the lock."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.execute_write("insert into missing values (1)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.execute("select * from missing")

    assert (await database.execute("select 1")).single_value() == 1


@pytest.mark.anyio
async def test_write_in_the_background(database: Database, background: BackgroundLoop) -> None:
    """The call returns an id at once. The background loop, and so a flush, waits for the write."""
    task = await database.execute_write("insert into t (a) values ('later')", block=False)

    assert isinstance(task, uuid.UUID)
    assert await asyncio.to_thread(background.wait, 5)
    assert (await database.execute("select a from t")).single_value() == "later"


@pytest.mark.anyio
async def test_write_in_the_background_that_fails_is_logged(
    database: Database, background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """The error is logged with the name of the database."""
    await database.execute_write("insert into missing values (1)", block=False)

    assert await asyncio.to_thread(background.wait, 5)
    assert warnings.messages == ["Failed: a write to the database 'events'"]


@pytest.mark.anyio
async def test_queries_run_off_the_event_loop(database: Database) -> None:
    """A slow query does not stop the loop: its function runs in another thread."""
    thread_of_the_loop = threading.get_ident()

    assert await database.execute_fn(lambda _: threading.get_ident()) != thread_of_the_loop


@pytest.mark.anyio
async def test_writers_at_the_same_time_lose_nothing(database: Database) -> None:
    """All rows of several threads that write at the same time are in the table."""
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(database.execute_write, "insert into t (a) values ('x')")

    assert (await database.execute("select count(*) from t")).single_value() == 50


@pytest.mark.anyio
async def test_database_in_memory_is_shared_by_all_threads(background: BackgroundLoop) -> None:
    """All threads use one connection, so they see one database in memory."""
    database = Database("_internal", ":memory:", background=background)
    await database.execute_write("create table t (a)")
    await database.execute_write("insert into t values (1)")

    assert (await database.execute("select a from t")).single_value() == 1
    database.close()


@pytest.mark.anyio
async def test_closed_database_is_opened_again(database: Database) -> None:
    """A call after `close` opens the database again. A second `close` has no effect."""
    await database.execute_write("insert into t (a) values ('x')")
    database.close()
    database.close()

    assert (await database.execute("select a from t")).single_value() == "x"


@pytest.mark.anyio
async def test_file_that_cannot_be_opened_is_an_error_of_sqlite(tmp_path: Path, background: BackgroundLoop) -> None:
    """The error is raised when the database is first used, not when it is created."""
    database = Database("events", tmp_path / "missing" / "events.db", background=background)

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await database.execute("select 1")


@pytest.mark.anyio
async def test_transaction_has_the_write_lock_from_its_beginning(database: Database, tmp_path: Path) -> None:
    """Another program cannot write between a read and a write of the same transaction."""

    def read_then_write(connection: sqlite3.Connection) -> None:
        [count] = connection.execute("select count(*) from t").fetchone()
        with closing(sqlite3.connect(tmp_path / "events.db", timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("insert into t (a) values ('other')")
        connection.execute("insert into t (a) values (?)", [str(count)])

    await database.execute_write_fn(read_then_write)

    assert (await database.execute("select a from t")).single_value() == "0"


def test_interrupt_rolls_the_transaction_back(database: Database) -> None:
    """After an interrupted transaction, the next one can begin."""

    def interrupted(connection: sqlite3.Connection) -> None:
        connection.execute("insert into t (a) values ('x')")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database._write(interrupted)

    count = database._write(lambda connection: connection.execute("select count(*) from t").fetchone()[0])
    assert count == 0


@pytest.mark.anyio
async def test_calls_take_turns(database: Database) -> None:
    """Two threads never use the connection at the same time."""
    running: list[int] = []
    most = 0

    def run(_: sqlite3.Connection) -> None:
        nonlocal most
        running.append(1)
        time.sleep(0.005)  # lets another thread in, if it may
        most = max(most, len(running))
        running.pop()

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(database.execute_fn, run)
            tasks.start_soon(database.execute_write_fn, run)

    assert most == 1


def test_child_keeps_the_connection_of_its_parent_open(database: Database) -> None:
    """SQLite forbids the child to close that one; see `heliograph.host.database`. The child opens a connection of its own."""
    inherited = database._connection
    assert inherited is not None
    kept = len(_inherited_connections)
    database._forget_connection()
    database._forget_connection()
    database.close()

    try:
        assert _inherited_connections[kept:] == [inherited]
        assert inherited.execute("select count(*) from t").fetchone()[0] == 0
        assert database._write(id) != id(inherited)
    finally:
        del _inherited_connections[kept:]
        inherited.close()


FORK_DURING_A_WRITE = """
import os, signal, sys, threading
from heliograph.host.database import Database
from heliograph.runtime.loop import BackgroundLoop

database = Database("events", sys.argv[1], background=BackgroundLoop())
begun, may_end = threading.Event(), threading.Event()

def insert(connection):
    connection.execute("insert into t (a) values (?)", [str(os.getpid())])

def insert_slowly(connection):
    insert(connection)
    begun.set()
    may_end.wait()

thread = threading.Thread(target=database._write, args=(insert_slowly,))
thread.start()
begun.wait()
threading.Timer(0.3, may_end.set).start()  # the fork waits for the thread
child = os.fork()
if not child:
    signal.alarm(20)
    assert may_end.is_set()
    assert database._connection is None  # the parent's is never used here
    database._write(insert)
    os._exit(0)
thread.join()
database._write(insert)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_fork_waits_for_a_running_call(database: Database, tmp_path: Path) -> None:
    """A fork waits until a running call has ended. Afterwards parent and child can both write."""
    ran = run_process([sys.executable, "-c", FORK_DURING_A_WRITE, "events.db"], cwd=tmp_path, env=clean_environment())

    assert ran.returncode == 0, ran.stderr
    assert database._write(lambda connection: connection.execute("select count(*) from t").fetchone()[0]) == 3


@pytest.mark.anyio
async def test_interface_is_datasettes(database: Database) -> None:
    """The same calls on a database of a real Datasette return the same."""
    datasette = Datasette(memory=True)
    theirs = datasette.add_memory_database("a_database_of_the_tests")

    async def use(db: Database) -> list[object]:
        await db.execute_write("create table if not exists u (id integer primary key, a text)", block=True)
        written = await db.execute_write("insert into u (a) values (:a)", {"a": "x"})
        await db.execute_write_fn(lambda connection: connection.execute("insert into u (a) values ('y')").lastrowid)
        results: Results = await db.execute("select * from u where id > ?", [0])
        return [
            written.lastrowid,
            written.rowcount,
            [tuple(row) for row in results.rows],
            results.columns,
            results.truncated,
        ]  # type: ignore[union-attr]

    assert await use(database) == await use(theirs)
    datasette.close()
