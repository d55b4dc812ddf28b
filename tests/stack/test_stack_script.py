"""`make stack`: the script starts everything, runs a program, prints where to look, and stops everything."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from backends import free_port, wait_until
from backends.program import BIN, CONFIG, get, get_json, require
from processes import program_environment

PROGRAMS = ("jaeger", "victoria-logs", "prometheus", "kafka", "otelcol")
PORTS = (
    "OTLP_GRPC_PORT",
    "OTLP_HTTP_PORT",
    "COLLECTOR_HEALTH_PORT",
    "JAEGER_OTLP_GRPC_PORT",
    "JAEGER_OTLP_HTTP_PORT",
    "JAEGER_HTTP_PORT",
    "JAEGER_GRPC_PORT",
    "VICTORIALOGS_PORT",
    "PROMETHEUS_PORT",
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "KAFKA_CONSUMER_HEALTH_PORT",
)
SECONDS = 120.0


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return variables with free ports, and with directories that belong to the test."""
    directories = {
        f"HELIOGRAPH_{name}": str(tmp_path / name)
        for name in ("COLLECTOR_QUEUE", "VICTORIALOGS_DATA", "PROMETHEUS_DATA", "KAFKA_DATA", "BACKENDS_LOGS")
    }
    ports = {f"HELIOGRAPH_{name}": str(free_port()) for name in PORTS}
    return program_environment(HELIOGRAPH_BACKENDS=str(BIN), **directories, **ports)


@contextmanager
def stack(environment: Mapping[str, str], log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [CONFIG / "stack.sh", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(SECONDS)


def is_open(port: str) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


@pytest.mark.parametrize("option", [(), ("--kafka",)], ids=["single node", "kafka"])
def test_stack_runs_a_program_and_stops_cleanly(
    option: tuple[str, ...], environment: dict[str, str], tmp_path: Path
) -> None:
    """The telemetry of the program is in each backend while the stack runs, and no program runs after Ctrl-C."""
    for program in PROGRAMS:
        require(program)
    log = tmp_path / "log"
    with stack(environment, log, *option, sys.executable, "-m", "heliograph.demo.program") as process:
        wait_until(lambda: process.poll() is not None or "Ctrl-C" in log.read_text(), timeout_seconds=SECONDS)
        assert '"flushed": true' in log.read_text()
        events = f"http://127.0.0.1:{environment['HELIOGRAPH_VICTORIALOGS_PORT']}"
        assert f"{events}/select/vmui" in log.read_text()
        query = {"query": 'event_name:* | stats count_uniq("log.record.uid") events | filter events:=9'}
        wait_until(lambda: get(f"{events}/select/logsql/query", query), timeout_seconds=SECONDS)
        traces = f"http://127.0.0.1:{environment['HELIOGRAPH_JAEGER_HTTP_PORT']}/api/v3/services"
        wait_until(lambda: get_json(traces)["services"] == ["demo"], timeout_seconds=SECONDS)
        metrics = f"http://127.0.0.1:{environment['HELIOGRAPH_PROMETHEUS_PORT']}/api/v1/query"
        count = {"query": 'heliograph_events_total{job="demo"}'}
        wait_until(lambda: get_json(metrics, count)["data"]["result"], timeout_seconds=SECONDS)

        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(SECONDS) == 0, log.read_text()
    assert log.read_text().endswith("stack: everything has ended\n")
    assert not [name for name in PORTS if is_open(environment[f"HELIOGRAPH_{name}"])]


def test_a_program_that_is_not_built_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    """Without the programs, the message names the command that builds them."""
    log = tmp_path / "log"
    with stack({**environment, "HELIOGRAPH_BACKENDS": str(tmp_path)}, log) as process:
        assert process.wait(SECONDS) == 1
    assert log.read_text() == f"stack: there is no jaeger in {tmp_path}: run 'make backends'\n"


def test_a_port_that_is_in_use_ends_the_stack(environment: dict[str, str], tmp_path: Path) -> None:
    """If another program has the port of one, the message names the port, and those that run already are stopped."""
    require("jaeger")
    require("victoria-logs")
    log = tmp_path / "log"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        with stack({**environment, "HELIOGRAPH_VICTORIALOGS_PORT": port}, log) as process:
            assert process.wait(SECONDS) == 1
    assert f"stack: port {port}, which victoria-logs needs, is in use" in log.read_text()
    assert log.read_text().endswith("stack: everything has ended\n")
    assert not is_open(environment["HELIOGRAPH_JAEGER_HTTP_PORT"])
