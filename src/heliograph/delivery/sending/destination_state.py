"""The state of one destination that all batches share: the connection, its pace, its refusals, and the counts of what became of records.

Threads: one thread sends, and everything without a lock belongs to it. Any other thread may call `close`, and those methods of `schedule`
that allow it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from heliograph.delivery.journal.batch import Entry, to_request
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.sending.backoff import Backoff
from heliograph.delivery.sending.batch_size import BatchSize
from heliograph.delivery.sending.refusals import Refusals
from heliograph.delivery.sending.schedule import Schedule
from heliograph.delivery.sending.source import Source
from heliograph.delivery.signals import OutboxSignal
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import OUTBOX_DEAD, OUTBOX_RETRIED, SCOPE, MetricName

MAX_BATCH_BYTES: Final = 1024 * 1024
LOG_INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two warnings that the server is still failing."""

logger: Final = SafeLogger(SCOPE)


class DestinationState:
    """The state of one destination.

    Args:
        transport: The connection to the server.
        timeout_seconds: The longest that one request may take.
        dead_letters: The file of the records that can never be delivered.
        counts: The counters of delivered, rejected, retried, dead and damaged records.
        signal: The signal of the records.
        backoff: Computes the waits after failures; by default a `Backoff` without arguments.
        clock: A monotonic clock, in seconds.

    Attributes:
        counts: The counters of the processor, to which this state and its batches add.
        signal: The signal of the records.
        closed: Set when the connection is closed.
        schedule: The time before which nothing is sent.
        batch_size: The size of the next batch.
        refusals: The requests that the destination refused.
        usual_limit_bytes: The size of a request that servers usually accept.
        own_losses: The number of records that this process accepted, and that are not delivered and do not wait any more: dead
            letters, damaged records, and those that a partial success rejected.
        log: Logs the first failure of each kind.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_seconds: float,
        dead_letters: DeadLetters,
        counts: OutboxCounters,
        signal: OutboxSignal,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = counts
        self.signal = signal
        self.closed = threading.Event()
        self.schedule = Schedule(backoff or Backoff(), clock)
        self.batch_size = BatchSize(min(MAX_BATCH_BYTES, transport.usual_limit_bytes))
        self.refusals = Refusals(clock)
        self.usual_limit_bytes = transport.usual_limit_bytes
        self.own_losses = 0
        self.log = LimitedLog(logger)
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._dead_letters = dead_letters
        self._clock = clock
        self._is_failing = False
        self._last_logged_at = float("-inf")

    def send(self, header: Header, entries: Sequence[Entry]) -> Verdict:
        """Send records in one request, and return the verdict. An exception counts as a refusal."""
        self.refusals.note_request()
        try:
            request = to_request(header, entries)
            return self.counts.observe_request(
                len(entries), lambda: self._transport.send(request, self._timeout_seconds)
            )
        except Exception as error:
            # A defect, for this record or for all. Like a refusal: one record must not stop all that wait behind it.
            self.log.log(type(error).__name__, "A request could not be made.", error=error)
            return Verdict(action=Action.BAD_DATA, reason=Reason.INTERNAL, message=f"{type(error).__name__} was raised")

    def note_working(self) -> None:
        """Report a server that works again, reset the backoff, and let the batches grow a little."""
        if self._is_failing:
            logger.warning("The outbox delivers %ss again.", self.signal.word)
        self._is_failing = False
        self.schedule.reset()
        self.batch_size.grow()

    def count_loss(self, metric: MetricName, count: int, reason: Reason | None = None, *, is_own: bool) -> None:
        """Count records that are not delivered. Do it before they are acknowledged: a flush that waits for that must see it.

        Args:
            metric: The counter.
            count: The number of records.
            reason: The reason, for a counter that has reasons.
            is_own: True if this process accepted the records.
        """
        self.counts.add(metric, count, "" if reason is None else reason.value)
        if is_own:
            self.own_losses += count

    def put_to_dead_letters(self, source: Source, header: Header, entry: Entry, verdict: Verdict) -> bool:
        """Write a record to the dead letters. Return False if that failed: then the record has to be sent again."""
        try:
            self._dead_letters.put(header, entry, reason=verdict.reason.value, message=verdict.message)
        except OutboxError as error:
            # Not `exception`: a traceback would add nothing.
            logger.error(  # noqa: TRY400
                "A %s that the server rejects could not be written to the dead letters; it stays in the outbox: %s",
                self.signal.word,
                error,
            )
            return False
        self.count_loss(OUTBOX_DEAD, 1, verdict.reason, is_own=source.is_own)
        logger.error("A %s became a dead letter (%s): %s", self.signal.word, verdict.reason.value, verdict.message)
        return True

    def schedule_retry(self, verdict: Verdict) -> None:
        """Let nothing be sent before the backoff and the server's `Retry-After` are over, and log that records wait."""
        self.counts.add(OUTBOX_RETRIED, reason=verdict.reason.value)
        self.refusals.note_pause()
        self.schedule.postpone(verdict.retry_after_seconds)
        if self.closed.is_set():
            # Our own `close` cancelled the request, which is no failure.
            return
        if not self._is_failing or self._clock() - self._last_logged_at > LOG_INTERVAL_SECONDS:
            self._last_logged_at = self._clock()
            word = f"{self.signal.word.capitalize()}s"
            logger.warning("%s wait in the outbox (%s): %s", word, verdict.reason.value, verdict.message)
        self._is_failing = True

    def close(self) -> None:
        """Cancel the request that is being sent, and send nothing more."""
        # In this order: when the cancelled request returns, the sending thread must see that this was no failure.
        self.closed.set()
        self._transport.close()
