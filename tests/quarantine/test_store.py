"""The quarantine keeps invalid events in a file that only its owner can read, without protected values.

`tests/test_sqlite_file.py` tests what it has in common with our other SQLite files.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from opentelemetry.trace import SpanContext, TraceFlags

from heliograph import QuarantineError
from heliograph.quarantine.record import InvalidRecord
from heliograph.quarantine.store import Quarantine, to_line
from processes import clean_environment
from threads import join

RECORD = InvalidRecord(
    uid="01990b3e-7d2a-7000-8001-9f86d081884c",
    event_name="app.order",
    version="1",
    event_class="shop.OrderEvent",
    time_unix_nano=1_767_323_045_000_000_000,
    actor={"user.id": "root"},
    properties={"number": "one", "tags": ["a", None], "deep": {"x": 1.5}},
    violations=("datatype-mismatch: number",),
    span=SpanContext(trace_id=7, span_id=8, is_remote=False, trace_flags=TraceFlags(1)),
)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "aside.db")


FORMER_LINE = (
    b'["01990b3e-7d2a-7000-8001-9f86d081884c","app.order","1","shop.OrderEvent","2026-01-02T03:04:05.000+00:00",'
    b'"2026-11-28T01:15:00.196+00:00",1767323045000000000,"{\\"user.id\\":\\"root\\"}",'
    b'"{\\"number\\":\\"one\\",\\"tags\\":[\\"a\\",null],\\"deep\\":{\\"x\\":1.5}}","[\\"datatype-mismatch: number\\"]",'
    b'"00000000000000000000000000000007","0000000000000008",1]'
)
"""`RECORD` as the first version of the spool wrote it; it must not be generated again by a later version."""


def test_line_of_the_first_version_of_the_spool_is_read(quarantine: Quarantine) -> None:
    """A process of that version may have died before its events were in the quarantine."""
    quarantine.put_lines([FORMER_LINE, to_line(replace(RECORD, uid="2"))])

    first, second = quarantine.find()
    assert (first.record, first.set_aside) == (RECORD, "2026-11-28T01:15:00.196+00:00")
    assert second.record == replace(RECORD, uid="2")


def test_event_is_found_as_it_was_put(quarantine: Quarantine) -> None:
    """Every field of the record is restored."""
    quarantine.put(RECORD)

    [found] = quarantine.find()
    assert found.record == RECORD
    assert found.id == 1
    assert found.happened == "2026-01-02T03:04:05.000+00:00"


@pytest.mark.usefixtures("open_umask")
def test_only_the_owner_can_read_the_file(quarantine: Quarantine) -> None:
    """The mode is 0600, whatever the umask."""
    quarantine.put(RECORD)

    assert stat.S_IMODE(quarantine.path.stat().st_mode) == 0o600
    assert [path.name for path in quarantine.path.parent.iterdir()] == ["aside.db"]


def test_file_that_somebody_else_may_have_prepared_is_not_used(quarantine: Quarantine) -> None:
    """In a directory that several users can write to, it would show them the events."""
    quarantine.path.touch()
    quarantine.path.chmod(0o666)

    for use in (quarantine.check, lambda: quarantine.put(RECORD)):
        with pytest.raises(QuarantineError, match="others may write to it"):
            use()


def test_event_that_is_put_twice_is_kept_once(quarantine: Quarantine) -> None:
    """An event is recognized by its unique id."""
    quarantine.put(RECORD)
    quarantine.put(RECORD)

    assert len(list(quarantine.find())) == 1


def test_events_are_found_by_number_name_violation_and_time(quarantine: Quarantine) -> None:
    """An event has to meet all of several conditions."""
    other = replace(RECORD, uid="other", event_name="app.other", time_unix_nano=1, violations=("unplanned-event",))
    quarantine.put(RECORD)
    quarantine.put(other)

    def found(**conditions: object) -> list[int]:
        return [each.id for each in quarantine.find(**conditions)]  # type: ignore[arg-type]

    assert found() == [1, 2]
    assert found(ids=[2]) == found(event_name="app.other") == found(kind="unplanned-event") == [2]
    assert found(before=datetime(2026, 1, 1, tzinfo=timezone.utc)) == [2]
    assert found(event_name="app.other", kind="datatype-mismatch") == []
    assert found(kind="mismatch") == found(kind="number") == []  # a kind is not a path, nor a part of another kind


def test_many_events_are_read_a_few_at_a_time_and_can_be_removed_meanwhile(quarantine: Quarantine) -> None:
    """Removing events that were returned neither skips one nor returns one twice."""
    quarantine.put_lines([to_line(replace(RECORD, uid=str(number))) for number in range(1100)])
    seen = []
    for each in quarantine.find():
        seen.append(each.record.uid)
        if len(seen) % 500 == 0:
            quarantine.remove(range(each.id + 1))

    assert seen == [str(number) for number in range(1100)]
    assert len(list(quarantine.find())) == 100


def test_removed_event_is_overwritten_in_the_file(quarantine: Quarantine) -> None:
    """No byte of a removed event remains on the disk."""
    quarantine.put(replace(RECORD, properties={"secret": "c4n4ry" * 10}))
    assert b"c4n4ry" in quarantine.path.read_bytes()

    quarantine.remove([1])
    assert b"c4n4ry" not in quarantine.path.read_bytes()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 10, None])
def test_file_of_another_program_is_rejected_and_unchanged(quarantine: Quarantine, content: bytes | None) -> None:
    """A text and the database of another program are not written to."""
    if content is None:
        with closing(sqlite3.connect(quarantine.path)) as connection:
            connection.execute("create table theirs (x)")
    else:
        quarantine.path.write_bytes(content)
    before = quarantine.path.read_bytes()

    with pytest.raises(QuarantineError, match=r"aside\.db cannot be used as a quarantine"):
        quarantine.put(RECORD)
    with pytest.raises(QuarantineError):
        quarantine.find()
    assert quarantine.path.read_bytes() == before


def test_check_creates_nothing(quarantine: Quarantine) -> None:
    """A program without invalid events has no file. A quarantine that exists can be used, too."""
    quarantine.check()
    assert not quarantine.path.exists()

    quarantine.put(RECORD)
    quarantine.check()


def test_check_finds_what_would_fail_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message says what is wrong, and which variable to change."""
    (tmp_path / "file").write_text("no database, but long enough to be read as the header of one" * 9)
    (tmp_path / "read-only.db").touch()
    (tmp_path / "read-only").mkdir()
    real = os.access

    def access(path: Path, mode: int) -> bool:
        """Deny what the permissions deny, also to root, who runs these tests in a container."""
        return "read-only" not in path.name and real(path, mode)

    monkeypatch.setattr(os, "access", access)
    for path, reason in {
        tmp_path / "missing" / "q.db": "the directory .*missing does not exist",
        tmp_path / "file" / "q.db": "the directory .*file does not exist",
        tmp_path / "read-only" / "q.db": "the directory .*read-only cannot be written",
        tmp_path / "read-only.db": "it cannot be read and written",
        tmp_path / "file": "it cannot be read as an SQLite file",
        tmp_path: "it cannot be opened as an SQLite file",
    }.items():
        with pytest.raises(QuarantineError, match=f"{reason}.*; set HELIOGRAPH_QUARANTINE to another file"):
            Quarantine(path).check()


def test_missing_file_is_an_error_for_find(quarantine: Quarantine) -> None:
    """The error is raised at the call, and the file is not created."""
    with pytest.raises(QuarantineError, match="the file does not exist"):
        quarantine.find()
    assert not quarantine.path.exists()


def test_deleted_file_is_created_again(quarantine: Quarantine) -> None:
    """An operator may delete the file while programs run."""
    quarantine.put(RECORD)
    quarantine.path.unlink()
    quarantine.put(RECORD)

    assert len(list(quarantine.find())) == 1


def test_full_file_keeps_its_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event that does not fit is an error; its caller then emits the event instead."""
    monkeypatch.setattr("heliograph.quarantine.store.MAX_BYTES", 64 * 1024)
    quarantine = Quarantine(tmp_path / "aside.db")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for number in range(1000):
            quarantine.put(replace(RECORD, uid=str(number)))

    assert 10 < len(list(quarantine.find())) < 1000
    assert quarantine.path.stat().st_size <= 64 * 1024


def test_threads_that_put_at_the_same_time_lose_nothing(quarantine: Quarantine) -> None:
    """Eight threads put ten events each."""
    threads = [
        threading.Thread(target=lambda n=n: [quarantine.put(replace(RECORD, uid=f"{n}-{i}")) for i in range(10)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    join(*threads)

    assert len(list(quarantine.find())) == 80


PROGRAM = """
import os, sys
from dataclasses import dataclass
from typing import Annotated
from heliograph import Attribute, Event, Host, Privacy, Settings, hookimpl

@dataclass
class OrderEvent(Event, namespace="shop", version="1"):
    name = "order"
    number: int
    card: Annotated[str, Attribute(privacy=Privacy.MASK)] = "c4n4ry"
    owner: Annotated[str, Attribute(privacy=Privacy.HASH)] = "c4n4ry"
    pin: Annotated[str, Attribute(privacy=Privacy.DROP)] = "c4n4ry"

class Shop:
    @hookimpl
    def register_events(self):
        return [OrderEvent]

if __name__ == "__main__":
    settings = Settings.from_env()
    host = Host(settings, plugins=[Shop()])
    child = os.fork() if "fork" in sys.argv else 0
    host.track(OrderEvent(number="one", actor={"id": "root"}))
    if child:
        os.waitpid(child, 0)
    os.write(1, b"tracked")
    os.kill(os.getpid(), 9)
"""


def run_program_that_is_killed(folder: Path, *arguments: str) -> Quarantine:
    """Run a process that is killed as soon as `track` has returned, and return its quarantine."""
    (folder / "shop.py").write_text(PROGRAM)
    path = folder / "aside.db"
    ended = subprocess.run(
        [sys.executable, "shop.py", *arguments],
        cwd=folder,
        env=clean_environment(
            HELIOGRAPH_VALIDATION="quarantine", HELIOGRAPH_QUARANTINE=str(path), HELIOGRAPH_PRIVACY_KEY="k"
        ),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert b"tracked" in ended.stdout
    return Quarantine(path)


def test_event_survives_the_death_of_its_process(tmp_path: Path) -> None:
    """The process is killed right after `track` returned. No byte of the file holds a protected value."""
    quarantine = run_program_that_is_killed(tmp_path)

    [found] = quarantine.find()
    assert found.record.event_name == "shop.order"
    assert found.record.properties["number"] == "one"
    assert found.record.properties["card"] == "<masked>"
    assert "pin" not in found.record.properties
    assert b"c4n4ry" not in quarantine.path.read_bytes()


def test_parent_and_child_of_a_fork_use_one_file(tmp_path: Path) -> None:
    """Each puts an event after the fork."""
    assert len(list(run_program_that_is_killed(tmp_path, "fork").find())) == 2


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, version=None),
        replace(RECORD, violations=()),
        replace(RECORD, actor={"user.roles": ["a", "b"]}, properties={}),
        replace(RECORD, span=SpanContext(trace_id=0, span_id=0, is_remote=False, trace_flags=TraceFlags(0))),
        replace(RECORD, properties={"text": "ünïcode \x00 \U0001f600", "number": 2**53, "null": None}),
    ],
)
def test_unusual_records_are_restored(quarantine: Quarantine, record: InvalidRecord) -> None:
    quarantine.put(record)

    [found] = quarantine.find()
    assert found.record == record


def test_time_of_the_condition_is_exclusive(quarantine: Quarantine) -> None:
    """An event at exactly that time is not before it."""
    quarantine.put(RECORD)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

    assert list(quarantine.find(before=at)) == []
    assert len(list(quarantine.find(before=at.replace(second=6)))) == 1


def test_more_ids_than_sqlite_has_parameters(quarantine: Quarantine) -> None:
    """A query of SQLite has 32766 parameters or fewer. More ids may be asked for."""
    quarantine.put(RECORD)

    assert [each.id for each in quarantine.find(ids=range(100_000))] == [1]


def test_format_of_the_file(quarantine: Quarantine) -> None:
    """Files of older versions stay readable: mark, table and columns do not change."""
    quarantine.put(RECORD)

    with closing(sqlite3.connect(quarantine.path)) as connection:
        assert connection.execute("pragma application_id").fetchone() == (0x48454C51,)
        columns = [row[1] for row in connection.execute("pragma table_info(quarantine)")]
        [row] = connection.execute("select uid, actor, violations, trace_id, span_id, trace_flags from quarantine")
    assert columns == [
        *("id", "uid", "event_name", "version", "event_class", "happened", "set_aside", "time_unix_nano", "actor"),
        *("properties", "violations", "trace_id", "span_id", "trace_flags"),
    ]
    assert row == (
        RECORD.uid,
        '{"user.id":"root"}',
        '["datatype-mismatch: number"]',
        "00000000000000000000000000000007",
        "0000000000000008",
        1,
    )
