"""The file of recent events: private, bounded, shared by processes, and filtered."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from heliograph.errors import FileFormatError
from heliograph.recent_events import store as store_module
from heliograph.recent_events.record import MAX_ATTRIBUTE_BYTES, MAX_TEXT, RecentEvent
from heliograph.recent_events.recorder import MAX_WAITING
from heliograph.recent_events.store import MAX_BYTES, MAX_EVENTS, MINUTES, CountKind, RecentEventStore

EVENT = RecentEvent(
    time_unix_nano=1_767_323_045_000_000_000,
    event_name="app.order",
    actor="alice",
    token_id=None,
    body="order",
    trace_id="0" * 31 + "7",
    attributes='{"user.id":"alice"}',
    omitted=0,
)
NOW = 29_000_000


@pytest.fixture
def store(tmp_path: Path) -> RecentEventStore:
    return RecentEventStore(tmp_path / "recent.db")


def put(store: RecentEventStore, *events: RecentEvent, pid: int = 1) -> None:
    store.put(pid, events, {}, minute=NOW)


def test_missing_file_has_nothing_and_is_not_created(store: RecentEventStore) -> None:
    assert (list(store.find()), dict(store.counts(minute=NOW))) == ([], {})
    assert not store.path.exists()


@pytest.mark.usefixtures("open_umask")
def test_only_the_owner_can_read_the_file(store: RecentEventStore) -> None:
    """The mode is 0600, whatever the umask."""
    put(store, EVENT)

    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_newest_event_comes_first_with_its_process(store: RecentEventStore) -> None:
    put(store, EVENT, replace(EVENT, body="second"), pid=1)
    put(store, replace(EVENT, body="third"), pid=2)

    assert [(found.pid, found.event.body) for found in store.find()] == [(2, "third"), (1, "second"), (1, "order")]
    assert store.find()[-1].event == EVENT
    assert len(store.find(limit=2)) == 2


def test_every_condition_of_a_filter_has_to_be_met(store: RecentEventStore) -> None:
    put(
        store, EVENT, replace(EVENT, actor="bob"), replace(EVENT, token_id="t1"), replace(EVENT, event_name="app.other")
    )

    def bodies(**conditions: str) -> int:
        return len(store.find(**conditions))

    assert bodies(actor="alice") == 3
    assert bodies(token_id="t1") == 1
    assert bodies(event_name="app.order", actor="bob") == 1
    assert bodies(event_name="app.other", actor="bob") == 0
    assert bodies(actor="' or 1=1 --") == 0


def test_new_events_replace_the_oldest_ones(store: RecentEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_EVENTS", 3)
    for number in range(5):
        put(store, replace(EVENT, body=str(number)))

    assert [found.event.body for found in store.find()] == ["4", "3", "2"]


def test_deleted_events_leave_no_bytes_behind(store: RecentEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_EVENTS", 1)
    put(store, replace(EVENT, body="a canary"))
    assert b"a canary" in store.path.read_bytes()
    put(store, EVENT)

    assert b"a canary" not in store.path.read_bytes()


def test_full_store_is_smaller_than_its_limit(store: RecentEventStore) -> None:
    longest = RecentEvent(
        time_unix_nano=2**63 - 1,
        event_name="x" * MAX_TEXT,
        actor="\U0001f600" * MAX_TEXT,
        token_id="\U0001f600" * MAX_TEXT,
        body="\U0001f600" * MAX_TEXT,
        trace_id="f" * 32,
        attributes="x" * MAX_ATTRIBUTE_BYTES,
        omitted=100,
    )
    put(store, *[longest] * MAX_EVENTS)
    put(store, *[longest] * MAX_WAITING)

    assert len(store.find()) == MAX_EVENTS
    assert store.path.stat().st_size < MAX_BYTES


def test_counts_of_processes_are_added(store: RecentEventStore) -> None:
    counts = {(NOW, CountKind.EVENT, "app.order"): 2, (NOW, CountKind.TOKEN, "valid"): 1}
    for pid in (1, 2):
        store.put(pid, [], counts, minute=NOW)

    assert store.counts(minute=NOW) == {key: 2 * count for key, count in counts.items()}


def test_counts_of_a_minute_that_has_just_begun_are_kept(store: RecentEventStore) -> None:
    """Another process has written them, while this one waited for the file with the minute before."""
    key = (NOW + 1, CountKind.EVENT, "app.order")
    store.put(2, [], {key: 5}, minute=NOW + 1)
    store.put(1, [], {(NOW, CountKind.EVENT, "app.order"): 1}, minute=NOW)

    assert store.counts(minute=NOW + 1)[key] == 5


def test_counts_are_kept_for_an_hour(store: RecentEventStore) -> None:
    """Those of minutes that are far from having begun are from before the clock was set back."""
    ages = (-2, 0, MINUTES - 1, MINUTES)
    store.put(1, [], {(NOW - age, CountKind.EVENT, "app.order"): 1 for age in ages}, minute=NOW)

    assert {minute for minute, _, _ in store.counts(minute=NOW)} == {NOW, NOW - MINUTES + 1}
    with closing(sqlite3.connect(store.path)) as connection:
        assert connection.execute("select count(*) from counts").fetchone() == (2,)


def test_number_of_counts_is_bounded(store: RecentEventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more minutes than may be stored, the newest stay."""
    monkeypatch.setattr(store_module, "MAX_COUNTS", 2)
    store.put(1, [], {(NOW - age, CountKind.EVENT, "app.order"): 1 for age in range(5)}, minute=NOW)

    assert {minute for minute, _, _ in store.counts(minute=NOW)} == {NOW, NOW - 1}


def test_file_of_another_program_is_never_written(store: RecentEventStore) -> None:
    with closing(sqlite3.connect(store.path)) as connection:
        connection.execute("create table own (x)")
    before = store.path.read_bytes()

    for use in (store.check, lambda: put(store, EVENT), store.find):
        with pytest.raises(FileFormatError, match="HELIOGRAPH_RECENT_EVENTS"):
            use()
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("name", ["recent.db", "recent.db-journal"])
def test_file_that_somebody_else_may_have_prepared_is_not_used(store: RecentEventStore, name: str) -> None:
    """SQLite would write a prepared journal into the file. Somebody would read, or choose, what people see on the page."""
    put(store, EVENT)
    planted = store.path.with_name(name)
    planted.touch()
    planted.chmod(0o666)

    for use in (store.check, lambda: put(store, EVENT), store.find):
        with pytest.raises(FileFormatError, match=f"{name} .*others may write to it"):
            use()


def test_directory_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        RecentEventStore(tmp_path / "missing" / "recent.db").check()
