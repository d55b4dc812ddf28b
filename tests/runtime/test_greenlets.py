"""Programs whose threads are greenlets are recognized, whenever they replace the functions of `threading`."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from heliograph.runtime.greenlets import result_of, start_thread, wait_for_all
from packages import require
from scripts import python


@pytest.mark.parametrize(
    ("library", "patch"),
    [
        ("gevent", "from gevent import monkey; monkey.patch_all()"),
        ("eventlet", "import eventlet; eventlet.monkey_patch()"),
    ],
)
def test_threads_that_become_greenlets(library: str, patch: str) -> None:
    """The answer changes when the program replaces the functions; an import alone changes nothing."""
    require(library)
    ran = python(
        f"""
import {library}
from heliograph.runtime.greenlets import threads_are_greenlets
before = threads_are_greenlets()
{patch}
report(before=before, after=threads_are_greenlets())
""",
        fresh=True,
        PYTHONWARNINGS="ignore",
    )

    assert ran.only == {"before": False, "after": True}


def test_threads_that_meet_locks_of_gevent_import_nothing() -> None:
    """Imports take locks, so threads which the SDK started before gevent replaced the locks would wait for each other."""
    require("gevent")
    ran = python(
        """
import importlib, _thread
import gevent.monkey
configure()
start, done = _thread.start_new_thread, []
gevent.monkey.patch_all()
imported, import_module = [], importlib.import_module
def record(name, package=None):
    imported.append(name)
    return import_module(name, package)
importlib.import_module = record
def make_hub():
    gevent.get_hub()
    done.append(report(imported=imported))
start(make_hub, ())
for _ in range(6000):
    if done:
        break
    time.sleep(0.01)
os._exit(not done)
""",
        fresh=True,
    )

    assert ran.only == {"imported": []}


def test_wait_in_a_greenlet_has_a_time_limit() -> None:
    """A greenlet that waits for a thread of the system gives up at its timeout, and lets other greenlets run meanwhile."""
    require("gevent")
    ran = python(
        """
import gevent
from gevent import monkey; monkey.patch_all()
from concurrent.futures import Future
from heliograph.runtime.greenlets import result_of, start_thread, wait_for_all
sleep = monkey.get_original("time", "sleep")
ran = []
threading.Thread(target=lambda: ran.append(1)).start()
is_done = wait_for_all([Future()], 0.05)
done = Future()
thread = start_thread(lambda: done.set_result(7), "heliograph-test")
result = result_of(done)
thread.join()
may_end = []
slow = start_thread(lambda: [sleep(0.001) for _ in iter(lambda: not may_end, False)], "heliograph-test")
gevent.spawn(may_end.append, 1)  # it runs as soon as the greenlet that joins lets others run
slow.join()
report(done=is_done, ran=ran, result=result, alive=thread.is_alive())
""",
        fresh=True,
    )

    assert ran.only == {"done": False, "ran": [1], "result": 7, "alive": False}


def test_without_greenlets() -> None:
    """In other programs, a thread is one of `threading`, and waiting works as usual."""
    done: Future[int] = Future()
    assert not wait_for_all([done], 0)

    thread = start_thread(lambda: done.set_result(7), "heliograph-test")

    assert result_of(done) == 7
    assert wait_for_all([done], 0)
    thread.join()
    assert not thread.is_alive()
