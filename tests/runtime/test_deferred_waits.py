"""Sync code in an event loop hands what it would wait for to its async caller."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading

import pytest

from heliograph.runtime import deferred_waits
from heliograph.runtime.deferred_waits import await_all, call_without_waiting, open_waits
from threads import join


def test_caller_awaits_what_was_begun() -> None:
    """The waits are awaited in the order in which they were begun."""
    awaited: list[int] = []

    def work(first: int, *, second: int) -> None:
        for number in (first, second):

            async def wait(number: int = number) -> None:
                await asyncio.sleep(0)
                awaited.append(number)

            waits = open_waits()
            assert waits is not None
            waits.append(wait)

    async def main() -> None:
        waits = call_without_waiting(work, 1, second=2)
        assert open_waits() is None
        assert awaited == []
        await await_all(waits)

    asyncio.run(main())
    assert awaited == [1, 2]


def test_code_that_nobody_awaits_waits_itself() -> None:
    """Outside of an event loop, in other threads and contexts, and after the call has raised."""
    found: list[object] = []

    def look() -> None:
        found.append(open_waits())

    def look_elsewhere() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        join(thread)
        contextvars.Context().run(look)

    def fail() -> None:
        raise ZeroDivisionError

    async def main() -> None:
        call_without_waiting(look_elsewhere)
        with pytest.raises(ZeroDivisionError):
            call_without_waiting(fail)
        look()

    call_without_waiting(look)
    look()
    asyncio.run(main())
    assert found == [None] * 5


def test_copy_of_the_context_is_none_of_the_call() -> None:
    """A task that is created in between runs after the call, and nobody would await what it adds. So does a thread with a loop."""
    found: list[object] = []

    async def look() -> None:
        found.append(open_waits())

    def work() -> None:
        tasks.append(asyncio.ensure_future(look()))
        thread = threading.Thread(target=contextvars.copy_context().run, args=(asyncio.run, look()))
        thread.start()
        join(thread)
        assert open_waits() is not None

    tasks: list[asyncio.Future[None]] = []

    async def main() -> None:
        assert call_without_waiting(work) == []
        await tasks[0]

    asyncio.run(main())
    assert found == [None, None]


def test_call_in_the_middle_of_another_has_waits_of_its_own() -> None:
    """The outer call goes on with its own waits."""

    async def wait() -> None:
        pass

    def add() -> None:
        waits = open_waits()
        assert waits is not None
        waits.append(wait)

    def outer() -> None:
        add()
        assert call_without_waiting(add) == [wait]
        add()

    async def main() -> None:
        assert call_without_waiting(outer) == [wait, wait]

    asyncio.run(main())


def test_loop_of_another_library_is_none_of_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that has not imported asyncio has no loop of it, and it is not imported for the question."""
    monkeypatch.delitem(sys.modules, "asyncio")
    found: list[object] = []
    call_without_waiting(lambda: found.append(open_waits()))

    assert found == [None]
    assert "asyncio" not in sys.modules


def test_greenlets_wait_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the system cannot wake a greenlet."""
    monkeypatch.setattr(deferred_waits, "threads_are_greenlets", lambda: True)

    async def main() -> None:
        found: list[object] = []
        call_without_waiting(lambda: found.append(open_waits()))
        assert found == [None]

    asyncio.run(main())
