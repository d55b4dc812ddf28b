"""Dead letters are kept in an SQLite file until a person puts them back.

`tests/test_sqlite_file.py` tests what it has in common with our other SQLite files.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ScopeLogs

from heliograph import OutboxError
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.signals import LOGS, TRACES

HEADER = Header(resource=b"\x0a\x00", schema_url="https://example.com/resource")
SCOPE = Scope(scope=b"\x0a\x05forum", schema_url="https://example.com/scope")


def entry(**fields: object) -> Entry:
    """Return an entry of a journal with a log record."""
    record = LogRecord(**fields)  # type: ignore[arg-type]
    return Entry(5, SCOPE, ScopeLogs(log_records=[record]).SerializeToString())


ENTRY = entry(
    event_name="app.order",
    time_unix_nano=1_767_323_045_000_000_000,
    body=AnyValue(string_value="order"),
    attributes=[KeyValue(key="log.record.uid", value=AnyValue(string_value="u1"))],
)


@pytest.fixture
def letters(tmp_path: Path) -> DeadLetters:
    return DeadLetters(tmp_path / "dead.db")


def put(letters: DeadLetters, *entries: Entry) -> None:
    for each in entries:
        letters.put(HEADER, each, reason="rejected", message="no such field")


def columns(tmp_path: Path) -> dict[str, object]:
    """Return the columns of the only dead letter, as another program sees them."""
    with closing(sqlite3.connect(tmp_path / "dead.db")) as connection:
        connection.row_factory = sqlite3.Row
        [row] = connection.execute("select * from dead_letters")
        return dict(row)


def test_dead_letter_is_found_as_it_was_put(letters: DeadLetters) -> None:
    """Header, scope and record have the same bytes, so that it can be put back into a journal."""
    put(letters, ENTRY)

    [letter] = letters.find()
    assert (letter.id, letter.reason, letter.message) == (1, "rejected", "no such field")
    assert (letter.uid, letter.event_name) == ("u1", "app.order")
    assert letter.header == HEADER
    assert letter.entry == ENTRY._replace(sequence=0)
    assert datetime.now(timezone.utc) - datetime.fromisoformat(letter.died) < timedelta(minutes=10)


def test_columns_for_people(letters: DeadLetters, tmp_path: Path) -> None:
    """Datasette shows the columns; heliograph itself does not read them."""
    put(letters, ENTRY)

    row = columns(tmp_path)
    assert row["happened"] == "2026-01-02T03:04:05.000+00:00"
    assert row["body"] == "order"
    assert row["attributes"] == '{"log.record.uid":"u1"}'


def test_format_of_the_file(letters: DeadLetters, tmp_path: Path) -> None:
    """Files of older versions stay readable: mark, table and columns do not change."""
    put(letters, ENTRY)

    with closing(sqlite3.connect(tmp_path / "dead.db")) as connection:
        assert connection.execute("pragma application_id").fetchone() == (0x48454C44,)
    assert list(columns(tmp_path)) == [
        *("id", "died", "reason", "message", "uid", "event_name", "happened", "body", "attributes"),
        *("resource", "resource_schema_url", "scope", "scope_schema_url", "record"),
        *("signal", "trace_id", "span_id"),
    ]


FIRST_RELEASE = """
create table dead_letters (
    id integer primary key, died text not null, reason text not null, message text not null, uid text, event_name text,
    happened text, body text, attributes text, resource blob not null, resource_schema_url text not null,
    scope blob not null, scope_schema_url text not null, record blob not null
);
pragma application_id = 0x48454C44;
"""
INSERT_OF_THE_FIRST_RELEASE = """
insert into dead_letters (died, reason, message, uid, event_name, happened, body, attributes, resource, resource_schema_url, scope,
    scope_schema_url, record
) values ('2026', 'bad_data', 'no', 'u1', 'app.old', '2026', '', '{}', x'', '', x'', '', x'')
"""


def test_file_of_the_first_release_is_read_and_extended(letters: DeadLetters, tmp_path: Path) -> None:
    """That release may go on adding log records to it, which have the signal of log records."""
    with closing(sqlite3.connect(tmp_path / "dead.db")) as connection, connection:
        connection.executescript(FIRST_RELEASE)
        connection.execute(INSERT_OF_THE_FIRST_RELEASE)
    [old] = letters.find()
    assert (old.event_name, old.header.signal, old.span_id) == ("app.old", LOGS, None)

    letters.put(replace(HEADER, signal=TRACES), ENTRY, reason="bad_data", message="no")
    with closing(sqlite3.connect(tmp_path / "dead.db")) as connection, connection:
        connection.execute(INSERT_OF_THE_FIRST_RELEASE)
    letters.put(replace(HEADER, signal=TRACES), ENTRY, reason="bad_data", message="no")

    assert [letter.header.signal for letter in letters.find()] == [LOGS, TRACES, LOGS, TRACES]


def test_damaged_record_is_kept(letters: DeadLetters, tmp_path: Path) -> None:
    """A record that cannot be decoded is a dead letter with its bytes, and the columns for people are empty."""
    put(letters, Entry(1, SCOPE, b"\xff garbage"))

    [letter] = letters.find()
    assert letter.entry.encoded == b"\xff garbage"
    assert (letter.uid, letter.event_name, columns(tmp_path)["body"]) == (None, None, None)


def test_record_without_uid_and_event_name_is_kept(letters: DeadLetters) -> None:
    """A uid that is no text is not shown as one."""
    put(letters, entry(attributes=[KeyValue(key="log.record.uid", value=AnyValue(int_value=1))]))

    [letter] = letters.find()
    assert (letter.uid, letter.event_name) == (None, None)


def test_latest_time_of_a_log_record_is_kept(letters: DeadLetters, tmp_path: Path) -> None:
    """A time has 64 bits of nanoseconds."""
    put(letters, entry(time_unix_nano=2**64 - 1))

    assert str(columns(tmp_path)["happened"]).startswith("2554-")


def test_find_by_number(letters: DeadLetters) -> None:
    """Without numbers, all dead letters are found, in the order of their numbers."""
    put(letters, *[entry(event_name=f"app.{number}") for number in range(3)])

    assert [letter.id for letter in letters.find()] == [1, 2, 3]
    assert [letter.id for letter in letters.find([3, 1, 9])] == [1, 3]
    assert letters.count() == 3


def test_remove(letters: DeadLetters) -> None:
    """Numbers that do not exist are ignored."""
    put(letters, ENTRY, ENTRY)
    letters.remove([1, 9])

    assert [letter.id for letter in letters.find()] == [2]
    assert letters.count() == 1


def test_missing_file_has_no_dead_letters_and_is_not_created(letters: DeadLetters, tmp_path: Path) -> None:
    """Every method but `put` works without the file."""
    assert list(letters.find()) == []
    assert letters.count() == 0
    assert letters.is_sound()
    letters.remove([1])
    assert list(tmp_path.iterdir()) == []


def test_sound_file(letters: DeadLetters) -> None:
    put(letters, ENTRY)

    assert letters.is_sound()


def test_damaged_file_is_not_sound(letters: DeadLetters, tmp_path: Path) -> None:
    """The header is intact, but a page behind it is not."""
    put(letters, *[ENTRY] * 100)
    content = bytearray((tmp_path / "dead.db").read_bytes())
    content[4096:8192] = b"\xff" * 4096
    (tmp_path / "dead.db").write_bytes(content)

    assert not letters.is_sound()


def test_file_that_is_no_database_is_an_error(letters: DeadLetters, tmp_path: Path) -> None:
    """A file of other content is reported as not sound, and no method changes it."""
    (tmp_path / "dead.db").write_bytes(b"garbage" * 1000)

    for call in (lambda: put(letters, ENTRY), letters.count, lambda: list(letters.find()), lambda: letters.remove([1])):
        with pytest.raises(OutboxError, match=r"dead\.db .*file is not a database"):
            call()
    assert not letters.is_sound()
    assert (tmp_path / "dead.db").read_bytes() == b"garbage" * 1000


def test_folder_that_is_gone_is_an_error(letters: DeadLetters, tmp_path: Path) -> None:
    """The sender reports the error, and the record remains in its journal."""
    tmp_path.rmdir()

    with pytest.raises(OutboxError, match=r"dead\.db"):
        put(letters, ENTRY)


def test_locked_file_is_an_error(letters: DeadLetters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds the lock of the file for longer than a writer waits."""
    put(letters, ENTRY)
    monkeypatch.setattr("heliograph.sqlite_file.BUSY_TIMEOUT_SECONDS", 0.1)
    with closing(sqlite3.connect(tmp_path / "dead.db", isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(OutboxError, match="database is locked"):
            put(letters, ENTRY)

    assert letters.count() == 1
