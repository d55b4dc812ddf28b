"""The life of a host: the `with` blocks that it is in, the flush of its parts, their end, and their beginning again.

A host may be entered several times at once, by a program and by a library of it. It ends with the last of these blocks, or by a call of
`Host.shutdown`, and may be entered again afterwards.

Threads: any thread may call any method, and there is no lock. Each change to the list of blocks is one step. If two threads end
the host at the same moment, both may call the functions of `at_shutdown`. The parts of the host have locks of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Final, TypeVar

from heliograph.host.databases import Databases
from heliograph.instrumentation import Instrumentation
from heliograph.runtime.deadline import Deadline, run_within
from heliograph.runtime.fork import after_fork_in_child
from heliograph.runtime.loop import BackgroundLoop, Jobs
from heliograph.runtime.safe_logger import SafeLogger
from heliograph.semconv import SCOPE
from heliograph.telemetry.providers import Providers
from heliograph.tokens.stored.handler import DatabaseTokenHandler

T = TypeVar("T")

logger: Final = SafeLogger(SCOPE)

_MIN_STEP_MILLIS: Final = 100.0
"""The time that a step of the shutdown gets after the deadline."""


class HostLifetime:
    """The life of one host.

    Args:
        background: Runs the async hooks and the other work that a flush waits for. It ends with the host.
        instrumentation: Has the quarantine, which is flushed and ended, and knows if an event was lost for lack of a provider.
        providers: The providers to flush.
        databases: The databases to close.
        database_tokens: The handler of the tokens in a database, whose last uses are written, or `None`.
    """

    def __init__(
        self,
        background: BackgroundLoop,
        instrumentation: Instrumentation,
        providers: Providers,
        databases: Databases,
        database_tokens: DatabaseTokenHandler | None,
    ) -> None:
        self._background = background
        self._instrumentation = instrumentation
        self._providers = providers
        self._databases = databases
        self._database_tokens = database_tokens
        self._at_shutdown: list[Callable[[float], bool | None]] = []
        self._at_restart: list[Callable[[], None]] = []
        self._has_ended = False
        self._blocks: list[None] = []  # one for each block
        # A child that enters the host ends with its own block, although the parent forked it inside of one.
        after_fork_in_child(self._forget_blocks)

    def at_shutdown(self, function: Callable[[float], bool | None]) -> None:
        """Add a function that the next `shutdown` calls, after the flush.

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

    def flush(self, deadline: Deadline) -> bool:
        """Wait for the async hooks, then flush the quarantine and the providers. See `Host.flush` for the result."""
        # Wait for the hooks for half of the time only: a hook that hangs must not keep the providers from sending.
        jobs = self._background.pending()
        hooks_ended = self._wait_for_hooks(jobs, deadline.remaining() / 2)
        # The quarantine comes before the providers, because it needs no server.
        is_quarantined = self._instrumentation.flush_quarantine(deadline.remaining() / 2)
        flushed = self._providers.force_flush(deadline.remaining())
        if not hooks_ended:
            # Wait for them for the rest of the time. Then flush again: a hook may have emitted telemetry meanwhile. These are
            # the same jobs as before, not those pending now: a shutdown in another thread may have cancelled one.
            hooks_ended = self._wait_for_hooks(jobs, deadline.remaining())
            if hooks_ended:
                flushed = self._providers.force_flush(deadline.remaining()) and flushed
        # This comes last, because the hooks may track events, too.
        has_lost = self._instrumentation.missing.take()
        return hooks_ended and flushed and is_quarantined and not has_lost

    def _wait_for_hooks(self, jobs: Jobs, timeout_millis: float) -> bool:
        # A hook that runs on the host's own loop would wait for itself.
        return not self._background.is_own_thread() and self._background.wait(timeout_millis / 1000, jobs)

    def shutdown(self, deadline: Deadline) -> bool:
        """Flush, call the functions of `at_shutdown`, and end the parts of the host. See `Host.shutdown` for the result.

        Raises:
            RuntimeError: It was called on the host's own loop, which cannot wait for its own end.
        """
        if self._background.is_own_thread():
            raise RuntimeError(
                "a host cannot be shut down by a function that runs on its own loop; call shutdown() from another thread"
            )
        self._forget_blocks()
        self._write_token_uses()
        succeeded = self.flush(deadline)
        succeeded = self._call_at_shutdown(deadline) and succeeded
        run_within(max(_MIN_STEP_MILLIS, deadline.remaining()), self._release)
        self._has_ended = True
        return succeeded

    def _forget_blocks(self) -> None:
        """Forget the blocks that have not ended: if the host is entered after this, it ends with that block."""
        self._blocks.clear()

    def _write_token_uses(self) -> None:
        """Submit the uses of tokens that are not written yet. `flush` waits for this, as for any job."""
        if self._database_tokens is not None and not self._database_tokens.usage.is_empty:
            try:
                self._background.submit(self._database_tokens.flush, description="writing the last use of tokens")
            except Exception:
                # No thread can be started: the interpreter ends, or the system has too many. The other parts end nevertheless.
                logger.exception("The last use of some tokens could not be written.")

    def _call_at_shutdown(self, deadline: Deadline) -> bool:
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

    def _release(self) -> None:
        self._instrumentation.end_quarantine(_MIN_STEP_MILLIS)
        self._background.stop()
        self._databases.close()


def _checked(function: T, method: str) -> T:
    if not callable(function):
        raise TypeError(f"{method}() takes a function, not {type(function).__name__}; pass it without calling it")
    return function
