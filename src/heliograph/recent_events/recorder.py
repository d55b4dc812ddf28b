"""Keep recent events and counts, without delaying the code that tracks events.

A thread that tracks an event only puts it into memory. The thread ``heliograph-recent`` writes it to the file, at most once a second.
`RecentEvents.flush` writes it, too: the page calls it before it reads, and so does the end of the process. If more events wait than
`MAX_WAITING`, because the file is locked or slow, the oldest are dropped and counted. So memory is bounded.

Threads: any thread, and any signal handler, may add events and counts at any time. `_lock` guards `_events` and `_counts`, and is
reentrant, because such a handler may interrupt a thread that holds it. `_writing` is held by the one thread that writes, from the moment when
it removes events from memory until they are in the file. So a `flush` that finds nothing to write returns after the write in progress.

A forked child begins without events: the parent writes those that waited when it forked.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final, TypeAlias

from heliograph.recent_events.record import RecentEvent, recent_event
from heliograph.recent_events.store import MINUTES, CountKind, Counts, RecentEventStore
from heliograph.runtime.bell import Bell
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.lazy_thread import LazyThread
from heliograph.runtime.limited_log import LimitedLog
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.runtime.weak_methods import weak_method
from heliograph.semconv import SCOPE, TOKEN_VERIFY
from heliograph.telemetry.observers import TokenSpan, TrackedEvent

MAX_WAITING: Final = 2000
"""The largest number of events in memory that are not written yet."""
MAX_NAMES: Final = 1000
"""The number of counts in memory, by minute and name, beyond which further names are counted together, as `OTHER_NAME`."""
OTHER_NAME: Final = "(other)"
"""The name of the count of all further names."""

_PAUSE_SECONDS: Final = 1.0
"""The shortest time between two writes of the thread."""
_LOOK_SECONDS: Final = 60.0
"""The time after which the thread looks if its recorder still exists, and ends if not."""

WeakFlush: TypeAlias = "Callable[[], Callable[[], None] | None]"

logger: Final = SafeLogger(SCOPE)


class RecentEvents:
    """Keeps the newest events, and counts of events and of verified tokens per minute: an observer of telemetry.

    Args:
        store: The file.
        source: The registry of the schemas of the host whose events are kept.
        clock: Returns the seconds since the Unix epoch.

    Attributes:
        store: The file.
    """

    # The page shows events, and exports none: a missing provider is reported nevertheless.
    replaces_providers = False

    def __init__(self, store: RecentEventStore, source: object, *, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self._source = source
        self._clock = clock
        self._failures = LimitedLog(logger)
        self._reset()
        after_fork_in_child(self._reset)
        atexit.register(_flush_if_alive, weak_method(self.flush))

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._events: deque[RecentEvent] = deque()
        self._counts: defaultdict[tuple[int, CountKind, str], int] = defaultdict(int)
        self._writer = _Writer(weak_method(self.flush))

    def minute(self) -> int:
        """Return the number of minutes since the Unix epoch."""
        return int(self._clock() // 60)

    def on_event(self, source: object, event: TrackedEvent) -> None:
        """Keep an event that was emitted, and count it."""
        if source is self._source and not event.is_in_quarantine:
            self._add(recent_event(event))

    def on_token(self, source: object, span: TokenSpan) -> None:
        """Count the verification of a token, by its result."""
        if source is self._source and span.name == TOKEN_VERIFY:
            with self._lock:
                self._count(CountKind.TOKEN, span.result)
            self._writer.wake()

    def _add(self, event: RecentEvent) -> None:
        with self._lock:
            self._count(CountKind.EVENT, event.event_name)
            self._events.append(event)
            if len(self._events) > MAX_WAITING:
                self._events.popleft()
                self._count(CountKind.NOT_KEPT, "")
        self._writer.wake()

    def _count(self, kind: CountKind, name: str, count: int = 1, minute: int | None = None) -> None:
        key = (self.minute() if minute is None else minute, kind, name)
        if len(self._counts) >= MAX_NAMES and key not in self._counts:
            key = (key[0], kind, OTHER_NAME)
        self._counts[key] += count

    def close(self) -> None:
        """Write everything that waits, and end the thread. The next event starts another one."""
        with self._lock:
            writer, self._writer = self._writer, _Writer(weak_method(self.flush))
        writer.end()
        self.flush()

    def flush(self) -> None:
        """Write everything that waits to the file. If this fails, log it, and count the events as not kept."""
        with self._writing:
            events, counts = self._remove_waiting()
            if not counts:
                return
            try:
                self.store.put(os.getpid(), events, counts, minute=self.minute())
            except Exception as error:
                # The file may be locked, full, deleted or damaged. The program must go on.
                self._failures.log(type(error).__name__, "Recent events could not be written.", error=error)
                self._put_back(counts, len(events))

    def _remove_waiting(self) -> tuple[list[RecentEvent], Counts]:
        with self._lock:
            # Replaced, and not cleared: what a signal handler adds meanwhile is in the old ones, or in the new ones.
            events, self._events = self._events, deque()
            counts, self._counts = self._counts, defaultdict(int)
        return list(events), dict(counts)

    def _put_back(self, counts: Counts, not_kept: int) -> None:
        """Keep counts for the next write. The events are dropped: others may have filled the memory for them meanwhile."""
        with self._lock:
            for (minute, kind, name), count in counts.items():
                if minute > self.minute() - MINUTES:
                    self._count(kind, name, count, minute)
            if not_kept:
                self._count(CountKind.NOT_KEPT, "", not_kept)


class _Writer:
    """The thread of a recorder. It does not keep the recorder alive.

    Args:
        flush: Returns the recorder's method `flush`, or `None` when the recorder was deleted.
    """

    def __init__(self, flush: WeakFlush) -> None:
        self._flush = flush
        self._bell = Bell()
        self._thread = LazyThread(self._run, "heliograph-recent")
        self._has_ended = False

    def wake(self) -> None:
        """Let the thread write soon. If none can be started, the next `RecentEvents.flush` writes everything."""
        self._thread.start()
        self._bell.ring()

    def end(self) -> None:
        """Let the thread end soon."""
        self._has_ended = True
        self._bell.ring()

    def _run(self) -> None:
        self._bell.wait(_LOOK_SECONDS)
        while not self._has_ended and _flush_if_alive(self._flush):
            time.sleep(_PAUSE_SECONDS)
            self._bell.wait(_LOOK_SECONDS)


def _flush_if_alive(flush_method: WeakFlush) -> bool:
    """Write everything that waits. Return False if the recorder was deleted."""
    flush = flush_method()
    if flush is not None:
        flush()
    return flush is not None
