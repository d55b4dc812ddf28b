"""A lock that keeps the process from forking in the middle of a step that the forked child could not finish.

The child of a fork has a copy of the parent's memory, and only the thread that forked. A step that another thread had begun stays
half done there for ever. So such a step holds a `ForkLock`: the thread that forks acquires it before the fork, and releases it
afterwards, in parent and child.
"""

from __future__ import annotations

import threading
from typing import Final

from heliograph.runtime.fork import after_fork_in_child, around_fork

FORK_TIMEOUT_SECONDS: Final = 5.0
"""The longest time that a fork waits for each lock that another thread holds."""


class ForkLock:
    """A reentrant lock that no other thread holds at the moment this process forks.

    A fork waits `FORK_TIMEOUT_SECONDS` at most: a thread that hangs must not keep the program from forking. If the
    timeout expires, the child starts with a new lock, because no thread exists there that would release the old one.

    The lock is reentrant because a signal handler may track an event in the middle of a step of the same thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # The thread that acquired the lock for a fork. Only that thread sets it.
        self._forking_thread: int | None = None
        around_fork(self._before_fork, self._after_fork_in_parent)
        after_fork_in_child(self._after_fork_in_child)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def _before_fork(self) -> None:
        if self._lock.acquire(timeout=FORK_TIMEOUT_SECONDS):
            self._forking_thread = threading.get_ident()

    def _after_fork_in_parent(self) -> None:
        if self._forking_thread == threading.get_ident():
            self._forking_thread = None
            self._lock.release()

    def _after_fork_in_child(self) -> None:
        # A thread keeps its identifier across a fork.
        if self._forking_thread == threading.get_ident():
            self._after_fork_in_parent()
        else:
            self._forking_thread = None
            self._lock = threading.RLock()


importing: Final = ForkLock()
"""Held during an import in a background thread. Otherwise Python's own lock of the module would stay locked in the child of a fork, and
the child would wait for ever as soon as it imports the same module."""
