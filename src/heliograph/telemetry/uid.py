"""Unique ids that sort by time: UUIDv7."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable

from heliograph.fork import after_fork_in_child


class UidGenerator:
    """Makes UUIDv7 strings: unique among threads, processes and machines, in order within a process.

    48 bits of Unix milliseconds, 26 bits of a counter (RFC 9562, section 6.2, method 1), and 48 bits that are random
    for each process, drawn anew after a fork.

    Args:
        clock: Gives the time in nanoseconds since the Unix epoch.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._next = itertools.count().__next__  # one C call: no two threads get the same
        self._prefix = (-1, "")  # replaced as a whole, so that threads never see half of it
        self._draw_tail()
        after_fork_in_child(self._draw_tail)

    def _draw_tail(self) -> None:
        self._tail = secrets.token_hex(6)

    def __call__(self) -> str:
        """A new id, such as ``01990b3e-7d2a-7000-8001-9f86d081884c``."""
        now = self._clock() // 1_000_000
        millis, prefix = self._prefix
        if now != millis:
            prefix = f"{now >> 16:08x}-{now & 0xFFFF:04x}-7"
            self._prefix = (now, prefix)
        count = self._next()
        return f"{prefix}{count >> 14 & 0xFFF:03x}-{0x8000 | count & 0x3FFF:04x}-{self._tail}"
