"""The storages of a processor, and the one that the records of a logger go to."""

from __future__ import annotations

import gc
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource

from delivery.outboxes import folders_in, logging_to
from delivery.servers import serving
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.journal.writer import JournalClosed
from heliograph.delivery.signals import LOGS, TRACES
from heliograph.delivery.storage import ResourceStorage
from heliograph.delivery.storages import Storages, encode_header, stores_signal
from heliograph.semconv import OUTBOX_ACCEPTED
from interrupts import handler_of


def test_handler_of_a_signal_may_create_the_same_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler interrupts its thread while that creates the storage. One storage has both records, and a flush waits for both."""
    interrupted = []

    def storage(**kwargs: Any) -> ResourceStorage:
        if not interrupted:
            interrupted.append(True)
            signal.raise_signal(signal.SIGUSR1)
        return ResourceStorage(**kwargs)

    monkeypatch.setattr("heliograph.delivery.processor.ResourceStorage", storage)
    with (
        serving() as server,
        logging_to(tmp_path, server.endpoint) as emit,
        handler_of(signal.SIGUSR1, lambda *_: emit("handler")),
    ):
        emit("one")
        assert emit.processor.counts.total(OUTBOX_ACCEPTED) == 2
        assert len(folders_in(tmp_path)) == 1
        assert emit.processor.force_flush(60_000)

    assert sorted(server.accepted) == ["handler", "one"]


@pytest.mark.usefixtures("fast_collections")
def test_resources_that_are_created_and_deleted_are_not_confused(tmp_path: Path) -> None:
    """Python uses the id of a deleted object again; records must still go to the storage of their own resource."""
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for number in range(20):
            provider = LoggerProvider(resource=Resource({"service.name": f"s{number % 10}"}), shutdown_on_exit=False)
            provider.add_log_record_processor(emit.processor)
            provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": f"s{number % 10}"}))
            del provider
            gc.collect()
        assert emit.processor.force_flush(60_000)

    assert len(server.accepted) == 20
    assert server.accepted == server.resources


def test_cache_of_loggers_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that creates loggers all the time fills no memory."""
    monkeypatch.setattr("heliograph.delivery.storages._MAX_KNOWN", 4)
    with serving() as server, logging_to(tmp_path, server.endpoint) as emit:
        for number in range(20):
            provider = LoggerProvider(resource=Resource({"service.name": "again"}), shutdown_on_exit=False)
            provider.add_log_record_processor(emit.processor)
            provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": str(number)}))
            assert len(emit.processor._storages.known) <= 4
        assert emit.processor.force_flush(60_000)

    assert len(server.accepted) == 20


def test_signal_is_stored_until_its_processors_are_shut_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each signal counts for itself. Processors of other tests do not count here."""
    monkeypatch.setattr("heliograph.delivery.storages._all", {})
    with logging_to(tmp_path, "http://127.0.0.1:9/v1/logs") as emit:
        assert stores_signal("logs")
        assert not stores_signal("traces")
        emit.processor.shutdown(0)
        assert not stores_signal("logs")


def test_header_is_the_encoded_resource() -> None:
    """Equal resources have equal headers, so they share a storage."""
    first = encode_header(Resource({"service.name": "shop"}, "https://example.com/schema"), LOGS)
    second = encode_header(Resource({"service.name": "shop"}, "https://example.com/schema"), LOGS)

    assert first == second
    assert b"shop" in first.resource
    assert first.schema_url == "https://example.com/schema"
    assert encode_header(None, LOGS) == Header(resource=b"")


def test_child_of_a_fork_finds_none_of_its_parents_storages(tmp_path: Path) -> None:
    """The parent's storages write to its files. If the processor was shut down, the child gets no storage at all."""
    abandoned: list[object] = []

    def create(header: Header) -> Any:
        return SimpleNamespace(abandon=lambda: abandoned.append(header))

    storages, resource = Storages(LOGS, tmp_path, create), Resource({"service.name": "shop"})
    former = storages.find(resource, None).storage

    storages.abandon()
    assert abandoned == [encode_header(resource, LOGS)]
    assert storages.all() == []
    assert storages.find(resource, None).storage is not former

    assert storages.close()
    assert not storages.close()
    storages.abandon()
    with pytest.raises(JournalClosed):
        storages.find(resource, None)


def test_space_is_not_sought_for_each_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of the other signal are listed for it, which takes long."""
    monkeypatch.setattr("heliograph.delivery.storages._DROP_PAUSE_SECONDS", 3600.0)
    sought: list[bool] = []

    def create(_: Header) -> Any:
        return SimpleNamespace(drop_oldest=lambda: sought.append(True))

    spans, records = Storages(TRACES, tmp_path, create), Storages(LOGS, tmp_path, create)
    spans.find(None, None)

    assert [records.drop_from_other_signals() for _ in range(10)] == [False] * 10
    assert sought == [True]
