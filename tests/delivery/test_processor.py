"""The processor: every accepted record is delivered, whatever fails, or becomes a dead letter."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context, get_value
from opentelemetry.sdk._logs import LoggerProvider, ReadWriteLogRecord
from opentelemetry.sdk.resources import Resource

from delivery.outboxes import (
    destination,
    drain,
    files_in_use,
    folders_in,
    logging_to,
    make_damaged_orphan,
    make_orphan,
    wait_for,
)
from delivery.servers import OK, serving
from heliograph.delivery.journal.mapped import MappedSegmentWriter
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.span_processor import OutboxSpanProcessor
from heliograph.delivery.transport.destination import Headers
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.delivery.worker import Worker
from heliograph.errors import OutboxError, OutboxFull
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    OUTBOX_ACCEPTED,
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
)
from heliograph.settings import OutboxFullPolicy
from heliograph.telemetry.otel_api import SUPPRESS_INSTRUMENTATION
from interrupts import handler_of
from processes import in_child
from threads import join


def test_records_arrive_under_their_resource_and_scope(tmp_path: Path) -> None:
    """All records arrive in order, and nothing remains on the disk."""
    with serving() as server:
        with logging_to(tmp_path / "outbox", server.endpoint, service="shop") as emit:
            for number in range(1000):
                emit(f"r{number}")
            assert emit.processor.force_flush(60_000)
            counts = emit.processor.counts
            assert counts.total(OUTBOX_ACCEPTED) == counts.total(OUTBOX_DELIVERED) == 1000
        assert folders_in(tmp_path / "outbox") == []

    assert server.accepted == [f"r{number}" for number in range(1000)]
    assert set(server.resources) == {"shop"}


def test_burst_is_delivered_completely(tmp_path: Path) -> None:
    """Four threads emit at once. No record is dropped, and none arrives twice."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:

        def work(name: int) -> None:
            for number in range(5000):
                emit(f"{name}:{number}")

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        join(*threads)
        assert emit.processor.force_flush(60_000)

    assert len(server.accepted) == len(set(server.accepted)) == 20_000


@pytest.mark.parametrize("status", [429, 502, 503, 504, 401, 403, 404, 302])
def test_records_wait_until_the_server_accepts_them(tmp_path: Path, status: int) -> None:
    """While the server refuses, `force_flush` returns False."""
    up = threading.Event()

    def answer(number: int, records: list[str]) -> Any:
        return OK if up.is_set() else (status, {"Location": "http://127.0.0.1:9/"}, b"no")

    with serving(answer) as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("one")
        assert not emit.processor.force_flush(300)
        assert server.accepted == []
        up.set()
        emit("two")
        assert emit.processor.force_flush(60_000)

    assert server.accepted == ["one", "two"]


def test_request_without_a_response_is_repeated(tmp_path: Path) -> None:
    """Records whose response is lost arrive twice, and none is lost."""
    with serving(lambda number, records: None if number == 0 else OK) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("one")
            assert emit.processor.force_flush(60_000)

    assert server.requests == [["one"], ["one"]]


def test_page_of_html_is_no_success(tmp_path: Path) -> None:
    """A proxy or a login page sends such a response, and no OTLP server."""
    html = (200, {"Content-Type": "text/html"}, b"<html>sign in</html>")
    with serving(lambda number, records: html) as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("one")
        assert not emit.processor.force_flush(500)
        assert emit.processor.counts.total(OUTBOX_DELIVERED) == 0


def test_partial_success_is_counted_and_not_repeated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rejected records are logged with the server's message."""
    body = b"\x0a\x07\x08\x02\x12\x03bad"
    with serving(lambda number, records: (200, {"Content-Type": "application/x-protobuf"}, body)) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            for number in range(5):
                emit(f"r{number}")
            assert not emit.processor.force_flush(60_000)
            assert emit.processor.force_flush(60_000)
            counts = emit.processor.counts

    assert len(server.requests) >= 1
    assert counts.total(OUTBOX_DELIVERED) + counts.total(OUTBOX_REJECTED) == 5
    assert counts.by_reason(OUTBOX_REJECTED)["partial_success"] >= 2
    assert "bad" in caplog.text


@pytest.mark.parametrize(("status", "reason"), [(400, "bad_data"), (413, "too_large")])
def test_rejected_record_becomes_a_dead_letter(tmp_path: Path, status: int, reason: str) -> None:
    """The dead letter has the reason and the server's message. The other records of its request arrive."""
    with serving(
        lambda number, records: (status, {"Content-Type": "text/plain"}, b"poison!") if "poison" in records else OK
    ) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            for number in range(50):
                emit(f"r{number}")
            emit("poison")
            for number in range(50, 100):
                emit(f"r{number}")
            assert not emit.processor.force_flush(60_000)
            assert emit.processor.force_flush(60_000)

    assert sorted(server.accepted) == sorted(f"r{number}" for number in range(100))
    (letter,) = DeadLetters(tmp_path / "dead.db").find()
    assert (letter.reason, letter.uid) == (reason, "poison")
    assert "poison!" in letter.message
    assert (tmp_path / "dead.db").stat().st_mode & 0o777 == 0o600


def test_flush_reports_damage_of_own_records(tmp_path: Path) -> None:
    """One flush returns False because of the damage. The next one is about the records that were accepted since."""
    up = threading.Event()
    later = (
        503,
        {"Retry-After": "3"},
        b"",
    )  # until then, nothing is read: the damage must come before the next attempt
    with serving(lambda number, records: OK if up.is_set() else later) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            for number in range(3):
                emit(f"record {number}")
            wait_for(lambda: emit.processor.counts.total(OUTBOX_RETRIED))
            assert not emit.processor.force_flush(300)
            [(_, path)] = segments(folders_in(tmp_path)[0])
            damage(path, b"record 1", b"rekord 1")
            up.set()
            assert [emit.processor.force_flush(60_000) for _ in range(2)] == [False, True]

    assert sorted({*server.accepted}) == ["record 0", "record 2"]


def damage(path: Path, before: bytes, after: bytes) -> None:
    content = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(content.index(before))
        file.write(after)


def test_flush_is_not_about_records_of_other_processes(tmp_path: Path) -> None:
    """Dead letters and damage of an orphan are counted, and the flush of the process that adopts it is True."""
    make_damaged_orphan(tmp_path)
    make_orphan(tmp_path, "poison")
    with serving(lambda number, records: (413, {}, b"") if "poison" in records else OK) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("mine")
            wait_for(lambda: emit.processor.counts.total(OUTBOX_DEAD) and emit.processor.counts.total(OUTBOX_DAMAGED))
            assert emit.processor.force_flush(60_000)


def test_records_of_an_ended_process_are_sent_by_the_next(tmp_path: Path) -> None:
    """Records keep the resource of their own process, and its folder is deleted."""
    with (
        serving(lambda number, records: (503, {}, b"")) as down,
        logging_to(tmp_path, down.endpoint, service="old") as emit,
    ):
        emit("old record")
    assert len(folders_in(tmp_path)) == 1

    with serving() as server, logging_to(tmp_path, server.endpoint, service="new") as emit:
        emit("new record")
        wait_for(lambda: len(server.accepted) == 2)
        wait_for(lambda: len(folders_in(tmp_path)) == 1)

    assert sorted(zip(server.accepted, server.resources)) == [("new record", "new"), ("old record", "old")]


def test_child_of_a_fork_has_folders_of_its_own(tmp_path: Path) -> None:
    """Each record of parent and child arrives once."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")

        def work() -> None:
            emit("child")
            assert emit.processor.force_flush(60_000)

        assert in_child(work) == 0
        emit("parent")
        assert emit.processor.force_flush(60_000)

    assert Counter(server.accepted) == {"before": 1, "child": 1, "parent": 1}


def test_full_outbox_rejects_records(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Accepted records arrive. Rejected ones are counted, logged, and raise `OutboxFull` if the processor is strict."""
    up = threading.Event()
    with serving(lambda number, records: OK if up.is_set() else (503, {}, b"")) as server:
        with logging_to(tmp_path, server.endpoint, max_bytes=1_000_000) as emit:
            for number in range(200):
                emit(f"{number} ".ljust(10_000, "."))
            processor = emit.processor
            accepted = processor.counts.total(OUTBOX_ACCEPTED)
            assert 0 < accepted < 200
            assert processor.counts.by_reason(OUTBOX_REJECTED) == {"outbox_full": 200 - accepted}
            assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= 1_000_000
            up.set()
            assert processor.force_flush(60_000)
            assert len(server.accepted) == accepted
    assert "not accepted" in caplog.text

    with serving(lambda number, records: (503, {}, b"")) as down:
        with logging_to(tmp_path / "strict", down.endpoint, max_bytes=1_000_000, strict=True) as emit:
            with pytest.raises(OutboxFull, match="HELIOGRAPH_OUTBOX_MAX_BYTES"):
                for _ in range(200):
                    emit("." * 10_000)


def test_full_outbox_drops_the_oldest_records_by_policy(tmp_path: Path) -> None:
    """Dropped records are counted, and the newest arrive."""
    up = threading.Event()
    with serving(lambda number, records: OK if up.is_set() else (503, {}, b"")) as server:
        with logging_to(tmp_path, server.endpoint, max_bytes=1_000_000, when_full=OutboxFullPolicy.DROP_OLDEST) as emit:
            for number in range(300):
                emit(f"{number:03} ".ljust(10_000, "."))
            up.set()
            assert not emit.processor.force_flush(60_000)
            dropped = emit.processor.counts.by_reason(OUTBOX_REJECTED)["dropped_oldest"]

    arrived = {body.split()[0] for body in server.accepted}
    assert "299" in arrived
    assert dropped > 0
    assert len(arrived) + dropped >= 300


def test_dropped_records_do_not_wait(tmp_path: Path) -> None:
    """The metrics of their process do not count them, and neither does the state of the directory."""
    full = {"max_bytes": 600_000, "when_full": OutboxFullPolicy.DROP_OLDEST}
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint, **full) as emit:
        for number in range(300):
            emit(f"{number} ".ljust(10_000, "."))

        def rest() -> int:
            return 300 - emit.processor.counts.by_reason(OUTBOX_REJECTED)["dropped_oldest"]

        wait_for(lambda: emit.processor.depth == rest())  # those that were being sent are counted as dropped after it
        assert 0 < OutboxState.of(OutboxDirectory(tmp_path, max_bytes=10**9)).waiting == rest()


def test_each_record_arrives_or_is_counted_as_dropped(tmp_path: Path) -> None:
    """The sum is exact even for records that are being sent while their segment is deleted."""
    with serving() as server:
        patient = destination(
            server.endpoint, timeout_seconds=600
        )  # else a busy machine could have a request sent twice
        full = {"max_bytes": 600_000, "when_full": OutboxFullPolicy.DROP_OLDEST}
        with logging_to(tmp_path, server.endpoint, destination=patient, **full) as emit:
            for number in range(3000):
                emit(f"{number} ".ljust(2000, "."))
            emit.processor.force_flush(60_000)
            dropped = emit.processor.counts.by_reason(OUTBOX_REJECTED).get("dropped_oldest", 0)
            assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 3000

    assert len(set(server.accepted)) == len(server.accepted) == 3000 - dropped


def test_dropping_does_not_wait_for_the_logging_of_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler of `logging` may emit, as OpenTelemetry's does, while another thread drops the oldest records. Neither waits for the other."""
    full = {"max_bytes": 600_000, "when_full": OutboxFullPolicy.DROP_OLDEST}
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint, **full) as emit:

        def drop() -> None:
            for number in range(300):
                emit(f"{number} ".ljust(10_000, "."))

        emit("one")
        dropping = threading.Thread(target=drop, daemon=True)
        # `logging` holds this lock while a handler emits.
        caplog.handler.acquire()
        try:
            dropping.start()
            join(dropping)
            emit("from the handler")
        finally:
            caplog.handler.release()

        assert emit.processor.counts.by_reason(OUTBOX_REJECTED)["dropped_oldest"] > 0

        wait_for(lambda: "The outbox is full. Dropped: " in caplog.text)


def test_records_that_are_dropped_last_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The shutdown logs what the worker has not logged."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("one")
        assert emit.processor._worker.close(Deadline(60_000))
        emit.processor._count_dropped(2)

    assert "The outbox is full. Dropped: 2 records, the oldest." in caplog.text


def test_flush_reports_dropped_records_once(tmp_path: Path) -> None:
    """The storages count them through the processor, in the thread that emits."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("one")
        assert emit.processor.force_flush(60_000)
        emit.processor._count_dropped(2)

        assert not emit.processor.force_flush(60_000)
        assert emit.processor.force_flush(60_000)


def test_records_go_to_memory_while_the_disk_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No record is lost. Failure and recovery are logged."""
    monkeypatch.setattr("heliograph.delivery.storage._DISK_PAUSE_SECONDS", 0.0)
    is_full = True
    real = os.posix_fallocate

    def fallocate(descriptor: int, offset: int, size: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor, offset, size)

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("memory")
        assert emit.processor.force_flush(60_000)
        is_full = False
        emit("disk")
        assert emit.processor.force_flush(60_000)

    assert server.accepted == ["memory", "disk"]
    assert "kept in memory" in caplog.text
    assert "can be written again" in caplog.text


def test_directory_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """The error names the directory."""
    (tmp_path / "file").write_text("")

    with pytest.raises(OutboxError, match="file"):
        OutboxLogRecordProcessor(tmp_path / "file" / "outbox", destination=destination("http://127.0.0.1:9/"))


@pytest.mark.parametrize("kind", [OutboxLogRecordProcessor, OutboxSpanProcessor])
@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("directory", "", "is empty; write a path, such as"),
        ("max_bytes", 0, "must be above 0"),
        ("meter_provider", "otlp", "must be a provider of OpenTelemetry"),
    ],
)
def test_arguments_are_checked_before_anything_is_created(
    kind: type[OutboxLogRecordProcessor], name: str, value: object, wanted: str, tmp_path: Path
) -> None:
    """No directory is, and no thread is started. `test_processor_arguments` has all wrong values."""
    box = tmp_path / "box"
    threads = threading.active_count()
    with pytest.raises((TypeError, ValueError), match=f"the argument `{name}` {wanted}"):
        kind(**{"directory": box, "destination": destination("http://127.0.0.1:9"), name: value})
    assert not box.exists()
    assert threading.active_count() <= threads


def test_secrets_of_headers_are_in_no_file_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The server may repeat a header in its response."""
    caplog.set_level(logging.DEBUG)
    echo = (400, {"Content-Type": "text/plain"}, b"bad key canary-secret-1")
    with serving(lambda number, records: echo) as server:
        target = destination(server.endpoint, headers=Headers({"authorization": "Bearer canary-secret-1"}))
        processor = OutboxLogRecordProcessor(tmp_path, destination=target)
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(processor)
        provider.get_logger("tests").emit(LogRecord(context=Context(), body="one"))
        processor.force_flush(5000)
        processor.shutdown(100)

    assert server.headers[0]["authorization"] == "Bearer canary-secret-1"
    assert "canary" not in caplog.text
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]


def test_acknowledged_records_are_not_sent_again(tmp_path: Path) -> None:
    """A reader of the folder begins behind them, after the process has ended."""
    up = [True]
    with serving(lambda number, records: OK if up[0] else (503, {}, b"")) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("sent")
            assert emit.processor.force_flush(60_000)
            up[0] = False
            emit("waiting")
        (folder,) = folders_in(tmp_path)
        reader = JournalReader(folder, is_live=False)
        batch = reader.read(max_bytes=10**6, max_records=10)
        reader.close()

    assert batch is not None
    assert [entry.sequence for entry in batch.entries] == [2]


def test_equal_resources_share_a_folder(tmp_path: Path) -> None:
    """A program that creates many providers does not fill the disk with folders."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for number in range(20):
            provider = LoggerProvider(resource=Resource({"service.name": "again"}), shutdown_on_exit=False)
            provider.add_log_record_processor(emit.processor)
            provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": str(number)}))
        assert len(folders_in(tmp_path)) == 1
        assert emit.processor.force_flush(60_000)

    assert sorted(server.accepted, key=int) == [str(number) for number in range(20)]


def test_record_after_shutdown_is_rejected(tmp_path: Path) -> None:
    """A late record is counted, makes one flush return False, and creates no folder."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")
        emit.processor.shutdown(60_000)
        emit("after")
        other = LoggerProvider(resource=Resource({"service.name": "other"}), shutdown_on_exit=False)
        other.add_log_record_processor(emit.processor)
        other.get_logger("tests").emit(LogRecord(body="after"))  # it would need a new folder
        assert emit.processor.counts.by_reason(OUTBOX_REJECTED) == {"shut_down": 2}
        assert [emit.processor.force_flush(1000) for _ in range(2)] == [False, True]

    assert server.accepted == ["before"]
    assert folders_in(tmp_path) == []


def test_timeout_that_is_no_number_ends_nothing(tmp_path: Path) -> None:
    """The error names the value, and records are still accepted."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for method in (emit.processor.force_flush, emit.processor.shutdown):
            with pytest.raises(TypeError, match="not '5'"):
                method("5")
        emit("after")
        assert emit.processor.force_flush(60_000)
    assert server.accepted == ["after"]


def test_record_during_shutdown_is_accepted_or_rejected(tmp_path: Path) -> None:
    """Other threads emit at any moment. Every accepted record arrives, by this processor or by the next."""
    accepted = 0
    with serving() as server:
        for _ in range(5):
            with logging_to(tmp_path, server.endpoint) as emit:
                threads = [threading.Thread(target=lambda: [emit("x") for _ in range(2000)]) for _ in range(4)]
                for thread in threads:
                    thread.start()
                emit.processor.shutdown(5)
                join(*threads)
                counts = emit.processor.counts
                assert counts.total(OUTBOX_ACCEPTED) + counts.total(OUTBOX_REJECTED) == 8000
                accepted += counts.total(OUTBOX_ACCEPTED)
        assert drain(tmp_path, server.endpoint).exit_code == 0

    assert len(server.accepted) >= accepted > 0


def test_flush_cancels_a_backoff_but_no_retry_after(tmp_path: Path) -> None:
    """A flush sends at once, unless the server asked for a pause."""
    refused = 0
    with serving(lambda number, records: (503, {}, b"") if number < 8 else OK) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("one")
            while not emit.processor.force_flush(200):
                refused += 1
    assert server.accepted == ["one"]
    assert refused >= 1

    with serving(lambda number, records: OK if number else (503, {"Retry-After": "3"}, b"")) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("two")
            assert not emit.processor.force_flush(500)
            assert not emit.processor.force_flush(500)
            assert len(server.requests) == 1
            assert emit.processor.force_flush(60_000)


def test_requests_are_not_instrumented(tmp_path: Path) -> None:
    """Each would create telemetry, and this would create another request.

    The SDK's exporters suppress it in the same way.
    """
    seen: list[object] = []

    class ContextTransport:
        usual_limit_bytes = 2**20

        def send(self, body: bytes, timeout_seconds: float) -> Verdict:
            seen.append(get_value(SUPPRESS_INSTRUMENTATION))
            return Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)

        def close(self) -> None:
            """Do nothing: no connection is open."""

    with logging_to(tmp_path, "", transport=ContextTransport()) as emit:
        emit("one")
        assert emit.processor.force_flush(60_000)

    assert seen == [True]


@pytest.mark.parametrize(("where", "durable"), [("put", False), ("put", True), ("sync", True)])
def test_handler_of_a_signal_may_emit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, durable: bool
) -> None:
    """The handler interrupts its thread in an append, or in a flush to the disk. Nothing hangs, and all records arrive."""
    interrupted = []
    real = getattr(MappedSegmentWriter, where)

    def interrupt(segment: MappedSegmentWriter, *arguments: object) -> None:
        real(segment, *arguments)
        if not interrupted:
            interrupted.append(where)
            signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(MappedSegmentWriter, where, interrupt)
    with (
        serving() as server,
        logging_to(tmp_path, server.endpoint, durable=durable) as emit,
        handler_of(signal.SIGUSR1, lambda *_: emit("handler")),
    ):
        emit("one")
        emit("two")
        assert emit.processor.force_flush(60_000)
        assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 3

    assert sorted(server.accepted) == ["handler", "one", "two"]
    assert interrupted


def test_record_without_a_scope_is_delivered(tmp_path: Path) -> None:
    """Another processor may pass on a record that it made itself."""
    record = LogRecord(context=Context(), body="one", attributes={"log.record.uid": "one"})
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit.processor.on_emit(ReadWriteLogRecord(record, resource=Resource({"service.name": "other"})))
        assert emit.processor.force_flush(60_000)

    assert (server.accepted, server.resources) == (["one"], ["other"])


def test_flush_waits_for_records_that_were_accepted_before(tmp_path: Path) -> None:
    """A flush ends although a new record is emitted with every request."""

    class EmittingTransport:
        usual_limit_bytes = 2**20

        def send(self, body: bytes, timeout_seconds: float) -> Verdict:
            if not stopped.is_set():
                emit("another")
            return Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)

        def close(self) -> None:
            """Do nothing: no connection is open."""

    stopped = threading.Event()
    with logging_to(tmp_path, "", transport=EmittingTransport()) as emit:
        emit("one")
        try:
            assert emit.processor.force_flush(60_000)
        finally:
            stopped.set()


def test_rejected_records_are_logged_at_intervals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full outbox does not fill the log as well."""
    with serving(lambda number, records: (503, {}, b"")) as down:
        with logging_to(tmp_path, down.endpoint, max_bytes=100_000) as emit:
            for _ in range(100):
                emit("." * 10_000)

    assert len([record for record in caplog.records if "not accepted" in record.message]) == 1


def test_record_without_room_on_disk_and_in_memory_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that fits nowhere is counted as `memory_full`."""

    def fallocate(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    monkeypatch.setattr("heliograph.delivery.journal.memory.MAX_BYTES", 100)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("x" * 200)
        assert emit.processor.counts.by_reason(OUTBOX_REJECTED) == {"memory_full": 1}


def test_record_in_memory_that_is_lost_at_shutdown_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server and the disk both fail. A flush after the shutdown reports the loss."""

    def fallocate(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fallocate)
    with serving(lambda number, records: (503, {}, b"")) as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("lost")
        emit.processor.shutdown(100)
        assert emit.processor.counts.by_reason(OUTBOX_REJECTED) == {"shut_down": 1}
        assert not emit.processor.force_flush(0)


@pytest.mark.parametrize("durable", [False, True])
def test_durable_records_are_flushed_before_emit_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """There is one flush for each record of a single thread, and none by default."""
    flushes = []
    real = MappedSegmentWriter.sync

    def sync(segment: MappedSegmentWriter) -> None:
        flushes.append(segment)
        real(segment)

    monkeypatch.setattr(MappedSegmentWriter, "sync", sync)
    with serving() as server, logging_to(tmp_path, server.endpoint, durable=durable) as emit:
        for number in range(1, 4):
            emit(str(number))
            assert len(flushes) == (number if durable else 0)


def test_durable_record_whose_flush_fails_is_sent_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that is in the journal does not go to memory as well. The failure is logged once."""

    def fail(_: MappedSegmentWriter) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(MappedSegmentWriter, "sync", fail)
    monkeypatch.setattr("heliograph.delivery.storage._limited_log", LimitedLog(SafeLogger("heliograph")))
    with serving() as server, logging_to(tmp_path, server.endpoint, durable=True) as emit:
        for number in range(3):
            emit(str(number))
        assert emit.processor.force_flush(60_000)
        assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 3

    assert server.accepted == ["0", "1", "2"]
    assert [record.message for record in caplog.records] == [
        "Records of the outbox are written, but a power cut may take them: [Errno 5] Input/output error"
    ]


def test_child_of_a_fork_after_shutdown_accepts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child writes nothing into its parent's folder, even if that was not closed because the worker did not end in time."""
    monkeypatch.setattr(Worker, "close", lambda worker, deadline: False)
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path, down.endpoint) as emit:
        emit("one")
        emit.processor.shutdown(0)
        before = sorted(tmp_path.rglob("*.journal"))

        def work() -> None:
            emit("child")
            assert emit.processor.counts.by_reason(OUTBOX_REJECTED) == {"shut_down": 1}

        assert in_child(work) == 0
        assert sorted(tmp_path.rglob("*.journal")) == before
        monkeypatch.undo()
        assert emit.processor._worker.close(Deadline(60_000))
        for storage in emit.processor._storages.all():
            storage.close()


def test_locks_are_new_in_the_child_of_a_fork(tmp_path: Path) -> None:
    """Another thread of the parent held them when the process was forked, and does not exist in the child."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")
        assert emit.processor.force_flush(60_000)
        locked, release = threading.Event(), threading.Event()

        def hold() -> None:
            [storage] = emit.processor._storages.all()
            with emit.processor._storages._lock, storage._lock, storage._writer._lock, emit.processor._counters._lock:
                locked.set()
                release.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        assert locked.wait(60)

        def work() -> None:
            signal.alarm(60)  # a deadlock ends the child
            emit("child")
            assert emit.processor.force_flush(60_000)
            assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 1

        try:
            assert in_child(work) == 0
        finally:
            release.set()
            join(thread)

    assert sorted(server.accepted) == ["before", "child"]


def test_child_of_a_fork_closes_the_files_of_its_parent(tmp_path: Path) -> None:
    """Else they would stay locked, and use disk space, until the child ends as well."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")
        assert emit.processor.force_flush(60_000)
        assert files_in_use(tmp_path)

        def work() -> None:
            wait_for(lambda: files_in_use(tmp_path) == [])  # its own worker looks at the lock for a moment

        assert in_child(work) == 0
