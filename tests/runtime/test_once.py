"""Starting happens once, whoever asks first."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest

from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    started = BackgroundLoop()
    yield started
    started.stop()


class Work:
    """Counts how often it is done; slow enough for others to come in between."""

    def __init__(self, *, fail: int = 0) -> None:
        self.times = 0
        self.fail = fail

    async def __call__(self) -> None:
        self.times += 1
        await asyncio.sleep(0.02)
        if self.times <= self.fail:
            raise RuntimeError(f"time {self.times}")


def test_sync_callers_start_once(background: BackgroundLoop) -> None:
    """The second finds it done."""
    work = Work()
    startup = RunOnce(work, background)

    startup.ensure()
    startup.ensure()

    assert (work.times, startup.done) == (1, True)


def test_threads_and_loops_at_the_same_time_start_once(background: BackgroundLoop) -> None:
    """All return when it is done, and not before."""
    work = Work()
    startup = RunOnce(work, background)
    barrier = threading.Barrier(8)

    def come(number: int) -> bool:
        barrier.wait()
        if number % 2:
            startup.ensure()
        else:
            asyncio.run(startup.ensure_async())
        return startup.done

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(come, range(8))) == [True] * 8
    assert work.times == 1


@pytest.mark.anyio
async def test_tasks_of_one_loop_start_once(background: BackgroundLoop) -> None:
    """An async caller's own loop does it, and no thread is started."""
    work = Work()
    startup = RunOnce(work, background)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(startup.ensure_async)

    assert work.times == 1
    assert not any(thread.name == "heliograph-loop" for thread in threading.enumerate())


def test_failure_is_raised_and_tried_again(background: BackgroundLoop) -> None:
    """The next caller may have more luck."""
    startup = RunOnce(Work(fail=1), background)

    with pytest.raises(RuntimeError, match="time 1"):
        startup.ensure()
    assert not startup.done
    startup.ensure()
    assert startup.done


def test_waiters_of_a_failure_try_themselves(background: BackgroundLoop) -> None:
    """Nobody returns before it is done; each failure is raised to one caller."""
    work = Work(fail=2)
    startup = RunOnce(work, background)
    barrier = threading.Barrier(4)

    def come(_: int) -> bool:
        barrier.wait()
        try:
            startup.ensure()
        except RuntimeError:
            return False
        return startup.done

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(come, range(4))) == [False, False, True, True]
    assert work.times == 3


def test_work_may_ask_for_the_startup_itself(background: BackgroundLoop) -> None:
    """A startup hook that tracks an event goes on at once."""
    seen: list[bool] = []

    async def work() -> None:
        startup.ensure()
        await startup.ensure_async()
        await asyncio.to_thread(startup.ensure)
        seen.append(startup.done)

    startup = RunOnce(work, background)
    startup.ensure()

    assert seen == [False]


@pytest.mark.anyio
async def test_sync_call_in_a_loop_that_is_starting_is_an_error(background: BackgroundLoop) -> None:
    """It would wait for its own thread; the error says what to do."""
    startup = RunOnce(Work(), background)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(startup.ensure_async)
        await anyio.sleep(0.005)
        with pytest.raises(RuntimeError, match=r"await host\.invoke_startup\(\)"):
            startup.ensure()

    assert startup.done


@pytest.mark.anyio
async def test_sync_call_in_a_running_loop_starts_in_the_background(background: BackgroundLoop) -> None:
    """Where nobody has begun, the background does it while the loop waits."""
    startup = RunOnce(Work(), background)

    startup.ensure()

    assert startup.done


@pytest.mark.anyio
async def test_cancelled_starter_leaves_it_to_the_next(background: BackgroundLoop) -> None:
    """A caller that gives up hangs nobody."""
    work = Work()
    startup = RunOnce(work, background)

    with anyio.move_on_after(0.001):
        await startup.ensure_async()
    assert not startup.done
    await startup.ensure_async()

    assert (work.times, startup.done) == (2, True)


@pytest.mark.anyio
async def test_cancelled_waiter_does_not_cancel_the_others(background: BackgroundLoop) -> None:
    """Who waits for another's work may give up alone."""
    work = Work()
    startup = RunOnce(work, background)

    async def impatient() -> None:
        with anyio.move_on_after(0.001):
            await startup.ensure_async()

    async with anyio.create_task_group() as tasks:
        for caller in (startup.ensure_async, impatient, startup.ensure_async):
            tasks.start_soon(caller)

    assert (work.times, startup.done) == (1, True)
