"""Let event loops await commits: one thread waits for all of them, so that no loop is blocked.

The thread, ``heliograph-commit``, is started by the first commit that is awaited, and ends with the journal. It collects all commits that
were begun by then, and waits for the newest as any other thread does (`GroupCommit.wait`), so it shares its sync with them. Then it calls
each event loop once, for all commits of that loop. The loop wakes its tasks a few at a time.

Threads: `begin` is called in the thread of an event loop, of which there may be several, and `close` and `end` by any thread. `_waiting` is
a `deque`, whose single steps are atomic: the thread that takes a wait from it ends that wait. `_lock` guards the start of the thread: none is
started after `_is_closed` is set. `begin` takes it only if no thread is running, since a thread that finds `_is_closed` set looks for commits
once more before it ends. The lock is reentrant, because a signal handler may begin a commit in the middle of another one's `begin`. If the
journal is closed, or no thread can be started, `begin` itself waits.

The child of a fork begins with a new object: no event loop goes on there.
"""

from __future__ import annotations

import contextlib
import errno
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, TypeAlias

from heliograph.delivery.journal.group_commit import GroupCommit, NotSyncedError
from heliograph.runtime.bell import Bell
from heliograph.runtime.lazy_thread import LazyThread

if TYPE_CHECKING:
    import asyncio

_WOKEN_TASKS: Final = 10
"""The number of tasks that are woken in one turn of an event loop."""


_Awaited: TypeAlias = "tuple[int, asyncio.AbstractEventLoop, asyncio.Future[NotSyncedError | None]]"
"""The sequence of a commit, and the loop and the future of the task that awaits it. A named tuple takes longer to make."""
_Outcome: TypeAlias = "tuple[asyncio.Future[NotSyncedError | None], NotSyncedError | None]"


class AwaitedCommits:
    """Lets event loops await commits of one journal.

    Args:
        commits: The commits of the journal.
    """

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._waiting: deque[_Awaited] = deque()
        self._bell = Bell()
        self._lock = threading.RLock()
        self._thread = LazyThread(self._run, "heliograph-commit")
        self._is_closed = False

    def begin(self, sequence: int) -> Awaitable[NotSyncedError | None]:
        """Begin the commit of everything up to a sequence. Its result is what `GroupCommit.wait` returns.

        The caller's loop is running. Cancelling one wait affects neither the commit nor other waits.
        """
        # The caller has imported it. An import statement would take longer than the rest of this method.
        loop: asyncio.AbstractEventLoop = sys.modules["asyncio"].get_running_loop()
        future: asyncio.Future[NotSyncedError | None] = loop.create_future()
        # This comes first, because the thread ends only after it has looked again.
        self._waiting.append((sequence, loop, future))
        if (not self._is_closed and self._thread.is_running) or self._has_thread():
            self._bell.ring()
        else:
            self._wait_for_all()
        return future

    def end(self) -> None:
        """Let the thread end, after the commits that have begun."""
        with self._lock:
            self._is_closed = True
        self._bell.ring()

    def close(self) -> None:
        """Wait for the commits that have begun, and end the thread."""
        self._thread.end(self.end)

    def _has_thread(self) -> bool:
        """Return True if there is a thread, which is started if it has to be."""
        with self._lock:
            return not self._is_closed and self._thread.start()

    def _run(self) -> None:
        is_closed = False
        while not is_closed:
            self._bell.wait(threading.TIMEOUT_MAX)
            is_closed = self._is_closed
            self._wait_for_all()

    def _wait_for_all(self) -> None:
        """Wait for all commits that have begun, and hand the outcome of each to its event loop."""
        taken: list[_Awaited] = []
        with contextlib.suppress(IndexError):
            while True:
                taken.append(self._waiting.popleft())
        unknown = self._wait_for(max((sequence for sequence, _, _ in taken), default=0))
        outcomes: dict[asyncio.AbstractEventLoop, deque[_Outcome]] = defaultdict(deque)
        for sequence, loop, future in taken:
            outcomes[loop].append((future, unknown or self._commits.failure_of(sequence)))
        for loop, ended in outcomes.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_end, loop, ended)

    def _wait_for(self, sequence: int) -> NotSyncedError | None:
        """Wait for a commit. Return an error only if the waiting itself failed, so that the outcome is unknown."""
        try:
            self._commits.wait(sequence)
        except Exception as error:
            # A MemoryError, for example. No task may wait for ever.
            return NotSyncedError(errno.EIO, str(error))
        return None


def _end(loop: asyncio.AbstractEventLoop, outcomes: deque[_Outcome]) -> None:
    """Wake some tasks, and the others in later turns of the loop, so that other callbacks of the loop are not delayed."""
    for _ in range(min(len(outcomes), _WOKEN_TASKS)):
        future, outcome = outcomes.popleft()
        if not future.done():  # else its task was cancelled
            future.set_result(outcome)
    if outcomes:
        loop.call_soon(_end, loop, outcomes)
