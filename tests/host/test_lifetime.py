"""A host ends with its last block, flushes its parts and shuts down in time, and may begin again."""

from __future__ import annotations

import asyncio
import os
import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from heliograph import Host, Settings, Validation, hookimpl
from heliograph.quarantine.queue import QuarantineQueue
from heliograph.quarantine.store import Quarantine
from host.pages import AsyncReader, PageEvent, Pages, eventually, heliograph_threads, numbers
from recorder import Telemetry
from scripts import python
from threads import LIMIT_SECONDS, result_in_time
from tokens.stored.rig import TokenHost


class HangingProvider:
    """A provider whose flush returns when the test releases it, whatever its timeout."""

    def __init__(self):
        self.released = threading.Event()

    def get_logger(self, *args, **kwargs):
        return Telemetry().logger_provider.get_logger("unused")

    def force_flush(self, timeout_millis=30000):
        return self.released.wait(2 * LIMIT_SECONDS)


@pytest.fixture
def stuck() -> Iterator[HangingProvider]:
    provider = HangingProvider()
    yield provider
    provider.released.set()


# Blocks


def test_sync_context_manager_starts_and_shuts_down(telemetry: Telemetry) -> None:
    """Startup hooks run when it is entered. When it is left, async hooks have run and the threads have ended."""
    reader, started = AsyncReader(), []

    class Starting:
        @hookimpl
        def startup(self, datasette):
            started.append(datasette)

    with telemetry.host(reader, Starting()) as host:
        assert started == [host]
        host.track(PageEvent(1))

    assert reader.numbers == [1]
    assert heliograph_threads() == []


def test_async_context_manager_starts_and_shuts_down(telemetry: Telemetry) -> None:
    """Startup hooks run in the program's own loop. When it is left, async hooks have run and the threads have ended."""
    reader, loops = AsyncReader(), []

    class Starting:
        @hookimpl
        def startup(self, datasette):
            async def start():
                loops.append(asyncio.get_running_loop())

            return start

    async def program():
        async with telemetry.host(reader, Starting()) as host:
            assert loops == [asyncio.get_running_loop()]
            host.track(PageEvent(1))
        assert heliograph_threads() == []

    asyncio.run(program())

    assert reader.numbers == [1]


@pytest.mark.parametrize("is_async", [False, True])
def test_context_manager_whose_startup_is_interrupted_ends_its_threads(telemetry: Telemetry, is_async: bool) -> None:
    """`with host:` shuts the host down itself, because Python does not call `__exit__` then. The host can be entered again."""
    interrupts: list[BaseException] = [KeyboardInterrupt()]

    class Interrupted(Pages):
        @hookimpl
        def startup(self, datasette):
            datasette.call(asyncio.sleep, 0)
            if interrupts:
                raise interrupts.pop()

    host = telemetry.host(Interrupted())

    async def program():
        async with host:
            pytest.fail("it started")

    with pytest.raises(KeyboardInterrupt):
        if is_async:
            asyncio.run(program())
        else:
            with host:
                pytest.fail("it started")
    assert heliograph_threads() == []

    with host:
        host.track(PageEvent(1))
    assert numbers(telemetry) == [1]


def test_cancelled_scope_shuts_the_host_down(telemetry: Telemetry) -> None:
    """In a cancelled scope of anyio, `async with` waits for the hooks too."""
    reader = AsyncReader()

    async def program():
        with anyio.CancelScope() as scope:
            async with telemetry.host(reader) as host:
                host.track(PageEvent(1))
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught

    anyio.run(program)

    assert reader.numbers == [1]
    assert heliograph_threads() == []


def test_inner_block_does_not_end_the_host(telemetry: Telemetry) -> None:
    """A library may enter the host of its program, which is shut down when the last block ends."""
    ended = []
    host = telemetry.host(AsyncReader())
    host.at_shutdown(lambda _: ended.append(True))

    async def library() -> None:
        async with host, host:
            host.track(PageEvent(2))

    with host:
        with host:
            host.track(PageEvent(1))
        asyncio.run(library())
        assert ended == []
        host.track(PageEvent(3))
    assert ended == [True]
    assert numbers(telemetry) == [1, 2, 3]
    assert heliograph_threads() == []


def test_block_after_a_shutdown_ends_the_host(telemetry: Telemetry) -> None:
    """Blocks that were ended by a call of `shutdown`, or never left, do not count any more."""
    host = telemetry.host(AsyncReader())
    host.__enter__()
    host.shutdown()
    with host:
        host.track(PageEvent(1))
        host.shutdown()
        with host:
            host.track(PageEvent(2))
        assert heliograph_threads() == []
    assert numbers(telemetry) == [1, 2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_block_of_a_forked_child_ends_its_host() -> None:
    """The parent may have forked it inside of a block of its own."""
    ran = python(
        """
host = Host(plugins=[Plugin()])
host.at_shutdown(lambda _: report(ended=os.getpid() != parent))
parent = os.getpid()
with host:
    if not os.fork():
        with host:
            host.track(Tick(n=1))
        os._exit(0)
    os.wait()
    report(forked=True)
"""
    )
    assert ran.reports == [{"ended": True}, {"forked": True}, {"ended": False}]


def test_host_can_be_used_again_after_shutdown(telemetry: Telemetry) -> None:
    """The next event starts a thread again, and the next shutdown ends it."""
    reader = AsyncReader()
    host = telemetry.host(reader)

    for number in (1, 2):
        host.track(PageEvent(number))
        assert host.shutdown()

    assert reader.numbers == [1, 2]


# Flush


def test_flush_waits_for_the_async_hooks(telemetry: Telemetry) -> None:
    """When it returns True, the hooks of all events before it have ended."""
    go, done = threading.Event(), []

    class Slow(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            async def wait():
                await anyio.to_thread.run_sync(go.wait, LIMIT_SECONDS)
                done.append(event.number)

            return wait

    with telemetry.host(Slow()) as host:
        host.track(PageEvent(1))
        assert not host.flush(50)
        assert done == []

        go.set()
        assert host.flush(5000)
        assert done == [1]


def test_flush_in_an_async_hook_returns_false(telemetry: Telemetry) -> None:
    """On the host's own loop it cannot wait for the hooks, so it reports failure and returns."""
    results = []

    class Flushing(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            async def flush():
                results.append(datasette.flush(2 * LIMIT_SECONDS * 1000))

            return flush

    with telemetry.host(Flushing()) as host:
        host.track(PageEvent(1))
        assert host.flush(LIMIT_SECONDS * 1000)

    assert results == [False]


def test_flush_waits_for_writes_with_block_false(telemetry: Telemetry) -> None:
    """Writes that nobody waited for are in the database when `flush` returns True."""
    with telemetry.host(databases={"one": ":memory:"}) as host:
        database = host.get_database()
        host.call(database.execute_write, "create table pages (number integer)")
        for number in range(20):
            host.call(database.execute_write, "insert into pages values (?)", [number], block=False)

        assert host.flush()
        assert host.call(database.execute, "select count(*) from pages").single_value() == 20


def test_flush_and_shutdown_put_invalid_events_into_the_quarantine(
    telemetry: Telemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread does that a moment later, if nobody asks for it. If it fails, `flush` and `shutdown` return False."""
    monkeypatch.setattr("heliograph.quarantine.queue._COLLECT_SECONDS", 5)
    path = tmp_path / "aside.db"
    settings = Settings(secret=("x",), validation=Validation.QUARANTINE, quarantine=path)
    host = telemetry.host(Pages(), settings=settings)
    host.track(PageEvent("one"))  # type: ignore[arg-type]
    assert not path.exists()
    assert host.flush()
    assert sum(Quarantine(path).counts().values()) == 1
    host.track(PageEvent("two"))  # type: ignore[arg-type]
    with monkeypatch.context() as patch:
        patch.setattr(QuarantineQueue, "flush", lambda *_: False)
        assert not host.flush()
    assert host.shutdown()

    assert sum(Quarantine(path).counts().values()) == 2
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("timeout", ["5", timedelta(seconds=5)])
def test_timeout_that_is_no_number(telemetry: Telemetry, timeout: object) -> None:
    """The error names the value, and the host is not shut down."""
    with telemetry.host(AsyncReader()) as host:
        for method in (host.flush, host.shutdown):
            with pytest.raises(
                TypeError, match=f"a number of milliseconds, such as 5000, not {re.escape(repr(timeout))}"
            ):
                method(timeout)  # type: ignore[arg-type]
        host.track(PageEvent(1))
    assert numbers(telemetry) == [1]


@pytest.mark.parametrize("operation", [Host.flush, Host.shutdown])
def test_provider_that_hangs_makes_flush_and_shutdown_false_at_the_deadline(
    telemetry: Telemetry, stuck: HangingProvider, operation: Callable[[Host, float], bool]
) -> None:
    """Both return in time, and report that not everything was sent."""
    host = telemetry.host(Pages(), logger_provider=stuck)

    assert result_in_time(lambda: operation(host, 300)) is False

    stuck.released.set()
    host.shutdown()


def test_provider_that_raises_makes_flush_false_and_is_logged(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The other providers are flushed nevertheless."""
    asked = []

    class Broken(HangingProvider):
        def force_flush(self, timeout_millis=30000):
            raise OSError("the backend is gone")

    class Asked(HangingProvider):
        def get_meter(self, *args, **kwargs):
            return telemetry.meter_provider.get_meter("unused")

        def force_flush(self, timeout_millis=30000):
            asked.append(timeout_millis)
            return True

    with telemetry.host(logger_provider=Broken(), meter_provider=Asked()) as host:
        assert host.flush(20_000) is False

        assert len(asked) == 1
        assert 0 < asked[0] <= 20_000
        assert host.flush(20_000) is False
        assert [each for each in warnings.messages if "A provider failed to flush" in each] == [
            "A provider failed to flush. The telemetry that it holds may be lost."
        ]


@pytest.mark.parametrize(("result", "expected"), [(False, False), (True, True), (None, True)])
def test_flush_returns_what_the_provider_reports(telemetry: Telemetry, result: object, expected: bool) -> None:
    """False is a failure. `None`, which some processors of the SDK return, is not."""

    class Reporting(HangingProvider):
        def force_flush(self, timeout_millis=30000):
            return result

    with telemetry.host(logger_provider=Reporting()) as host:
        assert host.flush(20_000) is expected


def test_hook_that_hangs_leaves_half_of_the_time_to_the_providers(telemetry: Telemetry) -> None:
    """Telemetry is sent although a hook does not end."""
    timeouts = []

    class Recording(HangingProvider):
        def force_flush(self, timeout_millis=30000):
            timeouts.append(timeout_millis)
            return True

    class Endless(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            return anyio.sleep_forever

    host = telemetry.host(Endless(), logger_provider=Recording())
    host.track(PageEvent(1))

    assert host.flush(2000) is False

    assert 100 < timeouts[0] <= 1000
    host.shutdown(100)


def test_providers_are_flushed_again_after_a_hook_that_was_late(telemetry: Telemetry) -> None:
    """Such a hook may have emitted telemetry after the first flush. Here it waits for that flush."""
    flushes = []
    first_flush = threading.Event()

    class Recording(HangingProvider):
        def force_flush(self, timeout_millis=30000):
            flushes.append(list(ended))
            first_flush.set()
            return True

    ended = []

    class Late(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            async def wait():
                await anyio.to_thread.run_sync(first_flush.wait, LIMIT_SECONDS)
                ended.append(event.number)

            return wait

    with telemetry.host(Late(), logger_provider=Recording()) as host:
        host.track(PageEvent(1))

        assert host.flush(4000)
        assert flushes == [[], [1]]


@pytest.mark.parametrize("reports", [(True, True), (False, True), (True, False)])
def test_both_flushes_count_if_a_hook_was_late(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch, reports: tuple[bool, bool]
) -> None:
    """The first may have lost something that the second does not have any more."""
    flushes = iter(reports)

    class Reporting(HangingProvider):
        def force_flush(self, timeout_millis=30000):
            return next(flushes)

    host = telemetry.host(logger_provider=Reporting())
    hooks_ended = iter([False, True])
    with monkeypatch.context() as patch:
        patch.setattr(host._lifetime, "_wait_for_hooks", lambda *_: next(hooks_ended))
        assert host.flush(60_000) is all(reports)
    assert list(flushes) == []


# Shutdown, and the beginning after it


def test_shutdown_cancels_hooks_that_do_not_end(telemetry: Telemetry) -> None:
    """`shutdown` returns False, and no thread keeps running."""
    ended = threading.Event()

    class Endless(Pages):
        @hookimpl
        def track_event(self, datasette, event):
            async def wait():
                try:
                    await anyio.sleep_forever()
                finally:
                    ended.set()

            return wait

    host = telemetry.host(Endless())
    host.track(PageEvent(1))

    assert result_in_time(lambda: host.shutdown(300)) is False

    assert ended.wait(LIMIT_SECONDS)
    assert eventually(lambda: heliograph_threads() == [])


def test_second_shutdown_calls_no_function_again(telemetry: Telemetry) -> None:
    """Functions of `at_shutdown` are called once, with the time that remains."""
    closed = []
    host = telemetry.host()
    host.at_shutdown(closed.append)

    assert host.shutdown(20_000)
    assert host.shutdown(20_000)

    assert len(closed) == 1
    assert 0 < closed[0] <= 20_000


def test_function_that_fails_at_restart_is_called_again(telemetry: Telemetry) -> None:
    """An environment that cannot be used may be corrected, and the host entered again."""
    problems = [ValueError("wrong"), None]
    restarts: list[object] = []

    def restart() -> None:
        problem = problems.pop(0)
        if problem is not None:
            raise problem
        restarts.append("restarted")

    host = telemetry.host()
    host.at_restart(restart)
    host.shutdown()

    with pytest.raises(ValueError, match="wrong"), host:
        pytest.fail("it was entered")
    with host, host:
        pass
    assert restarts == ["restarted"]


def test_function_that_fails_at_shutdown_makes_it_false(telemetry: Telemetry) -> None:
    """`shutdown` returns False if a function returns False, but not if it returns None."""
    for result, expected in ((False, False), (None, True), (True, True)):
        host = telemetry.host()
        host.at_shutdown(lambda _, result=result: result)

        assert host.shutdown() is expected


def test_function_that_raises_at_shutdown_makes_it_false(
    telemetry: Telemetry, warnings: pytest.LogCaptureFixture
) -> None:
    """The exception is logged, and the functions after it are called."""
    called = []

    def fail(_: float) -> None:
        raise OSError("the disk is gone")

    host = telemetry.host()
    host.at_shutdown(fail)
    host.at_shutdown(called.append)

    assert host.shutdown() is False

    assert len(called) == 1
    assert "A function of Host.at_shutdown failed" in warnings.text


def test_last_use_of_tokens_that_cannot_be_written_does_not_stop_the_shutdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: pytest.LogCaptureFixture
) -> None:
    """No thread may be started while the interpreter ends. The functions of `at_shutdown` are called nevertheless."""
    called: list[float] = []

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    host = TokenHost(tmp_path / "tokens.db")
    host.at_shutdown(called.append)
    host.handler.usage.note("any token", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(host._background, "submit", fail)
        host.shutdown()

    assert len(called) == 1
    assert "The last use of some tokens could not be written." in warnings.text
    assert not host.handler.usage.is_empty
    host.shutdown()
