"""The last use of each token, collected in memory and written to the database from time to time."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from heliograph.runtime.fork import after_fork_in_child

INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two writes."""


class Usage:
    """Collects the last use of tokens. Any thread may use it."""

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        # Reentrant: the handler of a signal may verify a token in the middle of a call of its own thread.
        self._lock = threading.RLock()
        self._last_used: dict[str, float] = {}
        self._taken_at = float("-inf")

    @property
    def is_empty(self) -> bool:
        """True if no use waits to be written."""
        return not self._last_used

    def note(self, token_id: str, now: float) -> bool:
        """Note a use. Return True if the collected uses should be written now."""
        with self._lock:
            self._put(token_id, now)
            # A clock that was set back must not put the next write off.
            return not 0 <= now - self._taken_at < INTERVAL_SECONDS

    def last_used(self, token_id: str) -> float | None:
        """Return the last use of a token since the last write, or `None`."""
        return self._last_used.get(token_id)

    def take(self, now: float) -> Mapping[str, float]:
        """Return the collected uses, by token id, and forget them: the caller writes them."""
        with self._lock:
            self._taken_at = now
            taken, self._last_used = self._last_used, {}
            return taken

    def put_back(self, uses: Mapping[str, float]) -> None:
        """Collect uses again that could not be written."""
        with self._lock:
            for token_id, used in uses.items():
                self._put(token_id, used)

    def _put(self, token_id: str, used: float) -> None:
        self._last_used[token_id] = max(used, self._last_used.get(token_id, used))
