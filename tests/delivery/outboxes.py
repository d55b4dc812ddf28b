"""Helpers for tests of delivery: processors, folders of ended processes, and an outbox in which everything happened."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import pytest
from click.testing import CliRunner, Result
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.resources import Resource

from backends import wait_until
from delivery.servers import OK, Answer, Arrived, serving
from heliograph.cli.main import cli
from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.segment import segments
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.signals import LOGS
from heliograph.delivery.transport.destination import Destination, OtlpProtocol

_HEAD: Final = b"HELIOJNL" + struct.pack("<HI", 99, 0)
LATER_VERSION: Final = _HEAD + struct.pack("<I", crc32(_HEAD))
"""The content of a segment that a later release has written."""


def destination(endpoint: str, **kwargs: Any) -> Destination:
    return Destination(protocol=OtlpProtocol.HTTP, url=endpoint, **kwargs)


@contextmanager
def logging_to(directory: Path, endpoint: str, *, service: str = "tests", **kwargs: Any) -> Iterator[Any]:
    """Yield a function that emits a record; it has the attributes `processor` and `logger`."""
    processor = OutboxLogRecordProcessor(directory, **{"destination": destination(endpoint), **kwargs})
    provider = LoggerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("tests", "1")

    def emit(body: str) -> None:
        logger.emit(LogRecord(context=Context(), body=body, attributes={"log.record.uid": body}))

    emit.processor, emit.logger = processor, logger  # type: ignore[attr-defined]
    try:
        yield emit
    finally:
        processor.shutdown(timeout_millis=100)


def folders_in(directory: Path) -> list[Path]:
    """Return the folders in an outbox."""
    return OutboxDirectory(directory, max_bytes=10**9).folders()


def files_in_use(directory: Path) -> list[str]:
    """Return the files below a directory that this process has open or mapped."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not list the open files of a process")
    opened = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor by which the list is read
            opened.append(str(link.readlink()))
    mapped = Path("/proc/self/maps").read_text().splitlines()
    return [each for each in [*opened, *mapped] if str(directory) in each]


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until the condition is true, for as long as a busy machine may need."""
    wait_until(lambda: condition() or None, timeout_seconds=60)


def run_outbox(*arguments: object) -> Result:
    """Run a command of `heliograph outbox`."""
    return CliRunner().invoke(cli, ["outbox", *map(str, arguments)])


def drain(directory: Path, endpoint: str, *options: str, traces_endpoint: str | None = None) -> Result:
    """Run `heliograph outbox drain`, which sends the records of ended processes to the endpoint, and their spans to the other one."""
    arguments = ["outbox", "drain", "--directory", str(directory), *options]
    environment = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": endpoint}
    if traces_endpoint is not None:
        environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = traces_endpoint
    return CliRunner().invoke(cli, arguments, env=environment)


def drain_to(server: Arrived, directory: Path, *options: str) -> Result:
    """Run `heliograph outbox drain`, which sends both signals to the server."""
    return drain(directory, server.endpoint, *options, traces_endpoint=server.traces_endpoint)


def encoded_record(uid: str, size: int = 0) -> bytes:
    """Return a log record as a journal stores it, with a body of the given size."""
    return entry_field(encode_log_record(LogRecord(body="x" * size, attributes={"log.record.uid": uid})))


def make_orphan(directory: Path, *uids: str) -> Path:
    """Create the folder of an ended process, with one record for each unique id."""
    lock = OutboxDirectory(directory, max_bytes=10**9).create_folder(LOGS)
    writer = JournalWriter(lock.folder, Header(resource=b""))
    for uid in uids:
        writer.append(Scope(scope=b""), encoded_record(uid))
    writer.close()
    lock.release()
    return lock.folder


def make_damaged_orphan(directory: Path) -> Path:
    """Create the folder of an ended process, with three records, of which the second is damaged."""
    lock = OutboxDirectory(directory, max_bytes=10**9).create_folder(LOGS)
    writer = JournalWriter(lock.folder, Header(resource=b""))
    for body in (b"first", b"second", b"third"):
        writer.append(Scope(scope=b""), b"\x12\x09\x2a\x07\x0a\x05" + body[:5])
    writer.close()
    lock.release()
    path = segments(lock.folder)[0][1]
    path.write_bytes(path.read_bytes().replace(b"secon", b"secoN"))
    return lock.folder


@contextmanager
def outbox_with_every_outcome(directory: Path, meter_provider: MeterProvider) -> Iterator[OutboxLogRecordProcessor]:
    """Yield a processor for which every outcome that is counted has occurred."""
    make_damaged_orphan(directory)
    partial = (200, {"Content-Type": "application/x-protobuf"}, b"\x0a\x07\x08\x01\x12\x03bad")

    def answer(number: int, records: list[str]) -> Answer:
        if number == 0:
            return 503, {}, b""
        if "poison" in records:
            return 413, {}, b""
        return partial if "partial" in records else OK

    with serving(answer) as server:
        with logging_to(directory, server.endpoint, meter_provider=meter_provider) as emit:
            for body in ("one", "poison", "partial"):
                emit(body)
                assert emit.processor.force_flush(60_000) == (body == "one")
            wait_for(lambda: len(folders_in(directory)) == 1)
            yield emit.processor
