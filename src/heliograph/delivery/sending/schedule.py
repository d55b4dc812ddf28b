"""The time before which a sender sends nothing, because a server failed or asked to wait. No I/O.

Threads: the sending thread calls `postpone` and `reset`. Any thread, and any signal handler, may call `waiting_seconds` and
`cancel_backoff` at any time. The lock guards the two times, which `postpone` sets together and `cancel_backoff` combines. It is
reentrant, because a signal handler may flush in the middle of any line of the main thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from heliograph.delivery.sending.backoff import Backoff


class Schedule:
    """The times of one sender.

    Args:
        backoff: Computes the waits after failures. The schedule owns it.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, backoff: Backoff, clock: Callable[[], float]) -> None:
        self._backoff = backoff
        self._clock = clock
        self._lock = threading.RLock()
        # The time when the next request may be sent.
        self._not_before = 0.0
        # The part of it that a server asked for.
        self._server_not_before = 0.0

    def waiting_seconds(self) -> float:
        """Return the seconds until something may be sent; 0 if it may be sent now."""
        return max(0.0, self._not_before - self._clock())

    def postpone(self, retry_after_seconds: float | None) -> None:
        """Let nothing be sent before the backoff and the server's `Retry-After` are over.

        Args:
            retry_after_seconds: The seconds of the `Retry-After`; `None` if the server sent none.
        """
        with self._lock:
            now = self._clock()
            self._server_not_before = now + (retry_after_seconds or 0.0)
            self._not_before = now + self._backoff.next(retry_after_seconds)

    def cancel_backoff(self) -> None:
        """Cancel our own backoff, because a flush is waiting. A server's `Retry-After` is never cancelled."""
        with self._lock:
            self._not_before = self._server_not_before

    def reset(self) -> None:
        """Start again with the shortest backoff, because the server works."""
        self._backoff.reset()
