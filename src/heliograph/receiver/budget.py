"""A limit for something that all requests in progress share, such as memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from heliograph.receiver.contract import NotKept


class Budget:
    """An amount of which requests reserve parts. While nothing is reserved, a part may be larger than the limit.

    Threads: any thread may call every method. `_lock` guards `_reserved`.

    Args:
        limit: The amount.
        refusal: The message of the `NotKept` for a request that gets no part.
    """

    def __init__(self, limit: int, refusal: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._reserved = 0
        self._lock = threading.Lock()

    def reserve(self, size: int) -> None:
        """Reserve a part, until `release`.

        Raises:
            NotKept: Other requests have reserved too much. Nothing is reserved for this one.
        """
        with self._lock:
            if self._reserved and self._reserved + size > self._limit:
                raise NotKept(self._refusal)
            self._reserved += size

    def release(self, size: int) -> None:
        """Release parts with this total size."""
        with self._lock:
            self._reserved -= size

    @contextmanager
    def reserved(self, size: int) -> Iterator[None]:
        """Reserve a part for the time of a ``with`` block.

        Raises:
            NotKept: Other requests have reserved too much.
        """
        self.reserve(size)
        try:
            yield
        finally:
            self.release(size)
