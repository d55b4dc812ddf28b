"""An event loop in a background thread runs async functions for sync code."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import types
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from backends import wait_until
from heliograph.runtime import loop
from heliograph.runtime.loop import BackgroundLoop
from threads import LIMIT_SECONDS, join, result_in_time

variable: ContextVar[str] = ContextVar("variable", default="unset")


async def seven() -> int:
    return 7


def job(act: Callable[[], object]) -> Callable[[], Awaitable[None]]:
    """Return an async function that calls ``act`` once the loop has had time for others."""

    async def inner() -> None:
        await asyncio.sleep(0)
        act()

    return inner


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("heliograph")]


# call


def test_call_returns_the_result_and_runs_in_the_callers_context(background: BackgroundLoop) -> None:
    """The function sees the caller's context variables; what it sets is not seen by the caller."""

    async def read(suffix: str) -> str:
        value = variable.get() + suffix
        variable.set("the function's")
        return value

    variable.set("caller's")

    assert background.call(read, "!") == "caller's!"
    assert variable.get() == "caller's"


def test_call_raises_what_the_function_raises(background: BackgroundLoop) -> None:
    """An error reaches the caller as it is."""

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        background.call(fail)


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_call_turns_an_exit_into_an_error_and_the_loop_runs_on(
    background: BackgroundLoop, exception: type[BaseException]
) -> None:
    """SystemExit and KeyboardInterrupt would end the loop, and every other function on it."""

    async def leave() -> None:
        raise exception

    async def thread() -> threading.Thread:
        return threading.current_thread()

    before = background.call(thread)

    with pytest.raises(RuntimeError, match=f"raised {exception.__name__}"):
        background.call(leave)
    assert background.call(thread) is before


def test_call_on_the_loops_own_thread_is_an_error(background: BackgroundLoop) -> None:
    """The thread would wait for itself for ever."""

    async def nested() -> None:
        background.call(asyncio.sleep, 0)

    with pytest.raises(RuntimeError):
        background.call(nested)


def test_call_runs_beside_the_jobs(background: BackgroundLoop) -> None:
    """A job that waits does not delay a `call`."""
    release = threading.Event()
    background.submit(lambda: asyncio.to_thread(release.wait), description="a job that waits")

    assert background.call(seven) == 7
    release.set()
    assert background.wait(LIMIT_SECONDS)


# submit


def test_jobs_run_one_after_the_other_in_the_order_of_submission(background: BackgroundLoop) -> None:
    """Each job ends before the next one begins."""
    seen: list[int] = []

    def numbered(number: int) -> Callable[[], Awaitable[None]]:
        async def inner() -> None:
            seen.append(number)
            await asyncio.sleep(0.001)
            seen.append(number)

        return inner

    for number in range(5):
        background.submit(numbered(number), description="job")
    assert background.wait(LIMIT_SECONDS)

    assert seen == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_job_runs_in_the_context_of_its_submission(background: BackgroundLoop) -> None:
    """The caller's later changes do not reach the job, and the job's changes do not reach the caller or other jobs."""
    seen: list[str] = []

    def act() -> None:
        seen.append(variable.get())
        variable.set("the job's")

    variable.set("first")
    background.submit(job(act), description="job")
    variable.set("second")
    background.submit(job(act), description="job")
    assert background.wait(LIMIT_SECONDS)

    assert seen == ["first", "second"]
    assert variable.get() == "second"


def test_job_that_fails_is_logged_and_the_next_one_runs(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """The log record has the job's description and the traceback; a failed job has ended, so `wait` returns True."""
    seen: list[int] = []

    background.submit(job(lambda: 1 / 0), description="the division")
    background.submit(job(lambda: seen.append(1)), description="job")
    assert background.wait(LIMIT_SECONDS)

    assert seen == [1]
    assert warnings.messages == ["Failed: the division"]
    assert warnings.records[0].exc_info[0] is ZeroDivisionError  # type: ignore[index]


def test_jobs_that_fail_alike_are_logged_once(background: BackgroundLoop, warnings: pytest.LogCaptureFixture) -> None:
    """A hook that fails for every event would fill the log. Another description, or another error, is logged."""
    for _ in range(20):
        background.submit(job(lambda: 1 / 0), description="the hook")
    background.submit(job(lambda: int("x")), description="the hook")
    background.submit(job(lambda: 1 / 0), description="a write")
    assert background.wait(LIMIT_SECONDS)

    assert warnings.messages == ["Failed: the hook", "Failed: the hook", "Failed: a write"]


def test_job_that_is_cancelled_by_itself_is_logged_and_the_next_one_runs(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """A job may await a task that somebody else cancelled; that must not cancel the task that runs all jobs."""
    seen: list[int] = []

    async def cancelled() -> None:
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task

    background.submit(cancelled, description="the cancelled job")
    background.submit(job(lambda: seen.append(1)), description="job")
    assert background.wait(LIMIT_SECONDS)

    assert seen == [1]
    assert warnings.messages == ["Failed: the cancelled job"]


def test_job_that_exits_is_logged_and_the_loop_runs_on(
    background: BackgroundLoop, warnings: pytest.LogCaptureFixture
) -> None:
    """SystemExit in a job would end the loop, and the jobs after it would never run."""
    seen: list[threading.Thread] = []

    background.submit(job(lambda: seen.append(threading.current_thread())), description="job")
    background.submit(job(sys.exit), description="the exit")
    background.submit(job(lambda: seen.append(threading.current_thread())), description="job")
    assert background.wait(LIMIT_SECONDS)

    assert len(seen) == 2
    assert seen[0] is seen[1]
    assert warnings.messages == ["Failed: the exit"]


def test_job_may_submit_another_job(background: BackgroundLoop) -> None:
    """`submit` returns at once on the loop's own thread too; the second job runs after the first."""
    seen: list[str] = []
    both_ran = threading.Event()

    async def outer() -> None:
        background.submit(job(lambda: (seen.append("inner"), both_ran.set())), description="inner")
        seen.append("outer")

    background.submit(outer, description="outer")

    assert both_ran.wait(LIMIT_SECONDS)
    assert seen == ["outer", "inner"]


def test_signal_handler_may_submit_in_the_middle_of_a_submission(background: BackgroundLoop) -> None:
    """The handler runs in the thread that holds the lock, so the lock has to be reentrant."""
    seen: list[int] = []

    with background._lock:  # as in the middle of `submit`, where a signal arrives
        background.submit(job(lambda: seen.append(1)), description="the handler's job")

    assert background.wait(LIMIT_SECONDS)
    assert seen == [1]


def test_function_is_called_later_in_an_empty_context(background: BackgroundLoop) -> None:
    """Such a function is no job, so nobody waits for it. One that waits when the loop is stopped is not called."""
    called: Future[tuple[str, bool]] = Future()
    never = threading.Event()
    variable.set("of the caller")

    background.call_later(3600, never.set)
    background.call_later(0.01, lambda: called.set_result((variable.get(), background.is_own_thread())))

    assert background.wait(0)
    assert called.result(LIMIT_SECONDS) == ("unset", True)
    background.stop()
    assert not never.is_set()


def test_jobs_that_ended_are_forgotten(background: BackgroundLoop) -> None:
    """A host that runs for months keeps nothing of the jobs it ran."""
    for _ in range(100):
        background.submit(job(lambda: None), description="job")
    assert background.wait(LIMIT_SECONDS)

    background.call(asyncio.sleep, 0)  # callbacks of the last job run after `wait` was woken
    assert background._pending == set()


# wait


def test_wait_returns_false_while_a_job_runs(background: BackgroundLoop) -> None:
    """After the timeout it is False, and True once the job has ended."""
    release = threading.Event()
    background.submit(lambda: asyncio.to_thread(release.wait), description="job")

    assert background.wait(0.05) is False
    release.set()
    assert background.wait(LIMIT_SECONDS) is True
    assert background.wait(0) is True


@pytest.mark.parametrize("queued", [False, True], ids=["the job that runs", "a job in the queue"])
def test_wait_returns_false_at_once_when_a_job_is_cancelled(background: BackgroundLoop, queued: bool) -> None:
    """`flush` in one thread must not report success for a job that `stop` in another thread cancelled, nor wait on."""
    running, waiting = threading.Event(), threading.Event()
    outcome: Future[bool] = Future()

    async def endless() -> None:
        running.set()
        await asyncio.sleep(3600)

    def wait() -> None:
        if queued:  # so that only the queued job is waited for
            background._pending.discard(first)
        waiting.set()
        outcome.set_result(background.wait(2 * LIMIT_SECONDS))

    background.submit(endless, description="endless")
    [first] = background._pending
    assert running.wait(LIMIT_SECONDS)
    if queued:
        background.submit(endless, description="queued")
    waiter = threading.Thread(target=wait)
    waiter.start()
    assert waiting.wait(LIMIT_SECONDS)
    until_it_waits(waiter)
    background.stop()

    assert outcome.result(LIMIT_SECONDS) is False
    join(waiter)


def until_it_waits(thread: threading.Thread) -> None:
    """Return once the thread waits for a condition variable."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) == (threading.__file__, "wait"):
            return
        time.sleep(0.001)
    pytest.fail("the thread does not wait")


def test_is_own_thread(background: BackgroundLoop) -> None:
    """The thread of the loop is its own, and that of another event loop is not."""

    async def ask() -> bool:
        return background.is_own_thread()

    assert background.is_own_thread() is False
    assert background.call(ask) is True
    assert asyncio.run(ask()) is False


def test_is_own_thread_while_another_thread_stops_the_loop() -> None:
    """`stop` may take the loop away at any moment, so the field is read once."""

    class StoppedAfterOneRead(BackgroundLoop):
        @property
        def _running(self):
            running, self._kept = self._kept, None
            return running

        @_running.setter
        def _running(self, running):
            self._kept = running

    background = StoppedAfterOneRead()

    background._running = types.SimpleNamespace(thread_id=threading.get_ident(), thread=threading.current_thread())

    assert background.is_own_thread() is True


# The life of the loop


def test_thread_starts_with_the_first_job_and_ends_with_stop(background: BackgroundLoop) -> None:
    """A program without async hooks has no thread of ours. `stop` may be called twice."""
    assert threads() == []
    background.submit(job(lambda: None), description="job")
    assert threads() == ["heliograph-loop"]
    assert background.wait(LIMIT_SECONDS)
    background.stop()
    assert threads() == []
    background.stop()


def test_thread_does_not_keep_the_interpreter_alive(background: BackgroundLoop) -> None:
    """A program that forgets to shut its host down can exit."""

    async def is_daemon() -> bool:
        return threading.current_thread().daemon

    assert background.call(is_daemon)


@pytest.mark.parametrize("method", ["call", "submit"])
def test_threads_that_come_together_start_one_loop(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Eight threads need the loop at the same time, and starting it takes a while: one loop runs all their functions."""
    seen: list[int] = []
    started: list[object] = []
    barrier = threading.Barrier(8, timeout=LIMIT_SECONDS)

    def start_slowly(start: Callable[[], object] = loop._start_loop) -> object:
        time.sleep(0.05)
        started.append(start())
        return started[-1]

    def work(number: int) -> None:
        barrier.wait()
        function = job(lambda: seen.append(number))
        if method == "call":
            background.call(function)
        else:
            background.submit(function, description="job")

    monkeypatch.setattr(loop, "_start_loop", start_slowly)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert background.wait(LIMIT_SECONDS)

    assert sorted(seen) == list(range(8))
    assert len(started) == 1


def test_stop_cancels_the_job_that_runs_and_the_next_use_starts_another_loop(background: BackgroundLoop) -> None:
    """When `stop` returns, the job has been cancelled. The jobs of the old loop do not count in the next `wait`."""
    started, cancelled = threading.Event(), threading.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    background.submit(endless, description="endless")
    background.submit(job(lambda: None), description="job in the queue")
    assert started.wait(LIMIT_SECONDS)
    background.stop()

    assert cancelled.is_set()
    assert background.call(seven) == 7
    assert background.wait(0)


def test_job_that_is_submitted_while_stop_cancels_the_others_is_not_cancelled(background: BackgroundLoop) -> None:
    """A job that is being cancelled may submit another one: a new loop runs that to its end."""
    started, release = threading.Event(), threading.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            background.submit(lambda: asyncio.to_thread(release.wait), description="the last job")

    background.submit(endless, description="endless")
    assert started.wait(LIMIT_SECONDS)
    background.stop()

    assert background.wait(0) is False
    release.set()
    assert background.wait(LIMIT_SECONDS) is True


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_loop_that_ended_by_itself_is_replaced(background: BackgroundLoop) -> None:
    """A callback that raises SystemExit ends the loop; the next use starts another, and `stop` copes with a dead one."""

    async def end_the_loop() -> threading.Thread:
        asyncio.get_running_loop().call_soon(sys.exit)
        return threading.current_thread()

    background.call(end_the_loop).join(LIMIT_SECONDS)
    assert background.call(seven) == 7

    background.call(end_the_loop).join(LIMIT_SECONDS)
    background.stop()


def test_loop_that_cannot_start_is_an_error(background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets the reason, and does not wait for ever; the next call tries again."""

    def fail(_: object) -> None:
        raise OSError("too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(anyio, "run", fail)
        with pytest.raises(OSError, match="too many open files"):
            background.call(seven)

    assert background.call(seven) == 7


def test_interrupt_of_a_start_ends_the_loop_that_runs_already(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call starts another loop."""
    real = loop.result_of

    def interrupted(future: Future[object]) -> None:
        real(future)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "result_of", interrupted)
        with pytest.raises(KeyboardInterrupt):
            background.call(asyncio.sleep, 0)
    wait_until(lambda: threads() == [])

    assert background.call(asyncio.sleep, 0, 7) == 7
    assert threads() == ["heliograph-loop"]


def test_interrupt_of_a_start_ends_the_loop_before_it_runs(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread of the loop begins a moment later, and ends at once."""
    interrupted = threading.Event()
    real = anyio.run

    def run_later(serve: Callable[[], Awaitable[None]]) -> None:
        assert interrupted.wait(LIMIT_SECONDS)
        real(serve)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "result_of", interrupt)
        patch.setattr(anyio, "run", run_later)
        with pytest.raises(KeyboardInterrupt):
            background.call(asyncio.sleep, 0)
        interrupted.set()
        wait_until(lambda: threads() == [])

    assert background.call(asyncio.sleep, 0, 7) == 7
    assert threads() == ["heliograph-loop"]


def test_job_whose_submission_an_interrupt_ends_is_not_waited_for(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    background.call_later(3600, lambda: None)
    assert background._running is not None
    monkeypatch.setattr(background._running.loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.submit(job(lambda: None), description="never")
    monkeypatch.undo()

    assert background.pending() == frozenset()


def test_coroutine_in_place_of_a_function_is_an_error(background: BackgroundLoop) -> None:
    """The message shows the right call. No coroutine is left that was never awaited."""
    with pytest.raises(TypeError, match=r"takes an async function and its arguments, .* not builtins\.coroutine"):
        background.call(asyncio.sleep(0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"its arguments, .* not builtins\.NoneType"):
        background.call(None)  # type: ignore[arg-type]


def test_sync_function_in_place_of_an_async_one_is_an_error(background: BackgroundLoop) -> None:
    """A sync function needs no loop, and the message says to call it without."""
    with pytest.raises(TypeError, match=r"len.* is not async; call it without"):
        background.call(len, "abc")  # type: ignore[arg-type]


def test_call_is_in_the_loop_before_another_thread_can_stop_it(
    background: BackgroundLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock that `stop` takes is held meanwhile. A call in a loop that has ended would never return."""
    schedule, could_stop = asyncio.run_coroutine_threadsafe, []

    def is_free() -> bool:
        is_acquired = background._lock.acquire(blocking=False)
        if is_acquired:
            background._lock.release()
        return is_acquired

    def run(coroutine: Any, loop: Any) -> Any:
        could_stop.append(result_in_time(is_free))
        return schedule(coroutine, loop)

    async def answer() -> int:
        return 42

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", run)

    assert background.call(answer) == 42
    assert could_stop == [False]
