"""A logger for code that runs on behalf of a program that did not ask for it, and so must not fail.

`logging` calls the program's filters, handlers and record factory, and lets most of their exceptions pass to the caller. A filter
that fails would end a background thread, or the request that tracked an event.

Any thread, and signal handlers, may log at once. `_has_failed` has no lock: at worst, a failure is printed twice.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback

from heliograph.runtime.program_errors import program_errors
from heliograph.runtime.program_failures import ProgramCode, report
from heliograph.runtime.recent_failures import note_failure


class SafeLogger:
    """Logs as `logging.Logger` does, and raises nothing that the program's filters and handlers raise.

    The first failure is printed to `sys.stderr`, as `logging` does it, unless `logging.raiseExceptions` is off.

    Args:
        name: The name of the logger.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self._has_failed = False

    def warning(self, message: str, *args: object) -> None:
        """Log a warning."""
        self.log(logging.WARNING, message, *args, stacklevel=2)

    def error(self, message: str, *args: object) -> None:
        """Log an error."""
        self.log(logging.ERROR, message, *args, stacklevel=2)

    def exception(self, message: str, *args: object) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self.log(logging.ERROR, message, *args, error=sys.exc_info()[1], stacklevel=2)

    def log(
        self, level: int, message: str, *args: object, error: BaseException | None = None, stacklevel: int = 1
    ) -> None:
        """Log a message.

        Args:
            level: The level.
            message: The message, as in `logging`.
            args: The arguments of the message.
            error: The exception whose traceback is logged.
            stacklevel: The caller whose line is logged: 1 is the caller of this method, 2 is the caller of that caller.
        """
        if level >= logging.WARNING:
            note_failure(level, message, error)
        try:
            # Without any logging configuration Python prints the message alone, which says nothing of its origin.
            if not self._logger.hasHandlers():
                message = f"{self._logger.name}: {message}"
            self._logger.log(level, message, *args, exc_info=error, stacklevel=stacklevel + 1)
        except program_errors() as failure:
            report(ProgramCode.LOGGING, failure)
            self._print()

    def _print(self) -> None:
        if self._has_failed or not logging.raiseExceptions or sys.stderr is None:
            return
        self._has_failed = True
        # The text of the exception, or the stream, may fail too.
        with contextlib.suppress(*program_errors()):
            sys.stderr.write("heliograph could not log a message, because the program's logging failed:\n")
            traceback.print_exc()
