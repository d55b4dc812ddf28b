"""Send the records of journals to a server, in order, and acknowledge what the server accepted.

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
     and becomes a dead letter if it is refused again. If nothing is accepted, all records wait (`heliograph.delivery.sending.refusals` has
     the rules).
   - retry, hold: schedule the next attempt (backoff, and at least the server's `Retry-After`), rewind the source to the
     first unacknowledged record, and return.

5. Acknowledge the batch (or the half).

Steps 3 to 5 are one pass over the batch (`heliograph.delivery.sending.batch_pass`). It ends early if all records wait: the next attempt was
scheduled, and `send_next` rewinds the source. All passes share the state of the destination (`heliograph.delivery.sending.destination_state`).

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
from typing import Final

from heliograph.delivery.sending.batch_pass import BatchPass
from heliograph.delivery.sending.destination_state import DestinationState
from heliograph.delivery.sending.source import Source
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import OUTBOX_DAMAGED, SCOPE
from heliograph.values.text import counted

MAX_BATCH_RECORDS: Final = 4096

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
        state: The state of the destination, with the connection to it.

    Attributes:
        counts: The counters of delivered, rejected, retried, dead and damaged records.
        signal: The signal of the records.
        closed: Set when the sender is closed; other threads may wait for it.
    """

    def __init__(self, state: DestinationState) -> None:
        self._state = state
        self.counts = state.counts
        self.signal = state.signal
        self.closed = state.closed

    @property
    def own_losses(self) -> int:
        """The number of records that this process accepted, and that are not delivered and do not wait any more.

        They are dead letters, damaged records, and those that a partial success rejected.
        """
        return self._state.own_losses

    def count_lost(self, count: int) -> None:
        """Count damaged records of this process that no source has. Only the sending thread may call it."""
        self._state.count_loss(OUTBOX_DAMAGED, count, is_own=True)

    def waiting_seconds(self) -> float:
        """Return the seconds until something may be sent; 0 if it may be sent now."""
        return self._state.schedule.waiting_seconds()

    def cancel_backoff(self) -> None:
        """Cancel our own backoff, because a flush is waiting. A server's `Retry-After` is never cancelled."""
        self._state.schedule.cancel_backoff()

    def is_ready(self) -> bool:
        """Return True if something may be sent now."""
        return not self.waiting_seconds() and not self.closed.is_set()

    def send_next(self, source: Source) -> Outcome:
        """Send the next batch of a source, if there is one and it may be sent now.

        Raises:
            OSError: The source cannot be read. As after any other exception, the next call reads the records again.
        """
        if not self._state.refusals.offer(source) or not self.is_ready():
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
        batch = source.read(max_bytes=self._state.batch_size.max_bytes, max_records=MAX_BATCH_RECORDS)
        damaged = source.take_damaged()
        if damaged:
            self._state.count_loss(OUTBOX_DAMAGED, damaged, is_own=source.is_own)
            logger.error("Damage in the outbox was skipped: %s.", counted(damaged, f"damaged {self.signal.word}"))
        if batch is None:
            self._state.refusals.note_empty(source)
            return Outcome.EMPTY
        return Outcome.SENT if BatchPass(self._state, source, batch).deliver() else Outcome.LATER

    def close(self) -> None:
        """Cancel the request that is being sent, and send nothing more."""
        self._state.close()
