"""The sender: how much it sends at once, by what the server takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opentelemetry._logs import LogRecord

from delivery.outboxes import destination
from delivery.servers import OK, Answer, serving
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.encoding.log_records import encode_log_record, log_record_field
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.memory import MemoryJournal
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.sender import MAX_BATCH_BYTES, Outcome, Sender
from heliograph.delivery.transport.open import open_transport


@contextmanager
def sender_to(endpoint: str, directory: Path) -> Iterator[Sender]:
    sender = Sender(
        open_transport(destination(endpoint)),
        timeout_seconds=10,
        dead_letters=DeadLetters(directory / "dead.db"),
        counts=OutboxCounters(),
    )
    try:
        yield sender
    finally:
        sender.close()


def waiting(count: int) -> MemoryJournal:
    journal = MemoryJournal(Header(resource=b""))
    for number in range(count):
        record = LogRecord(body="x" * 1000, attributes={"log.record.uid": str(number)})
        journal.append(Scope(scope=b""), log_record_field(encode_log_record(record)))
    return journal


def test_requests_become_as_small_as_the_server_wants_them(tmp_path: Path) -> None:
    """After a while few are refused for their size; all arrive, in order."""

    def answer(_: int, records: list[str]) -> Answer:
        return (413, {}, b"") if len(records) > 50 else OK

    with serving(answer) as server, sender_to(server.endpoint, tmp_path) as sender:
        journal = waiting(5000)
        while sender.send_next(journal) is Outcome.SENT:
            pass

    refused = [len(records) for records in server.requests if len(records) > 50]
    assert server.accepted == [str(number) for number in range(5000)]
    assert len(refused) < len(server.requests) / 4


def test_requests_are_large_where_the_server_takes_them(tmp_path: Path) -> None:
    """A mebibyte, about."""
    with serving() as server, sender_to(server.endpoint, tmp_path) as sender:
        journal = waiting(3000)
        while sender.send_next(journal) is Outcome.SENT:
            pass

    assert len(server.requests) <= 4
    assert max(map(len, server.raw)) <= MAX_BATCH_BYTES + 2000
