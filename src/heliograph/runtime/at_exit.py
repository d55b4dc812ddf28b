"""Call a function when the interpreter exits, with a time limit.

Three threads of control meet here:

- The constructor starts a daemon thread, ``heliograph-exit``, which waits for the event `_go`.
- When the interpreter exits, `atexit` calls `_exit` in the main thread: it sets `_go` and waits until the function has ended, but no
  longer than the timeout. The interpreter then exits, whether or not the function has returned. Handlers of signals run in the main
  thread as well. One that raises `SystemExit` during the wait, as gunicorn's do, does not end the wait.
- `cancel` may be called from any thread before that, from the function itself too: `Host.shutdown` calls it.

The thread is started in advance because from Python 3.12 on no thread can be started while the interpreter exits. It is
a daemon thread because the interpreter joins all other threads before it calls `atexit`, so it would wait for ever. Calling
the function in the main thread was rejected: it may wait for a server, and nothing could end it after the timeout.

A forked child has no copy of the thread, but a copy of the `atexit` registration. So it starts a thread of its own, and runs
the function when it exits by itself. A child that ends by `os._exit`, as those of `multiprocessing` do, runs no `atexit` function.
There, the main thread calls a second function at the end of the child's work. It may be called more than once, so everything must stay
usable after it.

If threads are greenlets (gevent, eventlet), a thread can be started at exit, and the one that was started before is not used: it
may be a thread of the system that is older than the program's replacement of the functions of `threading`, and these do not work in it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import Final

from heliograph.runtime.bell import Bell
from heliograph.runtime.child_exit import ChildExit
from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.greenlets import load_gevent_hub, threads_are_greenlets

_REPORT_MILLIS: Final = 500.0
"""The part of the timeout that is reserved for the last steps of a function, such as a report of what was not delivered."""


class AtExit:
    """Calls a function when the interpreter exits, and lets the interpreter exit after a timeout in any case.

    Args:
        function: The function. It runs in a thread of its own. It gets the number of milliseconds after which it should come to its end.
        timeout_millis: The longest time that the interpreter waits for the function, in milliseconds. The function gets less, so that it
            can finish its last report before it is cut off.
        in_children: Called in place of the function in a child process that ends by `os._exit`; see `ChildExit`. It has to
            return in time.
    """

    def __init__(
        self, function: Callable[[float], object], timeout_millis: float, *, in_children: Callable[[], object]
    ) -> None:
        self._function = functools.partial(function, max(timeout_millis / 2, timeout_millis - _REPORT_MILLIS))
        self._timeout_millis = timeout_millis
        self._cancelled = False
        self._start_thread()
        after_fork_in_child(self._restart_in_child)
        self._child_exit = ChildExit(in_children)
        atexit.register(self._exit)

    def _restart_in_child(self) -> None:
        if not self._cancelled:
            self._start_thread()

    def _start_thread(self) -> None:
        # This is done in a child too, where the SDK starts its threads after this.
        load_gevent_hub()
        self._go, self._ended = threading.Event(), Bell()
        self._is_native = not threads_are_greenlets()
        self._thread = threading.Thread(target=self._run, name="heliograph-exit", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._go.wait()
        if not self._cancelled:
            self._call()

    def _call(self) -> None:
        try:
            self._function()
        finally:
            self._ended.ring()

    def _exit(self) -> None:
        # The finalizers of multiprocessing may run after this.
        self._child_exit.cancel()
        if threads_are_greenlets():
            # The old bell may be older than the replaced functions of `threading`.
            self._ended = Bell()
            threading.Thread(target=self._call, name="heliograph-exit", daemon=True).start()
        else:
            self._go.set()
        self._await_end()

    def _await_end(self) -> None:
        """Wait until the function has ended, or the timeout is over."""
        deadline, has_ended = Deadline(self._timeout_millis), False
        while not has_ended and deadline.remaining():
            # A `SystemExit` of a signal's handler adds nothing: the program is ending. Not `Thread.join`: after it was interrupted by an
            # exception, it considers the thread as ended.
            with contextlib.suppress(SystemExit):
                has_ended = self._ended.wait(deadline.remaining() / 1000)

    def cancel(self) -> None:
        """Do not call the function at exit, and end the thread. It may be called more than once."""
        atexit.unregister(self._exit)
        self._child_exit.cancel()
        # This comes before the event, because the thread reads it as soon as it wakes up.
        self._cancelled = True
        if self._is_native and threads_are_greenlets():
            # The thread waits for ever, because it cannot end in an orderly way any more.
            return
        self._go.set()
        # The function itself may cancel, and cannot join its own thread.
        if threading.current_thread() is not self._thread:
            self._thread.join()
