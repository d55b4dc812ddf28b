"""The life of a host: the `with` blocks that it is in, and the functions that are called when it ends and begins again.

A host may be entered several times at once, by a program and by a library of it. It ends with the last of these blocks, or by a call of
`Host.shutdown`, and may be entered again afterwards.

Threads: any thread may call any method, and there is no lock. Each change to the list of blocks is one step. If two threads end
the host at the same moment, both may call the functions of `at_shutdown`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from heliograph.runtime.deadline import Deadline
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE

T = TypeVar("T")

logger: Final = SafeLogger(SCOPE)


class HostLifetime:
    """The life of one host."""

    def __init__(self) -> None:
        self._at_shutdown: list[Callable[[float], bool | None]] = []
        self._at_restart: list[Callable[[], None]] = []
        self._has_ended = False
        self._blocks: list[None] = []  # one for each block
        # A child that enters the host ends with its own block, although the parent forked it inside of one.
        after_fork_in_child(self.forget_blocks)

    def at_shutdown(self, function: Callable[[float], bool | None]) -> None:
        """Add a function for `call_at_shutdown`.

        Raises:
            TypeError: It cannot be called.
        """
        self._at_shutdown.append(_checked(function, "at_shutdown"))

    def at_restart(self, function: Callable[[], None]) -> None:
        """Add a function that `enter` calls whenever the host has ended before.

        Raises:
            TypeError: It cannot be called.
        """
        self._at_restart.append(_checked(function, "at_restart"))

    def enter(self) -> None:
        """Begin a block. If the host has ended, call the functions of `at_restart` before."""
        if self._has_ended:
            for function in self._at_restart:
                function()
            # This comes last: if a function fails, it is called again when the host is entered again.
            self._has_ended = False
        self._blocks.append(None)

    def exit(self) -> bool:
        """End a block. Return True if it was the last one."""
        # The block may have begun before a fork, in the parent.
        with contextlib.suppress(IndexError):
            self._blocks.pop()
        return not self._blocks

    def forget_blocks(self) -> None:
        """Forget the blocks that have not ended: if the host is entered after this, it ends with that block."""
        self._blocks.clear()

    def call_at_shutdown(self, deadline: Deadline) -> bool:
        """Call the functions of `at_shutdown` in order. Return False if one of them returned False or raised an exception."""
        # Removed before they are called: a second shutdown must not call them again.
        functions, self._at_shutdown = self._at_shutdown, []
        succeeded = True
        for function in functions:
            try:
                succeeded = function(deadline.remaining()) is not False and succeeded
            except Exception:
                # A function of the program may raise anything. The others are called nevertheless.
                logger.exception("A function of Host.at_shutdown failed.")
                succeeded = False
        return succeeded

    def note_end(self) -> None:
        """Note that the host has ended, so that the next `enter` begins it again."""
        self._has_ended = True


def _checked(function: T, method: str) -> T:
    if not callable(function):
        raise TypeError(f"{method}() takes a function, not {type(function).__name__}; pass it without calling it")
    return function
