"""The processor: what it accepted arrives, whatever fails, or is among the dead letters."""

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
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource

from delivery.outboxes import destination, drain, folders_in, logging_to, wait_for
from delivery.servers import OK, serving
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.journal.reader import JournalReader
from heliograph.delivery.journal.segment import SegmentWriter
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.transport.destination import Headers
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError, OutboxFull
from heliograph.semconv import OUTBOX_ACCEPTED, OUTBOX_DELIVERED, OUTBOX_REJECTED
from heliograph.settings import OutboxFullPolicy
from heliograph.telemetry.otel_api import SUPPRESS_INSTRUMENTATION
from processes import in_child


def test_records_arrive_under_their_resource_and_scope(tmp_path: Path) -> None:
    """And nothing is left on the disk."""
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


def test_burst_arrives_whole(tmp_path: Path) -> None:
    """From four threads at once; nothing is dropped, and nothing comes twice."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:

        def work(name: int) -> None:
            for number in range(5000):
                emit(f"{name}:{number}")

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert emit.processor.force_flush(60_000)

    assert len(server.accepted) == len(set(server.accepted)) == 20_000


@pytest.mark.parametrize("status", [429, 502, 503, 504, 401, 403, 404, 302])
def test_records_wait_until_the_server_takes_them(tmp_path: Path, status: int) -> None:
    """Whatever it answers meanwhile; `flush` tells the truth."""
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


def test_lost_answer_is_asked_for_again(tmp_path: Path) -> None:
    """The same records once more: a duplicate, and no loss."""
    with serving(lambda number, records: None if number == 0 else OK) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("one")
            assert emit.processor.force_flush(60_000)

    assert server.requests == [["one"], ["one"]]


def test_page_of_html_is_no_success(tmp_path: Path) -> None:
    """Whoever answers that took nothing."""
    html = (200, {"Content-Type": "text/html"}, b"<html>sign in</html>")
    with serving(lambda number, records: html) as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("one")
        assert not emit.processor.force_flush(500)
        assert emit.processor.counts.total(OUTBOX_DELIVERED) == 0


def test_partial_success_is_counted_and_not_sent_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the server rejected is told, with its words."""
    body = b"\x0a\x07\x08\x02\x12\x03bad"
    with serving(lambda number, records: (200, {"Content-Type": "application/x-protobuf"}, body)) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            for number in range(5):
                emit(f"r{number}")
            assert emit.processor.force_flush(60_000)
            counts = emit.processor.counts

    assert len(server.requests) >= 1
    assert counts.total(OUTBOX_DELIVERED) + counts.total(OUTBOX_REJECTED) == 5
    assert counts.by_reason(OUTBOX_REJECTED)["partial_success"] >= 2
    assert "bad" in caplog.text


@pytest.mark.parametrize(("status", "reason"), [(400, "bad_data"), (413, "too_large")])
def test_one_record_that_no_server_takes_does_not_take_others_with_it(tmp_path: Path, status: int, reason: str) -> None:
    """It is the one that is dead, with the reason and what the server said; the others arrive."""
    with serving(
        lambda number, records: (status, {"Content-Type": "text/plain"}, b"poison!") if "poison" in records else OK
    ) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            for number in range(50):
                emit(f"r{number}")
            emit("poison")
            for number in range(50, 100):
                emit(f"r{number}")
            assert emit.processor.force_flush(60_000)

    assert sorted(server.accepted) == sorted(f"r{number}" for number in range(100))
    (letter,) = DeadLetters(tmp_path / "dead.db").find()
    assert (letter.reason, letter.uid) == (reason, "poison")
    assert "poison!" in letter.message
    assert (tmp_path / "dead.db").stat().st_mode & 0o777 == 0o600


def test_what_a_process_left_is_sent_by_the_next(tmp_path: Path) -> None:
    """Under the resource that it was made under; and the folder is gone."""
    with (
        serving(lambda number, records: (503, {}, b"")) as down,
        logging_to(tmp_path, down.endpoint, service="old") as emit,
    ):
        emit("left")
    assert len(folders_in(tmp_path)) == 1

    with serving() as server, logging_to(tmp_path, server.endpoint, service="new") as emit:
        emit("mine")
        wait_for(lambda: len(server.accepted) == 2)
        wait_for(lambda: len(folders_in(tmp_path)) == 1)

    assert sorted(zip(server.accepted, server.resources)) == [("left", "old"), ("mine", "new")]


def test_child_of_a_fork_has_an_outbox_of_its_own(tmp_path: Path) -> None:
    """What parent and child emit arrives, each once."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")

        def work() -> None:
            emit("child")
            assert emit.processor.force_flush(60_000)

        assert in_child(work) == 0
        emit("parent")
        assert emit.processor.force_flush(60_000)

    assert Counter(server.accepted) == {"before": 1, "child": 1, "parent": 1}


def test_full_outbox_rejects_and_tells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What was accepted before arrives; what was not is counted, and raised where that is asked for."""
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


def test_full_outbox_drops_the_oldest_where_that_is_wanted(tmp_path: Path) -> None:
    """They are counted; the newest arrive."""
    up = threading.Event()
    with serving(lambda number, records: OK if up.is_set() else (503, {}, b"")) as server:
        with logging_to(tmp_path, server.endpoint, max_bytes=1_000_000, when_full=OutboxFullPolicy.DROP_OLDEST) as emit:
            for number in range(300):
                emit(f"{number:03} ".ljust(10_000, "."))
            up.set()
            assert emit.processor.force_flush(60_000)
            dropped = emit.processor.counts.by_reason(OUTBOX_REJECTED)["dropped_oldest"]

    arrived = {body.split()[0] for body in server.accepted}
    assert "299" in arrived
    assert dropped > 0
    assert len(arrived) + dropped >= 300


def test_disk_that_fails_is_replaced_by_memory_and_come_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Loudly, and nothing is lost."""
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


def test_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """By its name."""
    (tmp_path / "file").write_text("")

    with pytest.raises(OutboxError, match="file"):
        OutboxLogRecordProcessor(tmp_path / "file" / "outbox", destination=destination("http://127.0.0.1:9/"))


def test_secrets_of_headers_are_in_no_file_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Also where the server says them again."""
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


def test_reader_of_a_dead_folder_sees_what_was_acknowledged(tmp_path: Path) -> None:
    """What was delivered before the end is not sent again."""
    up = [True]
    with serving(lambda number, records: OK if up[0] else (503, {}, b"")) as server:
        with logging_to(tmp_path, server.endpoint) as emit:
            emit("sent")
            assert emit.processor.force_flush(60_000)
            up[0] = False
            emit("left")
        (folder,) = folders_in(tmp_path)
        reader = JournalReader(folder, is_live=False)
        batch = reader.read(max_bytes=10**6, max_records=10)
        reader.close()

    assert batch is not None
    assert [entry.sequence for entry in batch.entries] == [2]


def test_equal_resources_share_a_journal(tmp_path: Path) -> None:
    """A program that makes a provider each time does not fill the disk with folders."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for number in range(20):
            provider = LoggerProvider(resource=Resource({"service.name": "again"}), shutdown_on_exit=False)
            provider.add_log_record_processor(emit.processor)
            provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": str(number)}))
        assert len(folders_in(tmp_path)) == 1
        assert emit.processor.force_flush(60_000)

    assert sorted(server.accepted, key=int) == [str(number) for number in range(20)]


def test_record_after_the_end_is_not_accepted(tmp_path: Path) -> None:
    """It is counted, and nothing is left that nobody sends."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit("before")
        emit.processor.shutdown(10_000)
        emit("after")
        assert emit.processor.counts.by_reason(OUTBOX_REJECTED) == {"shut_down": 1}

    assert server.accepted == ["before"]
    assert folders_in(tmp_path) == []


def test_what_is_emitted_while_it_ends_is_accepted_or_told(tmp_path: Path) -> None:
    """By other threads, at any moment: accepted is what arrives, or stays on the disk."""
    accepted = 0
    with serving() as server:
        for _ in range(5):
            with logging_to(tmp_path, server.endpoint) as emit:
                threads = [threading.Thread(target=lambda: [emit("x") for _ in range(2000)]) for _ in range(4)]
                for thread in threads:
                    thread.start()
                emit.processor.shutdown(5)
                for thread in threads:
                    thread.join()
                counts = emit.processor.counts
                assert counts.total(OUTBOX_ACCEPTED) + counts.total(OUTBOX_REJECTED) == 8000
                accepted += counts.total(OUTBOX_ACCEPTED)
        assert drain(tmp_path, server.endpoint).exit_code == 0

    assert len(server.accepted) >= accepted > 0


def test_who_waits_does_not_wait_for_the_backoff(tmp_path: Path) -> None:
    """`force_flush` tries at once, whatever the sender had in mind; only what the server asked for is waited for."""
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


def test_its_own_requests_are_not_instrumented(tmp_path: Path) -> None:
    """As those of the SDK's exporters are not: each would make telemetry, and that another request."""
    seen: list[object] = []

    class Asking:
        usual_limit_bytes = 2**20

        def send(self, body: bytes, timeout_seconds: float) -> Verdict:
            seen.append(get_value(SUPPRESS_INSTRUMENTATION))
            return Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)

        def close(self) -> None:
            """Nothing is open."""

    with logging_to(tmp_path, "", transport=Asking()) as emit:
        emit("one")
        assert emit.processor.force_flush(60_000)

    assert seen == [True]


@pytest.mark.parametrize(("where", "durable"), [("put", False), ("put", True), ("sync", True)])
def test_handler_of_a_signal_emits_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, durable: bool
) -> None:
    """Of a record, or of a flush to the disk, of the same thread: nothing hangs, and both arrive."""
    interrupted = []
    real = getattr(SegmentWriter, where)

    def interrupt(segment: SegmentWriter, *arguments: object) -> None:
        real(segment, *arguments)
        if not interrupted:
            interrupted.append(where)
            signal.raise_signal(signal.SIGUSR1)

    monkeypatch.setattr(SegmentWriter, where, interrupt)
    before = signal.signal(signal.SIGUSR1, lambda *_: emit("handler"))
    try:
        with serving() as server, logging_to(tmp_path, server.endpoint, durable=durable) as emit:
            emit("one")
            emit("two")
            assert emit.processor.force_flush(60_000)
            assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 3
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert sorted(server.accepted) == ["handler", "one", "two"]
    assert interrupted
