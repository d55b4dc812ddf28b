"""The memory of all requests in progress, by whatever protocol they came: the bytes of their bodies, and the objects that they become.

One `Memory` belongs to all servers of a receiver. Each request takes parts of it, and gives them back when its response is sent.

Threads: any thread may begin a request. A `RequestMemory` is for the thread that serves the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from heliograph.receiver.budget import Budget
from heliograph.receiver.signals import MAX_OBJECTS, MAX_REQUEST_BYTES

MAX_ALL_BYTES: Final = 4 * MAX_REQUEST_BYTES
"""The size of all bodies that are in memory at the same time, as they were sent, and decompressed."""
MAX_ALL_OBJECTS: Final = 2 * MAX_OBJECTS
"""The number of all objects at the same time. The largest request has room beside many small ones, which may never pause."""


class Memory:
    """Limits for all requests in progress.

    Args:
        max_bytes: The limit for the bytes of bodies.
        max_objects: The limit for objects.
    """

    def __init__(self, *, max_bytes: int = MAX_ALL_BYTES, max_objects: int = MAX_ALL_OBJECTS) -> None:
        self._bytes = Budget(max_bytes, "other requests take the memory")
        self._objects = Budget(max_objects, "other requests take the memory")

    @contextmanager
    def request(self) -> Iterator[RequestMemory]:
        """Yield the memory of one request. What it takes is given back at the end of the ``with`` block."""
        request = RequestMemory(self._bytes, self._objects)
        try:
            yield request
        finally:
            request.give_back()


class RequestMemory:
    """The memory that one request takes.

    Args:
        all_bytes: The budget of the bytes of bodies.
        all_objects: The budget of objects.
    """

    def __init__(self, all_bytes: Budget, all_objects: Budget) -> None:
        self._all_bytes = all_bytes
        self._all_objects = all_objects
        self._bytes = 0
        self._objects = 0

    def take_bytes(self, size: int) -> None:
        """Take memory for a part of a body, as it was sent or decompressed, before it is read.

        Raises:
            NotKept: Other requests take the memory.
        """
        self._all_bytes.take(size)
        self._bytes += size

    def take_objects(self, number: int) -> None:
        """Take memory for objects, before they are decoded.

        Raises:
            NotKept: Other requests take the memory.
        """
        self._all_objects.take(number)
        self._objects += number

    def give_back(self) -> None:
        """Give back everything."""
        self._all_bytes.give_back(self._bytes)
        self._all_objects.give_back(self._objects)
        self._bytes = self._objects = 0
