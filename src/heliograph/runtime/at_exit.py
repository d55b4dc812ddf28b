"""Shutting down when the interpreter ends, within a deadline."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable

from heliograph.runtime.fork import after_fork_in_child


class AtExit:
    """Calls a function when the interpreter ends, and lets it end when the deadline is past.

    The function runs in a daemon thread that has waited for it: from Python 3.12 on, no thread can be started when the
    interpreter is ending, and the SDK's own flush, in the main thread, would hold it up for as long as it takes.

    Args:
        function: What is called.
        timeout_millis: How long the interpreter waits.
    """

    def __init__(self, function: Callable[[], object], timeout_millis: float) -> None:
        self._function = function
        self._timeout_seconds = timeout_millis / 1000
        self._restart()
        after_fork_in_child(self._restart)
        atexit.register(self._exit)

    def _restart(self) -> None:
        self._go = threading.Event()
        self._cancelled = False
        self._thread = threading.Thread(target=self._work, name="heliograph-exit", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        self._go.wait()
        if not self._cancelled:
            self._function()

    def _exit(self) -> None:
        self._go.set()
        self._thread.join(self._timeout_seconds)

    def cancel(self) -> None:
        """Take it back, and end the thread."""
        atexit.unregister(self._exit)
        self._cancelled = True
        self._go.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
