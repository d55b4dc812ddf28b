"""A bell that any thread rings, and that one thread waits for.

The standard library's ways to wake a thread do not suit here:

- `threading.Event` and `threading.Condition` have a lock that is not reentrant: a signal handler that rings in the middle of a
  ring of its own thread would wait for ever.
- ``queue.SimpleQueue.get(timeout=…)`` waits for ever in Python 3.10 if the time is over between two of its steps. This happens on a busy
  machine, and often with a timeout of 0.

A lock that any thread may release is enough: it is held while the bell is silent. To ring is to release it, and to wait is to acquire it.
"""

from __future__ import annotations

import contextlib
import threading


class Bell:
    """Wakes a thread. Any number of rings before a wait count as one."""

    def __init__(self) -> None:
        self._silence = threading.Lock()
        self._silence.acquire()

    def ring(self) -> None:
        """End the wait of the thread that waits, or its next one. Any thread and any signal handler may call it at any time."""
        if self._silence.locked():
            with contextlib.suppress(RuntimeError):  # another thread rang in between
                self._silence.release()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until the bell is rung, or was rung since the last wait. Return False if the time is over first.

        Only one thread may wait.
        """
        return self._silence.acquire(timeout=timeout_seconds)
