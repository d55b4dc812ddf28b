"""The exceptions that telemetry catches when code of the program fails, so that they do not end what the program was doing.

Code of the program is called in many places: properties of events and actors, hooks, filters of the log, providers. What it raises
is caught there, if it is one of `PROGRAM_ERRORS`:

- `Exception` is a failure of that code.
- `asyncio.CancelledError` is one in sync code. A task is cancelled at an ``await``, so the exception comes from something
  else that was cancelled and that the code asked for its result. Code that awaits has to let its own cancellation pass.

Every other `BaseException` passes: signal handlers, gevent's timeouts and test runners raise theirs in whatever frame runs.
"""

from __future__ import annotations

from asyncio import CancelledError
from typing import Final

PROGRAM_ERRORS: Final = (Exception, CancelledError)
"""The exceptions to catch around sync code of the program."""
