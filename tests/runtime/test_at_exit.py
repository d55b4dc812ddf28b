"""When the interpreter exits, what a host holds is sent, within a time limit."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from heliograph.runtime.at_exit import AtExit
from otlp_receiver import Receiver
from packages import require
from processes import otlp
from scripts import python
from servers import Misbehaving

PROGRAM = """
host = configure(plugins=[Plugin()])
host.track(Tick(n=1))
"""


def test_program_that_just_ends_exports_its_events() -> None:
    """Without `flush` and `shutdown` the event arrives, and nothing is written to stderr."""
    with Receiver() as receiver:
        ran = python(PROGRAM, **otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000"))

        assert [log.event_name for log in receiver.logs()] == ["test.tick"]
    assert ran.stderr == ""


def test_async_hooks_run_to_their_end() -> None:
    """The program exits once the functions on the host's background loop have ended."""
    ran = python(
        """
import asyncio
class Later:
    @hookimpl
    def track_event(self, event):
        async def later():
            await asyncio.sleep(0.2)
            report(n=event.n)
        return later
host = configure(plugins=[Plugin(), Later()])
host.track(Tick(n=7))
""",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
    )

    assert ran.only == {"n": 7}


def test_server_that_never_answers_does_not_keep_the_program_from_exiting() -> None:
    """The interpreter exits when the timeout has passed. The exporters alone would wait for an hour, and the test would fail."""
    with Misbehaving(silent=True) as server:
        variables = otlp(server.endpoint, HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="500", OTEL_EXPORTER_OTLP_TIMEOUT="3600")

        assert python(PROGRAM, **variables).reports == []


def test_function_that_never_returns_does_not_keep_the_program_from_exiting() -> None:
    """The timeout is that of `AtExit`, whatever the function does."""
    ran = python(
        """
from heliograph.runtime.at_exit import AtExit
AtExit(lambda _: (report(called=True), time.sleep(3600)), 200, in_children=print)
"""
    )

    assert ran.only == {"called": True}


def test_program_waits_for_the_function_until_the_timeout() -> None:
    """A function that takes a moment runs to its end, in its own thread; it may cancel its own `AtExit`."""
    ran = python(
        """
from heliograph.runtime.at_exit import AtExit
def function(_):
    time.sleep(0.2)
    at_exit.cancel()
    report(thread=threading.current_thread().name)
at_exit = AtExit(function, 15_000, in_children=print)
"""
    )

    assert ran.only == {"thread": "heliograph-exit"}
    assert ran.stderr == ""


@pytest.mark.parametrize("end", ["sys.exit(0)", "gevent.spawn(sys.exit, 0)"])
def test_second_signal_does_not_end_the_function(end: str) -> None:
    """gunicorn ends its workers by a signal, and Ctrl-C sends another one to them: each handler ends the program, gevent's by a greenlet."""
    if "gevent" in end:
        require("gevent")
    ran = python(
        f"""
if "gevent" in "{end}":
    import gevent
    from gevent import monkey; monkey.patch_all()
import signal
from heliograph.runtime.at_exit import AtExit
signal.signal(signal.SIGTERM, lambda *_: {end})
def function(_):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)
    report(ended=True)
AtExit(function, 60_000, in_children=print)
"""
    )

    assert ran.only == {"ended": True}
    assert "at_exit.py" not in ran.stderr


def test_function_is_not_called_after_cancel() -> None:
    """The thread has ended when `cancel` returns; a second `cancel` does nothing."""
    called = threading.Event()
    at_exit = AtExit(lambda _: called.set(), 1000, in_children=called.set)

    at_exit.cancel()
    at_exit.cancel()

    assert not called.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "heliograph-exit"]


def test_nothing_is_kept_after_cancel() -> None:
    """A program that makes and shuts down many hosts keeps none of them for the interpreter's exit."""
    at_exit = AtExit(lambda _: None, 1000, in_children=print)
    reference = weakref.ref(at_exit)

    at_exit.cancel()
    del at_exit
    gc.collect()

    assert reference() is None


def test_child_of_a_cancelled_object_starts_no_thread() -> None:
    """A host that was shut down does nothing in a forked child."""
    ran = python(
        """
from heliograph.runtime.at_exit import AtExit
at_exit = AtExit(lambda _: report(called=True), 1000, in_children=lambda: report(called=True))
at_exit.cancel()
if not os.fork():
    report(threads=[thread.name for thread in threading.enumerate()])
    os._exit(0)
os.wait()
"""
    )

    assert ran.only == {"threads": ["MainThread"]}


@pytest.mark.parametrize(("timeout_millis", "given"), [(400, 200.0), (5000, 4500.0)])
def test_function_has_time_for_its_last_report(timeout_millis: int, given: float) -> None:
    """The function is given less than the interpreter waits: if it uses up its time, the interpreter still waits for its end."""
    ran = python(
        f"""
from heliograph.runtime.at_exit import AtExit
AtExit(lambda given: report(given=given), {timeout_millis}, in_children=print)
"""
    )

    assert ran.only == {"given": given}
