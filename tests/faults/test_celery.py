"""Celery's workers, which exchange tasks through a directory: the events of all tasks arrive."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import wait_until
from celery_loader import FILE_BROKER
from faults.matrix import Row
from otlp_receiver import Receiver
from packages import require
from processes import otlp, program_environment, run
from scripts import PRELUDE

TASKS = 12
TIMEOUT_SECONDS = 60.0

APP = """
import celery

host = configure(plugins=[Plugin()])
app = celery.Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}
app.conf.task_ignore_result = True

@app.task
def work(n):
    host.track(Tick(n=n))
    open(f"done/{n}", "x").close()
"""


@pytest.mark.parametrize("pool", ["prefork", "solo", "threads", "gevent", "eventlet"])
def test_worker_that_stops(tmp_path: Path, record_fault: Callable[..., Row], pool: str) -> None:
    """The shutdown is warm. Nothing but the end of a process makes it send."""
    require("celery")
    if pool in {"gevent", "eventlet"}:
        require(pool)
    for name in ("queue", "done"):
        (tmp_path / name).mkdir()
    (tmp_path / "tasks.py").write_text(PRELUDE + APP)
    command = [sys.executable, "-m", "celery", "--app", "tasks", "worker", "--pool", pool, "--concurrency", "2"]
    with Receiver() as receiver, (tmp_path / "log").open("wb") as log:
        environment = program_environment(**otlp(receiver.endpoint, OTEL_BLRP_SCHEDULE_DELAY="60000"), **FILE_BROKER)
        ask = f"import tasks; [tasks.work.delay(n) for n in range({TASKS})]"
        asked = run([sys.executable, "-c", ask], cwd=tmp_path, env=environment)
        assert asked.returncode == 0, asked.stderr
        worker = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: len(list((tmp_path / "done").iterdir())) == TASKS, timeout_seconds=TIMEOUT_SECONDS)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(TIMEOUT_SECONDS) == 0, (tmp_path / "log").read_text()
        finally:
            worker.kill()
            worker.wait()
        received = [str(log.attributes["test.tick.n"]) for log in receiver.logs()]
    record_fault(f"Celery, {pool}, SIGTERM", acknowledged=[str(n) for n in range(TASKS)], received=received)
