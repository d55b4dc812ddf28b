"""A sender whose server is a function of the test, with a clock that the test sets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from opentelemetry._logs import LogRecord
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from delivery.outboxes import destination
from delivery.servers import uids
from heliograph.delivery.encoding.log_records import encode_log_record
from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.journal.batch import Batch, Entry
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.memory import MemoryJournal
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.sending.backoff import Backoff
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.sender import Sender
from heliograph.delivery.signals import LOGS
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict

DELIVERED = Verdict(action=Action.DELIVERED, reason=Reason.ACCEPTED)
UNAVAILABLE = Verdict(action=Action.RETRY, reason=Reason.UNAVAILABLE, message="HTTP 503")
TOO_LARGE = Verdict(action=Action.SPLIT, reason=Reason.TOO_LARGE, message="HTTP 413")
BAD_DATA = Verdict(action=Action.BAD_DATA, reason=Reason.BAD_DATA, message="HTTP 400")


def partial(rejected: int) -> Verdict:
    return Verdict(action=Action.PARTIAL, reason=Reason.PARTIAL_SUCCESS, rejected=rejected, message="too old")


def journal_of(uids: Sequence[object], *, size: int = 1000) -> MemoryJournal:
    """Return a journal with a record of about this size for each unique id."""
    journal = MemoryJournal(Header(resource=b""))
    for uid in uids:
        record = LogRecord(body="x" * size, attributes={"log.record.uid": str(uid)})
        journal.append(Scope(scope=b""), entry_field(encode_log_record(record)))
    return journal


def batch_of(uids: Sequence[object]) -> Batch:
    batch = journal_of(uids).read(max_bytes=2**20, max_records=100)
    assert batch is not None
    return batch


class ScriptedTransport:
    """A transport without a network: a function gives the verdict on the records of each request.

    Attributes:
        requests: The unique ids of the records of each request.
    """

    def __init__(self, verdict_on: Callable[[list[str]], Verdict], usual_limit_bytes: int = 2**20) -> None:
        self.usual_limit_bytes = usual_limit_bytes
        self.requests: list[list[str]] = []
        self.is_closed = False
        self._verdict_on = verdict_on

    def send(self, body: bytes, timeout_seconds: float) -> Verdict:
        self.requests.append(uids(ExportLogsServiceRequest.FromString(body)))
        return self._verdict_on(self.requests[-1])

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A sender with a scripted transport, a clock that the test sets, and a backoff without chance.

    Attributes:
        now: The time of the clock, in seconds.
        state: The state of the destination that the sender uses.
    """

    def __init__(
        self,
        directory: Path,
        verdict_on: Callable[[list[str]], Verdict],
        *,
        random: Callable[[], float] = lambda: 0.5,
        usual_limit_bytes: int = 2**20,
    ) -> None:
        self.now = 0.0
        self.transport = ScriptedTransport(verdict_on, usual_limit_bytes)
        self.dead_letters = DeadLetters(directory / "dead.db")
        self.counts = OutboxCounters()
        self.state = DestinationState(
            self.transport,
            timeout_seconds=1,
            dead_letters=self.dead_letters,
            counts=self.counts,
            signal=LOGS,
            backoff=Backoff(random=random),
            clock=lambda: self.now,
        )
        self.sender = Sender(self.state)

    def dead(self) -> list[tuple[str | None, str, str]]:
        return [(letter.uid, letter.reason, letter.message) for letter in self.dead_letters.find()]


def in_turn(*verdicts: Verdict) -> Callable[[list[str]], Verdict]:
    """Return a function that gives these verdicts, one for each request."""
    remaining = iter(verdicts)
    return lambda records: next(remaining)


class RecordingSource:
    """A source on which every call is noted, and which has one batch.

    Attributes:
        calls: The calls, in order.
    """

    is_own = True

    def __init__(self, batch: Batch | None, *, damaged: int = 0, error: OSError | None = None) -> None:
        self.calls: list[str] = []
        self._batch, self._damaged, self._error = batch, damaged, error

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        self.calls.append("read")
        return self._batch

    def newest(self, known: Collection[int]) -> Entry | None:
        return None

    def acknowledge(self, sequence: int) -> None:
        self.calls.append(f"acknowledge {sequence}")
        if self._error is not None:
            raise self._error

    def rewind(self) -> None:
        self.calls.append("rewind")

    def take_damaged(self) -> int:
        return self._damaged


@contextmanager
def sender_to(endpoint: str, directory: Path, kind: type[Sender] = Sender) -> Iterator[Sender]:
    """Run a sender that sends to a server over HTTP."""
    state = DestinationState(
        open_transport(destination(endpoint)),
        timeout_seconds=60,
        dead_letters=DeadLetters(directory / "dead.db"),
        counts=OutboxCounters(),
        signal=LOGS,
    )
    sender = kind(state)
    try:
        yield sender
    finally:
        sender.close()
