"""Decide if a refusal is the fault of the record or of the destination. No I/O.

A server that fails for some minutes may say that the data is invalid, whatever it gets. So a record that is refused alone is
only a *suspect*. It is proven to be bad if it is refused alone a second time, and the destination accepted a different record:

- between the two refusals, whichever journal that record is from. The sender sends a suspect again as soon as another record of the
  same pass is accepted. One refusal is not enough: the server may have recovered right after it.
- before them, in the same pass, if fewer than `MAX_SUSPECTS` are refused in a row, and no record follows in the batch.

If the destination accepts no other record, it *refuses everything*. From then on one record is tried at a time, another one each
time, with growing pauses, until one is accepted. If nothing else waits, nothing can be compared: then the one suspect is proven to
be bad by `LONE_REFUSALS` refusals over `LONE_SECONDS`.

Bounds: `MAX_SUSPECTS` records in a row are refused before one from the newest end is tried, and `MAX_REQUESTS` requests are sent
before the first pause. A record that is too large (413) is bad at once, but not more than `MAX_SUSPECTS` in a row.

One thread uses it: the one that sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.sending.waiting_records import Refusal, WaitingRecords
from heliograph.delivery.transport.verdict import Action, Verdict

MAX_SUSPECTS: Final = 4
"""The number of records that are refused in a row before the newest one is tried instead."""
MAX_REQUESTS: Final = 16
"""The number of requests without success before the first pause."""
LONE_REFUSALS: Final = 5
"""The number of refusals that prove a record to be bad if nothing else waits."""
LONE_SECONDS: Final = 60.0
"""The least time between the first and the last of these refusals: a temporary failure of the server should be over."""


class Refusals:
    """The refusals of one destination.

    Args:
        clock: A monotonic clock, in seconds.

    Attributes:
        is_refusing: True if the destination refuses everything.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.is_refusing = False
        self._clock = clock
        self._accepted = 0  # requests, since the start
        # Requests without success, since the last pause.
        self._requests = 0
        # Records in a row, since the last success or pause.
        self._too_large = 0
        # By journal. Weak, so that the facts about its records are forgotten with it.
        self._waiting_records: WeakKeyDictionary[object, WaitingRecords] = WeakKeyDictionary()
        self._offered: WeakSet[object] = WeakSet()  # journals that have records
        # The journals of `_offered` that were tried since everything is refused.
        self._tried: WeakSet[object] = WeakSet()

    def waiting_records_of(self, source: object) -> WaitingRecords:
        """Return the known facts about the records of a journal that are not acknowledged yet."""
        return self._waiting_records.setdefault(source, WaitingRecords())

    def offer(self, source: object) -> bool:
        """Note that a journal may have records to try. Return True if it is its turn.

        A destination that refuses everything of one journal (because of its resource, for example) may accept the records of
        another. So each journal is tried once before one is tried again.
        """
        self._offered.add(source)
        if self._offered <= self._tried:
            self._tried.clear()
        return not (self.is_refusing and source in self._tried)

    def note_empty(self, source: object) -> None:
        """Note that a journal has no records to try."""
        self._offered.discard(source)

    def note_request(self) -> None:
        """Note that a request is sent."""
        self._requests += 1

    def note_accepted(self) -> None:
        """Note that the destination accepted a record, so it works."""
        self._accepted += 1
        self._requests = self._too_large = 0
        self.is_refusing = False
        self._tried.clear()

    def note_processed(self) -> None:
        """Note that the destination processed a request, and accepted no record of it. So it works, and proves nothing."""
        self._requests = 0

    def note_refuses_everything(self, source: object) -> None:
        """Note that no record of this journal was accepted, and that a pause follows."""
        self.is_refusing = True
        self._tried.add(source)

    def note_pause(self) -> None:
        """Note that nothing is sent for a while."""
        self._requests = self._too_large = 0

    def has_spent(self) -> bool:
        """Return True if at most one more request without success may be sent before a pause."""
        return self._requests >= MAX_REQUESTS - 1

    def is_lone(self, source: object) -> bool:
        """Return True if no other journal has records."""
        return set(self._offered) <= {source}

    def note_too_large(self, verdict: Verdict) -> bool:
        """Note a verdict on a single record. Return True if it is about its size, and not too many in a row were."""
        if verdict.action is not Action.SPLIT:
            return False
        self._too_large += 1
        return self._too_large <= MAX_SUSPECTS

    def note_refusal(self, waiting: WaitingRecords, entry: Entry, *, has_accepted: bool, is_lone: bool) -> bool:
        """Note that a record was refused alone. Return True if that proves it to be bad.

        Args:
            waiting: The known facts about the waiting records of its journal.
            entry: The record.
            has_accepted: True if the destination accepted a record in the pass that the record is sent in.
            is_lone: True if no other record waits.
        """
        now = self._clock()
        before = waiting.refused.get(entry.sequence) or Refusal(count=0, first_at=now, accepted_before=self._accepted)
        count = before.count + 1
        waiting.refused[entry.sequence] = Refusal(
            count=count, first_at=before.first_at, accepted_before=before.accepted_before
        )
        if self._accepted > before.accepted_before or (has_accepted and count > 1):
            return True
        return is_lone and count >= LONE_REFUSALS and now - before.first_at >= LONE_SECONDS
