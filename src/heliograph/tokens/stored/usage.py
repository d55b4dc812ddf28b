"""Collect the last use of each token in memory, until the handler writes them to the database."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from heliograph.runtime.fork import after_fork_in_child

INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two writes, and the longest from a use to its write."""


class Usage:
    """Collects the last use of tokens. Any thread may use it.

    `_lock` guards every change. `last_used` and the properties read without it, each in single steps: `note` and `put_back` change one entry of
    `_last_used` at a time, and `take` replaces both dicts as a whole.
    """

    def __init__(self) -> None:
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        # Reentrant: a signal handler may verify a token in the middle of a call of its own thread.
        self._lock = threading.RLock()
        self._last_used: dict[str, float] = {}
        self._taken: Mapping[str, float] = {}
        self._taken_at = float("-inf")
        self._planned_for: float | None = None

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

    @property
    def is_planned(self) -> bool:
        """True if a write of the collected uses is planned."""
        return self._planned_for is not None

    def plan(self, now: float, at: float) -> bool:
        """Note that the caller will have the uses written at a time. Return False if that is planned already."""
        with self._lock:
            planned = self._planned_for
            # A plan that is overdue by a minute does not count: the event loop that it waited in has ended.
            if planned is not None and now - INTERVAL_SECONDS <= planned <= at:
                return False
            self._planned_for = at
            return True

    def last_used(self, token_id: str) -> float | None:
        """Return the last use of a token that may not be written yet, or `None`."""
        # In this order: `take` moves the uses from the first dict to the second, in which they stay while they are written.
        return self._last_used.get(token_id, self._taken.get(token_id))

    def take(self, now: float) -> Mapping[str, float]:
        """Return the collected uses, by token id, and forget them: the caller writes them."""
        with self._lock:
            self._taken_at = now
            self._planned_for = None
            # First `_taken`: `last_used` reads both without the lock.
            self._taken = self._last_used
            self._last_used = {}
            return self._taken

    def put_back(self, uses: Mapping[str, float]) -> None:
        """Collect uses again that could not be written."""
        with self._lock:
            for token_id, used in uses.items():
                self._put(token_id, used)

    def _put(self, token_id: str, used: float) -> None:
        self._last_used[token_id] = max(used, self._last_used.get(token_id, used))
