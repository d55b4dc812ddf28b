"""Recent events are written off the path of those who track them, in bounded memory, across forks and failures."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backends import wait_until
from heliograph.recent_events import recorder as recorder_module
from heliograph.recent_events.recorder import OTHER_NAME, RecentEvents
from heliograph.recent_events.store import MINUTES, CountKind, RecentEventStore
from heliograph.telemetry.observers import TokenSpan
from processes import program_environment
from recent_events.test_record import TRACKED
from threads import join, no_more_threads

NOW = 29_000_000
SOURCE = object()
VERIFIED = TokenSpan(
    name="token.verify", handler="signed", result="valid", token_id=None, error_type=None, attributes={}
)


@pytest.fixture
def recent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecentEvents:
    """A recorder whose thread does nothing, so that only `flush` writes."""
    made = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE, clock=lambda: NOW * 60.0)
    monkeypatch.setattr(made._writer, "wake", lambda: None)
    return made


def track(recent: RecentEvents, **changes: Any) -> None:
    recent.on_event(SOURCE, replace(TRACKED, **changes))


def verify(recent: RecentEvents, source: object = SOURCE, **changes: Any) -> None:
    recent.on_token(source, replace(VERIFIED, **changes))


def bodies(recent: RecentEvents) -> list[str]:
    return [found.event.body for found in recent.store.find()]


def test_events_and_verifications_are_written_and_counted(recent: RecentEvents) -> None:
    track(recent)
    track(recent, body="second")
    verify(recent)
    assert not recent.store.path.exists()
    recent.flush()
    recent.flush()

    assert bodies(recent) == ["second", "order"]
    assert {found.pid for found in recent.store.find()} == {os.getpid()}
    assert recent.store.counts(minute=NOW) == {
        (NOW, CountKind.EVENT, "app.order"): 2,
        (NOW, CountKind.TOKEN, "valid"): 1,
    }


def test_only_what_this_host_emits_is_kept(recent: RecentEvents) -> None:
    """Another host of the process, the quarantine and the creation of a token are something else."""
    recent.on_event(object(), TRACKED)
    track(recent, is_in_quarantine=True)
    verify(recent, source=object())
    verify(recent, name="token.create")
    recent.flush()

    assert not recent.store.path.exists()


def test_nothing_to_write_creates_no_file(recent: RecentEvents) -> None:
    recent.flush()

    assert not recent.store.path.exists()


def test_oldest_events_are_dropped_and_counted(recent: RecentEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_WAITING", 2)
    for number in range(5):
        track(recent, body=str(number))
    recent.flush()

    assert bodies(recent) == ["4", "3"]
    counts = recent.store.counts(minute=NOW)
    assert counts == {(NOW, CountKind.EVENT, "app.order"): 5, (NOW, CountKind.NOT_KEPT, ""): 3}


def test_number_of_names_in_memory_is_bounded(recent: RecentEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "MAX_NAMES", 2)
    for number in (0, 1, 2, 3, 1):
        track(recent, event_name=f"app.n{number}")
    recent.flush()

    names = {name: count for (_, _, name), count in recent.store.counts(minute=NOW).items()}
    assert names == {"app.n0": 1, "app.n1": 2, OTHER_NAME: 2}


def test_file_that_cannot_be_written_costs_the_events_and_not_their_counts(
    recent: RecentEvents, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """There is one line in the log, and memory does not grow."""
    recent.store.path.write_bytes(b"garbage" * 1000)
    for _ in range(3):
        track(recent)
        verify(recent)
        recent.flush()
    recent.store.path.unlink()
    track(recent, body="later")
    recent.flush()

    assert bodies(recent) == ["later"]
    assert recent.store.counts(minute=NOW) == {
        (NOW, CountKind.EVENT, "app.order"): 4,
        (NOW, CountKind.TOKEN, "valid"): 3,
        (NOW, CountKind.NOT_KEPT, ""): 3,
    }
    assert [record.getMessage() for record in caplog.records] == ["Recent events could not be written."]


def test_counts_that_could_not_be_written_for_an_hour_are_dropped(recent: RecentEvents, tmp_path: Path) -> None:
    recent.store.path.write_bytes(b"garbage" * 1000)
    verify(recent)
    recent._clock = lambda: (NOW + MINUTES) * 60.0
    recent.flush()

    assert not recent._counts


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "heliograph-recent"]


def test_thread_writes_without_being_asked_and_ends_with_close(tmp_path: Path) -> None:
    """The next event starts another thread."""
    recent = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE)
    for body in ("first", "second"):
        track(recent, body=body)
        wait_until(lambda: bodies(recent)[:1] == [body])  # noqa: B023 — called in this round
        verify(recent)
        recent.close()
        assert (recent.minute(), CountKind.TOKEN, "valid") in recent.store.counts(minute=recent.minute())
        wait_until(lambda: not threads())
    recent.close()


def test_thread_ends_with_the_recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "_PAUSE_SECONDS", 0.01)
    recent = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE)
    track(recent)
    writer = recent._writer
    del recent
    gc.collect()
    writer.wake()

    wait_until(lambda: not threads())


def test_handler_of_a_signal_may_track_while_an_event_is_added(tmp_path: Path) -> None:
    """The handler runs in the thread that it interrupts, which holds the lock. The clock is read under the lock."""
    calls: list[None] = []

    def clock() -> float:
        calls.append(None)
        if len(calls) == 1:
            track(recent, body="of the handler")
        return NOW * 60.0

    recent = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE, clock=clock)
    tracking = threading.Thread(target=track, args=[recent], daemon=True)
    tracking.start()
    join(tracking)
    recent.close()

    assert sorted(bodies(recent)) == ["of the handler", "order"]


def test_handler_of_a_signal_may_track_while_events_are_taken_to_be_written(tmp_path: Path) -> None:
    """Its event is written with them, or with the next ones."""
    recent = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE, clock=lambda: NOW * 60.0)

    class Interrupted(deque[Any]):
        def __iter__(self) -> Iterator[Any]:
            found = list(super().__iter__())
            track(recent, body="of the handler")
            return iter(found)

    track(recent)
    recent._events = Interrupted(recent._events)
    recent.close()
    recent.close()

    assert sorted(bodies(recent)) == ["of the handler", "order"]


def test_thread_that_cannot_be_started_is_no_error(tmp_path: Path) -> None:
    recent = RecentEvents(RecentEventStore(tmp_path / "recent.db"), SOURCE)
    with no_more_threads():
        track(recent)
        recent.flush()

    assert bodies(recent) == ["order"]


PROGRAM = """
import os, sys
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from heliograph.recent_events.recorder import RecentEvents
from heliograph.recent_events.store import RecentEventStore
from recent_events.test_record import TRACKED

def track(body):
    recent.on_event(None, replace(TRACKED, body=body))

recent = RecentEvents(RecentEventStore(Path(sys.argv[1])), None)
track("first")
recent.flush()
recent._writing.acquire()  # the thread is in the middle of a write, and more waits
track("of the parent")
child = os.fork()
if child == 0:
    track("of the child")
    sys.exit()
os.waitpid(child, 0)
recent._writing.release()
"""


def test_forked_child_writes_its_own_events_and_both_write_at_their_end(tmp_path: Path) -> None:
    """A lock that another thread held at the fork does not block the child."""
    path = tmp_path / "recent.db"
    subprocess.run([sys.executable, "-c", PROGRAM, str(path)], check=True, timeout=60, env=program_environment())

    found = RecentEventStore(path).find()
    assert sorted(each.event.body for each in found) == ["first", "of the child", "of the parent"]
    assert len({each.pid for each in found}) == 2


def test_threads_lose_nothing(recent: RecentEvents) -> None:
    def add() -> None:
        for _ in range(200):
            track(recent)
            verify(recent)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        recent.flush()
    recent.flush()

    assert len(bodies(recent)) == 800
    assert set(recent.store.counts(minute=NOW).values()) == {800}
