"""The state of one pass over a batch of records, from its first request until its records are acknowledged or wait. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.source import Source
from heliograph.delivery.source_memory import SourceMemory
from heliograph.delivery.transport.verdict import Verdict


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
