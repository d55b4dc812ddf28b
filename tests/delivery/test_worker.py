"""The thread that sends: what others left is sent some at a time, and deleted only when all of it was answered for."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from opentelemetry._logs import LogRecord

from delivery.outboxes import destination, drain, folders_in, logging_to, wait_for
from delivery.servers import OK, serving
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.encoding.log_records import encode_log_record, log_record_field
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.orphans import adopt
from heliograph.delivery.sender import Sender
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.worker import MAX_OPEN_ORPHANS

MANY = 3 * MAX_OPEN_ORPHANS


def leave(directory: Path, count: int = MANY) -> OutboxDirectory:
    """A folder with one record, for each of many processes that are gone."""
    box = OutboxDirectory(directory, max_bytes=10**9)
    for number in range(count):
        lock = box.create_folder()
        writer = JournalWriter(lock.folder, Header(resource=b""))
        record = LogRecord(attributes={"log.record.uid": f"r{number}"})
        writer.append(Scope(scope=b""), log_record_field(encode_log_record(record)))
        writer.close()
        lock.release()
    return box


def test_many_leftovers_are_sent_some_at_a_time(tmp_path: Path) -> None:
    """Without waiting in between: each has open files, of which the program may have few."""
    leave(tmp_path)
    held: list[int] = []

    def answer(number: int, records: list[str]) -> Any:
        held.extend(len(each.orphans) for each in worker)
        return OK

    worker: list[Any] = []
    with serving(answer) as server, logging_to(tmp_path, server.endpoint) as emit:
        worker.append(emit.processor._worker)
        wait_for(lambda: len(server.accepted) == MANY)
        wait_for(lambda: folders_in(tmp_path) == [])

    assert len(set(server.accepted)) == MANY
    assert 0 < max(held) <= MAX_OPEN_ORPHANS


def test_shutdown_sends_all_that_others_left(tmp_path: Path) -> None:
    """As long as there is time."""
    leave(tmp_path)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        emit.processor.shutdown(20_000)

    assert len(set(server.accepted)) == MANY
    assert folders_in(tmp_path) == []


def test_drain_sends_all_that_others_left(tmp_path: Path) -> None:
    """In several goes; where the server takes nothing, it ends."""
    leave(tmp_path)
    with serving(lambda number, records: (503, {}, b"")) as down:
        assert drain(tmp_path, down.endpoint).exit_code == 1
    assert len(folders_in(tmp_path)) == MANY

    with serving() as server:
        assert drain(tmp_path, server.endpoint).exit_code == 0
    assert len(set(server.accepted)) == MANY
    assert folders_in(tmp_path) == []


def test_leftover_is_not_deleted_because_it_is_time_to_send_again(tmp_path: Path) -> None:
    """It was not the time when it was asked to be sent, and is by the time that it was not."""

    class Hesitating(Sender):
        asked = 0

        def is_ready(self) -> bool:
            self.asked += 1
            return self.asked != 1

    with serving() as server:
        sender = Hesitating(
            open_transport(destination(server.endpoint)),
            timeout_seconds=10,
            dead_letters=DeadLetters(tmp_path / "dead.db"),
            counts=OutboxCounters(),
        )
        [orphan] = adopt(leave(tmp_path, 1))
        assert not orphan.drain(sender, lambda: None)
        assert folders_in(tmp_path) == [orphan.folder]
        assert orphan.drain(sender, lambda: None)
        sender.close()

    assert server.accepted == ["r0"]
    assert folders_in(tmp_path) == []


def test_leftovers_that_cannot_be_read_keep_no_others_waiting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those of a later version: they are left alone, told once in a while, and all others are sent."""
    leave(tmp_path)
    head = b"HELIOJNL" + struct.pack("<HI", 2, 0)
    later = folders_in(tmp_path)[:MAX_OPEN_ORPHANS]
    for folder in later:
        [(_, path)] = segments(folder)
        path.write_bytes(head + struct.pack("<I", crc32(head)))
    with serving() as server, logging_to(tmp_path, server.endpoint):
        wait_for(lambda: len(server.accepted) == MANY - len(later))
        time.sleep(0.5)
        assert len(caplog.records) <= 2 * len(later)
    with serving() as server:
        assert drain(tmp_path, server.endpoint).exit_code == 1

    assert folders_in(tmp_path) == later
