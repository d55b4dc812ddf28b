"""Programs that write log records and spans into one outbox: a destination that fails loses nothing, and does not hold up the other."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backends import wait_until
from delivery.outboxes import drain, drain_to, folders_in
from delivery.servers import OK, Answer, Arrived, serving
from faults.matrix import Row
from faults.programs import Program, Programs
from heliograph.delivery.signals import LOGS, SIGNALS, TRACES, OutboxSignal
from processes import program_environment, run

DOWN: Answer = (503, {}, b"")


@pytest.mark.parametrize("down", [(LOGS,), (TRACES,), (LOGS, TRACES)], ids=["logs", "spans", "both"])
def test_destinations_fail_until_the_programs_are_killed(
    tmp_path: Path, programs: Programs, record_fault: Callable[..., Row], down: tuple[OutboxSignal, ...]
) -> None:
    """Records for the working destination do not wait for the other. After the outage, a drain sends the rest of both."""
    box = tmp_path / "box"
    is_down = True

    def answer_for(signal: OutboxSignal) -> Callable[[int, list[str]], Answer]:
        return lambda number, _: DOWN if (is_down and signal in down) else OK

    def start(server: Arrived, signal: OutboxSignal) -> Program:
        return programs.start(box, server, signal.name, signal)

    with serving(answer_for(LOGS)) as logs, serving(answer_for(TRACES)) as traces:
        servers = {LOGS: logs, TRACES: traces}
        running = {signal: start(servers[signal], signal) for signal in SIGNALS}
        for signal, server in servers.items():
            wait_until(lambda: server.requests if signal in down else server.accepted, timeout_seconds=60)  # noqa: B023 — called at once
        for program in running.values():
            program.end()
        assert all(not servers[signal].accepted for signal in down)
        is_down = False
        drained = drain(box, logs.endpoint, traces_endpoint=traces.traces_endpoint)
        assert drained.exit_code == 0, drained.output
        names = " and ".join(f"{signal.word}s" for signal in down)
        for signal, program in running.items():
            fault = f"the destination of {names} is down: {signal.word}s"
            row = record_fault(
                fault,
                acknowledged=program.acknowledged(),
                received=servers[signal].accepted,
                directory=box,
                largest_batch=servers[signal].largest_batch,
            )
            assert signal not in down or not row.duplicates
    assert folders_in(box) == []


ENDS = """
import os, signal, sys, time
from opentelemetry import trace
from heliograph import configure

host = configure()
tracer = trace.get_tracer("tests")
for _ in range(300):
    with tracer.start_as_current_span("work") as span:
        span.add_event("app.event")
    print(f"{span.get_span_context().span_id:016x}", flush=True)
unfinished = tracer.start_span("unfinished")
"""


@pytest.mark.parametrize("how", ["os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)", "pass"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_program_that_configure_set_up_ends(
    tmp_path: Path, record_fault: Callable[..., Row], how: str, protocol: str
) -> None:
    """Every span that has ended arrives, and none that has not: nothing of it was written."""
    environment = program_environment(
        HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
        OTEL_METRICS_EXPORTER="none",
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        # Nothing listens there: all is delivered by the drain.
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="200",
    )
    ended = run([sys.executable, "-c", ENDS + how], cwd=tmp_path, env=environment)
    acknowledged = ended.stdout.split()
    assert len(acknowledged) == 300, ended.stderr
    with serving() as server:
        drained = drain_to(server, tmp_path / "box")
        assert drained.exit_code == 0, drained.output
        record_fault(f"spans of configure(), {protocol}, {how}", acknowledged=acknowledged, received=server.accepted)
        assert set(server.accepted) == set(acknowledged)


ODD_PLACES = """
import os, signal, sys, threading, time
from opentelemetry import trace
from heliograph import configure

host = configure()
tracer = trace.get_tracer("tests")

def work(name="work"):
    with tracer.start_as_current_span(name) as span:
        span.add_event("app.event")
    report(span)

def report(span):
    os.write(1, f"{span.get_span_context().span_id:016x}\\n".encode())

# In a signal handler, in the middle of the same code.
handled = []

def handle(*_):
    work("in a handler")
    handled.append(1)
    if len(handled) < 20:
        signal.setitimer(signal.ITIMER_REAL, 0.0005)

signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.0005)
while len(handled) < 20:
    work()

# In a forked child that ends at once: its own, and the one that its parent began.
begun = tracer.start_span("begun by the parent")
child = os.fork()
if not child:
    work()
    begun.end()
    report(begun)
    os._exit(0)
os.waitpid(child, 0)

threads = [threading.Thread(target=work) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

def generate():
    with tracer.start_as_current_span("in a generator that is closed") as span:
        report(span)
        yield

generator = generate()
next(generator)
generator.close()
with tracer.start_as_current_span("around the end") as span:
    report(span)
    sys.exit(3)
"""


def test_spans_that_end_in_odd_places(tmp_path: Path, record_fault: Callable[..., Row]) -> None:
    """Spans end in signal handlers, in forked children, in threads, in a generator that is closed, and around `sys.exit`."""
    with serving() as server:
        environment = program_environment(
            HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
            OTEL_METRICS_EXPORTER="none",
            OTEL_LOGS_EXPORTER="none",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=server.traces_endpoint,
        )
        ended = run([sys.executable, "-W", "ignore", "-c", ODD_PLACES], cwd=tmp_path, env=environment)
        assert ended.returncode == 3, ended.stderr
        assert drain_to(server, tmp_path / "box").exit_code == 0
        acknowledged = ended.stdout.split()
        record_fault("spans that end in odd places", acknowledged=acknowledged, received=server.accepted)
    assert set(server.accepted) == set(acknowledged)
