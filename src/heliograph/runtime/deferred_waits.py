"""Waits of sync code that its async caller awaits in its place.

`Host.track_event` emits through OpenTelemetry's interfaces, which are sync, to an outbox that may have to wait for the disk. If it waited,
the event loop would stand still. So the outbox begins the work, adds what is to be awaited to the list of `open_waits`, and returns;
`track_event` awaits the list.

The list is in a context variable, so only code that is called in between finds it: not another thread, and not another task. (The handler of
a signal that interrupts just then finds it, too. What it emits is written to the disk as soon, but the handler does not wait for it.)

There is no list outside of an event loop of asyncio, or if threads are greenlets, which a thread of the system cannot wake. The
outbox waits then.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Final, ParamSpec, TypeAlias

from heliograph.runtime.greenlets import threads_are_greenlets

P = ParamSpec("P")

Wait: TypeAlias = Callable[[], Awaitable[object]]
"""An async function that returns when the work has ended."""

_waits: Final[ContextVar[list[Wait] | None]] = ContextVar("heliograph_waits", default=None)


def call_without_waiting(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> list[Wait]:
    """Call a function, and return what it would have waited for, for `await_all`.

    If the function raises, what it began goes on nevertheless.
    """
    waits: list[Wait] = []
    token = _waits.set(waits)
    try:
        function(*args, **kwargs)
    finally:
        _waits.reset(token)
    return waits


async def await_all(waits: Iterable[Wait]) -> None:
    """Return when all of the work has ended."""
    for wait in waits:
        await wait()


def open_waits() -> list[Wait] | None:
    """Return the list to which the calling code adds what it would wait for, or `None` if it has to wait itself."""
    waits = _waits.get()
    if waits is None or threads_are_greenlets() or not _is_in_event_loop():
        return None
    return waits


def _is_in_event_loop() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:  # a program that has not imported it runs no loop of it
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
