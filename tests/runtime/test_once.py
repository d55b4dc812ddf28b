"""Work is done once, whichever thread or event loop asks for it first."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import anyio
import pytest

from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce, _Claim
from threads import LIMIT_SECONDS, no_more_threads


def once_awaiting(function: Callable[[], Awaitable[None]], background: BackgroundLoop) -> RunOnce:
    """Return work that awaits one async function."""
    return RunOnce(lambda: (function() for _ in range(1)), background)


class Work:
    """An async function that counts its calls, fails the first ``fail`` times, and takes long enough to be awaited."""

    def __init__(self, *, fail: int = 0) -> None:
        self.times = 0
        self.fail = fail

    async def __call__(self) -> None:
        self.times += 1
        await asyncio.sleep(0.02)
        if self.times <= self.fail:
            raise RuntimeError(f"time {self.times}")


class Gate:
    """An async function that runs until the test opens it."""

    def __init__(self) -> None:
        self.times = 0
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        self.times += 1
        self.entered.set()
        await self.opened.wait()


def test_sync_callers_run_it_once(background: BackgroundLoop) -> None:
    """The second caller finds the work done."""
    work = Work()
    once = once_awaiting(work, background)

    once.ensure()
    once.ensure()

    assert (work.times, once.done) == (1, True)


def test_threads_and_event_loops_that_come_together_run_it_once(background: BackgroundLoop) -> None:
    """Sync and async callers all return when it is done, and not before."""
    work = Work()
    once = once_awaiting(work, background)
    barrier = threading.Barrier(8, timeout=LIMIT_SECONDS)

    def come(number: int) -> bool:
        barrier.wait()
        if number % 2:
            once.ensure()
        else:
            asyncio.run(once.ensure_async())
        return once.done

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(come, range(8))) == [True] * 8
    assert work.times == 1


@pytest.mark.anyio
async def test_tasks_of_one_loop_run_it_once(background: BackgroundLoop) -> None:
    """The function runs in the event loop of an async caller; the background loop is not started."""
    work = Work()
    once = once_awaiting(work, background)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(once.ensure_async)

    assert work.times == 1
    assert not any(thread.name == "heliograph-loop" for thread in threading.enumerate())


def test_only_one_of_several_callers_claims_the_run(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a claim takes, another caller does not claim the same run."""

    def slow_future() -> Future[None]:
        time.sleep(0.02)
        return Future()

    work = Work()
    once = once_awaiting(work, background)
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)
    monkeypatch.setattr("heliograph.runtime.once.Future", slow_future)

    def come(_: int) -> None:
        barrier.wait()
        once.ensure()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(come, range(4)))

    assert work.times == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_caller_that_is_late_by_a_moment_does_not_run_it_again(background: BackgroundLoop, is_async: bool) -> None:
    """Between a caller's look at `done` and its claim, another caller may finish the run."""
    work = Work()
    once = once_awaiting(work, background)

    class LateLock:
        """The lock, in the hands of a caller who is interrupted before acquiring it."""

        def __enter__(self) -> None:
            once._lock = lock
            once.ensure()
            assert once.done

        def __exit__(self, *_: object) -> None:
            pass

    lock, once._lock = once._lock, LateLock()  # type: ignore[assignment]
    if is_async:
        asyncio.run(once.ensure_async())
    else:
        once.ensure()

    assert work.times == 1


def test_error_is_raised_and_the_next_caller_tries_again(background: BackgroundLoop) -> None:
    """A failed run is not remembered."""
    once = once_awaiting(Work(fail=1), background)

    with pytest.raises(RuntimeError, match="time 1"):
        once.ensure()
    assert not once.done
    once.ensure()
    assert once.done


def test_callers_who_waited_for_a_failure_try_again_themselves(background: BackgroundLoop) -> None:
    """Nobody returns before the work is done; each failure is raised to exactly one caller."""
    work = Work(fail=2)
    once = once_awaiting(work, background)
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)

    def come(_: int) -> bool:
        barrier.wait()
        try:
            once.ensure()
        except RuntimeError:
            return False
        return once.done

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(come, range(4))) == [False, False, True, True]
    assert work.times == 3


def test_function_may_ask_for_its_own_run(background: BackgroundLoop) -> None:
    """A startup hook that tracks an event, in its own task or in a thread, goes on at once, without being done."""
    seen: list[bool] = []

    async def work() -> None:
        once.ensure()
        await once.ensure_async()
        await asyncio.to_thread(once.ensure)
        seen.append(once.done)

    once = once_awaiting(work, background)
    once.ensure()

    assert seen == [False]


@pytest.mark.anyio
async def test_after_a_failed_run_its_caller_is_not_inside_it_any_more(background: BackgroundLoop) -> None:
    """The caller's own context must not keep the mark of being inside, or its next call would return at once."""
    work = Work(fail=1)
    once = once_awaiting(work, background)

    with pytest.raises(RuntimeError, match="time 1"):
        await once.ensure_async()
    await once.ensure_async()

    assert (work.times, once.done) == (2, True)


@pytest.mark.anyio
async def test_sync_call_in_the_event_loop_that_runs_it_is_an_error(background: BackgroundLoop) -> None:
    """The call would wait for its own thread; the error says how to avoid it. The run itself goes on."""
    gate = Gate()
    once = once_awaiting(gate, background)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once.ensure_async)
        await gate.entered.wait()
        with pytest.raises(RuntimeError, match=r"await host\.invoke_startup\(\)"):
            once.ensure()
        gate.opened.set()

    assert once.done


@pytest.mark.anyio
async def test_sync_call_in_an_event_loop_runs_it_on_the_background_loop(background: BackgroundLoop) -> None:
    """If nobody runs it yet, the caller's event loop waits while the background loop runs it."""
    once = once_awaiting(Work(), background)

    once.ensure()

    assert once.done


def test_sync_call_on_the_background_loop_is_an_error_and_claims_nothing(background: BackgroundLoop) -> None:
    """The background loop cannot run work that it waits for. Others can still run it."""
    work = Work()
    once = once_awaiting(work, background)

    async def call_it() -> None:
        once.ensure()

    with pytest.raises(RuntimeError, match=r"await host\.invoke_startup\(\)"):
        background.call(call_it)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(once.ensure).result(LIMIT_SECONDS)
    assert (work.times, once.done) == (1, True)


@pytest.mark.anyio
async def test_caller_that_is_cancelled_in_its_run_leaves_it_to_the_next(background: BackgroundLoop) -> None:
    """A cancelled run has not succeeded, and keeps nobody waiting."""
    gate = Gate()
    once = once_awaiting(gate, background)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once.ensure_async)
        await gate.entered.wait()
        tasks.cancel_scope.cancel()
    assert not once.done
    gate.opened.set()
    await once.ensure_async()

    assert (gate.times, once.done) == (2, True)


@pytest.mark.anyio
async def test_caller_that_is_cancelled_while_it_waits_does_not_cancel_the_others(background: BackgroundLoop) -> None:
    """Three callers of one run: the one that is cancelled ends, the run and the other one go on."""
    gate = Gate()
    once = once_awaiting(gate, background)
    ended: list[str] = []

    async def named(name: str) -> None:
        try:
            await once.ensure_async()
        finally:
            ended.append(name)

    runner = asyncio.create_task(named("runner"))
    await gate.entered.wait()
    impatient, patient = asyncio.create_task(named("impatient")), asyncio.create_task(named("patient"))
    await asyncio.sleep(0)  # both wait now
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert ended == ["impatient"]
    gate.opened.set()
    await asyncio.gather(runner, patient)

    assert (gate.times, once.done) == (1, True)


def test_thread_that_waits_for_an_event_loop_tries_again_when_that_run_fails(background: BackgroundLoop) -> None:
    """A sync caller that waited for the run of an async caller runs the function itself, on the background loop."""
    work = Work(fail=1)
    once = once_awaiting(work, background)

    async def program() -> None:
        run = asyncio.ensure_future(once.ensure_async())
        await asyncio.sleep(0)
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(once.ensure)
            with pytest.raises(RuntimeError, match="time 1"):
                await run
            await asyncio.wrap_future(waiting)

    asyncio.run(program())

    assert (work.times, once.done) == (2, True)


class Pause:
    """Can be awaited, and need not be."""

    def __await__(self) -> Iterator[object]:
        yield from asyncio.sleep(0).__await__()


def test_run_ends_if_no_thread_can_await_it(background: BackgroundLoop) -> None:
    """The system has too many threads. The next caller does the work again."""
    once = RunOnce(lambda: (Pause() for _ in range(1)), background)

    with no_more_threads(), pytest.raises(RuntimeError, match="can't start new thread"):
        once.ensure()
    assert not once.done

    once.ensure()
    assert once.done


@pytest.mark.parametrize("where", ["_begin", "_claim"])
def test_caller_that_is_interrupted_leaves_it_to_the_next(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """A signal handler may raise between any two steps, also between the claim and the work."""
    work = Work()
    once = once_awaiting(work, background)
    original = getattr(once, where)

    def interrupt(*arguments: object) -> None:
        if where == "_claim":
            original(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(once, where, interrupt)
        with pytest.raises(KeyboardInterrupt):
            once.ensure()
    once.ensure()
    assert once.done
    assert work.times == 1


def test_run_whose_caller_was_interrupted_before_it_began_is_not_done_twice(background: BackgroundLoop) -> None:
    """The caller has released its claim, and another one does the work."""
    work = Work()
    once = once_awaiting(work, background)
    late = _Claim()
    asyncio.run(once._take_over(late, iter(())))
    assert not once.done
    once.ensure()
    assert once.done
    assert work.times == 1


def test_run_on_the_background_loop_goes_on_if_its_caller_is_interrupted(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler raises while the caller waits. The next caller waits for the same run."""
    started, opened = threading.Event(), asyncio.Event()
    times = []

    async def work() -> None:
        times.append(1)
        started.set()
        await opened.wait()

    async def end() -> None:
        opened.set()

    def interrupted(function: Callable[..., Awaitable[None]], *arguments: object) -> None:
        background.submit(lambda: function(*arguments), description="the run")
        assert started.wait(LIMIT_SECONDS)
        raise KeyboardInterrupt

    once = once_awaiting(work, background)
    with monkeypatch.context() as patch:
        patch.setattr(background, "call", interrupted)
        with pytest.raises(KeyboardInterrupt):
            once.ensure()
    assert once._running is not None

    with ThreadPoolExecutor(1) as pool:
        next_caller = pool.submit(once.ensure)
        background.call(end)
        next_caller.result(LIMIT_SECONDS)

    assert once.done
    assert times == [1]
