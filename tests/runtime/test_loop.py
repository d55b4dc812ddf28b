"""Sync code leaves async functions to a loop of the host's own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest

from heliograph.runtime.loop import BackgroundLoop

variable: ContextVar[str] = ContextVar("variable", default="nobody's")


@pytest.fixture
def background() -> Iterator[BackgroundLoop]:
    started = BackgroundLoop()
    yield started
    started.stop()


def later(act: Callable[[], object]) -> Callable[[], object]:
    async def inner() -> None:
        await asyncio.sleep(0)
        act()

    return inner


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("heliograph")]


def test_no_thread_before_the_first_use_and_none_after_stop(background: BackgroundLoop) -> None:
    """A program that has no async hooks has no thread of ours."""
    assert threads() == []
    background.submit(later(lambda: None), description="nothing")  # type: ignore[arg-type]
    assert threads() == ["heliograph-loop"]
    assert background.wait(5)
    background.stop()
    assert threads() == []
    background.stop()


def test_call_gives_the_result_in_the_callers_context(background: BackgroundLoop) -> None:
    """The calling thread waits for it."""

    async def read(suffix: str) -> str:
        return variable.get() + suffix

    variable.set("caller's")
    assert background.call(read, "!") == "caller's!"


def test_call_raises_what_the_function_raises(background: BackgroundLoop) -> None:
    """As if it were called right here."""

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        background.call(fail)


def test_call_on_the_loop_itself_is_refused(background: BackgroundLoop) -> None:
    """It would wait for itself for ever."""

    async def nested() -> None:
        background.call(asyncio.sleep, 0)

    with pytest.raises(RuntimeError):
        background.call(nested)


def test_submitted_functions_run_one_after_the_other(background: BackgroundLoop) -> None:
    """In the order of submission, each to its end."""
    seen: list[int] = []

    def job(number: int) -> Callable[[], object]:
        async def inner() -> None:
            seen.append(number)
            await asyncio.sleep(0.001)
            seen.append(number)

        return inner

    for number in range(5):
        background.submit(job(number), description="job")  # type: ignore[arg-type]
    assert background.wait(5)

    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_submitted_function_runs_in_the_context_of_its_submission(background: BackgroundLoop) -> None:
    """What the caller changes later does not reach it, nor does it reach the caller."""
    seen: list[str] = []

    def act() -> None:
        seen.append(variable.get())
        variable.set("the job's")

    variable.set("first")
    background.submit(later(act), description="job")  # type: ignore[arg-type]
    variable.set("second")
    background.submit(later(act), description="job")  # type: ignore[arg-type]
    assert background.wait(5)

    assert seen == ["first", "second"]
    assert variable.get() == "second"


def test_function_that_fails_is_logged_and_the_next_one_runs(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """Its traceback is in the log."""
    seen: list[int] = []

    background.submit(later(lambda: 1 / 0), description="the division")  # type: ignore[arg-type]
    background.submit(later(lambda: seen.append(1)), description="job")  # type: ignore[arg-type]
    assert background.wait(5)

    assert seen == [1]
    assert warnings.messages == ["Failed: the division"]
    assert warnings.records[0].exc_info[0] is ZeroDivisionError  # type: ignore[index]


def test_function_that_is_cancelled_from_within_does_not_end_the_queue(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """A hook may await something that somebody cancelled."""
    seen: list[int] = []

    async def cancelled() -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    background.submit(cancelled, description="the cancelled")
    background.submit(later(lambda: seen.append(1)), description="job")  # type: ignore[arg-type]
    assert background.wait(5)

    assert seen == [1]
    assert warnings.messages == ["Failed: the cancelled"]


def test_wait_says_whether_all_was_done(background: BackgroundLoop) -> None:
    """Past the time it is False, and True again when the rest was done."""
    release = threading.Event()
    background.submit(lambda: asyncio.to_thread(release.wait), description="job")

    assert background.wait(0.05) is False
    release.set()
    assert background.wait(5) is True
    assert background.wait(0) is True


def test_submit_comes_back_at_once_also_on_the_loop_itself(background: BackgroundLoop) -> None:
    """A job may submit another, which runs after it."""
    seen: list[str] = []

    async def outer() -> None:
        background.submit(later(lambda: seen.append("inner")), description="inner")  # type: ignore[arg-type]
        seen.append("outer")

    background.submit(outer, description="outer")
    deadline = time.monotonic() + 5
    while len(seen) < 2 and time.monotonic() < deadline:
        background.wait(1)

    assert seen == ["outer", "inner"]


def test_is_own_thread(background: BackgroundLoop) -> None:
    """Only the loop's thread is."""

    async def ask() -> bool:
        return background.is_own_thread()

    assert background.is_own_thread() is False
    assert background.call(ask) is True
    assert asyncio.run(ask()) is False


def test_stop_cancels_what_still_runs_and_the_next_use_starts_again(background: BackgroundLoop) -> None:
    """A host may be used after its shutdown, by mistake or on purpose."""
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    started = threading.Event()
    background.submit(later(started.set), description="job")  # type: ignore[arg-type]
    background.submit(endless, description="endless")
    assert started.wait(5)
    background.stop()

    async def seven() -> int:
        return 7

    assert ended.wait(5) or not ended.is_set()
    assert background.call(seven) == 7
    assert background.wait(5)


def test_threads_start_one_loop_together(background: BackgroundLoop) -> None:
    """However many come first."""
    seen: list[int] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        background.submit(later(lambda: seen.append(number)), description="job")  # type: ignore[arg-type]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert background.wait(5)

    assert sorted(seen) == list(range(8))
    assert threads() == ["heliograph-loop"]
