"""Processes that end by a signal, by themselves, or with forked children: every accepted record arrives."""

from __future__ import annotations

import multiprocessing
import random
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import wait_until
from delivery.outboxes import drain, folders_in, logging_to
from delivery.servers import serving
from faults.matrix import FULL, Row
from faults.programs import Programs
from heliograph.delivery.signals import LOGS, TRACES, OutboxSignal
from processes import in_child, program_environment, run

KILLS = 100 if FULL else 20
WRITERS = 8


@pytest.mark.parametrize("signals", [(LOGS,), (TRACES,), (LOGS, TRACES)], ids=["logs", "spans", "both"])
def test_kill_at_a_random_moment(
    tmp_path: Path, programs: Programs, record_fault: Callable[..., Row], signals: tuple[OutboxSignal, ...]
) -> None:
    """Programs are killed by SIGKILL. The next program, or a drain after the last one, sends the accepted records."""
    acknowledged = []
    with serving() as server:
        for number in range(KILLS // len(signals)):
            running = [
                programs.start(tmp_path / "box", server.endpoint_of(each.name), f"p{number}-{each.name}", each.name)
                for each in signals
            ]
            for program in running:
                wait_until(program.acknowledged, timeout_seconds=60, interval_seconds=0.002)
            time.sleep(random.uniform(0, 0.4))
            for program in running:
                program.end()
                acknowledged += program.acknowledged()
        drained = drain(tmp_path / "box", server.endpoint, traces_endpoint=server.traces_endpoint)
        assert drained.exit_code == 0, drained.output
        fault = f"kill -9 at {KILLS} random moments ({' and '.join(f'{each.word}s' for each in signals)})"
        record_fault(fault, acknowledged=acknowledged, received=server.accepted)
    assert folders_in(tmp_path / "box") == []


def test_eight_writers_are_killed(tmp_path: Path, programs: Programs, record_fault: Callable[..., Row]) -> None:
    """Eight programs share one outbox, and are killed while the server refuses some requests."""
    acknowledged = []
    rounds = 5 if FULL else 1

    def answer(number: int, _: list[str]) -> tuple[int, dict[str, str], bytes]:
        return (503, {}, b"") if number % 7 == 3 else (200, {"Content-Type": "application/x-protobuf"}, b"")

    with serving(answer) as server:
        for number in range(rounds):
            writers = [
                programs.start(tmp_path / "box", server.endpoint, f"w{number}-{each}") for each in range(WRITERS)
            ]
            for writer in writers:
                wait_until(writer.acknowledged, timeout_seconds=60)
            time.sleep(1.0)
            for writer in writers:
                writer.end(random.choice([signal.SIGKILL, signal.SIGTERM]))
                acknowledged += writer.acknowledged()
        wait_until(lambda: drain(tmp_path / "box", server.endpoint).exit_code == 0, timeout_seconds=120)
        record_fault("eight writers, killed", acknowledged=acknowledged, received=server.accepted)


ENDS = {
    "interpreter exit": "pass",
    "an uncaught exception": "raise RuntimeError('the program is broken')",
    "os._exit": "os._exit(3)",
    "SIGTERM without a handler": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
}
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from delivery.outboxes import OutboxLogRecordProcessor, destination
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider

provider = LoggerProvider()  # the SDK shuts it down by `atexit`
provider.add_log_record_processor(OutboxLogRecordProcessor(Path("box"), destination=destination(sys.argv[1])))
for number in range(500):
    provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": f"u{number}"}))
"""


@pytest.mark.parametrize("how", ENDS)
def test_program_ends(tmp_path: Path, record_fault: Callable[..., Row], how: str) -> None:
    """Records that were emitted before the end arrive, however the program ends."""
    environment = program_environment()
    with serving() as server:
        command = [sys.executable, "-c", textwrap.dedent(PROGRAM) + ENDS[how], server.endpoint]
        ended = run(command, cwd=tmp_path, env=environment)
        assert (ended.returncode == 0) == (how == "interpreter exit"), ended.stderr
        drained = drain(tmp_path / "box", server.endpoint)
        assert drained.exit_code == 0, drained.output
        record_fault(how, acknowledged=[f"u{number}" for number in range(500)], received=server.accepted)


def test_fork(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """A process forks between two records. The records of parent and child arrive."""
    acknowledged = [f"{name}:{number}" for name in ("parent", "child") for number in range(300)]
    with serving() as server, logging_to(tmp_path / "box", server.endpoint) as emit:

        def work() -> None:
            for number in range(300):
                emit(f"child:{number}")

        for number in range(300):
            emit(f"parent:{number}")
            if number == 150:
                assert in_child(work) == 0
        assert emit.processor.force_flush(60_000)
        emit.processor.shutdown()
        drained = drain(tmp_path / "box", server.endpoint)
        assert drained.exit_code == 0, drained.output
        record_fault("os.fork", acknowledged=acknowledged, received=server.accepted)


POOL = """
import multiprocessing, sys
from pathlib import Path
from delivery.outboxes import logging_to

def work(name):
    for number in range(100):
        emit(f"{name}:{number}")

with logging_to(Path("box"), sys.argv[1]) as emit:
    work("main")
    children = [multiprocessing.get_context("fork").Process(target=work, args=(f"c{name}",)) for name in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
"""


def test_multiprocessing(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """Records of a pool's children arrive, although multiprocessing ends them without running `atexit`."""
    assert "fork" in multiprocessing.get_all_start_methods()
    environment = program_environment()
    with serving() as server:
        ended = run([sys.executable, "-W", "ignore", "-c", POOL, server.endpoint], cwd=tmp_path, env=environment)
        assert ended.returncode == 0, ended.stderr
        drained = drain(tmp_path / "box", server.endpoint)
        assert drained.exit_code == 0, drained.output
        acknowledged = [f"{name}:{number}" for name in ("main", "c0", "c1", "c2", "c3") for number in range(100)]
        record_fault("multiprocessing", acknowledged=acknowledged, received=server.accepted)
