"""Callbacks around a fork; and a host that works in parent and child: nothing lost, nothing twice, no deadlock."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store
from processes import otlp
from scripts import python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# Runs a function in a child process and returns its exit status. The child ends by `os._exit`, without `atexit`.
IN_CHILD = """
def in_child(function):
    pid = os.fork()
    if not pid:
        try:
            function()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The receiver's database of the events that arrived."""
    return Store(tmp_path / "received.db")


def arrived(store: Store) -> list[int]:
    """The numbers of the ticks that arrived, sorted, repeated ones included. No two may have the same unique id."""
    rows = store.rows("select uid, attributes from events where event_name = 'test.tick'")
    assert len({row["uid"] for row in rows}) == len(rows)
    return sorted(json.loads(row["attributes"])["test.tick.n"] for row in rows)


CALLBACKS = (
    IN_CHILD
    + """
import gc
from heliograph.runtime.fork import after_fork_in_child, around_fork

calls = []

class Owner:
    def __init__(self, name):
        self.name = name
        after_fork_in_child(self.in_child)
        around_fork(self.before, self.in_parent)
    def before(self): calls.append(f"{self.name} before")
    def in_parent(self): calls.append(f"{self.name} in parent")
    def in_child(self): calls.append(f"{self.name} in child")
"""
)


def test_callbacks_run_around_each_fork() -> None:
    """`before` runs before the fork, and so once for both processes; each of the others in its process only."""
    ran = python(
        CALLBACKS
        + """
first, second = Owner("first"), Owner("second")
in_child(lambda: report(calls=calls))
report(calls=calls)
"""
    )

    before = ["second before", "first before"]
    assert [line["calls"] for line in ran.reports] == [
        [*before, "first in child", "second in child"],
        [*before, "first in parent", "second in parent"],
    ]


def test_callbacks_do_not_keep_their_object_alive() -> None:
    """An object that is gone is not called, and was not kept: callbacks of `os` cannot be removed."""
    ran = python(
        CALLBACKS
        + """
import weakref
owner = Owner("gone")
reference = weakref.ref(owner)
del owner
gc.collect()
in_child(lambda: report(calls=calls))
report(calls=calls, is_gone=reference() is None)
"""
    )

    assert ran.reports == [{"calls": []}, {"calls": [], "is_gone": True}]


def test_objects_that_are_gone_cost_a_fork_nothing() -> None:
    """A fork of a program that has had many objects calls as many functions as the fork of one that has had none."""
    ran = python(
        CALLBACKS
        + """
def calls_in_a_fork():
    count = 0
    def on_event(frame, event, argument):
        nonlocal count
        count += event == "call"
    sys.setprofile(on_event)
    pid = os.fork()
    sys.setprofile(None)
    if not pid:
        report(count=count)
        os._exit(0)
    os.waitpid(pid, 0)
    report(count=count)

calls_in_a_fork()
for number in range(100):
    Owner(number)
gc.collect()
calls_in_a_fork()
"""
    )

    counts = [report["count"] for report in ran.reports]
    assert counts[:2] == counts[2:]


def test_callback_that_raises_hides_no_other() -> None:
    """Python reports the exception, and all others are called."""
    ran = python(
        CALLBACKS
        + """
sys.unraisablehook = lambda error: calls.append(repr(error.exc_value))

class Raises(Owner):
    def before(self): raise OSError("before")
    def in_parent(self): raise OSError("in parent")
    def in_child(self): raise OSError("in child")

first, raises, second = Owner("first"), Raises("raises"), Owner("second")
in_child(lambda: report(calls=calls))
report(calls=calls)
"""
    )

    before = ["second before", "first before", "OSError('before')"]
    assert [line["calls"] for line in ran.reports] == [
        [*before, "first in child", "second in child", "OSError('in child')"],
        [*before, "first in parent", "second in parent", "OSError('in parent')"],
    ]


def test_system_that_cannot_fork() -> None:
    """Windows has no `os.register_at_fork`, and nothing is called there."""
    ran = python(
        """
del os.register_at_fork
"""
        + CALLBACKS
        + """
owner = Owner("some")
report(calls=calls)
"""
    )

    assert ran.reports == [{"calls": []}]


def test_run_that_another_thread_began_is_begun_anew_in_the_child() -> None:
    """The thread that runs the startup does not exist in the child, which must not wait for it."""
    ran = python(
        IN_CHILD
        + """
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce

entered, release = threading.Event(), threading.Event()
async def work():
    entered.set()
    while not release.is_set():
        await asyncio.sleep(0.001)

import asyncio
background = BackgroundLoop()
once = RunOnce(lambda: (work() for _ in range(1)), background)
thread = threading.Thread(target=once.ensure)
thread.start()
entered.wait()
def child():
    release.set()
    once.ensure()
    report(done=once.done)
assert in_child(child) == 0
report(done=once.done)
release.set()
thread.join()
report(done=once.done)
"""
    )

    assert [line["done"] for line in ran.reports] == [True, False, True]


def test_function_of_a_run_may_fork() -> None:
    """The child forgot the run that it is in the middle of; it ends without an error."""
    ran = python(
        """
import asyncio
from heliograph.runtime.loop import BackgroundLoop
from heliograph.runtime.once import RunOnce

async def work():
    global pid
    pid = os.fork()

once = RunOnce(lambda: (work() for _ in range(1)), BackgroundLoop())
asyncio.run(once.ensure_async())
report(done=once.done)
if not pid:
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""
    )

    assert [line["done"] for line in ran.reports] == [True, True]


def test_unique_ids_differ_after_a_fork() -> None:
    """Parent and child start with the same state, and still no unique id is used twice."""
    ran = python(
        IN_CHILD
        + """
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
exporter, provider = InMemoryLogRecordExporter(), LoggerProvider(shutdown_on_exit=False)
provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))

def tracked(n):
    exporter.clear()
    for _ in range(n):
        host.track(Tick(n=n))
    report(uids=[log.log_record.attributes["log.record.uid"] for log in exporter.get_finished_logs()])

with Host(plugins=[Plugin()], logger_provider=provider) as host:
    tracked(10)
    assert in_child(lambda: tracked(100)) == 0
    assert in_child(lambda: tracked(100)) == 0
    tracked(100)
"""
    )

    uids = [uid for line in ran.reports for uid in line["uids"]]
    assert len(uids) == 310
    assert len(set(uids)) == 310


def test_async_hooks_tokens_and_databases_work_in_a_child(tmp_path: Path) -> None:
    """The child has its own loop, connections and locks; all rows of parent and child are in the database."""
    path = tmp_path / "events.db"

    ran = python(
        IN_CHILD
        + """
class Audit:
    @hookimpl
    def startup(self, datasette):
        return lambda: datasette.get_database("events").execute_write("create table audit (n integer, pid integer)")

    @hookimpl
    def track_event(self, datasette, event):
        return lambda: datasette.get_database("events").execute_write(
            "insert into audit values (?, ?)", [event.n, os.getpid()])

host = Host(Settings(secret=("s",)), plugins=[Plugin(), Audit()], databases={"events": sys.argv[1]})
host.track(Tick(n=1))
token = host.call(host.create_token, "ada")

def work(numbers):
    for n in numbers:
        host.track(Tick(n=n))
    assert host.call(host.verify_token, token)["id"] == "ada"
    assert host.flush()

def child():
    work(range(100, 150))
    assert host.call(host.verify_token, host.call(host.create_token, "bob"))["id"] == "bob"
    assert host.shutdown()

assert in_child(child) == 0
work(range(2, 50))
assert host.shutdown()
""",
        str(path),
    )

    assert ran.reports == []
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select n, pid from audit").fetchall()
    assert sorted(n for n, _ in rows) == [*range(1, 50), *range(100, 150)]
    assert len({pid for _, pid in rows}) == 2


def test_async_hooks_that_wait_at_the_fork_run_in_the_parent_only(tmp_path: Path) -> None:
    """The child starts with an empty queue."""
    path = tmp_path / "ran.txt"

    python(
        IN_CHILD
        + """
import anyio

class Slow:
    @hookimpl
    def track_event(self, event):
        async def later():
            await anyio.sleep(0.02)
            with open(sys.argv[1], "a") as file:
                file.write(f"{event.n}\\\\n")
        return later

with Host(plugins=[Plugin(), Slow()]) as host:
    for n in range(10):
        host.track(Tick(n=n))

    def child():
        assert host.flush()
        host.track(Tick(n=100))
        assert host.flush()

    assert in_child(child) == 0
""".replace("\\\\n", "\\n"),
        str(path),
    )

    assert Counter(path.read_text().split()) == Counter(map(str, [*range(10), 100]))


def test_parent_and_children_export_each_event_once(store: Store) -> None:
    """With `configure`: events held at the fork and events tracked after it in any process arrive exactly once."""
    with receiving(store) as endpoint:
        ran = python(
            IN_CHILD
            + """
host = configure(plugins=[Plugin()])
host.track(Tick(n=1))
assert host.flush()  # a connection is open now
host.track(Tick(n=2))  # this one waits in the parent's queue

def child(first):
    for n in range(first, first + 20):
        host.track(Tick(n=n))
    report(flushed=host.flush())
    report(flushed=host.shutdown())

assert in_child(lambda: child(100)) == 0
assert in_child(lambda: child(200)) == 0
for n in range(3, 20):
    host.track(Tick(n=n))
report(flushed=host.shutdown())
""",
            **otlp(endpoint),
        )

    assert [line["flushed"] for line in ran.reports] == [True] * 5
    assert arrived(store) == [*range(1, 20), *range(100, 120), *range(200, 220)]


def test_child_that_exits_by_itself_exports(store: Store) -> None:
    """A child that runs to the end of the program sends what it holds, as the parent does."""
    with receiving(store) as endpoint:
        python(
            """
host = configure(plugins=[Plugin()])
host.track(Tick(n=1))
pid = os.fork()
if pid:
    host.track(Tick(n=2))
    assert os.waitpid(pid, 0)[1] == 0
else:
    host.track(Tick(n=3))
""",
            **otlp(endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000"),
        )

    assert arrived(store) == [1, 2, 3]


def test_multiprocessing_by_fork(store: Store) -> None:
    """Workers of multiprocessing, forked while another thread tracks events, export their own events."""
    with receiving(store) as endpoint:
        python(
            """
import multiprocessing
host = configure(plugins=[Plugin()])
host.track(Tick(n=0))

def work(first):
    for n in range(first, first + 5):
        host.track(Tick(n=n))
    assert host.flush()

def busy():
    for n in range(1000, 1200):
        host.track(Tick(n=n))
        time.sleep(0.001)

thread = threading.Thread(target=busy)
thread.start()
context = multiprocessing.get_context("fork")
workers = [context.Process(target=work, args=(first,)) for first in (100, 200, 300)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join(20)
    assert worker.exitcode == 0, worker.exitcode
thread.join()
assert host.shutdown()
""",
            **otlp(endpoint),
        )

    assert arrived(store) == [0, *range(100, 105), *range(200, 205), *range(300, 305), *range(1000, 1200)]
