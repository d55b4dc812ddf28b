"""The rules that hold for each SQLite file of ours: creation, permissions, somebody else's files, reading, forks."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from heliograph import OutboxError, QuarantineError, sqlite_file
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.errors import FileFormatError
from heliograph.quarantine.store import Quarantine
from heliograph.receiver.store import Store
from heliograph.sqlite_file import PAGE_ROWS, LastingConnection, SqliteFile, has_application_id, open_read_only
from processes import clean_environment
from quarantine.test_store import RECORD
from runtime.test_fork_lock import is_free
from threads import LIMIT_SECONDS, join

TABLES = "create table if not exists notes (id integer primary key, note text)"


class WrongFile(Exception):
    """Raised for a file of another kind."""


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    return notes_file(tmp_path / "notes.db")


def notes_file(path: Path, **options: Any) -> SqliteFile:
    return SqliteFile(path, application_id=7, tables=TABLES, wrong_file=WrongFile, **options)


def write(file: SqliteFile, *notes: str) -> None:
    with file.writing() as connection:
        connection.executemany("insert into notes (note) values (?)", [(note,) for note in notes])


def notes(file: SqliteFile) -> list[str]:
    return [row["note"] for row in file.rows("notes")]


# The three kinds of files -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A class that keeps an SQLite file: how it writes, and the error for a file that is not its own."""

    write: Callable[[Path], object]
    wrong_file: type[Exception]


def put_dead_letter(path: Path) -> None:
    DeadLetters(path).put(Header(resource=b""), Entry(1, Scope(scope=b""), b""), reason="rejected", message="no")


KINDS = {
    "quarantine": Kind(lambda path: Quarantine(path).put(RECORD), QuarantineError),
    "dead letters": Kind(put_dead_letter, OutboxError),
    "receiver": Kind(Store, FileFormatError),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A path that is no valid URI and no valid UTF-8 text as it is."""
    return tmp_path / "a #?%20ü.db"


@pytest.mark.usefixtures("open_umask")
def test_new_file_is_private_even_with_an_open_umask(kind: Kind, path: Path) -> None:
    """The file has mode 0600, and no other file, such as a journal, remains beside it."""
    kind.write(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_existing_file_of_the_kind_is_used_again(kind: Kind, path: Path) -> None:
    kind.write(path)
    inode = path.stat().st_ino
    kind.write(path)

    assert path.stat().st_ino == inode


def test_empty_file_is_used(kind: Kind, path: Path) -> None:
    """A process may be killed after it created the file, and before it created the tables."""
    path.touch(mode=0o600)
    kind.write(path)

    assert path.stat().st_size > 0


def write_text(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be one" * 100)


def write_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table theirs (x)")


OTHERS = {"text": write_text, "database": write_database, **{name: kind.write for name, kind in KINDS.items()}}


@pytest.mark.parametrize(("own", "other"), [(own, other) for own in KINDS for other in OTHERS if own != other])
def test_file_of_another_kind_is_rejected_and_unchanged(path: Path, own: str, other: str) -> None:
    OTHERS[other](path)
    before = path.read_bytes()

    with pytest.raises(KINDS[own].wrong_file, match="SQLite file"):
        KINDS[own].write(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", [kind for name, kind in KINDS.items() if name != "dead letters"])
def test_symbolic_link_to_a_file_of_the_kind_is_followed(kind: Kind, tmp_path: Path) -> None:
    """Dead letters are the exception: their directory may be shared with somebody who prepares links."""
    kind.write(tmp_path / "target.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "target.db")
    kind.write(tmp_path / "link.db")

    assert (tmp_path / "link.db").is_symlink()
    assert not (tmp_path / "target.db").is_symlink()


def test_nothing_is_created_behind_a_broken_symbolic_link(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "target.db")

    with pytest.raises(kind.wrong_file):
        kind.write(tmp_path / "link.db")
    assert not (tmp_path / "target.db").exists()


def test_folder_that_is_missing_is_an_error_of_the_system(kind: Kind, tmp_path: Path) -> None:
    """A missing folder raises `OSError`, of which `OutboxError` is a subclass."""
    with pytest.raises(OSError, match="No such file"):
        kind.write(tmp_path / "missing" / "file.db")


# Writing ----------------------------------------------------------------------------------------------------------------


def test_block_that_raises_writes_nothing(file: SqliteFile) -> None:
    write(file, "first")
    with pytest.raises(LookupError), file.writing() as connection:
        connection.execute("insert into notes (note) values ('second')")
        raise LookupError

    assert notes(file) == ["first"]


def test_a_mark_is_written_before_the_tables(tmp_path: Path) -> None:
    """If a process is killed in between, the file is still recognized."""
    broken = SqliteFile(tmp_path / "notes.db", application_id=7, tables="no SQL", wrong_file=WrongFile)
    with pytest.raises(sqlite3.OperationalError), broken.writing():
        pass

    assert has_application_id(tmp_path / "notes.db", 7)


def test_newer_version_adds_a_table_to_an_existing_file(file: SqliteFile) -> None:
    write(file, "first")
    newer = SqliteFile(
        file.path, application_id=7, tables=f"{TABLES}; create table if not exists more (x)", wrong_file=WrongFile
    )
    with newer.writing() as connection:
        connection.execute("insert into more values (1)")

    assert notes(newer) == ["first"]


def test_largest_size(tmp_path: Path) -> None:
    """A write that would exceed the largest size fails, and what was written before remains."""
    file = notes_file(tmp_path / "notes.db", max_bytes=64 * 1024)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for _ in range(1000):
            write(file, "x" * 1000)

    assert len(notes(file)) > 10
    assert file.path.stat().st_size <= 64 * 1024


def test_removed_rows_are_overwritten_in_the_file(file: SqliteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted rows are overwritten, whatever default SQLite was compiled with."""
    open_as_usual = SqliteFile._open

    def open_without_secure_delete(self: SqliteFile) -> sqlite3.Connection:
        connection = open_as_usual(self)
        connection.execute("pragma secure_delete = off")
        return connection

    monkeypatch.setattr(SqliteFile, "_open", open_without_secure_delete)
    write(file, "c4n4ry" * 10, "other")
    assert b"c4n4ry" in file.path.read_bytes()
    file.remove("notes", [1])

    assert notes(file) == ["other"]
    assert b"c4n4ry" not in file.path.read_bytes()


def test_removing_from_a_missing_file_creates_none(file: SqliteFile) -> None:
    file.remove("notes", [1])

    assert not file.path.exists()


def test_file_that_is_deleted_after_its_creation_is_not_created_by_sqlite(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not create the file again, because it would use the permissions of the umask."""
    monkeypatch.setattr(sqlite_file, "create_private", lambda _: None)

    with pytest.raises(WrongFile):
        write(file, "first")
    assert not file.path.exists()


# Reading ----------------------------------------------------------------------------------------------------------------


def test_missing_file_reads_as_empty_and_is_not_created(file: SqliteFile) -> None:
    assert notes(file) == []
    assert not file.path.exists()


def test_empty_file_reads_as_empty_and_is_not_changed(file: SqliteFile) -> None:
    file.path.touch()

    assert notes(file) == []
    assert file.path.stat().st_size == 0


def test_reading_changes_no_byte(file: SqliteFile) -> None:
    write(file, "first")
    before = file.path.read_bytes()

    assert notes(file) == ["first"]
    file.check()
    assert file.path.read_bytes() == before


@pytest.mark.parametrize("count", [PAGE_ROWS - 1, PAGE_ROWS, PAGE_ROWS + 1, 2 * PAGE_ROWS + 1])
def test_every_row_is_read_once(file: SqliteFile, count: int) -> None:
    write(file, *map(str, range(count)))

    assert notes(file) == list(map(str, range(count)))


def test_file_can_be_written_while_its_rows_are_read(file: SqliteFile) -> None:
    """Between two pages nothing is locked, and no row is skipped."""
    write(file, *map(str, range(PAGE_ROWS + 10)))
    seen = []
    for row in file.rows("notes"):
        seen.append(row["note"])
        if row["id"] == PAGE_ROWS:
            file.remove("notes", range(1, PAGE_ROWS + 1))

    assert seen == list(map(str, range(PAGE_ROWS + 10)))


KILLED_IN_A_TRANSACTION = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("pragma cache_size = 1")  # so that pages are written to the file before the commit
connection.execute("begin immediate")
connection.executemany("insert into notes (note) values (?)", [("unfinished" * 100,)] * 1000)
os.kill(os.getpid(), 9)
"""


def test_transaction_of_a_killed_process_is_rolled_back_by_a_reader(file: SqliteFile) -> None:
    write(file, "first")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(file.path)], check=False, timeout=LIMIT_SECONDS
    )
    assert ended.returncode == -signal.SIGKILL
    assert b"unfinished" in file.path.read_bytes()
    assert Path(f"{file.path}-journal").exists()

    assert notes(file) == ["first"]


def test_kind_of_a_file_is_read_without_changing_it(file: SqliteFile, tmp_path: Path) -> None:
    write(file, "first")
    (tmp_path / "text").write_text("not a database" * 100)

    assert has_application_id(file.path, 7)
    assert not has_application_id(file.path, 8)
    assert not has_application_id(tmp_path / "text", 7)
    assert not has_application_id(tmp_path / "missing", 7)
    assert not (tmp_path / "missing").exists()


def test_file_that_is_opened_read_only_cannot_be_written(file: SqliteFile) -> None:
    write(file, "first")

    with closing(open_read_only(file.path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("delete from notes")


def test_lasting_connection_that_cannot_be_set_up_is_not_kept(file: SqliteFile) -> None:
    """The mode of the file cannot change while another connection reads. The next transaction opens a connection again."""
    write(file, "first")
    lasting = LastingConnection(file)
    with closing(sqlite3.connect(file.path, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from notes").fetchall()
        # The timeout of the connection is that of SQLite for locks; this test does not wait for it.
        with (
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            patch.setattr(sqlite_file, "BUSY_TIMEOUT_SECONDS", 0.0)
            with lasting.writing():
                pass  # pragma: no cover — never reached

    with lasting.writing() as connection:
        assert connection.execute("pragma journal_mode").fetchone()[0] == "wal"
    lasting.close()


# Threads, processes and forks -------------------------------------------------------------------------------------------


def test_writers_in_threads_lose_nothing(file: SqliteFile) -> None:
    threads = [threading.Thread(target=lambda: [write(file, "x") for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    join(*threads)

    assert len(notes(file)) == 80


def test_writer_waits_for_another_process(file: SqliteFile) -> None:
    """The other one is played by a connection that the file's own lock does not know."""
    write(file, "first")
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("begin immediate")
    thread = threading.Thread(target=write, args=(file, "second"))
    thread.start()
    try:
        time.sleep(0.1)  # any time will do: the thread waits, or has not begun
        assert thread.is_alive()
        other.execute("commit")
    finally:
        other.close()
        join(thread)

    assert notes(file) == ["first", "second"]


def test_check_is_not_confused_by_another_process_that_creates_the_tables(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mark and tables are read at one moment. A file without mark, but with tables, would be another program's."""
    file.path.touch()
    monkeypatch.setattr("heliograph.sqlite_file.BUSY_TIMEOUT_SECONDS", 0.1)
    open_as_usual = SqliteFile._open
    attempts = []

    def create_tables_now(statement: str) -> None:
        """Act as the other process, after the mark and before the tables were read."""
        if "sqlite_master" in statement and not attempts:
            attempts.append(statement)
            with suppress(sqlite3.OperationalError), closing(sqlite3.connect(file.path, timeout=0.1)) as other:
                other.executescript(f"pragma application_id = 7; {TABLES}")

    def open_and_watch(self: SqliteFile) -> sqlite3.Connection:
        connection = open_as_usual(self)
        connection.set_trace_callback(create_tables_now)
        return connection

    monkeypatch.setattr(SqliteFile, "_open", open_and_watch)
    file.check()
    assert attempts


def test_write_inside_a_write_of_the_same_thread_does_not_hang(
    file: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler may track an event at any time. SQLite reports that the file is locked."""
    monkeypatch.setattr("heliograph.sqlite_file.BUSY_TIMEOUT_SECONDS", 0.1)
    with file.writing() as connection:
        connection.execute("insert into notes (note) values ('first')")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            write(file, "second")

    assert notes(file) == ["first"]


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

FORK_DURING_A_WRITE = """
import os, signal, sys, threading
from pathlib import Path
from heliograph.sqlite_file import SqliteFile

file = SqliteFile(Path(sys.argv[1]), application_id=7, wrong_file=OSError,
    tables="create table if not exists notes (id integer primary key, note text)")
begun, may_end = threading.Event(), threading.Event()

def write(note):
    with file.writing() as connection:
        connection.execute("insert into notes (note) values (?)", [note])

def write_slowly():
    with file.writing() as connection:
        connection.execute("insert into notes (note) values ('thread')")
        begun.set()
        may_end.wait()

thread = threading.Thread(target=write_slowly)
thread.start()
begun.wait()
threading.Timer(0.3, may_end.set).start()  # the fork waits for the thread
child = os.fork()
if not child:
    signal.alarm(20)  # a child that waits for a lock without an owner ends, too
    assert may_end.is_set()  # the thread's transaction was over before the fork
    write("child")
    os._exit(0)
thread.join()
write("parent")
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@needs_fork
def test_fork_waits_for_a_writing_thread(file: SqliteFile) -> None:
    """A fork waits until a writing thread has finished. Afterwards parent and child can both write."""
    ended = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK_DURING_A_WRITE, str(file.path)],
        env=clean_environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr.decode()
    assert sorted(notes(file)) == ["child", "parent", "thread"]


@pytest.mark.parametrize("use", [SqliteFile.writing, SqliteFile.reading])
def test_lock_is_held_while_a_connection_is_open(file: SqliteFile, use: Callable[..., Any]) -> None:
    """A fork waits for readers, too: SQLite's table of locks has theirs."""
    write(file, "first")
    with use(file):
        assert not is_free(file.lock)
    assert is_free(file.lock)


@pytest.mark.parametrize("ending", ["", "-journal", "-wal"])
def test_own_file_that_others_may_write_is_not_used(tmp_path: Path, ending: str) -> None:
    """SQLite would write a journal that somebody has prepared beside it into the file."""
    file = notes_file(tmp_path / "notes.db", is_own=True)
    write(file, "a")
    companion = tmp_path / f"notes.db{ending}"
    companion.touch()
    companion.chmod(0o602)

    for use in (lambda: write(file, "b"), file.check):
        with pytest.raises(WrongFile, match="others may write to it"):
            use()
