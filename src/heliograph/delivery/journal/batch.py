"""Records as they are read from a journal, and the request that a batch of them becomes."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple, overload

from heliograph.delivery.encoding.requests import encode_scope, join_request
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.signals import OutboxSignal
from heliograph.semconv import LOST_SCOPE_NAME

LOST_SCOPE: Final = Scope(scope=encode_scope(LOST_SCOPE_NAME))
"""The scope of records whose own scope is damaged, with all its copies."""


class Entry(NamedTuple):
    """One record of a journal.

    Attributes:
        sequence: The record's sequence.
        scope: The scope that the record belongs to.
        encoded: The encoded record, as the field of `ScopeLogs` that `join_request` needs.
    """

    sequence: int
    scope: Scope
    encoded: bytes

    def age_seconds(self, signal: OutboxSignal) -> float:
        """Return the time since the record was made, by this machine's clock; 0 if the record has no time."""
        record = decode_record(self.encoded, signal)
        made_at = next(filter(None, (getattr(record, name, 0) for name in signal.time_fields)), 0)
        return max(0.0, time.time() - made_at / 1e9) if made_at else 0.0


class _Run(NamedTuple):
    """Records of one scope whose sequences have no gap.

    Attributes:
        start: The index of the first one among all records.
        sequence: The sequence of the first one.
        scope: Their scope.
    """

    start: int
    sequence: int
    scope: Scope


class Entries(Sequence[Entry]):
    """Records in order, as a sequence. An `Entry` is made when its index is read.

    Most batches are sent as they are, and need no `Entry`: so no object is made for each record. Only `extend` changes the sequence.
    """

    __slots__ = ("_encoded", "_runs")

    def __init__(self) -> None:
        self._encoded: list[bytes] = []
        self._runs: list[_Run] = []

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Entries:
        """Return these records, without a copy if they are `Entries` already."""
        if isinstance(entries, Entries):
            return entries
        result = cls()
        for entry in entries:
            result.extend(entry.sequence, entry.scope, [entry.encoded])
        return result

    def extend(self, sequence: int, scope: Scope, encoded: Sequence[bytes]) -> None:
        """Add records of one scope, whose sequences have no gap.

        Args:
            sequence: The sequence of the first one.
            scope: Their scope.
            encoded: The encoded records.
        """
        start = len(self._encoded)
        last = self._runs[-1] if self._runs else None
        if last is None or last.scope != scope or last.sequence + start - last.start != sequence:
            self._runs.append(_Run(start, sequence, scope))
        self._encoded += encoded

    def __len__(self) -> int:
        return len(self._encoded)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Entries: ...

    def __getitem__(self, index: int | slice) -> Entry | Entries:
        if isinstance(index, slice):
            return Entries.of(self[each] for each in range(*index.indices(len(self))))
        position = range(len(self))[index]
        run = self._runs[bisect_right(self._runs, position, key=lambda run: run.start) - 1]
        return Entry(run.sequence + position - run.start, run.scope, self._encoded[position])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entries) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it can be extended

    def by_scope(self) -> Iterator[tuple[Scope, list[bytes]]]:
        """Yield the scope and the encoded records of each group of neighbours that have the same scope."""
        firsts = [next(same) for _, same in groupby(self._runs, key=lambda run: run.scope)]
        ends = [*(run.start for run in firsts[1:]), len(self)]
        for run, end in zip(firsts, ends):
            yield run.scope, self._encoded[run.start : end]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Records of one segment, in the order of their sequences.

    Attributes:
        header: The resource that all of them belong to.
        entries: The records, at least one.
    """

    header: Header
    entries: Entries


def to_request(header: Header, entries: Iterable[Entry]) -> bytes:
    """Return the request that sends these records, which all belong to one resource. It is joined from stored bytes."""
    groups = [(scope.scope, scope.schema_url, encoded) for scope, encoded in Entries.of(entries).by_scope()]
    return join_request(header.resource, header.schema_url, groups)


def decode_record(encoded: bytes, signal: OutboxSignal) -> Any:
    """Return the record as a protobuf message, a `LogRecord` or a `Span`; `None` if the bytes are not one."""
    try:
        records = getattr(signal.scope_class.FromString(encoded), signal.records_field)
    except Exception:
        # protobuf's errors have no common base class in all versions.
        return None
    return records[0] if records else None
