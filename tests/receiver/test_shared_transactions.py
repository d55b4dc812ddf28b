"""Requests are stored in groups, by one thread, and each learns what became of it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from heliograph.receiver import shared_transactions
from heliograph.receiver.contract import NotKept
from heliograph.receiver.rows import Tables
from heliograph.receiver.shared_transactions import SharedTransactions
from heliograph.receiver.store import Store, StoreWriter
from receiver.requests import log_request
from threads import join


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A new store."""
    return Store(tmp_path / "events.db")


def stored(store: Store) -> list[str]:
    """Return the names of the stored events, in order."""
    return sorted(name for (name,) in store.rows("select event_name from events"))


class Paused:
    """Lets a test decide when a group is written, and see its size."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        insert = StoreWriter.insert

        def paused(writer: StoreWriter, *requests: Tables) -> None:
            self.sizes.append(len(requests))
            self.begun.set()
            assert self.may_go_on.wait(60)
            insert(writer, *requests)

        monkeypatch.setattr(StoreWriter, "insert", paused)


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Paused:
    """The first group is written when the test permits it."""
    return Paused(monkeypatch)


def in_thread(function: Callable[[], None]) -> tuple[threading.Thread, list[Exception]]:
    """Call a function in a thread, and return the thread and the list of what it raised."""
    raised: list[Exception] = []

    def call() -> None:
        try:
            function()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    return thread, raised


def wait_until_waiting(commits: SharedTransactions, number: int) -> None:
    """Wait until so many requests wait for the writer."""
    ready = threading.Event()
    while len(commits._waiting) < number:
        ready.wait(0.01)


def test_request_is_stored_when_keep_returns(store: Store) -> None:
    """Readers see the request while the connection of the writer is open. The file is in WAL mode."""
    with SharedTransactions(store) as commits:
        commits.keep(log_request("app.one"))
        assert stored(store) == ["app.one"]
        assert store.rows("pragma journal_mode")[0][0] == "wal"
    assert not Path(f"{store._file.path}-wal").exists()


def test_requests_that_wait_are_one_group(store: Store, paused: Paused) -> None:
    with SharedTransactions(store) as commits:
        threads = [in_thread(lambda: commits.keep(log_request("app.one")))]
        assert paused.begun.wait(60)
        threads += [in_thread(lambda: commits.keep(log_request("app.two", "app.three"))) for _ in range(5)]
        wait_until_waiting(commits, 5)
        paused.may_go_on.set()
        for thread, raised in threads:
            join(thread)
            assert raised == []

    assert paused.sizes == [1, 5]
    assert len(stored(store)) == 11


def test_request_that_cannot_be_stored_does_not_take_others_with_it(
    store: Store, paused: Paused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request of the group is stored by itself then."""
    bad = log_request("app.bad")
    rows_of = shared_transactions.rows_of
    monkeypatch.setattr(
        shared_transactions,
        "rows_of",
        lambda request: {"events": [{"event_name": object()}]} if request is bad else rows_of(request),
    )
    with SharedTransactions(store) as commits:
        first, _ = in_thread(lambda: commits.keep(log_request("app.one")))
        assert paused.begun.wait(60)
        threads = [in_thread(lambda each=each: commits.keep(each)) for each in (bad, log_request("app.two"))]
        wait_until_waiting(commits, 2)
        paused.may_go_on.set()
        join(first, *(thread for thread, _ in threads))

    assert stored(store) == ["app.one", "app.two"]
    [error] = threads[0][1]
    assert isinstance(error, sqlite3.Error)
    assert not isinstance(error, sqlite3.OperationalError)


def test_file_that_is_locked_for_too_long(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is asked to come back. Then it is stored."""
    monkeypatch.setattr("heliograph.sqlite_file.BUSY_TIMEOUT_SECONDS", 0.01)
    with SharedTransactions(store) as commits:
        with closing(sqlite3.connect(store._file.path)) as other:
            other.execute("begin immediate")
            with pytest.raises(NotKept, match="locked"):
                commits.keep(log_request("app.one"))
        commits.keep(log_request("app.one"))

    assert stored(store) == ["app.one"]


def test_file_of_another_program(store: Store) -> None:
    """The file is not written to, and no request is acknowledged."""
    store._file.path.unlink()
    with closing(sqlite3.connect(store._file.path)) as other:
        other.execute("create table mine (a)")
    with SharedTransactions(store) as commits, pytest.raises(NotKept, match="another program"):
        commits.keep(log_request("app.one"))


def test_file_that_is_deleted_is_created_again(store: Store) -> None:
    """Requests that are acknowledged afterwards are in the new file."""
    with SharedTransactions(store) as commits:
        commits.keep(log_request("app.one"))
        for path in store._file.path.parent.iterdir():
            path.unlink()
        commits.keep(log_request("app.two"))
        assert stored(store) == ["app.two"]


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [("MAX_WAITING_SECONDS", 0.01, "still being stored"), ("MAX_WAITING_BYTES", 1, "too many")],
)
def test_request_that_waits_too_long_or_is_too_much_is_refused(
    store: Store, paused: Paused, monkeypatch: pytest.MonkeyPatch, *, limit: str, value: float, reason: str
) -> None:
    """A refused request is not stored later: its client sends it again. The first one, with no other beside it, has any size."""
    monkeypatch.setattr(shared_transactions, limit, value)
    with SharedTransactions(store) as commits:
        first, raised = in_thread(lambda: commits.keep(log_request("app.one")))
        assert paused.begun.wait(60)
        with pytest.raises(NotKept, match=reason):
            commits.keep(log_request("app.two"))
        paused.may_go_on.set()
        join(first)

    assert (raised, stored(store)) == ([], ["app.one"])


def test_end(store: Store) -> None:
    """No request is accepted after the end."""
    with SharedTransactions(store) as commits:
        pass
    with pytest.raises(NotKept, match="ends"):
        commits.keep(log_request("app.one"))
