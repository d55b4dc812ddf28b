"""Everything that a program sends to the single node is there in the end: events, spans and counts, through crashes and outages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from backends import wait_until
from backends.single_node import SingleNode
from processes import otlp, program_environment
from stack.rules import rules
from stack.shop import SPANS_OF_A_TRACE

FULL = os.environ.get("FAULTS") == "full"
EACH = 10_000 if FULL else 3_000
ARRIVAL_SECONDS = 120.0
OUTAGE_SECONDS = 60.0 if FULL else 0.0


class Shop:
    """The program of `stack/shop.py`. The ids of its traces are collected in `traces`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.traces: list[str] = []

    def begin(self, events: int, *, spans: bool, flush: bool) -> None:
        """Let it track events, and do not wait for it."""
        _pipe(self._process.stdin).write(json.dumps({"events": events, "spans": spans, "flush": flush}) + "\n")

    def finish(self) -> Any:
        """Wait until it has done that, and return its answer."""
        answer = json.loads(_pipe(self._process.stdout).readline())
        self.traces += answer["traces"]
        return answer

    def order(self, events: int, *, spans: bool = True) -> None:
        """Let it track events, and wait until the Collector has accepted all of it."""
        self.begin(events, spans=spans, flush=True)
        assert self.finish()["flushed"]

    def end(self) -> None:
        _pipe(self._process.stdin).close()
        assert self._process.wait(ARRIVAL_SECONDS) == 0


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


@contextmanager
def shop(endpoint: str, directory: Path) -> Iterator[Shop]:
    environment = program_environment(
        **otlp(endpoint, OTEL_SERVICE_NAME="shop", OTEL_METRIC_EXPORT_INTERVAL="1000"),
        OTEL_BSP_MAX_QUEUE_SIZE=str(2 * EACH),
        OTEL_EXPORTER_OTLP_TRACES_TIMEOUT="60",
        HELIOGRAPH_OUTBOX=str(directory / "outbox"),
        HELIOGRAPH_FLUSH_TIMEOUT_MILLIS="60000",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "stack.shop"],
        env=environment,
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    try:
        yield Shop(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            _pipe(pipe).close()


def spans_of(node: SingleNode, trace_ids: list[str]) -> dict[str, set[str]]:
    """Wait until Jaeger has all spans of the traces, and return the unique ids of their events by trace."""
    uids: dict[str, set[str]] = {}

    def all_there() -> bool:
        for trace_id in trace_ids:
            spans = node.jaeger.trace(trace_id) if trace_id not in uids else []
            if len(spans) == SPANS_OF_A_TRACE:
                uids[trace_id] = {str(event.attributes["log.record.uid"]) for span in spans for event in span.events}
        return len(uids) == len(trace_ids)

    wait_until(all_there, timeout_seconds=ARRIVAL_SECONDS, interval_seconds=0.5)
    return uids


def test_nothing_is_lost_while_the_collector_is_killed_and_the_backends_are_away(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every event is in VictoriaLogs once by its unique id, every span in Jaeger, and Prometheus has the right count."""
    impatient = Path(__file__).with_name("impatient.yaml")
    with (
        SingleNode(tmp_path / "node", impatient, absent=frozenset({"jaeger"})) as node,
        shop(node.collector.otlp_http_endpoint, tmp_path) as program,
    ):
        program.order(EACH)
        node.victorialogs.stop()
        node.prometheus.stop()
        program.order(EACH)
        program.begin(EACH, spans=False, flush=False)
        node.collector.kill()
        program.finish()
        node.collector.start()
        program.order(EACH)
        time.sleep(OUTAGE_SECONDS)
        node.victorialogs.start()
        node.prometheus.start()
        node.jaeger.start()
        program.end()

        events = 4 * EACH
        count = "event_name:=shop.order | stats count() records, count_uniq(log.record.uid) uids"
        wait_until(lambda: node.victorialogs.stats(count)["uids"] == events, timeout_seconds=ARRIVAL_SECONDS)
        stored = {record["log.record.uid"] for record in node.victorialogs.query("* | fields log.record.uid")}
        uids = set[str]().union(*spans_of(node, program.traces).values())
        assert (len(uids), len(stored)) == (3 * EACH, events)
        assert uids < stored
        total = 'sum(heliograph_events_total{job="shop",otel_event_name="shop.order"})'
        wait_until(lambda: node.prometheus.query(total) == {frozenset(): events}, timeout_seconds=ARRIVAL_SECONDS)
        queue = 'otelcol_exporter_queue_size{exporter="otlp_http/victorialogs"}'
        # The series of the killed process stays for five minutes, with its last value.
        wait_until(lambda: 0 in node.prometheus.query(queue).values(), timeout_seconds=ARRIVAL_SECONDS)
        for rule in rules():
            # An expression with a valid syntax can still fail where it meets data.
            node.prometheus.query(rule["expr"])
        record_property("copies", node.victorialogs.stats(count)["records"] - events)
