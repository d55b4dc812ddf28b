"""Processes that end by a signal, by themselves, or with forked children: every accepted record arrives."""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest

from backends import wait_until
from delivery.emitters import each_signal, emitting_to, ids
from delivery.outboxes import drain, drain_to, folders_in
from delivery.servers import serving
from faults.matrix import FULL, Row
from faults.programs import Programs
from heliograph.delivery.signals import LOGS, SIGNALS, TRACES, OutboxSignal
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
            running = [programs.start(tmp_path / "box", server, f"p{number}-{each.name}", each) for each in signals]
            for program in running:
                wait_until(program.acknowledged, timeout_seconds=60, interval_seconds=0.002)
            time.sleep(random.uniform(0, 0.4))
            for program in running:
                program.end()
                acknowledged += program.acknowledged()
        drained = drain_to(server, tmp_path / "box")
        assert drained.exit_code == 0, drained.output
        record_fault(
            f"kill -9 at {KILLS} random moments ({' and '.join(f'{each.word}s' for each in signals)})",
            acknowledged=acknowledged,
            received=server.accepted,
            failures=KILLS,
            largest_batch=server.largest_batch,
        )
    assert folders_in(tmp_path / "box") == []


@each_signal
def test_eight_writers_are_killed(
    tmp_path: Path, programs: Programs, record_fault: Callable[..., Row], signal: OutboxSignal
) -> None:
    """Eight programs share one outbox, and are killed while the server refuses some requests."""
    acknowledged = []
    rounds = 5 if FULL else 1

    def answer(number: int, _: list[str]) -> tuple[int, dict[str, str], bytes]:
        return (503, {}, b"") if number % 7 == 3 else (200, {"Content-Type": "application/x-protobuf"}, b"")

    with serving(answer) as server:
        for number in range(rounds):
            writers = [programs.start(tmp_path / "box", server, f"w{number}-{each}", signal) for each in range(WRITERS)]
            for writer in writers:
                wait_until(writer.acknowledged, timeout_seconds=60)
            time.sleep(1.0)
            for writer in writers:
                writer.end(random.choice([SIGKILL, SIGTERM]))
                acknowledged += writer.acknowledged()
        wait_until(lambda: drain_to(server, tmp_path / "box").exit_code == 0, timeout_seconds=120)
        record_fault(
            "eight writers, killed",
            acknowledged=acknowledged,
            received=server.accepted,
            signal=signal,
            failures=rounds * WRITERS,
            largest_batch=server.largest_batch,
        )


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
from delivery.outboxes import destination
from heliograph.delivery.processor import OutboxLogRecordProcessor
from heliograph.delivery.span_processor import OutboxSpanProcessor
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

logs, traces = (destination(url) for url in sys.argv[1:])
logger_provider, tracer_provider = LoggerProvider(), TracerProvider()  # the SDK shuts them down by `atexit`
logger_provider.add_log_record_processor(OutboxLogRecordProcessor(Path("box"), destination=logs))
tracer_provider.add_span_processor(OutboxSpanProcessor(Path("box"), destination=traces))
for number in range(500):
    logger_provider.get_logger("tests").emit(LogRecord(body="", attributes={"log.record.uid": f"u{number}"}))
    with tracer_provider.get_tracer("tests").start_as_current_span("work") as span:
        pass
    print(f"{span.get_span_context().span_id:016x}", flush=True)
"""


@pytest.mark.parametrize("how", ENDS)
def test_program_ends(tmp_path: Path, record_fault: Callable[..., Row], how: str) -> None:
    """Log records and spans of the time before the end arrive, however the program ends."""
    environment = program_environment()
    with serving() as logs, serving() as traces:
        command = [sys.executable, "-c", PROGRAM + ENDS[how], logs.endpoint, traces.traces_endpoint]
        ended = run(command, cwd=tmp_path, env=environment)
        assert (ended.returncode == 0) == (how == "interpreter exit"), ended.stderr
        drained = drain(tmp_path / "box", logs.endpoint, traces_endpoint=traces.traces_endpoint)
        assert drained.exit_code == 0, drained.output
        uids, span_ids = [f"u{number}" for number in range(500)], ended.stdout.split()
        assert len(span_ids) == len(uids)
        record_fault(how, acknowledged=uids, received=logs.accepted, signal=LOGS)
        record_fault(how, acknowledged=span_ids, received=traces.accepted, signal=TRACES)


@each_signal
def test_fork(tmp_path: Path, record_fault: Callable[..., Row], signal: OutboxSignal) -> None:
    """A process forks between two records. The records of parent and child arrive."""
    names = [f"{name}:{number}" for name in ("parent", "child") for number in range(300)]
    with serving() as server, emitting_to(signal, tmp_path / "box", server.endpoint_of(signal.name)) as emit:

        def work() -> None:
            for number in range(300):
                emit(f"child:{number}")

        for number in range(300):
            emit(f"parent:{number}")
            if number == 150:
                assert in_child(work) == 0
        assert emit.processor.force_flush(60_000)
        emit.processor.shutdown()
        drained = drain_to(server, tmp_path / "box")
        assert drained.exit_code == 0, drained.output
        record_fault("os.fork", acknowledged=ids(signal, names), received=server.accepted, signal=signal)


POOL = """
import multiprocessing, sys
from contextlib import ExitStack
from pathlib import Path
from delivery.emitters import emitting_to
from heliograph.delivery.signals import SIGNALS

def work(name):
    for number in range(100):
        for emit in emitters:
            emit(f"{name}:{number}")

with ExitStack() as stack:
    emitters = [
        stack.enter_context(emitting_to(signal, Path("box"), endpoint))
        for signal, endpoint in zip(SIGNALS, sys.argv[1:], strict=True)
    ]
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
    with serving() as logs, serving() as traces:
        command = [sys.executable, "-W", "ignore", "-c", POOL, logs.endpoint, traces.traces_endpoint]
        ended = run(command, cwd=tmp_path, env=environment)
        assert ended.returncode == 0, ended.stderr
        drained = drain(tmp_path / "box", logs.endpoint, traces_endpoint=traces.traces_endpoint)
        assert drained.exit_code == 0, drained.output
        names = [f"{name}:{number}" for name in ("main", "c0", "c1", "c2", "c3") for number in range(100)]
        for signal, server in zip(SIGNALS, (logs, traces), strict=True):
            acknowledged = ids(signal, names)
            record_fault("multiprocessing", acknowledged=acknowledged, received=server.accepted, signal=signal)
