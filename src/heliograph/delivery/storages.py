"""The storages of one processor in one process: one for each OpenTelemetry resource.

The module also knows the storages of all processors of the process, because those that share a directory share its limit: if it is
full, records of one signal may be dropped to make room for another.

Any thread may call any method at any time, and so may a signal handler in the middle of another call of its own thread:

- `_lock` guards `_by_header` (adding a storage) and `is_closed`. Both change under it, so no storage is created after `close` has
  begun. It is an `RLock`, because its own thread may hold it when a signal arrives. `_by_header` is read without it, always through a
  copy (`all`).
- `known` is a cache. Single dict operations are atomic in CPython, and the worst of a race is to find a storage twice.
- `_found_nothing_to_drop_at` may be read by two threads at once. Then both look for space.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple
from weakref import ref

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from heliograph.delivery.encoding.requests import encode_resource, encode_scope
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalClosed
from heliograph.delivery.signals import OutboxSignal
from heliograph.delivery.storage import ResourceStorage

_MAX_KNOWN: Final = 1024
"""The size at which the cache is emptied: a program may create loggers or resources all the time."""
_DROP_PAUSE_SECONDS: Final = 1.0
"""The shortest time between two attempts to drop records of other signals, after one that found none."""

_all: Final[dict[int, ref[Storages]]] = {}
"""The storages of all processors of this process, by the ids of the objects. Not a `WeakSet`, which cannot be read while another thread
adds to it."""


class ScopedStorage(NamedTuple):
    """The storage for the records of one logger or tracer.

    Attributes:
        resource: The resource of its provider.
        instrumentation_scope: Its instrumentation scope.
        storage: The storage of the resource.
        scope: The scope, encoded.
    """

    resource: Resource | None
    instrumentation_scope: InstrumentationScope | None
    storage: ResourceStorage
    scope: Scope


class Storages:
    """The storages of one processor.

    Args:
        signal: The signal of the records.
        directory: The directory of the outbox.
        create: Returns a new storage for the resource in a header.

    Attributes:
        signal: The signal of the records.
        directory: The directory of the outbox.
        is_closed: True if no storage is created any more.
        known: The storages of the loggers and tracers that were used recently, by the ids of resource and scope. `find` adds to it.
    """

    def __init__(self, signal: OutboxSignal, directory: Path, create: Callable[[Header], ResourceStorage]) -> None:
        self.is_closed = False
        self.signal, self.directory, self._create = signal, directory, create
        self._lock = threading.RLock()
        self._by_header: dict[Header, ResourceStorage] = {}
        self.known: dict[tuple[int, int], ScopedStorage] = {}
        self._found_nothing_to_drop_at = float("-inf")
        key = id(self)
        _all[key] = ref(self, lambda _: _all.pop(key, None))

    def all(self) -> list[ResourceStorage]:
        """Return the storages that were created so far."""
        # A copy, because another thread may add one during the iteration.
        return list(self._by_header.values())

    def find(self, resource: Resource | None, instrumentation_scope: InstrumentationScope | None) -> ScopedStorage:
        """Return the storage for the records of a logger or tracer that is not in `known`, and add it there.

        The first call for a resource creates its storage.

        Raises:
            JournalClosed: No storage is found or created any more.
        """
        scope = Scope(scope=b"")
        if instrumentation_scope is not None:
            message = encode_scope(
                instrumentation_scope.name, instrumentation_scope.version, instrumentation_scope.attributes
            )
            scope = Scope(scope=message, schema_url=instrumentation_scope.schema_url or "")
        found = ScopedStorage(
            resource, instrumentation_scope, self._storage_of(encode_header(resource, self.signal)), scope
        )
        if len(self.known) >= _MAX_KNOWN:
            self.known.clear()
        # By identity: to hash a resource would cost more than all else on the path of a record. An id is not used again for another
        # object, since the known storage keeps both alive.
        self.known[id(resource), id(instrumentation_scope)] = found
        return found

    def _storage_of(self, header: Header) -> ResourceStorage:
        """Return the storage of a resource. Equal resources share one, although they are different objects."""
        with self._lock:
            if self.is_closed:
                raise JournalClosed
            storage = self._by_header.get(header)
            if storage is None:
                # Not by assignment: a signal handler may have added one since the look-up, with a record in it.
                storage = self._by_header.setdefault(header, self._create(header))
            return storage

    def drop_from_other_signals(self) -> bool:
        """Drop the oldest records of signals with a smaller share of the outbox. Return False if nothing was dropped."""
        # Not for each record: the folders of the others are listed for it.
        if time.monotonic() - self._found_nothing_to_drop_at < _DROP_PAUSE_SECONDS:
            return False
        weaker = [
            each for each in _living() if each.directory == self.directory and each.signal.share < self.signal.share
        ]
        has_dropped = any(storage.drop_oldest() for each in weaker for storage in each.all())
        if not has_dropped:
            self._found_nothing_to_drop_at = time.monotonic()
        return has_dropped

    def close(self) -> bool:
        """Create no storage any more. Those that exist stay open. Return False if this was called before."""
        with self._lock:
            was_closed, self.is_closed = self.is_closed, True
        return not was_closed

    def abandon(self) -> None:
        """Close the inherited files, in the child of a fork, and forget the storages: they belong to the parent."""
        for storage in self.all():
            storage.abandon()
        self._by_header, self.known = {}, {}
        # A thread that does not exist in the child may hold the old lock.
        self._lock = threading.RLock()


def encode_header(resource: Resource | None, signal: OutboxSignal) -> Header:
    """Return the header of the segments of a resource."""
    if resource is None:
        return Header(resource=b"", signal=signal)
    return Header(resource=encode_resource(resource.attributes), schema_url=resource.schema_url or "", signal=signal)


def stores_signal(name: str) -> bool:
    """Return True if a processor of this process stores the records of the signal, in any outbox.

    Args:
        name: The name of the signal: ``logs`` or ``traces``.
    """
    return any(each.signal.name == name and not each.is_closed for each in _living())


def _living() -> list[Storages]:
    return [found for each in list(_all.values()) if (found := each()) is not None]
