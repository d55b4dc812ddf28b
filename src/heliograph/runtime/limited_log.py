"""A log of failures that may happen for every event: one record for each kind of failure, then a count.

A provider that is down fails for each event. A traceback for each would fill a disk, and cost more than the events themselves.

Any number of threads, and signal handlers, may log at once. `_lock` guards `_kinds`. It is reentrant, because a signal handler may
run while its own thread holds it; a forked child gets a new one, because the thread that held it does not exist there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Final

from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.safe_logger import SafeLogger

INTERVAL_SECONDS: Final = 60.0
"""The shortest time between two records of one kind."""
MAX_KINDS: Final = 1000
"""The largest number of kinds that are distinguished. All others are counted together."""


class LimitedLog:
    """Logs the first failure of each kind, and then one a minute at most, with the number of those between.

    Args:
        logger: The logger.
        clock: Returns the time in seconds, from any start.
    """

    def __init__(self, logger: SafeLogger, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        # For each kind the time before which no other failure of it is logged, and the number of failures since the last record.
        self._kinds: dict[Hashable, tuple[float, int]] = {}
        self._reset_lock()
        after_fork_in_child(self._reset_lock)

    def _reset_lock(self) -> None:
        self._lock = threading.RLock()

    def log(
        self,
        kind: Hashable,
        message: str,
        *args: object,
        level: int = logging.ERROR,
        error: BaseException | None = None,
    ) -> None:
        """Log a failure, or count it.

        Args:
            kind: The kind of failure: the first of each kind is logged, and others are only counted.
            message: The message, as in `logging`.
            args: The arguments of the message.
            level: The level.
            error: The exception, whose traceback is logged.
        """
        count = self._count(kind)
        if count is None:
            return
        if count:
            message, args = f"{message} (%d more since the last such line)", (*args, count)
        self._logger.log(level, message, *args, error=error, stacklevel=2)

    def _count(self, kind: Hashable) -> int | None:
        """Return the number of failures since the last record of this kind, or `None` if it is too early for another one."""
        now = self._clock()
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
                kind = None
            next_time, count = self._kinds.get(kind, (now, 0))
            if now < next_time:
                self._kinds[kind] = (next_time, count + 1)
                return None
            self._kinds[kind] = (now + INTERVAL_SECONDS, 0)
            return count
