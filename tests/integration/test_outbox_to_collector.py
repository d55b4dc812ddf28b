"""The outbox in whole programs, which `configure()` sets up from the environment."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from backends import free_port
from delivery.outboxes import drain, folders_in
from otlp_receiver import Receiver
from processes import clean_environment, run
from scripts import python

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


def run_program(
    folder: Path, endpoint: str, first: int, end: int, how: str, *, flush_timeout_millis: int = 60_000
) -> None:
    """Run a program that tracks the events from `first` to `end`, and then ends, or dies by `os._exit`."""
    environment = clean_environment(
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint,
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX="box",
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS=str(flush_timeout_millis),
        NO_PROXY="127.0.0.1",
    )
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(first), str(end), how]
    ended = run(command, cwd=folder, env=environment, timeout_seconds=120)
    assert ended.returncode == (3 if how == "die" else 0), ended.stderr


def test_events_of_programs_that_could_not_send_are_sent_by_the_next(tmp_path: Path) -> None:
    """One program has no server, one dies by `os._exit`. The third sends the events of all: each arrives once, with its id."""
    run_program(tmp_path, f"http://127.0.0.1:{free_port()}", 0, 100, "end", flush_timeout_millis=300)
    with Receiver() as receiver:
        run_program(tmp_path, receiver.endpoint, 100, 200, "die")
        run_program(tmp_path, receiver.endpoint, 200, 300, "end")
        uids = [str(log.attributes["log.record.uid"]) for log in receiver.logs()]
        numbers = sorted({int(str(log.attributes["app.tick.number"])) for log in receiver.logs()})

    assert numbers == list(range(300))
    assert len(set(uids)) == 300
    assert folders_in(tmp_path / "box") == []


def test_host_ends_in_time_without_a_server(tmp_path: Path) -> None:
    """`flush` and `shutdown` return False, no thread remains, and the event is delivered later."""
    source = """
        host = configure(plugins=[Plugin()])
        host.track(Tick(1))
        flushed = host.flush(300)
        report(flushed=flushed, ended=host.shutdown(700), threads=[thread.name for thread in threading.enumerate()])
    """
    variables = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "HELIOGRAPH_OUTBOX": str(tmp_path / "box"),
    }
    ended = python(source, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}", **variables)
    assert ended.only == {"flushed": False, "ended": False, "threads": ["MainThread"]}

    with Receiver() as receiver:
        assert drain(tmp_path / "box", f"{receiver.endpoint}/v1/logs").exit_code == 0
        assert [log.attributes["test.tick.n"] for log in receiver.logs()] == [1]


@pytest.mark.parametrize("validation", ["strict", "warn"])
def test_full_outbox_raises_in_strict_mode_only(tmp_path: Path, validation: str) -> None:
    """`track` raises `OutboxFull` if validation is strict. Otherwise the event is rejected, and an error is logged."""
    source = """
        from heliograph import OutboxFull

        @dataclass
        class Large(Event, namespace="test"):
            name = "large"
            text: str

        class LargePlugin:
            @hookimpl
            def register_events(self):
                return [Large]

        host = configure(plugins=[LargePlugin()])
        raised = 0
        for number in range(200):  # twice as much as there is room for
            try:
                host.track(Large("x" * 10_000))
            except OutboxFull:
                raised += 1
        report(raised=raised)
        host.shutdown(100)
    """
    ended = python(
        source,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}",
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        HELIOGRAPH_OUTBOX=str(tmp_path / "box"),
        HELIOGRAPH_OUTBOX_MAX_BYTES="1048576",
        HELIOGRAPH_VALIDATION=validation,
    )

    assert (ended.only["raised"] > 0) == (validation == "strict")
    assert "HELIOGRAPH_OUTBOX_MAX_BYTES" in ended.stderr
