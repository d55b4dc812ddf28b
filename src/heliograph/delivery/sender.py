"""Sends the records of journals to a server, in order, and acknowledges what the server accepted.

`Sender.send_next(source)` sends one batch of one source (a journal on disk or in memory):

1. If the sender waits for its backoff, or is closed, do nothing.
2. Read the next batch. The source skips damaged records; they are counted and logged here.
3. Join the stored records into one request and send it. The transport returns a verdict.
4. Act on the verdict:

   - delivered, partial: count, reset the backoff, and let the batches grow a little.
   - split: halve the size of batches, and send the two halves of this one, one after the other (step 3 for each).
   - bad data: the server says that the data is invalid. One bad record may spoil a whole request, so the halves are sent
     separately until it is alone. If the server asks to wait with either of the two, a smaller batch is sent after that time.
   - A span that is too large alone is sent without its largest events.
   - A record that is refused alone is a suspect. When the destination accepts a different record, the suspect is sent once more,
     and becomes a dead letter if it is refused again. If nothing is accepted, all records wait (`heliograph.delivery.refusals` has
     the rules).
   - retry, hold: schedule the next attempt (backoff, and at least the server's `Retry-After`), rewind the source to the
     first unacknowledged record, and return.

5. Acknowledge the batch (or the half).

The private methods pass on the state of one batch, a `BatchPass` with the name `this`. They return True to go on with the batch. They
return False if all records wait: the next attempt was scheduled, so the batch ends here, and `send_next` rewinds the source.

Invariants:

- **Order.** The next batch is read after the last one was acknowledged. The second half of a split batch is sent after
  the first half was acknowledged, or is suspected. Only single records are sent out of order, to prove something.
- **Nothing is skipped.** A record is acknowledged only after the server accepted it, or after it was written to the dead
  letters. If the dead letters cannot be written, the record stays in the journal and is sent again later.
  After an exception, too, the source is rewound to the first unacknowledged record.
- **At least once.** If the process dies between steps 3 and 5, or the cursor cannot be written, the records are sent
  again. Receivers recognize them by their `log.record.uid`.
- **A partial success is final.** The server has stored the other records, so sending the request again would duplicate
  them. The rejected ones are counted and logged, and the whole batch is acknowledged. The server does not say which
  ones it rejected, so they cannot become dead letters.
- **A failure blocks every source** of the sender: all go to the same server, and the backoff protects it from all.
- **A server that fails for a while costs no data.** A record becomes a dead letter only if it is proven to be bad.
- **No record blocks others for ever**, not even one for which the transport raises an exception: it counts as refused.

Threads: one thread calls `send_next` (the outbox's worker, or the command line), and everything without a lock belongs
to it. Any other thread may call `cancel_backoff`, `waiting_seconds`, `is_ready` and `close` at any time. A sender is not
used in the child of a fork; the child makes its own.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from typing_extensions import assert_never

from heliograph.delivery.backoff import Backoff
from heliograph.delivery.batch_pass import BatchPass
from heliograph.delivery.batch_size import BatchSize
from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.journal.batch import Batch, Entry, to_request
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.refusals import MAX_SUSPECTS, Refusals
from heliograph.delivery.schedule import Schedule
from heliograph.delivery.signals import LOGS, OutboxSignal
from heliograph.delivery.smaller_records import smaller_records
from heliograph.delivery.source import Source
from heliograph.delivery.transport.contract import Transport
from heliograph.delivery.transport.verdict import Action, Reason, Verdict
from heliograph.errors import OutboxError
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import (
    OUTBOX_DAMAGED,
    OUTBOX_DEAD,
    OUTBOX_DELIVERED,
    OUTBOX_REJECTED,
    OUTBOX_RETRIED,
    SCOPE,
    MetricName,
)
from heliograph.values.text import counted

MAX_BATCH_BYTES: Final = 1024 * 1024
MAX_BATCH_RECORDS: Final = 4096
LOG_INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two warnings that the server is still failing."""

logger: Final = SafeLogger(SCOPE)


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
        signal: The signal of the records.
        backoff: Computes the waits after failures.
        clock: A monotonic clock, in seconds.

    Attributes:
        counts: The counters of delivered, rejected, retried, dead and damaged records.
        signal: The signal of the records.
        closed: Set when the sender is closed; other threads may wait for it.
        own_losses: The number of records that this process accepted, and that are not delivered and do not wait any more: dead
            letters, damaged records, and those that a partial success rejected. Only the sending thread changes it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_seconds: float,
        dead_letters: DeadLetters,
        counts: OutboxCounters,
        signal: OutboxSignal = LOGS,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = counts
        self.signal = signal
        self.closed = threading.Event()
        self.own_losses = 0
        self._transport = transport
        self._timeout_seconds = timeout_seconds
        self._dead_letters = dead_letters
        self._schedule = Schedule(backoff or Backoff(), clock)
        self._batch_size = BatchSize(min(MAX_BATCH_BYTES, transport.usual_limit_bytes))
        self._clock = clock
        self._is_failing = False
        self._last_logged_at = float("-inf")
        self._refusals = Refusals(clock)
        self._log = LimitedLog(logger)

    def waiting_seconds(self) -> float:
        """Return the seconds until something may be sent; 0 if it may be sent now."""
        return self._schedule.waiting_seconds()

    def cancel_backoff(self) -> None:
        """Cancel our own backoff, because a flush is waiting. A server's `Retry-After` is never cancelled."""
        self._schedule.cancel_backoff()

    def is_ready(self) -> bool:
        """Return True if something may be sent now."""
        return not self.waiting_seconds() and not self.closed.is_set()

    def send_next(self, source: Source) -> Outcome:
        """Send the next batch of a source, if there is one and it may be sent now.

        Raises:
            OSError: The source cannot be read. As after any other exception, the next call reads the records again.
        """
        if not self._refusals.may_try(source) or not self.is_ready():
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
        """Read the next batch, count the damage before it, and deliver it."""
        batch = source.read(max_bytes=self._batch_size.max_bytes, max_records=MAX_BATCH_RECORDS)
        damaged = source.take_damaged()
        if damaged:
            self._count_loss(source, OUTBOX_DAMAGED, damaged)
            logger.error("Damage in the outbox was skipped: %s.", counted(damaged, f"damaged {self.signal.word}"))
        if batch is None:
            self._refusals.note_empty(source)
            return Outcome.EMPTY
        return Outcome.SENT if self._deliver(source, batch) else Outcome.LATER

    def close(self) -> None:
        """Cancel the request that is being sent, and send nothing more."""
        # In this order: when the cancelled request returns, the sending thread must see that this was no failure.
        self.closed.set()
        self._transport.close()

    def _deliver(self, source: Source, batch: Batch) -> bool:
        """Send a batch, in one request or in smaller ones. Return True if all of its records were acknowledged."""
        this = BatchPass(
            source=source,
            header=batch.header,
            memory=self._refusals.memory_of(source),
            acknowledged=batch.entries[0].sequence - 1,
        )
        if self._refusals.is_refusing and not self._try_another(this, batch.entries):
            return False
        # The next part comes last. There are at most as many as the batch can be halved: 12 for 4,096 records.
        parts = this.memory.parts(batch.entries)
        while parts:
            part = this.unfinished(parts.pop())
            if part and not self._send_part(this, part, parts):
                return False
            if not self._judge_suspects(this, is_last=not parts):
                return False
            if not this.suspects:
                self._acknowledge(this, parts[-1][0].sequence - 1 if parts else batch.entries[-1].sequence)
        return True

    def _send_part(self, this: BatchPass, entries: Sequence[Entry], parts: list[Sequence[Entry]]) -> bool:
        """Send records in one request, and add its halves to the parts if it is refused. Return False if all records wait."""
        verdict = self._send(this, entries)
        match verdict.action:
            case Action.DELIVERED | Action.PARTIAL:
                return self._note_success(this, entries, verdict)
            case Action.SPLIT | Action.BAD_DATA:
                asks_to_wait = bool(verdict.retry_after_seconds)
                if verdict.action is Action.SPLIT or asks_to_wait:
                    self._batch_size.shrink(entries)
                if len(entries) > 1 and asks_to_wait:
                    # After the wait, a smaller batch is sent.
                    self._schedule_retry(verdict)
                    return False
                if len(entries) > 1:
                    half = len(entries) // 2
                    # For any other verdict, the next batches are smaller anyway.
                    if verdict.action is Action.BAD_DATA:
                        this.memory.starts.add(entries[half].sequence)
                    parts += [entries[half:], entries[:half]]
                    return True
                return self._suspect(this, entries[0], verdict)
            case Action.RETRY | Action.HOLD:
                # They differ for people (a server that is down, a wrong address), but the records wait in both cases.
                self._schedule_retry(verdict)
                return False
            case unknown:
                assert_never(unknown)

    def _send(self, this: BatchPass, entries: Sequence[Entry]) -> Verdict:
        """Send records in one request, and return the verdict. An exception counts as a refusal."""
        self._refusals.note_request()
        try:
            request = to_request(this.header, entries)
            return self.counts.request(len(entries), lambda: self._transport.send(request, self._timeout_seconds))
        except Exception as error:
            # A defect, for this record or for all. Like a refusal: one record must not stop all that wait behind it.
            self._log.log(type(error).__name__, "A request could not be made.", error=error)
            return Verdict(action=Action.BAD_DATA, reason=Reason.INTERNAL, message=f"{type(error).__name__} was raised")

    def _suspect(self, this: BatchPass, entry: Entry, verdict: Verdict) -> bool:
        """Make a record that was refused alone a suspect, or a dead letter if that proves it to be bad."""
        if verdict.action is Action.SPLIT and (can_go_on := self._send_smaller(this, entry)) is not None:
            return can_go_on
        is_proven = self._refusals.is_proven(this.memory, entry, has_accepted=this.has_accepted, is_lone=False)
        if is_proven or self._refusals.is_too_large(verdict):
            return self._put_to_dead_letters(this, entry, verdict)
        this.suspects.append((entry, verdict))
        return True

    def _send_smaller(self, this: BatchPass, entry: Entry) -> bool | None:
        """Send a record that is too large without a part of it. Return `None` if that is impossible, or is refused, too."""
        for smaller, lacking in smaller_records(this.header, entry, self._transport.usual_limit_bytes):
            verdict = self._send(this, [smaller])
            match verdict.action:
                case Action.DELIVERED | Action.PARTIAL:
                    message = "A span of %s was too large, and was sent without %s."
                    logger.warning(message, counted(len(entry.encoded), "byte"), counted(lacking, "event"))
                    return self._note_success(this, [entry], verdict)
                case Action.RETRY | Action.HOLD:
                    self._schedule_retry(verdict)
                    return False
                case Action.SPLIT | Action.BAD_DATA:
                    continue
                case unknown:
                    assert_never(unknown)
        return None

    def _judge_suspects(self, this: BatchPass, *, is_last: bool) -> bool:
        """Try to prove that suspects are bad, if they are many or the last part was sent. Return False if all records wait."""
        while True:
            is_many = len(this.suspects) >= MAX_SUSPECTS or self._refusals.has_spent()
            if not (is_many or (is_last and this.suspects)):
                return True
            if this.has_accepted and not is_many:
                return self._confirm_suspects(this)
            # From the other end of the journal. If it is accepted, the suspects are sent once more.
            newest = this.source.newest(this.known())
            if newest is None:
                if not this.suspects:
                    return True
                # Nothing else waits that could be compared.
                self._wait_refused(this, this.suspects[-1][1])
                return False
            if not self._try_alone(this, newest, is_lone=False):
                return False

    def _confirm_suspects(self, this: BatchPass) -> bool:
        """Send each suspect once more. One that is refused again becomes a dead letter. Return False if all records wait."""
        while this.suspects:
            entry, _ = this.suspects.pop(0)
            if not self._send_part(this, [entry], []):
                return False
        return True

    def _try_another(self, this: BatchPass, entries: Sequence[Entry]) -> bool:
        """Try one record at a destination that refused everything. Return False if all records wait."""
        # Another one each time: of the batch and the newest record, the one that was refused least often.
        candidates = list(this.unfinished(entries))
        newest = this.source.newest(this.memory.done)
        if newest is not None and newest.sequence > entries[-1].sequence:
            candidates.append(newest)
        if not candidates:
            return True
        is_lone = len(candidates) == 1 and self._refusals.is_lone(this.source)
        return self._try_alone(this, this.memory.least_refused(candidates), is_lone=is_lone)

    def _try_alone(self, this: BatchPass, entry: Entry, *, is_lone: bool) -> bool:
        """Send one record out of order. Return True if it was accepted, or is proven to be bad."""
        verdict = self._send(this, [entry])
        match verdict.action:
            case Action.DELIVERED | Action.PARTIAL:
                this.memory.done.add(entry.sequence)
                return self._note_success(this, [entry], verdict)
            case Action.SPLIT | Action.BAD_DATA:
                if self._refusals.is_proven(this.memory, entry, has_accepted=this.has_accepted, is_lone=is_lone):
                    return self._put_to_dead_letters(this, entry, verdict)
                self._wait_refused(this, verdict)
            case Action.RETRY | Action.HOLD:
                self._schedule_retry(verdict)
            case unknown:
                assert_never(unknown)
        return False

    def _wait_refused(self, this: BatchPass, verdict: Verdict) -> None:
        """Schedule a retry at a destination that refuses everything."""
        self._refusals.note_refuses_everything(this.source)
        self._schedule_retry(replace(verdict, message=f"the destination refuses everything: {verdict.message}"))

    def _note_success(self, this: BatchPass, entries: Sequence[Entry], verdict: Verdict) -> bool:
        """Count a success, and send the suspects once more, because the destination works. Return False if all records wait."""
        # A server may report more rejected records than the request contained; a counter must not go down.
        count, rejected = len(entries), min(verdict.rejected, len(entries))
        self.counts.add(OUTBOX_DELIVERED, count - rejected)
        self._count_loss(this.source, OUTBOX_REJECTED, rejected, Reason.PARTIAL_SUCCESS)
        if rejected:
            logger.error(
                "The server rejected %d of %s: %s", rejected, counted(count, self.signal.word), verdict.message
            )
        self._note_working_server()
        if this.suspects:
            # They are done, although records before them wait.
            this.memory.done.update(entry.sequence for entry in entries)
        if rejected == count:
            # It accepted the request, and no record: that proves nothing.
            return True
        this.has_accepted = True
        self._refusals.note_accepted()
        return self._confirm_suspects(this)

    def _note_working_server(self) -> None:
        """Report a server that works again, reset the backoff, and let the batches grow a little."""
        if self._is_failing:
            logger.warning("The outbox delivers %ss again.", self.signal.word)
        self._is_failing = False
        self._schedule.reset()
        self._batch_size.grow()

    def _count_loss(self, source: Source, metric: MetricName, count: int, reason: Reason | None = None) -> None:
        """Count records that are not delivered. Do it before they are acknowledged: a flush that waits for that must see it."""
        self.counts.add(metric, count, "" if reason is None else reason.value)
        if source.is_own:
            self.own_losses += count

    def _put_to_dead_letters(self, this: BatchPass, entry: Entry, verdict: Verdict) -> bool:
        """Write a record to the dead letters. Return False if that failed; the record is then sent again later."""
        try:
            self._dead_letters.put(this.header, entry, reason=verdict.reason.value, message=verdict.message)
        except OutboxError as error:
            # Not `exception`: a traceback would add nothing.
            logger.error(  # noqa: TRY400
                "A %s that the server rejects could not be written to the dead letters; it stays in the outbox: %s",
                self.signal.word,
                error,
            )
            self._schedule_retry(verdict)
            return False
        this.memory.done.add(entry.sequence)
        self._count_loss(this.source, OUTBOX_DEAD, 1, verdict.reason)
        logger.error("A %s became a dead letter (%s): %s", self.signal.word, verdict.reason.value, verdict.message)
        return True

    def _acknowledge(self, this: BatchPass, sequence: int) -> None:
        """Acknowledge all records up to a sequence, if some of them are not acknowledged yet."""
        if sequence <= this.acknowledged:
            return
        this.acknowledged = sequence
        this.memory.forget_until(sequence)
        try:
            this.source.acknowledge(sequence)
        except OSError as error:
            # Continue: the records are delivered. Only the cursor on disk is old, so after a restart of the process they
            # would be sent a second time.
            message = "The outbox could not save what was delivered, and may send it again: %s"
            self._log.log("cursor", message, error, level=logging.WARNING)

    def _schedule_retry(self, verdict: Verdict) -> None:
        """Let nothing be sent before the backoff and the server's `Retry-After` are over, and log that records wait."""
        self.counts.add(OUTBOX_RETRIED, reason=verdict.reason.value)
        self._refusals.note_pause()
        self._schedule.postpone(verdict.retry_after_seconds)
        if self.closed.is_set():
            # Our own `close` cancelled the request, which is no failure.
            return
        if not self._is_failing or self._clock() - self._last_logged_at > LOG_INTERVAL_SECONDS:
            self._last_logged_at = self._clock()
            word = f"{self.signal.word.capitalize()}s"
            logger.warning("%s wait in the outbox (%s): %s", word, verdict.reason.value, verdict.message)
        self._is_failing = True
