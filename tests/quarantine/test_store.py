"""Events that were set aside lie in a file of their owner's, whole but for what may not leave."""

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
from heliograph.quarantine.store import Quarantine
from processes import clean_environment

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


def test_what_is_kept_is_found_as_it_was(quarantine: Quarantine) -> None:
    """Every part of a record comes back."""
    quarantine.put(RECORD)

    [found] = quarantine.find()
    assert found.record == RECORD
    assert found.id == 1
    assert found.happened == "2026-01-02T03:04:05.000+00:00"


def test_file_is_its_owners_alone(quarantine: Quarantine) -> None:
    """Whatever the umask says."""
    before = os.umask(0)
    try:
        quarantine.put(RECORD)
    finally:
        os.umask(before)

    assert stat.S_IMODE(quarantine.path.stat().st_mode) == 0o600
    assert [path.name for path in quarantine.path.parent.iterdir()] == ["aside.db"]


def test_one_event_is_kept_once(quarantine: Quarantine) -> None:
    """By its id."""
    quarantine.put(RECORD)
    quarantine.put(RECORD)

    assert len(list(quarantine.find())) == 1


def test_conditions(quarantine: Quarantine) -> None:
    """By number, name, kind of violation and time."""
    other = replace(RECORD, uid="other", event_name="app.other", time_unix_nano=1, violations=("unplanned-event",))
    quarantine.put(RECORD)
    quarantine.put(other)

    def found(**conditions: object) -> list[int]:
        return [each.id for each in quarantine.find(**conditions)]  # type: ignore[arg-type]

    assert found() == [1, 2]
    assert found(ids=[2]) == found(event_name="app.other") == found(kind="unplanned-event") == [2]
    assert found(before=datetime(2026, 1, 1, tzinfo=timezone.utc)) == [2]
    assert found(event_name="app.other", kind="datatype-mismatch") == []


def test_many_events_are_read_a_few_at_a_time_and_can_be_removed_meanwhile(quarantine: Quarantine) -> None:
    """Removing what was read neither skips an event nor gives one twice."""
    for number in range(1100):
        quarantine.put(replace(RECORD, uid=str(number)))
    seen = []
    for each in quarantine.find():
        seen.append(each.record.uid)
        if len(seen) % 500 == 0:
            quarantine.remove(range(each.id + 1))

    assert seen == [str(number) for number in range(1100)]
    assert len(list(quarantine.find())) == 100


def test_what_was_removed_is_gone_from_the_file(quarantine: Quarantine) -> None:
    """Not only from the table: the bytes are."""
    quarantine.put(replace(RECORD, properties={"secret": "c4n4ry" * 10}))
    assert b"c4n4ry" in quarantine.path.read_bytes()

    quarantine.remove([1])
    assert b"c4n4ry" not in quarantine.path.read_bytes()


@pytest.mark.parametrize("content", [b"not a database, but long enough to be one" * 10, None])
def test_foreign_file_is_refused_and_stays(quarantine: Quarantine, content: bytes | None) -> None:
    """Neither a text nor somebody's database is written to."""
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


def test_file_that_is_not_there(quarantine: Quarantine) -> None:
    """To look for events makes no file."""
    with pytest.raises(QuarantineError, match="nothing was set aside"):
        quarantine.find()
    assert not quarantine.path.exists()


def test_file_that_was_deleted_is_made_again(quarantine: Quarantine) -> None:
    """An operator may throw it away while programs run."""
    quarantine.put(RECORD)
    quarantine.path.unlink()
    quarantine.put(RECORD)

    assert len(list(quarantine.find())) == 1


def test_file_that_is_full_keeps_what_it_has(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit is an error, which makes the event go out instead."""
    monkeypatch.setattr("heliograph.quarantine.store.MAX_BYTES", 64 * 1024)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        for number in range(1000):
            quarantine.put(replace(RECORD, uid=str(number)))

    assert 10 < len(list(quarantine.find())) < 1000
    assert quarantine.path.stat().st_size <= 64 * 1024


def test_threads_lose_nothing(quarantine: Quarantine) -> None:
    """Eight of them at once."""
    threads = [
        threading.Thread(target=lambda n=n: [quarantine.put(replace(RECORD, uid=f"{n}-{i}")) for i in range(10)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

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


def set_aside(folder: Path, *arguments: str) -> Quarantine:
    """What a process leaves that is killed as soon as `track` has returned."""
    (folder / "shop.py").write_text(PROGRAM)
    path = folder / "aside.db"
    ended = subprocess.run(
        [sys.executable, "shop.py", *arguments],
        cwd=folder,
        env=clean_environment(
            HELIOGRAPH_VALIDATION="quarantine", HELIOGRAPH_QUARANTINE=str(path), HELIOGRAPH_PRIVACY_KEY="k"
        ),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert b"tracked" in ended.stdout
    return Quarantine(path)


def test_event_survives_the_death_of_its_process(tmp_path: Path) -> None:
    """Killed right after `track` returned; and no protected value is in any byte of the file."""
    quarantine = set_aside(tmp_path)

    [found] = quarantine.find()
    assert found.record.event_name == "shop.order"
    assert found.record.properties["number"] == "one"
    assert found.record.properties["card"] == "<masked>"
    assert "pin" not in found.record.properties
    assert b"c4n4ry" not in quarantine.path.read_bytes()


def test_parent_and_child_of_a_fork_use_one_file(tmp_path: Path) -> None:
    """No connection crosses the fork."""
    assert len(list(set_aside(tmp_path, "fork").find())) == 2
