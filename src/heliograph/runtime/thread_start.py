"""Start a thread where a signal handler may raise an exception at any moment.

`threading.Thread.start` waits until the thread runs, by a condition. If a signal handler raises in the middle of that wait, the
condition may release a lock that it does not hold. The caller then gets a `RuntimeError`, as if no thread could be started, whose context is
the handler's exception (CPython 3.10 to 3.13).
"""

from __future__ import annotations

import sys
import threading


def try_to_start(thread: threading.Thread) -> bool:
    """Start a thread. Return False if none can be started: the interpreter ends, or the system has too many.

    Raises:
        BaseException: A signal handler has raised it. The thread may run nevertheless, now or a moment later.
    """
    # The caller may itself handle an exception.
    around = sys.exc_info()[1]
    try:
        thread.start()
    except RuntimeError as error:
        interrupt = error.__context__
    else:
        return True
    if interrupt is None or interrupt is around:
        # If the handler has raised a RuntimeError of its own, the thread may run.
        return thread.is_alive()
    raise interrupt
