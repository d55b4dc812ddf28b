"""Unique ids of events that sort by time: UUIDv7 (RFC 9562)."""

from __future__ import annotations

import itertools
import secrets

from heliograph.runtime.fork import after_fork_in_child


class UidGenerator:
    """Makes UUIDv7 strings that are unique among threads, processes and machines, and sort by their times.

    An id consists of 48 bits of Unix milliseconds, 26 bits of a counter (RFC 9562, section 6.2, method 1), and 48 random
    bits that a process draws once. A forked child draws its own: it inherits the counter, so with the parent's random bits
    it would make the parent's next ids.

    Any number of threads, and signal handlers, may call one generator at once, without a lock:

    - ``next`` of an `itertools.count` is one call of C code, which no two threads can interleave.
    - ``_head`` is one tuple, replaced as a whole. A thread that reads an older tuple sees that its block differs, and
      formats its own.
    """

    def __init__(self) -> None:
        self._next_count = itertools.count().__next__
        # The head is a block (a millisecond, and the counter without its low 8 bits) and its text.
        self._head = (-1, "")
        self._draw_random_bits()
        after_fork_in_child(self._draw_random_bits)

    def _draw_random_bits(self) -> None:
        random_bits = secrets.token_hex(6)
        self._ends = tuple(f"{low:02x}-{random_bits}" for low in range(256))  # formatted once, not for each id

    def __call__(self, time_unix_nano: int) -> str:
        """Return a new id for an event at this time, such as ``01990b3e-7d2a-7000-8001-9f86d081884c``."""
        count = self._next_count()
        block = time_unix_nano // 1_000_000 << 18 | count >> 8 & 0x3FFFF
        known_block, head = self._head
        if block != known_block:
            millis, high = block >> 18, block & 0x3FFFF
            head = f"{millis >> 16:08x}-{millis & 0xFFFF:04x}-7{high >> 6:03x}-{0x80 | high & 0x3F:02x}"
            self._head = (block, head)
        return head + self._ends[count & 0xFF]
