"""The outbox in whole programs: `configure()`, Datasette, and a real Collector that is killed and comes back."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from backends import Collector, free_port, wait_until
from delivery.outboxes import left, logging_to
from otlp_receiver import Receiver
from processes import clean_environment
from processes import run as run_process

PROGRAM = """
import os, sys
from dataclasses import dataclass
from heliograph import Event, configure, hookimpl

@dataclass
class TickEvent(Event):
    name = "tick"
    number: int

class Plugin:
    @hookimpl
    def register_events(self):
        return [TickEvent]

host = configure(plugins=[Plugin()])
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    host.track(TickEvent(number))
if sys.argv[3] == "die":
    os._exit(3)
"""


def program(folder: Path, endpoint: str, first: int, end: int, how: str) -> int:
    environment = clean_environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX="box",
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="3000",
        NO_PROXY="127.0.0.1",
    )
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(first), str(end), how]
    ended = run_process(command, cwd=folder, env=environment)
    assert ended.returncode == (3 if how == "die" else 0), ended.stderr
    return ended.returncode


def test_events_of_programs_that_could_not_send_are_sent_by_the_next(tmp_path: Path) -> None:
    """One ended while nobody listened, one by `os._exit`; each event arrives, once, with its id."""
    program(tmp_path, f"http://127.0.0.1:{free_port()}", 0, 100, "end")
    with Receiver() as receiver:
        program(tmp_path, receiver.endpoint, 100, 200, "die")
        program(tmp_path, receiver.endpoint, 200, 300, "end")
        uids = [str(log.attributes["log.record.uid"]) for log in receiver.logs()]
        numbers = sorted({int(str(log.attributes["app.tick.number"])) for log in receiver.logs()})

    assert numbers == list(range(300))
    assert len(set(uids)) == 300
    assert left(tmp_path / "box") == []


def test_collector_that_is_killed_costs_nothing(tmp_path: Path, collector: Collector) -> None:
    """In the middle of sending: all that was accepted arrives once it is back."""
    service = f"outbox-{tmp_path.name}"
    with logging_to(tmp_path / "box", f"{collector.otlp_http_endpoint}/v1/logs", service=service) as emit:
        for number in range(3000):
            emit(f"{service}:{number}")
            if number == 1000:
                assert emit.processor.force_flush(20_000)
                collector.kill()
            if number == 2000:
                assert not emit.processor.force_flush(300)
                collector.start()
        assert emit.processor.force_flush(60_000)
        wanted = {f"{service}:{number}" for number in range(3000)}
        wait_until(lambda: wanted <= {str(log.body) for log in collector.logs()})
