"""A limit for something that requests in progress take together, such as memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from heliograph.receiver.contract import NotKept


class Budget:
    """A limit for all requests in progress. A part that is larger than the limit is admitted if nothing else is taken.

    Threads: any number of them. `_lock` guards `_taken`.

    Args:
        limit: The limit.
        refusal: The message for a request that must be sent again later.
    """

    def __init__(self, limit: int, refusal: str) -> None:
        self._limit = limit
        self._refusal = refusal
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        """Take a part, until `give_back`.

        Raises:
            NotKept: Too much is taken.
        """
        with self._lock:
            if self._taken and self._taken + size > self._limit:
                raise NotKept(self._refusal)
            self._taken += size

    def give_back(self, size: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self._taken -= size

    @contextmanager
    def admitted(self, size: int) -> Iterator[None]:
        """Take a part, for the time of a ``with`` block.

        Raises:
            NotKept: Too much is taken.
        """
        self.take(size)
        try:
            yield
        finally:
            self.give_back(size)
