"""When the interpreter ends, what is held is sent, and it ends in time."""

from __future__ import annotations

import threading

from heliograph.runtime.at_exit import AtExit
from otlp_receiver import Receiver
from processes import otlp
from scripts import python
from servers import Misbehaving

PROGRAM = """
host = configure(plugins=[Plugin()])
host.track(Tick(n=1))
"""


def test_a_program_that_just_ends_exports() -> None:
    """Without flush or shutdown everything arrives, and nothing is said on stderr."""
    with Receiver() as receiver:
        ran = python(PROGRAM, **otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000"))

        assert [log.event_name for log in receiver.logs()] == ["test.tick"]
    assert ran.stderr == ""


def test_async_hooks_finish_before_the_end() -> None:
    """What hooks left to the host's loop is done when the program ends."""
    ran = python(
        """
import asyncio
class Later:
    @hookimpl
    def track_event(self, event):
        async def later():
            await asyncio.sleep(0.2)
            say(n=event.n)
        return later
host = configure(plugins=[Plugin(), Later()])
host.track(Tick(n=7))
""",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )

    assert ran.only == {"n": 7}


def test_a_silent_server_does_not_hold_the_program_up() -> None:
    """The interpreter ends by the deadline, though the server never answers."""
    with Misbehaving(silent=True) as server:
        ran = python(PROGRAM, **otlp(server.endpoint, HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="500"))

    assert ran.seconds < 8


def test_cancelled_is_not_called() -> None:
    """Taken back, the function is never called, and the thread has ended."""
    called = threading.Event()
    at_exit = AtExit(called.set, 1000)

    at_exit.cancel()

    assert not called.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "heliograph-exit"]
