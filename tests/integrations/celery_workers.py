"""Real workers of Celery, and an application with tasks of every kind."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backends import wait_until
from celery_loader import FILE_BROKER
from forked import run
from otlp_receiver import Receiver
from packages import require
from processes import otlp, program_environment
from scripts import PRELUDE

SECRET = "the secret of the tasks"
TIMEOUT_SECONDS = 120.0
APP = """
import celery
from heliograph import acting_as, set_actor
from heliograph.integrations.celery import init_app

@dataclass
class Ran(Event, namespace="test"):
    name = "ran"
    where: str

host = configure(events=[Ran])
app = celery.Celery("tasks", broker="filesystem://", backend=f"file://{os.getcwd()}/results")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}
app.conf.result_chord_retry_interval = 0.1
init_app(app, host)

def ran(where):
    host.track(Ran(where=where))
    open(f"done/{where}-{time.time_ns()}", "x").close()

@app.task(bind=True, max_retries=2)
def work(self, where, retries=0):
    ran(where)
    if self.request.retries < retries:
        raise self.retry(countdown=0)

@app.task
def then(_, where):
    ran(where)

@app.task(autoretry_for=[ValueError], max_retries=1, default_retry_delay=0)
def fails(where):
    ran(where)
    raise ValueError

@app.task
def on_error(where):
    ran(where)

@app.task
def sends(where):
    ran(where)
    work.delay(f"{where} another")

@app.task(bind=True)
def replaces(self, where):
    ran(where)
    raise self.replace(work.si(f"{where} replaced"))

@app.task
def eager(where):
    work.apply([where])
    with acting_as({"id": "block"}):
        work.apply([f"{where} in a block"])
"""
SEND = """
from celery import chain, chord, group
from tasks import *

def send(actor):
    work.delay(f"{actor} plain")
    work.apply_async([f"{actor} retry"], {"retries": 2})
    fails.apply_async([f"{actor} fails"], link_error=on_error.si(f"{actor} on error"))
    chain(*(work.si(f"{actor} chain {n}") for n in range(3))).delay()
    group(work.si(f"{actor} group {n}") for n in range(2)).delay()
    chord((work.si(f"{actor} chord {n}") for n in range(2)), then.s(f"{actor} chord body")).delay()
    work.apply_async([f"{actor} link"], link=then.s(f"{actor} linked"))
    work.apply_async([f"{actor} options"], task_id=f"{actor} of the caller", headers={"x": "y"}, countdown=0.1)
    sends.delay(f"{actor} sends")
    replaces.delay(f"{actor} replaces")
    eager.delay(f"{actor} eager")
    app.send_task("tasks.work", [f"{actor} by name"])
    revoked = work.apply_async([f"{actor} revoked"], expires=-1)

for actor in ("a", "b"):
    with acting_as({"id": actor}):
        send(actor)
send("nobody")
"""
EXPECTED = {
    "plain": 1,
    "retry": 3,
    "fails": 2,
    "on error": 1,
    **{f"chain {n}": 1 for n in range(3)},
    **{f"{kind} {n}": 1 for kind in ("group", "chord") for n in range(2)},
    "chord body": 1,
    "link": 1,
    "linked": 1,
    "options": 1,
    "sends": 1,
    "sends another": 1,
    "replaces": 1,
    "replaces replaced": 1,
    "eager": 1,
    "eager in a block": 1,
    "by name": 1,
}
"""The number of events of each kind of task. A revoked one has none."""


@contextmanager
def working(command: list[str], directory: Path, environment: dict[str, str]) -> Iterator[Callable[[], str]]:
    """Run a worker, and shut it down. The block gets a function that returns what the worker has printed."""
    with (directory / "worker.log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield lambda: (directory / "worker.log").read_text(errors="replace")
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(TIMEOUT_SECONDS) == 0, (directory / "worker.log").read_text()
        finally:
            worker.kill()
            worker.wait()


def worker_command(app: str, pool: str, *arguments: str) -> list[str]:
    require("celery")
    if pool in {"gevent", "eventlet"}:
        require(pool)
    pool_arguments = ["--pool", pool, "--concurrency", "4", "--without-mingle", "--without-gossip"]
    return [sys.executable, "-m", "celery", "--app", app, *arguments, "worker", *pool_arguments]


def send_tasks(directory: Path) -> None:
    """Fill a directory with the application and with tasks that wait: retries, chains, groups, chords, links, and more.

    They are sent by two actors, and by nobody.
    """
    for name in ("queue", "done", "results"):
        (directory / name).mkdir()
    (directory / "tasks.py").write_text(PRELUDE + APP)
    environment = program_environment(OTEL_SDK_DISABLED="true", HELIOGRAPH_SECRET=SECRET, **FILE_BROKER)
    ended = run([sys.executable, "-c", SEND], cwd=directory, env=environment)
    assert ended.returncode == 0, ended.stderr


def assert_each_task_has_its_sender(directory: Path, pool: str) -> None:
    """Run a worker in the directory until every task has ended, also those that tasks send, and check the actors of the events."""
    total = 3 * sum(EXPECTED.values())
    with Receiver() as receiver:
        environment = program_environment(**otlp(receiver.endpoint, HELIOGRAPH_SECRET=SECRET), **FILE_BROKER)
        environment["OTEL_TRACES_EXPORTER"] = environment["OTEL_METRICS_EXPORTER"] = "none"
        with working(worker_command("tasks", pool), directory, environment) as output:
            wait_until(lambda: len(list((directory / "done").iterdir())) >= total, timeout_seconds=TIMEOUT_SECONDS)
        logs = [log for log in receiver.logs() if log.event_name == "test.ran"]
    expected = Counter(
        {
            (f"{actor} {kind}", "block" if "block" in kind else actor.replace("nobody", "")): count
            for actor in ("a", "b", "nobody")
            for kind, count in EXPECTED.items()
        }
    )
    assert Counter((log.attributes["test.ran.where"], log.attributes.get("user.id", "")) for log in logs) == expected
    assert "heliograph" not in output()
