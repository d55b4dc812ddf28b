"""Unique ids that sort by time: UUIDv7."""

from __future__ import annotations

import itertools
import secrets

from heliograph.runtime.fork import after_fork_in_child


class UidGenerator:
    """Makes UUIDv7 strings: unique among threads, processes and machines, in the order of their times.

    48 bits of Unix milliseconds, 26 bits of a counter (RFC 9562, section 6.2, method 1), and 48 bits that are random
    for each process, drawn anew after a fork.
    """

    def __init__(self) -> None:
        self._next = itertools.count().__next__  # one C call: no two threads get the same
        self._head = (-1, "")  # replaced as a whole, so that threads never see half of it, nor one of another count
        self._draw_tail()
        after_fork_in_child(self._draw_tail)

    def _draw_tail(self) -> None:
        tail = secrets.token_hex(6)
        self._ends = tuple(f"{low:02x}-{tail}" for low in range(256))  # one format less for each id

    def __call__(self, time_unix_nano: int) -> str:
        """A new id for something that happened then, such as ``01990b3e-7d2a-7000-8001-9f86d081884c``."""
        count = self._next()
        block = time_unix_nano // 1_000_000 << 18 | count >> 8 & 0x3FFFF  # a millisecond, and 256 ids
        known, head = self._head
        if block != known:
            millis, high = block >> 18, block & 0x3FFFF
            head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7{high >> 6:03x}-{0x80 | high & 0x3F:02x}"
            self._head = (block, head)
        return head + self._ends[count & 0xFF]
