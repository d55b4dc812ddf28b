"""The memory of refused records: decides if a refusal is the fault of the data or of the destination. No I/O.

A server that fails for some minutes may say that the data is invalid, whatever it gets. So a record that is refused alone is
only a *suspect*. It is proven to be bad if the destination accepts a different record:

- after the suspect was refused, in the same pass over a batch;
- before it, in the same pass, if fewer than `MAX_SUSPECTS` are refused in a row;
- between two refusals of the same record, whichever journal the other record is from.

If the destination accepts no other record, it *refuses everything*. From then on one record is tried at a time, another one each
time, with growing pauses, until one is accepted. If nothing else waits, nothing can be compared: then the one suspect is proven to
be bad by `LONE_REFUSALS` refusals over `LONE_SECONDS`.

Bounds: `MAX_SUSPECTS` records in a row are refused before one from the newest end is tried, and `MAX_REQUESTS` requests are sent
before the first pause. A record that is too large (413) is bad at once, but not more than `MAX_SUSPECTS` in a row.

One thread uses it: the one that sends.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary, WeakSet

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.source import Source
from heliograph.delivery.transport.verdict import Action, Verdict

MAX_SUSPECTS: Final = 4
MAX_REQUESTS: Final = 16
LONE_REFUSALS: Final = 5
LONE_SECONDS: Final = 60.0


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
class SourceMemory:
    """The known facts about the waiting records of one journal, by sequence.

    Attributes:
        done: Records that were delivered or are dead letters, while a record before them waits.
        refused: Records that were refused alone.
        starts: The records that begin the second half of a request that was refused as invalid. If a pass ends early, the next one goes on with these
            halves: a server that fails now and then would else get the whole batch again each time.
    """

    done: set[int] = field(default_factory=set)
    refused: dict[int, Refusal] = field(default_factory=dict)
    starts: set[int] = field(default_factory=set)

    def parts(self, entries: Sequence[Entry]) -> list[Sequence[Entry]]:
        """Return the parts that records are to be sent in, the last one first."""
        bounds = (
            [number for number, entry in enumerate(entries) if entry.sequence in self.starts] if self.starts else []
        )
        return [entries[start:end] for start, end in itertools.pairwise([0, *bounds, len(entries)]) if start < end][
            ::-1
        ]

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


@dataclass(kw_only=True)
class BatchPass:
    """One pass over a batch: its records are sent together, or in smaller requests.

    Attributes:
        source: The journal of the records.
        header: Their resource.
        memory: The known facts about the records of the journal.
        acknowledged: The sequence up to which all records are acknowledged.
        suspects: Records that were refused alone and are not proven to be bad, in order, with their verdicts.
        has_accepted: True if the destination accepted a record in this pass.
    """

    source: Source
    header: Header
    memory: SourceMemory
    acknowledged: int
    suspects: list[tuple[Entry, Verdict]] = field(default_factory=list)
    has_accepted: bool = False

    def unfinished(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the records that are neither delivered nor dead letters."""
        done = self.memory.done
        return [entry for entry in entries if entry.sequence not in done] if done else entries

    def known(self) -> set[int]:
        """Return the sequences of the records that prove nothing: those that are done, and the suspects."""
        return self.memory.done | {entry.sequence for entry, _ in self.suspects}


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
        self._accepted = 0
        self._requests = 0
        self._too_large = 0
        self._memories: WeakKeyDictionary[object, SourceMemory] = WeakKeyDictionary()
        self._offered: WeakSet[object] = WeakSet()
        self._tried: WeakSet[object] = WeakSet()

    def memory_of(self, source: object) -> SourceMemory:
        """Return the memory of a journal."""
        return self._memories.setdefault(source, SourceMemory())

    def may_try(self, source: object) -> bool:
        """Return True if it is this journal's turn.

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

    def note_refuses_everything(self, source: object) -> None:
        """Note that no record of this journal was accepted, and that a pause follows."""
        self.is_refusing = True
        self._tried.add(source)

    def note_pause(self) -> None:
        """Note that nothing is sent for a while."""
        self._requests = self._too_large = 0

    def has_spent(self) -> bool:
        """Return True if one more request without success may be sent before a pause."""
        return self._requests >= MAX_REQUESTS - 1

    def is_lone(self, source: object) -> bool:
        """Return True if no other journal has records."""
        return set(self._offered) <= {source}

    def is_too_large(self, verdict: Verdict) -> bool:
        """Return True if the verdict on a single record is about its size, and not too many in a row were."""
        if verdict.action is not Action.SPLIT:
            return False
        self._too_large += 1
        return self._too_large <= MAX_SUSPECTS

    def is_proven(self, memory: SourceMemory, entry: Entry, *, is_lone: bool) -> bool:
        """Note that a record was refused alone. Return True if that proves it to be bad.

        Args:
            memory: The memory of the record's journal.
            entry: The record.
            is_lone: True if no other record waits.
        """
        now = self._clock()
        before = memory.refused.get(entry.sequence) or Refusal(count=0, first_at=now, accepted_before=self._accepted)
        count = before.count + 1
        memory.refused[entry.sequence] = Refusal(
            count=count, first_at=before.first_at, accepted_before=before.accepted_before
        )
        if self._accepted > before.accepted_before:
            return True
        return is_lone and count >= LONE_REFUSALS and now - before.first_at >= LONE_SECONDS
