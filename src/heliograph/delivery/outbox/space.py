"""The size of an outbox, and the limit that its files may reach together.

Many processes write to the outbox, so its size is only known by walking through it. That takes far longer than to emit a record.
So a measurement is remembered: while the outbox is full, it is measured again only after a pause, or after this process has deleted
something from it.

Any thread may call any method. The only state is the last measurement that found too little space, which is replaced as a whole.
Two threads that measure at once only do the work twice.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Final, NamedTuple

from heliograph.errors import OutboxFull

_PAUSE_SECONDS: Final = 1.0
"""The shortest time between two measurements of a full outbox: after it, space that other processes have freed is used."""
_PAUSES_PER_MEASUREMENT: Final = 100
"""The pause is at least this many times as long as the measurement, which takes seconds with many thousand folders."""
_MAX_PAUSE_SECONDS: Final = 60.0


class _Measurement(NamedTuple):
    """The result of a measurement that found too little space.

    Attributes:
        free: The number of free bytes.
        until: The time, by the monotonic clock, until which it is used without another measurement.
        freed: The mark of `Space` when the measurement began.
    """

    free: int
    until: float
    freed: object


class Space:
    """The space that an outbox takes and may take.

    Args:
        directory: The outbox.
        max_bytes: The size that all files in it may reach together.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._measurement: _Measurement | None = None
        # Replaced by another object each time that this process deletes something. A measurement with a former object is out of date,
        # also if something was deleted in the middle of the measurement.
        self._freed = object()

    def used(self) -> int:
        """Return the size of all files together, in bytes. Reserved but unused space of segments counts."""
        total = 0
        for parent, _, names in os.walk(self._directory):
            for name in names:
                with contextlib.suppress(OSError):  # another process deleted it meanwhile
                    total += (Path(parent) / name).lstat().st_size
        return total

    def check(self, size: int) -> None:
        """Check that a file of this size still fits.

        Two processes may pass this check at the same time: the outbox can exceed its limit by a segment for each.

        Raises:
            OutboxFull: It does not fit.
        """
        measured = self._measurement
        is_known = measured is not None and measured.freed is self._freed and time.monotonic() < measured.until
        if measured is not None and is_known and size > measured.free:
            raise OutboxFull(self._directory, self._max_bytes)
        freed, began = self._freed, time.monotonic()
        free = self._max_bytes - self.used()
        if size <= free:
            return
        ended = time.monotonic()
        pause = max(_PAUSE_SECONDS, min(_MAX_PAUSE_SECONDS, _PAUSES_PER_MEASUREMENT * (ended - began)))
        self._measurement = _Measurement(free, ended + pause, freed)
        raise OutboxFull(self._directory, self._max_bytes)

    def note_freed(self) -> None:
        """Measure again before the next refusal, because this process has deleted something."""
        self._freed = object()
