"""A host's databases are SQLite files in Datasette's shape, off the event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from datasette.app import Datasette

from heliograph.database import Database, Results
from heliograph.runtime.loop import BackgroundLoop


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    started = BackgroundLoop()
    yield started
    started.stop()


@pytest.fixture
def database(tmp_path: Path, background: BackgroundLoop) -> Iterator[Database]:
    opened = Database("events", tmp_path / "events.db", background=background)
    opened._background.call(opened.execute_write, "create table t (id integer primary key, a text)")
    background.stop()
    yield opened
    opened.close()


@pytest.mark.anyio
async def test_what_was_written_is_read(database: Database, tmp_path: Path) -> None:
    """By position and by name, with parameters of both kinds, and by other programs."""
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
async def test_results_in_the_forms_that_datasette_has(database: Database) -> None:
    """First, single value, and an error where there is none."""
    assert (await database.execute("select 7")).single_value() == 7
    assert (await database.execute("select a from t")).first() is None
    first = (await database.execute("select 1 as one, 2 as two")).first()
    assert first is not None
    assert dict(first) == {"one": 1, "two": 2}
    for sql in ("select 1, 2", "select a from t", "select 1 union select 2"):
        with pytest.raises(ValueError, match="not one value"):
            (await database.execute(sql)).single_value()


@pytest.mark.anyio
async def test_write_says_what_it_did(database: Database) -> None:
    """Rows changed, last id, and what `returning` gave."""
    result = await database.execute_write("insert into t (a) values ('x') returning id, a")

    assert not isinstance(result, uuid.UUID)
    assert result.lastrowid == 1
    assert [tuple(row) for row in result.fetchall()] == [(1, "x")]
    updated = await database.execute_write("update t set a = 'y'")
    assert not isinstance(updated, uuid.UUID)
    assert (updated.rowcount, updated.fetchall()) == (1, [])


@pytest.mark.anyio
async def test_write_fn_is_one_transaction(database: Database) -> None:
    """All of it, or nothing."""

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
    """For what SQLite refuses to do inside of one."""
    with pytest.raises(sqlite3.OperationalError, match="VACUUM"):
        await database.execute_write("vacuum")

    await database.execute_write_fn(lambda connection: connection.execute("vacuum"), transaction=False)


@pytest.mark.anyio
async def test_error_of_sqlite_is_raised_and_the_next_call_works(database: Database) -> None:
    """A wrong statement holds nothing up."""
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.execute_write("insert into missing values (1)")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await database.execute("select * from missing")

    assert (await database.execute("select 1")).single_value() == 1


@pytest.mark.anyio
async def test_write_that_nobody_waits_for(database: Database, background: BackgroundLoop) -> None:
    """It comes back at once with an id; the background, and so a flush, waits for it."""
    task = await database.execute_write("insert into t (a) values ('later')", block=False)

    assert isinstance(task, uuid.UUID)
    assert await asyncio.to_thread(background.wait, 5)
    assert (await database.execute("select a from t")).single_value() == "later"


@pytest.mark.anyio
async def test_write_that_nobody_waits_for_is_logged_when_it_fails(
    database: Database, background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """The database is named."""
    await database.execute_write("insert into missing values (1)", block=False)

    assert await asyncio.to_thread(background.wait, 5)
    assert warnings.messages == ["Failed: a write to the database 'events'"]


@pytest.mark.anyio
async def test_queries_run_off_the_event_loop(database: Database) -> None:
    """The loop goes on while SQLite works."""
    loops = threading.get_ident()

    assert await database.execute_fn(lambda _: threading.get_ident()) != loops


@pytest.mark.anyio
async def test_writers_at_the_same_time_lose_nothing(database: Database) -> None:
    """Each has its turn."""
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(database.execute_write, "insert into t (a) values ('x')")

    assert (await database.execute("select count(*) from t")).single_value() == 50


@pytest.mark.anyio
async def test_database_in_memory_is_one_for_all_threads(background: BackgroundLoop) -> None:
    """What one call writes, the next one reads."""
    database = Database("_internal", ":memory:", background=background)
    await database.execute_write("create table t (a)")
    await database.execute_write("insert into t values (1)")

    assert (await database.execute("select a from t")).single_value() == 1
    database.close()


@pytest.mark.anyio
async def test_closed_database_is_opened_again(database: Database) -> None:
    """A second close does nothing."""
    await database.execute_write("insert into t (a) values ('x')")
    database.close()
    database.close()

    assert (await database.execute("select a from t")).single_value() == "x"


@pytest.mark.anyio
async def test_file_that_cannot_be_opened_is_sqlites_error(tmp_path: Path, background: BackgroundLoop) -> None:
    """At the first use, not before."""
    database = Database("events", tmp_path / "missing" / "events.db", background=background)

    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await database.execute("select 1")


@pytest.mark.anyio
async def test_interface_is_datasettes(database: Database) -> None:
    """The same calls on a real Datasette's database give the same."""
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
