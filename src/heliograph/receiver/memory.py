"""Limit the memory of all requests in progress: the bytes of their bodies, and the objects that they are decoded to.

All servers of a receiver, for HTTP and gRPC, share one `Memory`. Each request reserves parts of it, and releases them before its
response is sent.

Threads: any thread may begin a request. A `RequestMemory` is for the thread that serves the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from heliograph.receiver.budget import Budget
from heliograph.receiver.signals import MAX_OBJECTS, MAX_REQUEST_BYTES

MAX_ALL_BYTES: Final = 4 * MAX_REQUEST_BYTES
"""The size of all bodies that are in memory at the same time. A compressed body counts twice: as it was sent, and decompressed."""
MAX_ALL_OBJECTS: Final = 2 * MAX_OBJECTS
"""The number of all objects that are in memory at the same time.

Both limits are twice as high as the largest request needs. Otherwise it would be refused for as long as small requests keep coming.
"""


class Memory:
    """Limits for all requests in progress.

    Args:
        max_bytes: The limit for the bytes of bodies.
        max_objects: The limit for objects.
    """

    def __init__(self, *, max_bytes: int = MAX_ALL_BYTES, max_objects: int = MAX_ALL_OBJECTS) -> None:
        self._bytes = Budget(max_bytes, "other requests use all the memory")
        self._objects = Budget(max_objects, "other requests use all the memory")

    @contextmanager
    def request(self) -> Iterator[RequestMemory]:
        """Yield the memory of one request. Everything that it reserves is released at the end of the ``with`` block."""
        request = RequestMemory(self._bytes, self._objects)
        try:
            yield request
        finally:
            request.release()


class RequestMemory:
    """The memory that one request reserves.

    Args:
        all_bytes: The limit for the bytes of the bodies of all requests.
        all_objects: The limit for the objects of all requests.
    """

    def __init__(self, all_bytes: Budget, all_objects: Budget) -> None:
        self._all_bytes = all_bytes
        self._all_objects = all_objects
        self._bytes = 0
        self._objects = 0

    def reserve_bytes(self, size: int) -> None:
        """Reserve memory for a part of a body, as it was sent or decompressed.

        Raises:
            NotKept: Other requests use all the memory.
        """
        self._all_bytes.reserve(size)
        self._bytes += size

    def reserve_objects(self, number: int) -> None:
        """Reserve memory for objects, before they are decoded.

        Raises:
            NotKept: Other requests use all the memory.
        """
        self._all_objects.reserve(number)
        self._objects += number

    def release(self) -> None:
        """Release everything."""
        self._all_bytes.release(self._bytes)
        self._all_objects.release(self._objects)
        self._bytes = self._objects = 0
