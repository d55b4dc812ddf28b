"""The known facts about the records of one journal that are not acknowledged yet. No I/O.

These are: which records are done, which were refused alone, and where to divide them.

They outlive a pass over a batch, and end with the process. After a restart, the records are sent again, and their refusals are
counted from the start.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from heliograph.delivery.journal.batch import Entry


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The refusals of a record that was sent alone.

    Attributes:
        count: The number of refusals.
        first_at: The time of the first.
        accepted_before: The number of requests that the destination had accepted by then.
    """

    count: int
    first_at: float
    accepted_before: int


@dataclass
class WaitingRecords:
    """The known facts about the records of one journal that are not acknowledged yet, by sequence.

    Attributes:
        done: Records that were delivered or are dead letters, while a record before them waits.
        refused: Records that were refused alone.
        starts: Records that begin the second half of a request that was refused as invalid. If a pass ends early, the next one goes on
            with these halves: else a server that fails now and then would get the whole batch again each time.
    """

    done: set[int] = field(default_factory=set)
    refused: dict[int, Refusal] = field(default_factory=dict)
    starts: set[int] = field(default_factory=set)

    def parts(self, entries: Sequence[Entry]) -> list[Sequence[Entry]]:
        """Return the parts that records are to be sent in, the last one first."""
        if not self.starts:
            return [entries]
        bounds = [number for number, entry in enumerate(entries) if number and entry.sequence in self.starts]
        parts = [entries[start:end] for start, end in itertools.pairwise([0, *bounds, len(entries)])]
        return parts[::-1]

    def forget_until(self, sequence: int) -> None:
        """Forget the records up to a sequence, which are acknowledged."""
        if self.done or self.refused or self.starts:
            self.starts = {each for each in self.starts if each > sequence + 1}
            self.done = {each for each in self.done if each > sequence}
            self.refused = {each: refusal for each, refusal in self.refused.items() if each > sequence}

    def least_refused(self, entries: Sequence[Entry]) -> Entry:
        """Return the record that was refused least often, the newest of them, so that each attempt tries another one."""
        counts = {sequence: refusal.count for sequence, refusal in self.refused.items()}
        return min(reversed(entries), key=lambda entry: counts.get(entry.sequence, 0))
