"""Functions that keep the context in which they were made: their events have its actor in every thread."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool

import pytest

from heliograph import RequestActor, acting_as, current_actor, keep_context, set_actor
from threads import LIMIT_SECONDS, join


def test_function_keeps_the_context_it_was_wrapped_in() -> None:
    """Several threads may call it at once, and no call sees the actor that another one sets."""
    barrier = threading.Barrier(3, timeout=LIMIT_SECONDS)

    def work(number: int) -> tuple[int, object]:
        barrier.wait(60)
        seen = current_actor()
        with acting_as({"id": str(number)}):
            return number, seen

    with ThreadPoolExecutor(3) as executor:
        with acting_as({"id": "root"}):
            kept = keep_context(work)
            nested = keep_context(keep_context(current_actor))
        assert list(executor.map(kept, range(3))) == [(number, {"id": "root"}) for number in range(3)]
        assert executor.submit(nested).result() == {"id": "root"}
        assert executor.submit(current_actor).result() is None
    assert kept.__name__ == "work"
    assert current_actor() is None


def test_function_of_a_request_has_the_actor_that_becomes_known_later() -> None:
    """The request and the thread share one actor."""
    with acting_as(RequestActor()):
        kept = keep_context(current_actor)
        set_actor({"id": "root"})
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(kept).result() == {"id": "root"}


def test_function_of_a_generator_has_its_actor() -> None:
    """The generator may be suspended while the thread works."""

    def jobs() -> Iterator[Callable[[], object]]:
        with acting_as({"id": "importer"}):
            yield keep_context(current_actor)

    generator = jobs()
    kept = next(generator)
    assert current_actor() is None
    assert kept() == {"id": "importer"}
    generator.close()  # type: ignore[attr-defined]


def test_every_way_to_run_a_function_in_a_thread() -> None:
    """Those of asyncio keep the context by themselves, and those of executors and threads by `keep_context`."""
    seen: list[object] = []

    def see(*_: object) -> None:
        seen.append(current_actor())

    async def from_asyncio() -> None:
        await asyncio.to_thread(see)
        await asyncio.get_running_loop().run_in_executor(None, keep_context(see))
        await asyncio.get_running_loop().run_in_executor(None, keep_context(partial(see, 1)))

    with acting_as({"id": "root"}), ThreadPoolExecutor(1) as executor, ThreadPool(1) as pool:
        asyncio.run(from_asyncio())
        executor.submit(keep_context(see)).result()
        list(executor.map(keep_context(see), "12"))
        pool.map(keep_context(see), "1")
        for thread in (threading.Thread(target=keep_context(see)), threading.Timer(0, keep_context(see))):
            thread.start()
            join(thread)
    assert seen == [{"id": "root"}] * 9


def test_function_for_another_process_is_an_error() -> None:
    """The actor would be lost without a word."""
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(keep_context(nothing))


def nothing() -> None:
    """A function that another process could find by its name."""


async def async_function() -> None:
    """A function that nobody calls."""


def test_async_function_cannot_keep_the_context() -> None:
    """A coroutine runs in the context of the code that awaits it."""
    with pytest.raises(TypeError, match=r"keep_context\(\) takes a sync function"):
        keep_context(async_function)


async def async_generator() -> AsyncIterator[None]:
    """A generator that nobody reads."""
    yield


def sync_generator() -> Iterator[None]:
    """A generator that nobody reads."""
    yield


@pytest.mark.parametrize("function", [async_generator, sync_generator, partial(sync_generator)])
def test_generator_cannot_keep_the_context(function: Callable[[], object]) -> None:
    """The body of a generator runs in the context of the code that iterates it."""
    with pytest.raises(TypeError, match=r"keep_context\(\) takes a (sync )?function"):
        keep_context(function)
