"""A limit of the number of events in a minute, which counts what is beyond it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from heliograph.runtime.fork import after_fork_in_child

_MINUTE: Final = 60.0


class RateLimit:
    """Admits a number of things in any minute, evenly after the first ones. Any thread may use it.

    Args:
        per_minute: The number; 0 admits nothing.
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
        # Guards the three numbers. Reentrant: the handler of a signal may run in the middle of a call of its own thread.
        self._lock = threading.RLock()

    def admit(self) -> int | None:
        """Return the number of refusals since the last admission, or `None` to refuse this one."""
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
