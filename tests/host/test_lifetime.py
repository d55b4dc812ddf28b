"""The blocks that a host is in, and the functions that are called when it ends and begins again."""

from __future__ import annotations

import asyncio
import os

import pytest

from host.test_host import AsyncReader, PageEvent, heliograph_threads, numbers
from recorder import Telemetry
from scripts import python


def test_inner_block_does_not_end_the_host(telemetry: Telemetry) -> None:
    """A library may enter the host of its program. It is shut down when the last block ends."""
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
