"""The exceptions that are caught around code of the program, so that its failures do not end the operation that called it.

Code of the program is called in many places: properties of events and actors, hooks, filters of the log, providers. An exception of it
is caught there, if it is one of `program_errors`:

- `Exception` is a failure of that code.
- `asyncio.CancelledError` is a failure, too, if the code is sync: it has asked another task or future, which was cancelled, for its result. A
  task is itself cancelled at an ``await`` alone, so code that awaits has to let the exception pass.

Every other `BaseException` passes: signal handlers, gevent's timeouts and test runners raise theirs in whatever frame runs.
"""

from __future__ import annotations

import sys


def program_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions to catch around sync code of the program.

    It is a function, and not a constant, because asyncio takes longer to import than most of heliograph. Python evaluates the expression of
    an ``except`` only after an exception was raised, and if asyncio is not imported by then, the exception cannot be asyncio's.
    """
    cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", None)
    return (Exception,) if cancelled is None else (Exception, cancelled)


def is_caller_cancelled() -> bool:
    """Return True if the current task is being cancelled, and not only something that it awaits.

    Python 3.10 cannot tell the two apart. There, it returns True, and a function that awaits a cancelled task looks like a
    cancelled caller, too. The alternative was rejected, because it would ignore the cancellation of the caller.
    """
    # The caller runs in a loop of asyncio.
    from asyncio import current_task

    task = current_task()
    return task is None or sys.version_info < (3, 11) or task.cancelling() > 0


def getattr_or_none(obj: object, name: str) -> object:
    """Return an attribute of an object, or `None` if the object does not have it or raises an exception instead."""
    try:
        return getattr(obj, name, None)
    except program_errors():
        # A property is the program's own code. Its failure must not lose the event.
        return None
