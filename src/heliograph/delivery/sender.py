"""Brings what is in journals to a server: in order, and never past what was not answered for."""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.journal.batch import Batch, Entry, to_request
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.transport.transport import Transport
from heliograph.delivery.transport.verdict import (
    Backoff,
    Judgement,
    Reason,
    Verdict,
)
from heliograph.errors import OutboxError
from heliograph.semconv import (
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    SCOPE,
)

MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_RECORDS: Final = 4096
TELL_EACH_SECONDS: Final = 60.0

logger: Final = logging.getLogger(SCOPE)


class Source(Protocol):
    """Where records are read from: a `JournalReader`, or a `MemoryJournal`."""

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """The next records."""

    def acknowledge(self, sequence: int) -> None:
        """All up to here needs no sending any more."""

    def rewind(self) -> None:
        """Read again what was not acknowledged."""

    def take_damaged(self) -> int:
        """How many records turned out to be damaged since this was asked last."""


class Outcome(enum.Enum):
    """What came of an attempt to send the next batch of a source."""

    SENT = "sent"
    """It was answered for, and there may be another."""
    EMPTY = "empty"
    """There is none."""
    LATER = "later"
    """It is not the time, or the server took nothing."""


class Sender:
    """Sends the batches of sources.

    Args:
        transport: What carries requests.
        timeout_seconds: The longest that one request may take.
        dead_letters: Where records go that can never be delivered.
        counts: What becomes of records is counted here.
        backoff: How long to wait after a failure.
        clock: A clock that nobody sets, in seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_seconds: float,
        dead_letters: DeadLetters,
        counts: OutboxCounters,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._dead_letters = dead_letters
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._schedule = threading.RLock()
        self._not_before = 0.0
        self._asked_not_before = 0.0
        self._most_bytes = min(MAX_BATCH_BYTES, transport.usual_limit_bytes)
        self._batch_bytes = self._most_bytes
        self._told = float("-inf")
        self._is_failing = False
        self.counts = counts
        self.closed = threading.Event()

    def waiting_seconds(self) -> float:
        """How long nothing is to be sent; 0 when something can."""
        return max(0.0, self._not_before - self._clock())

    def hurry(self) -> None:
        """Try again at once, where nobody but ourselves asked to wait: somebody waits for it, and may end soon."""
        with self._schedule:
            self._not_before = min(self._not_before, self._asked_not_before)

    def is_ready(self) -> bool:
        """Whether something can be sent now."""
        return not self.waiting_seconds() and not self.closed.is_set()

    def send_next(self, source: Source) -> Outcome:
        """Send the next batch of a source, if it is time and there is one."""
        if not self.is_ready():
            return Outcome.LATER
        batch = source.read(max_bytes=self._batch_bytes, max_records=MAX_BATCH_RECORDS)
        damaged = source.take_damaged()
        if damaged:
            self.counts.add(OUTBOX_DAMAGED, damaged)
            logger.error("%d records of the outbox are damaged, and set aside.", damaged)
        if batch is None:
            return Outcome.EMPTY
        if self._deliver(source, batch.header, batch.entries):
            return Outcome.SENT
        source.rewind()
        return Outcome.LATER

    def _deliver(self, source: Source, header: Header, entries: Sequence[Entry]) -> bool:
        """Send records in one request, or in smaller ones; whether all were answered for."""
        judgement = self._transport.send(to_request(header, entries), self._timeout_seconds)
        if judgement.verdict in {Verdict.DELIVERED, Verdict.PARTIAL}:
            self._accepted(judgement, len(entries))
        elif judgement.verdict in {Verdict.SPLIT, Verdict.REJECTED}:
            if judgement.verdict is Verdict.SPLIT:
                self._batch_bytes = max(1, min(self._batch_bytes, sum(len(entry.encoded) for entry in entries)) // 2)
            if len(entries) > 1:  # one record may spoil it for all
                half = len(entries) // 2
                return self._deliver(source, header, entries[:half]) and self._deliver(source, header, entries[half:])
            if not self._bury(header, entries[0], judgement):
                return False
        else:
            self._wait(judgement)
            return False
        try:
            source.acknowledge(entries[-1].sequence)
        except OSError as error:
            logger.warning("The outbox cannot note what was delivered, and may send it again: %s", error)
        return True

    def _accepted(self, judgement: Judgement, count: int) -> None:
        rejected = min(judgement.rejected, count)  # as the server says, which may be more than there were
        self.counts.add(OUTBOX_DELIVERED, count - rejected)
        self.counts.add(OUTBOX_REJECTED, rejected, Reason.PARTIAL_SUCCESS.value)
        if rejected:
            logger.error("The server rejected %d of %d records: %s", rejected, count, judgement.message)
        if self._is_failing:
            logger.warning("Records are delivered again.")
        self._is_failing = False
        self._backoff.reset()
        # It shrinks fast and grows slowly: what was too large for the server is seldom tried again.
        self._batch_bytes = min(self._most_bytes, self._batch_bytes + max(64, self._batch_bytes // 16))

    def _bury(self, header: Header, entry: Entry, judgement: Judgement) -> bool:
        try:
            self._dead_letters.put(header, entry, reason=judgement.reason.value, message=judgement.message)
        except OutboxError as error:
            logger.error("A record that no server takes cannot be put to the dead letters, and stays: %s", error)  # noqa: TRY400 — the words are enough
            self._wait(judgement)
            return False
        self.counts.add(OUTBOX_DEAD, reason=judgement.reason.value)
        logger.error("A record is dead (%s): %s", judgement.reason.value, judgement.message)
        return True

    def _wait(self, judgement: Judgement) -> None:
        self.counts.add(OUTBOX_RETRIED, reason=judgement.reason.value)
        with self._schedule:
            now = self._clock()
            self._asked_not_before = now + (judgement.retry_after_seconds or 0.0)
            self._not_before = now + self._backoff.next(judgement.retry_after_seconds)
        if self.closed.is_set():
            return
        if not self._is_failing or self._clock() - self._told > TELL_EACH_SECONDS:
            self._told = self._clock()
            logger.warning("Records wait in the outbox (%s): %s", judgement.reason.value, judgement.message)
        self._is_failing = True

    def close(self) -> None:
        """End; a request that is under way is cancelled."""
        self.closed.set()
        self._transport.close()
