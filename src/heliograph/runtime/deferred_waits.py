"""Waits of sync code that its async caller awaits in its place.

`Host.track_event` emits through OpenTelemetry's interfaces, which are sync, to an outbox that may have to wait for the disk. If it waited,
the event loop would be blocked. So the outbox begins the work, adds an awaitable to the list of `open_waits`, and returns; `track_event`
awaits the list.

The list is in a context variable, with its thread and a flag that its call still runs. So only code that is called meanwhile finds it: not
another thread, and not a task that was created meanwhile, both of which may have a copy of the context. (A signal handler that
interrupts the call finds it, too. What it emits is written to the disk just as soon, but the handler does not wait for it.)

There is no list outside of an event loop of asyncio, or if threads are greenlets, which a thread of the system cannot wake. The
outbox waits then.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeAlias

from heliograph.runtime.greenlets import threads_are_greenlets

P = ParamSpec("P")

Wait: TypeAlias = Callable[[], Awaitable[object]]
"""An async function that returns when the work has ended."""


class _Call:
    """A call of `call_without_waiting`, with the waits that its caller will await."""

    __slots__ = ("is_running", "thread", "waits")

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.thread = threading.get_ident()
        self.is_running = True


_call: Final[ContextVar[_Call | None]] = ContextVar("heliograph_call_without_waiting", default=None)


def call_without_waiting(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> list[Wait]:
    """Call a function, and return what it would have waited for, for `await_all`.

    If the function raises, what it began goes on nevertheless.
    """
    call = _Call()
    token = _call.set(call)
    try:
        function(*args, **kwargs)
    finally:
        call.is_running = False
        _call.reset(token)
    return call.waits


async def await_all(waits: Iterable[Wait]) -> None:
    """Return when all of the work has ended."""
    for wait in waits:
        await wait()


def open_waits() -> list[Wait] | None:
    """Return the list to which the calling code adds what it would wait for, or `None` if it has to wait itself."""
    call = _call.get()
    if call is None or not call.is_running or call.thread != threading.get_ident():
        return None
    return None if threads_are_greenlets() or not _is_in_event_loop() else call.waits


def _is_in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    # A program that has not imported asyncio runs no loop of it.
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
