"""Sends the records of journals to a server, in order, and acknowledges what the server accepted.

`Sender.send_next(source)` sends one batch of one source (a journal on disk or in memory):

1. If the sender waits for its backoff, or is closed, do nothing.
2. Read the next batch. The source skips damaged records; they are counted and logged here.
3. Join the stored records into one request and send it. The transport returns a verdict.
4. Act on the verdict:

   - delivered, partial: count, reset the backoff, and let the batches grow a little.
   - split: halve the size of batches, and send the two halves of this one, one after the other (step 3 for each).
     A single record that is too large becomes a dead letter.
   - dead letter: the server rejects the data. One bad record may spoil a whole request, so the halves are sent
     separately until it is alone. That one becomes a dead letter.
   - retry, hold: schedule the next attempt (backoff, and at least the server's `Retry-After`), rewind the source to the
     first unacknowledged record, and return.

5. Acknowledge the batch (or the half).

Invariants:

- **Order.** The next batch is read after the last one was acknowledged. The second half of a split batch is sent after
  the first half was acknowledged.
- **Nothing is skipped.** A record is acknowledged after the server accepted it, or after it was written to the dead
  letters; never before. If the dead letters cannot be written, the record stays in the journal and is sent again later.
  After an exception, too, the source is rewound to the first unacknowledged record.
- **At least once.** If the process dies between steps 3 and 5, or the cursor cannot be written, the records are sent
  again. Receivers recognize them by their `log.record.uid`.
- **A partial success is final.** The server has stored the other records, so sending the request again would duplicate
  them. The rejected ones are counted and logged, and the whole batch is acknowledged. The server does not say which
  ones it rejected, so they cannot become dead letters.
- **A failure blocks every source** of the sender: all go to the same server, and the backoff protects it from all.

Threads: one thread calls `send_next` (the outbox's worker, or the command line), and everything without a lock belongs
to it. Any other thread may call `cancel_backoff`, `waiting_seconds`, `is_ready` and `close` at any time. A sender is not
used in the child of a fork; the child makes its own.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from typing_extensions import assert_never

from heliograph.delivery.backoff import Backoff
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.journal.batch import Batch, Entry, to_request
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    SCOPE,
)
from heliograph.values.text import counted

MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_RECORDS: Final = 4096
LOG_INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two warnings that the server is still failing."""

_SMALLEST_GROWTH_BYTES: Final = 64
_GROWTH: Final = 16

logger: Final = SafeLogger(SCOPE)


class Source(Protocol):
    """A journal that records are sent from: a `JournalReader` (on disk) or a `MemoryJournal`."""

    def read(self, *, max_bytes: int, max_records: int) -> Batch | None:
        """Return the next records; `None` if there are none. A single record may be larger than `max_bytes`."""

    def acknowledge(self, sequence: int) -> None:
        """Note that no record up to this sequence needs to be sent any more."""

    def rewind(self) -> None:
        """Go back to the first unacknowledged record."""

    def take_damaged(self) -> int:
        """Return the number of damaged records that were skipped since the last call."""


class Outcome(enum.Enum):
    """The result of an attempt to send the next batch of a source."""

    SENT = "sent"
    """The batch was acknowledged, and there may be another."""
    EMPTY = "empty"
    """The source has no more records."""
    LATER = "later"
    """The server did not accept the batch, or the backoff is not over, or the sender is closed."""


class Sender:
    """Sends the batches of sources over one transport.

    Args:
        transport: The connection to the server.
        timeout_seconds: The longest that one request may take.
        dead_letters: The file of the records that can never be delivered.
        counts: The counters of delivered, rejected, retried, dead and damaged records.
        backoff: Computes the waits after failures.
        clock: A monotonic clock, in seconds.

    Attributes:
        counts: As given.
        closed: Set when the sender is closed; other threads may wait for it.
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
        self.counts = counts
        self.closed = threading.Event()
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._dead_letters = dead_letters
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._most_bytes = min(MAX_BATCH_BYTES, transport.usual_limit_bytes)
        self._batch_bytes = self._most_bytes
        self._is_failing = False
        self._last_logged_at = float("-inf")
        # Guards the next two fields, which the sending thread sets together, and a flush in another thread combines.
        # Reentrant, because the handler of a signal may flush in the middle of any line of the main thread.
        self._schedule = threading.RLock()
        self._not_before = 0.0  # when the next request may be sent
        self._server_not_before = 0.0  # the part of it that a server asked for

    def waiting_seconds(self) -> float:
        """Return the seconds until something may be sent; 0 if it may be sent now."""
        return max(0.0, self._not_before - self._clock())

    def cancel_backoff(self) -> None:
        """Cancel our own backoff, because a flush is waiting. A server's `Retry-After` is never cancelled."""
        with self._schedule:
            self._not_before = min(self._not_before, self._server_not_before)

    def is_ready(self) -> bool:
        """Return True if something may be sent now."""
        return not self.waiting_seconds() and not self.closed.is_set()

    def send_next(self, source: Source) -> Outcome:
        """Send the next batch of a source, if there is one and it may be sent now.

        Raises:
            OSError: The source cannot be read. As after any other exception, the records come again with the next call.
        """
        if not self.is_ready():
            return Outcome.LATER
        try:
            outcome = self._send_batch(source)
        except BaseException:
            # Some records may be read and not sent. Without this, the next batch would be acknowledged past them.
            source.rewind()
            raise
        if outcome is Outcome.LATER:
            source.rewind()
        return outcome

    def _send_batch(self, source: Source) -> Outcome:
        batch = source.read(max_bytes=self._batch_bytes, max_records=MAX_BATCH_RECORDS)
        damaged = source.take_damaged()
        if damaged:
            self.counts.add(OUTBOX_DAMAGED, damaged)
            logger.error(
                "Damage in the outbox was skipped, and its bytes kept aside: %s.", counted(damaged, "damaged record")
            )
        if batch is None:
            return Outcome.EMPTY
        return Outcome.SENT if self._deliver(source, batch.header, batch.entries) else Outcome.LATER

    def close(self) -> None:
        """Cancel the request that is being sent, and send nothing more."""
        # In this order: when the cancelled request returns, the sending thread must see that this was no failure.
        self.closed.set()
        self._transport.close()

    def _deliver(self, source: Source, header: Header, entries: Sequence[Entry]) -> bool:
        """Send records in one request, or in smaller ones. Return True if all of them were acknowledged."""
        verdict = self._transport.send(to_request(header, entries), self._timeout_seconds)
        match verdict.action:
            case Action.DELIVERED | Action.PARTIAL:
                self._note_success(verdict, len(entries))
            case Action.SPLIT | Action.DEAD_LETTER:
                if verdict.action is Action.SPLIT:
                    self._shrink_batches(entries)
                if len(entries) > 1:
                    # The depth of the recursion is the logarithm of the batch: 12 for 4,096 records.
                    half = len(entries) // 2
                    first, second = entries[:half], entries[half:]
                    return self._deliver(source, header, first) and self._deliver(source, header, second)
                if not self._put_to_dead_letters(header, entries[0], verdict):
                    return False
            case Action.RETRY | Action.HOLD:
                # They differ for people (a server that is down, a wrong address), but the records wait in both cases.
                self._schedule_retry(verdict)
                return False
            case unknown:
                assert_never(unknown)
        self._acknowledge(source, entries[-1].sequence)
        return True

    def _note_success(self, verdict: Verdict, count: int) -> None:
        # A server may report more rejected records than the request contained; a counter must not go down.
        rejected = min(verdict.rejected, count)
        self.counts.add(OUTBOX_DELIVERED, count - rejected)
        self.counts.add(OUTBOX_REJECTED, rejected, Reason.PARTIAL_SUCCESS.value)
        if rejected:
            logger.error("The server rejected %d of %s: %s", rejected, counted(count, "record"), verdict.message)
        if self._is_failing:
            logger.warning("The outbox delivers records again.")
        self._is_failing = False
        self._backoff.reset()
        # Batches shrink fast and grow slowly, so a size that was too large for the server is seldom tried again.
        growth = max(_SMALLEST_GROWTH_BYTES, self._batch_bytes // _GROWTH)
        self._batch_bytes = min(self._most_bytes, self._batch_bytes + growth)

    def _shrink_batches(self, entries: Sequence[Entry]) -> None:
        # A batch may be smaller than allowed: then half of its own size counts, not half of the permitted one.
        size = sum(len(entry.encoded) for entry in entries)
        self._batch_bytes = max(1, min(self._batch_bytes, size) // 2)

    def _put_to_dead_letters(self, header: Header, entry: Entry, verdict: Verdict) -> bool:
        """Write a record to the dead letters. Return False if that failed; the record is then sent again later."""
        try:
            self._dead_letters.put(header, entry, reason=verdict.reason.value, message=verdict.message)
        except OutboxError as error:
            # Not `exception`: a traceback would add nothing.
            logger.error(  # noqa: TRY400
                "A record that the server rejects could not be written to the dead letters; it stays in the outbox: %s",
                error,
            )
            self._schedule_retry(verdict)
            return False
        self.counts.add(OUTBOX_DEAD, reason=verdict.reason.value)
        logger.error("A record became a dead letter (%s): %s", verdict.reason.value, verdict.message)
        return True

    def _acknowledge(self, source: Source, sequence: int) -> None:
        try:
            source.acknowledge(sequence)
        except OSError as error:
            # Continue: the records are delivered. Only the cursor on disk is old, so after a restart of the process they
            # would be sent a second time.
            logger.warning("The outbox could not save what was delivered, and may send it again: %s", error)

    def _schedule_retry(self, verdict: Verdict) -> None:
        self.counts.add(OUTBOX_RETRIED, reason=verdict.reason.value)
        with self._schedule:
            now = self._clock()
            self._server_not_before = now + (verdict.retry_after_seconds or 0.0)
            self._not_before = now + self._backoff.next(verdict.retry_after_seconds)
        if self.closed.is_set():  # our own `close` cancelled the request; this is no failure
            return
        if not self._is_failing or self._clock() - self._last_logged_at > LOG_INTERVAL_SECONDS:
            self._last_logged_at = self._clock()
            logger.warning("Records wait in the outbox (%s): %s", verdict.reason.value, verdict.message)
        self._is_failing = True
