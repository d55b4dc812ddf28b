"""Limit the number of events in a minute, and count those beyond the limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from heliograph.runtime.fork import after_fork_in_child

_MINUTE: Final = 60.0


class RateLimit:
    """Admits events at a limited rate (a token bucket). Any thread may use it.

    After a quiet minute it admits `per_minute` events at once, and from then on one more for each part of a minute that has passed. So the
    first minute of a flood admits up to twice the number.

    Args:
        per_minute: The number of events in a minute; 0 admits none.
        clock: Returns the time in seconds, from any start.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._available = float(per_minute)
        self._updated = clock()
        self._refused = 0
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        # Guards the three numbers. Reentrant: a signal handler may run in the middle of a call of its own thread.
        self._lock = threading.RLock()

    def admit(self) -> int | None:
        """Admit an event, and return the number of those refused since the last one that was admitted. Return `None` to refuse it."""
        with self._lock:
            now = self._clock()
            earned = (now - self._updated) * self._per_minute / _MINUTE
            self._available = min(self._per_minute, self._available + earned)
            self._updated = now
            if self._available < 1:
                self._refused += 1
                return None
            self._available -= 1
            refused, self._refused = self._refused, 0
            return refused
