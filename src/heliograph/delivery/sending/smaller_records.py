"""Smaller forms of a record that is too large for a server: one without a part of it arrives, and the whole one never would.

Only spans have them: a span can lack some of its events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from heliograph.delivery.encoding.smaller_spans import shrink_span
from heliograph.delivery.journal.batch import Entry
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.signals import TRACES, OutboxSignal

_SHRINKS: Final[Mapping[OutboxSignal, Callable[[bytes, int], tuple[bytes, int] | None]]] = {TRACES: shrink_span}
"""By signal, the function that makes a record smaller, and returns the number of events that it lacks then."""
_MAX_FORMS: Final = 8
"""The number of forms that are tried, each half as large as the one before."""
_ROOM_BYTES: Final = 1024
"""The room for the lengths and schema URLs in a request of one record."""


def smaller_records(header: Header, entry: Entry, usual_limit_bytes: int) -> Iterator[tuple[Entry, int]]:
    """Yield smaller forms of a record, the largest first, each with the number of events that it lacks.

    Args:
        header: The resource and the signal of the record.
        entry: The record that was refused for its size.
        usual_limit_bytes: The size of a request that servers usually accept.
    """
    shrink = _SHRINKS.get(header.signal)
    if shrink is None:
        return
    size = len(entry.encoded)
    usual = usual_limit_bytes - len(header.resource) - len(entry.scope.scope) - _ROOM_BYTES
    max_bytes = usual if size > usual else size // 2
    for _ in range(_MAX_FORMS):
        smaller = shrink(entry.encoded, max_bytes)
        if smaller is None:
            return
        encoded, lacking = smaller
        yield entry._replace(encoded=encoded), lacking
        max_bytes //= 2
