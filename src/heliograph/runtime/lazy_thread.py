"""A thread that is started when there is work, and ends when there is none.

A signal handler may raise an exception in the middle of `threading.Thread.start`, as Ctrl-C and gevent's timeouts do. After that,
nobody knows if the thread will run: it may, a moment later, while another one was started. So a new thread *claims* the function as its
first step. It ends at once if another living thread has claimed it. A thread that has died has no claim.

Threads: any thread calls every method, and so does a signal handler in the middle of another call of its own thread. `_lock` guards
`_owner` (the last thread that claimed the function), `_is_claimed` (True until that thread gives the claim up) and `_started` (the newest
thread, until it has tried to claim the function). It is reentrant because of such handlers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from heliograph.runtime.thread_start import try_to_start


class LazyThread:
    """Runs a function in a daemon thread. At most one thread at a time calls it.

    Args:
        function: Works until there is nothing to do, and calls `note_end` before it returns.
        name: The name of the thread.
    """

    def __init__(self, function: Callable[[], object], name: str) -> None:
        self._function = function
        self._name = name
        self._lock = threading.RLock()
        self._owner: threading.Thread | None = None
        self._is_claimed = False
        self._started: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """True if there is a thread that has not called `note_end`."""
        return (self._is_claimed and _is_alive(self._owner)) or _is_alive(self._started)

    def start(self) -> bool:
        """Start the thread, unless it is running. Return False if no thread can be started: the interpreter ends, or there are too many."""
        with self._lock:
            if self.is_running:
                return True
            thread = self._started = threading.Thread(target=self._run, name=self._name, daemon=True)
            return try_to_start(thread)

    def _run(self) -> None:
        if self._claim():
            try:
                self._function()
            finally:
                self.note_end()

    def _claim(self) -> bool:
        """Claim the function for this thread. Return False if another living thread has claimed it."""
        me = threading.current_thread()
        with self._lock:
            is_free = not (self._is_claimed and _is_alive(self._owner))
            if is_free:
                self._owner, self._is_claimed = me, True
            if self._started is me:
                self._started = None
            return is_free

    def note_end(self) -> None:
        """Let the next `start` start another thread. The thread itself calls this when it has found no more work."""
        with self._lock:
            # Another thread may have been started since the first call.
            if self._owner is threading.current_thread():
                self._is_claimed = False

    def end(self, ask: Callable[[], object], timeout_seconds: float | None = None) -> None:
        """Ask the function to return, and wait until its thread has ended. The thread itself does not wait.

        Args:
            ask: Makes the function return. It is called in any case, also if no thread is running.
            timeout_seconds: The longest time to wait.
        """
        # Read before: a thread that is started for later work is not waited for.
        threads = self._owner, self._started
        ask()
        for thread in threads:
            if thread is not None and thread is not threading.current_thread() and thread.is_alive():
                thread.join(timeout_seconds)


def _is_alive(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()
