"""The worker sends the records of its process and of orphans; other threads wake it, wait for it and end it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource

from delivery.outboxes import LATER_VERSION, drain, folders_in, logging_to, make_orphan, wait_for
from delivery.servers import OK, serving
from heliograph.delivery.journal.batch import Batch
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.folder_lock import FolderLock
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.sending.orphans import Orphan
from heliograph.delivery.sending.sender import MAX_BATCH_RECORDS
from heliograph.delivery.signals import LOGS
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.delivery.worker import MAX_OPEN_ORPHANS
from heliograph.runtime.bell import Bell
from heliograph.runtime.deadline import MAX_MILLIS, Deadline
from processes import in_child
from threads import result_in_time

HOUR = 3600.0
MANY = 3 * MAX_OPEN_ORPHANS
DELIVERED = Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)


class RecordingTransport:
    """A transport that accepts every request, and calls a function before."""

    usual_limit_bytes = 2**20

    def __init__(self, before: Any = lambda: None) -> None:
        self.requests: list[bytes] = []
        self._before = before

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        self._before()
        self.requests.append(body)
        return DELIVERED

    def close(self) -> None:
        """Do nothing: no connection is open."""


class WatchedBell(Bell):
    """A bell that shows if the worker sleeps. Then nothing happens until it is rung, or the time is over.

    Attributes:
        sleeps_for: The time for which the worker sleeps, in seconds. 0 if it is awake, or was just woken.
    """

    def __init__(self) -> None:
        super().__init__()
        self.sleeps_for = 0.0
        self._turn = threading.Lock()

    def ring(self) -> None:
        with self._turn:
            self.sleeps_for = 0.0
            super().ring()

    def wait(self, timeout_seconds: float) -> bool:
        with self._turn:
            if super().wait(0):
                return True
            self.sleeps_for = timeout_seconds
        is_rung = super().wait(timeout_seconds)
        self.sleeps_for = 0.0
        return is_rung


@pytest.fixture
def wait_for_sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A function that waits until the worker of an emitter sleeps for the hour that the test has set."""
    monkeypatch.setattr("heliograph.delivery.worker.Bell", WatchedBell)
    return lambda emit: wait_for(lambda: emit.processor._worker._bell.sleeps_for == HOUR)


def make_many_orphans(directory: Path) -> None:
    for number in range(MANY):
        make_orphan(directory, f"r{number}")


def test_many_orphans_are_sent_some_at_a_time(tmp_path: Path) -> None:
    """There is no pause in between, and never more are open than may be: each has open files."""
    make_many_orphans(tmp_path)
    open_orphans: list[int] = []

    def answer(number: int, records: list[str]) -> Any:
        open_orphans.extend(len(each.orphans) for each in worker)
        return OK

    worker: list[Any] = []
    with serving(answer) as server, logging_to(tmp_path, server.endpoint) as emit:
        worker.append(emit.processor._worker)
        wait_for(lambda: len(server.accepted) == MANY)
        wait_for(lambda: folders_in(tmp_path) == [])

    assert len(set(server.accepted)) == MANY
    assert 0 < max(open_orphans) <= MAX_OPEN_ORPHANS


def test_shutdown_sends_all_orphans(tmp_path: Path) -> None:
    """A shutdown sends the records of ended processes as long as there is time."""
    make_many_orphans(tmp_path)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit.processor.shutdown(60_000)

    assert len(set(server.accepted)) == MANY
    assert folders_in(tmp_path) == []


def test_shutdown_ends_if_the_server_accepts_no_orphans(tmp_path: Path) -> None:
    """A shutdown does not use up its time if the server asks to wait. The orphans are unlocked."""
    make_many_orphans(tmp_path)
    with serving(lambda number, records: (503, {"Retry-After": "600"}, b"")) as down:
        with logging_to(tmp_path, down.endpoint) as emit:
            result_in_time(lambda: emit.processor.shutdown(MAX_MILLIS))

    assert len(list(OutboxDirectory(tmp_path, max_bytes=1).lock_orphans(LOGS))) == MANY


def test_drain_sends_all_orphans(tmp_path: Path) -> None:
    """The command sends some orphans at a time, and ends if the server accepts nothing."""
    make_many_orphans(tmp_path)
    with serving(lambda number, records: (503, {}, b"")) as down:
        assert drain(tmp_path, down.endpoint, "--timeout", "1").exit_code == 1
    assert len(folders_in(tmp_path)) == MANY

    with serving() as server:
        assert drain(tmp_path, server.endpoint).exit_code == 0
    assert len(set(server.accepted)) == MANY
    assert folders_in(tmp_path) == []


def test_unreadable_orphans_do_not_delay_others(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wait_for_sleep: Callable[[Any], None],
) -> None:
    """Segments of a later version stay on the disk. They are reported once for each search, and the others are sent."""
    monkeypatch.setattr("heliograph.delivery.worker._ADOPT_SECONDS", HOUR)  # no search but those of the start
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", HOUR)
    make_many_orphans(tmp_path)
    later = folders_in(tmp_path)[:MAX_OPEN_ORPHANS]
    for folder in later:
        [(_, path)] = segments(folder)
        path.write_bytes(LATER_VERSION)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for _ in range(3):
            emit.processor._worker.wake()
            wait_for_sleep(emit)
        assert len(server.accepted) == MANY - len(later)
        assert len(caplog.records) <= 2 * len(later)
    with serving() as server:
        assert drain(tmp_path, server.endpoint).exit_code == 1

    assert folders_in(tmp_path) == later


def test_unreadable_orphan_is_tried_again_with_the_next_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same process sends the records once the folder can be read."""
    monkeypatch.setattr("heliograph.delivery.worker._ADOPT_SECONDS", 0.1)
    [(_, path)] = segments(make_orphan(tmp_path, "one"))
    content = path.read_bytes()
    path.write_bytes(LATER_VERSION)
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: "cannot be read" in caplog.text)
        copy = tmp_path / "copy"
        copy.write_bytes(content)
        copy.replace(path)
        wait_for(lambda: server.accepted == ["one"])


def test_own_records_are_sent_between_batches_of_an_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large orphan does not delay the process that adopted it."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", 0.0)
    make_orphan(tmp_path, *(f"r{number}" for number in range(4 * MAX_BATCH_RECORDS)))
    started, emitted = threading.Event(), threading.Event()

    def wait_for_own_record() -> None:
        started.set()
        assert emitted.wait(60)

    transport = RecordingTransport(wait_for_own_record)
    with logging_to(tmp_path, "", transport=transport) as emit:
        assert started.wait(60)
        emit("own record")
        emitted.set()
        wait_for(lambda: len(folders_in(tmp_path)) == 1)  # the orphan is gone

    assert len(transport.requests) > 2
    assert b"own record" in transport.requests[1]


def test_worker_is_woken_by_a_flush_and_by_a_full_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records do not have to wait for the worker's next poll."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", HOUR)
    transport = RecordingTransport()
    with logging_to(tmp_path, "", transport=transport) as emit:
        for number in range(3):
            emit(str(number))
            assert emit.processor.force_flush(60_000)
        sent = len(transport.requests)
        emit("x" * 2**21)
        wait_for(lambda: len(transport.requests) > sent)


def test_flush_is_answered_between_batches_of_an_orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush waits neither for the poll, nor for the rest of the orphan. One flush sends own records once."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", HOUR)
    make_orphan(tmp_path, *(f"r{number}" for number in range(4 * MAX_BATCH_RECORDS)))
    started, emitted = threading.Event(), threading.Event()

    def wait_for_own_record() -> None:
        started.set()
        assert emitted.wait(60)
        if len(transport.requests) == 1:
            emit("second record")

    transport = RecordingTransport(wait_for_own_record)
    with logging_to(tmp_path, "", transport=transport) as emit:
        assert started.wait(60)
        emit("own record")
        emit.processor._worker.wake()
        emitted.set()
        wait_for(lambda: len(folders_in(tmp_path)) == 1)  # the orphan is gone
        sent = list(transport.requests)

    assert len(sent) > 3
    assert b"own record" in sent[1]
    assert not any(b"second record" in request for request in sent)


def test_records_that_come_during_a_request_wait_for_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for_sleep: Callable[[Any], None]
) -> None:
    """Under steady traffic, each request would otherwise carry only those that came during the one before."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", HOUR)
    monkeypatch.setattr("heliograph.delivery.worker._LINGER_SECONDS", HOUR)
    transport = RecordingTransport(lambda: emit(f"record {len(transport.requests)}"))
    with logging_to(tmp_path, "", transport=transport) as emit:
        emit("first")
        assert emit.processor.force_flush(60_000)
        wait_for_sleep(emit)
        # One for the round that found the record, and one for the round after the flush. Not one request after the other.
        assert len(transport.requests) <= 2
        emit("last")
        assert emit.processor.force_flush(60_000)
        assert any(b"last" in request for request in transport.requests)


def test_records_are_collected_for_longer_while_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for_sleep: Callable[[Any], None]
) -> None:
    """The first record after a quiet time is sent at the next poll; those that follow it wait for the end of the linger, or a flush."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", 0.01)
    monkeypatch.setattr("heliograph.delivery.worker._LINGER_SECONDS", HOUR)
    transport = RecordingTransport()
    with logging_to(tmp_path, "", transport=transport) as emit:
        emit("first")
        wait_for(lambda: emit.processor.depth == 0)
        emit("second")
        wait_for_sleep(emit)
        assert len(transport.requests) == 1
        assert emit.processor.force_flush(60_000)
        assert len(transport.requests) == 2


def test_worker_sleeps_after_it_was_woken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_for_sleep: Callable[[Any], None]
) -> None:
    """One wake makes one round, and no busy loop."""
    monkeypatch.setattr("heliograph.delivery.worker._POLL_SECONDS", HOUR)
    rounds: list[bool] = []
    with logging_to(tmp_path, "", transport=RecordingTransport()) as emit:
        wait_for_sleep(emit)
        emit.processor._worker._storages = lambda: rounds.append(True) or []
        for number in (1, 2, 3):
            emit.processor._worker.wake()
            wait_for_sleep(emit)
            assert len(rounds) == number


def test_flush_ends_with_the_last_acknowledgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker notifies those who wait: they do not sleep until their time is over."""
    flush_waits = threading.Event()
    transport = RecordingTransport(lambda: flush_waits.wait(60))
    with logging_to(tmp_path, "", transport=transport) as emit:
        progress = emit.processor._worker._progress

        def wait(timeout_seconds: float, wait: Callable[[float], bool] = progress.wait) -> bool:
            flush_waits.set()
            return wait(timeout_seconds)

        monkeypatch.setattr(progress, "wait", wait)
        emit("one")
        assert result_in_time(lambda: emit.processor.force_flush(MAX_MILLIS))


def test_unexpected_error_does_not_end_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of the journal is logged, and the worker goes on after a pause."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", 0.0)
    errors = [RuntimeError("broken")]

    def fail_once(reader: JournalReader, **limits: int) -> Batch | None:
        if errors:
            raise errors.pop()
        return real(reader, **limits)

    real = JournalReader.read
    monkeypatch.setattr(JournalReader, "read", fail_once)
    transport = RecordingTransport()
    with logging_to(tmp_path, "", transport=transport) as emit:
        emit("one")
        wait_for(lambda: "could not be sent" in caplog.text)
        emit("two")
        wait_for(lambda: any(b"two" in request for request in transport.requests))


def test_handler_of_a_signal_may_wake_in_the_middle_of_a_wake(tmp_path: Path) -> None:
    """The handler runs on the thread that it interrupts: between any two lines of `wake`, and of the Python code that it calls."""
    nested = []

    def wake_again(frame: FrameType, event: str, argument: object) -> Any:
        sys.settrace(None)
        frame.f_trace = None
        nested.append(event)
        worker.wake()
        sys.settrace(wake_again)
        return wake_again

    def wake() -> None:
        sys.settrace(wake_again)
        worker.wake()
        sys.settrace(None)

    with logging_to(tmp_path, "", transport=RecordingTransport()) as emit:
        worker = emit.processor._worker
        result_in_time(wake)
    assert len(nested) > 1


def test_worker_pauses_after_an_unexpected_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A journal that raises each time does not fill the log, however often the worker is woken. Shutdown ends the pause."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", HOUR)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(JournalReader, "read", fail)
    with logging_to(tmp_path, "", transport=RecordingTransport()) as emit:
        emit("one")
        wait_for(lambda: caplog.records)
        assert not emit.processor.force_flush(300)
        assert len(caplog.records) == 1
    assert not emit.processor._worker._thread.is_alive()


def test_journal_that_cannot_be_read_does_not_stop_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Other journals of the process and orphans are sent. It is tried again, with a pause, and sent when it can be read."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", 0.01)
    make_orphan(tmp_path, "orphan")
    transport = RecordingTransport()
    is_broken = True
    failures: list[bool] = []
    real = JournalReader.read

    def read(reader: JournalReader, **limits: int) -> Batch | None:
        batch = real(reader, **limits)
        if is_broken and batch is not None and b"broken" in batch.entries[0].encoded:
            failures.append(True)
            raise OSError("input/output error")
        return batch

    monkeypatch.setattr(JournalReader, "read", read)
    with logging_to(tmp_path, "", transport=transport) as emit:
        other = LoggerProvider(resource=Resource({"service.name": "other"}), shutdown_on_exit=False)
        other.add_log_record_processor(emit.processor)
        emit("broken")
        emit("behind it")
        other.get_logger("tests").emit(LogRecord(context=Context(), body="other"))
        wait_for(lambda: any(b"other" in request for request in transport.requests))
        wait_for(lambda: any(b"orphan" in request for request in transport.requests))
        wait_for(lambda: len(failures) > 1)
        assert emit.processor.depth == 2
        assert len(caplog.records) == 1
        is_broken = False
        assert emit.processor.force_flush(60_000)

    assert len(transport.requests) == 3
    assert b"broken" in transport.requests[-1]
    assert b"behind it" in transport.requests[-1]


def test_orphan_that_fails_does_not_affect_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was released is not used again: another process may have adopted it. Those behind are sent."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("heliograph.delivery.worker._ADOPT_SECONDS", HOUR)
    unreadable, broken, waiting = sorted(make_orphan(tmp_path, uid) for uid in ("one", "two", "three"))
    drained: list[Path] = []

    def drain_orphan(orphan: Orphan, *_: object, **__: object) -> bool:
        drained.append(orphan.folder)
        if orphan.folder == broken:
            raise RuntimeError("a defect")
        if orphan.folder == waiting:
            return False
        orphan.release()
        return True

    monkeypatch.setattr(Orphan, "drain", drain_orphan)
    with logging_to(tmp_path, "", transport=RecordingTransport()):
        wait_for(lambda: min(drained.count(broken), drained.count(waiting)) > 2)

    assert drained.count(unreadable) == 1


def test_orphans_stay_known_if_the_search_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orphans that were found before the failure are locked here: no other process would send them. Own records are sent, too."""
    monkeypatch.setattr("heliograph.delivery.worker._ERROR_PAUSE_SECONDS", 0.0)
    make_orphan(tmp_path, "orphan")
    real = OutboxDirectory.lock_orphans

    def fail_at_the_end(outbox: OutboxDirectory, *more: Any) -> Iterator[FolderLock]:
        yield from real(outbox, *more)
        raise OSError("too many open files")

    monkeypatch.setattr(OutboxDirectory, "lock_orphans", fail_at_the_end)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("own")
        wait_for(lambda: sorted(server.accepted) == ["orphan", "own"])
        wait_for(lambda: not emit.processor._worker.orphans)


def test_files_stay_open_while_the_worker_uses_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thread that does not end in time may still read a journal: its folder is neither closed nor unlocked."""
    sending, release = threading.Event(), threading.Event()

    def block() -> None:
        sending.set()
        assert release.wait(60)

    with logging_to(tmp_path, "", transport=RecordingTransport(block)) as emit:
        emit("one")
        assert sending.wait(60)
        emit.processor.shutdown(0)
        [folder] = folders_in(tmp_path)
        assert OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)
        assert "did not end in time" in caplog.text
        release.set()
        wait_for(lambda: not emit.processor._worker._thread.is_alive())
        for storage in emit.processor._storages.all():
            storage.close()


def test_orphans_are_unlocked_at_the_end(tmp_path: Path) -> None:
    """Those that were not sent can be adopted by the next process at once."""
    folder = make_orphan(tmp_path, "one")
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint) as emit:
        wait_for(lambda: emit.processor.depth)
        assert OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)

    assert not OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder)


def test_child_of_a_fork_does_not_keep_orphans_locked(tmp_path: Path) -> None:
    """The parent lets go of an orphan while its child lives on: other processes can adopt it."""
    folder = make_orphan(tmp_path, "one")
    child_waits, end_child = os.pipe()

    def parent() -> None:
        with (
            serving(lambda number, records: (503, {"Retry-After": "600"}, b"")) as down,
            logging_to(tmp_path, down.endpoint) as emit,
        ):
            wait_for(lambda: emit.processor.depth)
            if not os.fork():
                emit.processor._worker.close(Deadline(0))  # the child's own worker must not adopt it
                os.close(end_child)
                os.read(child_waits, 1)  # until the test closes the pipe
                os._exit(0)

    try:
        assert in_child(parent) == 0
        wait_for(lambda: not OutboxDirectory(tmp_path, max_bytes=1).is_locked(folder))
    finally:
        os.close(end_child)
        os.close(child_waits)
