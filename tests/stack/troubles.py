"""The stack on one machine with the telemetry of the demo, and with the faults that alerts and dashboards are for."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExportResult
from opentelemetry.sdk.resources import Resource

from backends import Collector, wait_until
from backends.collector import SINGLE_NODE
from backends.group import made
from backends.program import post_json
from backends.single_node import SingleNode
from delivery.outboxes import make_damaged_orphan
from processes import EXIT_TIMEOUT_SECONDS, otlp, program_environment
from stack.rules import alerts, rules_without_kafka
from stack.troubled import ORDERS

HERE = Path(__file__).parent
IMPATIENT = HERE / "impatient.yaml"
ENDED_SECONDS_AGO = 10 * 60
TOO_OLD_SECONDS = 7 * 60 * 60
"""The age of samples that Prometheus rejects."""
MORE_THAN_FITS = 11
"""More items than a queue of `narrow.yaml` has room for."""
ALERT_SECONDS = 120.0
ARRIVAL_SECONDS = 120.0


@dataclass(frozen=True)
class TroubledNode:
    """The running stack.

    Attributes:
        node: Its programs.
        since: The time when they were started, in seconds since 1970.
        alerts: The state of each alert that was pending or firing, by name.
    """

    node: SingleNode
    since: float
    alerts: Mapping[str, str]


@contextmanager
def troubled_node(directory: Path) -> Iterator[TroubledNode]:
    """Run the stack and its programs. All faults have happened at the beginning of the block; the programs still report."""
    since = time.time()
    overlays = (IMPATIENT, HERE / "bounded.yaml")
    with SingleNode(directory / "node", *overlays, absent=frozenset({"victoria-logs"})) as node:
        # An empty Prometheus takes samples of any age.
        wait_until(lambda: node.prometheus.query("target_info"), timeout_seconds=ARRIVAL_SECONDS)
        with _programs(directory, node):
            seen = _alerts_of(node)
            # It was down until now, so that records waited in the Collector.
            node.victorialogs.start()
            stored = "event_name:=shop.order | stats count_uniq(log.record.uid) uids"
            wait_until(lambda: node.victorialogs.stats(stored)["uids"] >= ORDERS, timeout_seconds=ARRIVAL_SECONDS)
            yield TroubledNode(node=node, since=since, alerts=seen)


@contextmanager
def _programs(directory: Path, node: SingleNode) -> Iterator[None]:
    """Run everything that sends to the stack. All of it has sent what it has to at the beginning of the block."""
    endpoint = node.collector.otlp_http_endpoint
    send_late(endpoint, "ancient", TOO_OLD_SECONDS)
    send_late(endpoint, "ended", ENDED_SECONDS_AGO)
    make_damaged_orphan(made(directory / "shop") / "outbox")
    with (
        _refusing_collector(made(directory / "refusing"), node) as refusing,
        _failing_collector(made(directory / "failing"), node) as failing,
    ):
        for collector, count in ((refusing, 1), (failing, 1), (failing, MORE_THAN_FITS)):
            send_each_signal(collector.otlp_http_endpoint, count)
        with (
            _program(directory / "shop", endpoint, "well", logs=endpoint, room=2**30),
            _program(made(directory / "demo"), endpoint, "forum", logs=endpoint, room=2**30),
            _program(made(directory / "island"), endpoint, "cut-off", logs=refusing.otlp_http_endpoint, room=2_000_000),
        ):
            _run_demo(directory, endpoint)
            yield


def _refusing_collector(directory: Path, node: SingleNode) -> Collector:
    """Return a Collector without memory, which refuses everything."""
    return Collector(
        directory,
        configs=(SINGLE_NODE, IMPATIENT, HERE / "out_of_memory.yaml"),
        HELIOGRAPH_PROMETHEUS_PORT=str(node.prometheus.port),
        HELIOGRAPH_VICTORIALOGS_PORT=str(node.victorialogs.port),
    )


def _failing_collector(directory: Path, node: SingleNode) -> Collector:
    """Return a Collector with the addresses of wrong servers, and with small queues."""
    return Collector(
        directory,
        configs=(SINGLE_NODE, IMPATIENT, HERE / "narrow.yaml"),
        HELIOGRAPH_PROMETHEUS_PORT=str(node.prometheus.port),
        HELIOGRAPH_VICTORIALOGS_PORT=str(node.prometheus.port),
        HELIOGRAPH_JAEGER_GRPC_PORT=str(node.jaeger.query_grpc_port),
    )


@contextmanager
def _program(directory: Path, endpoint: str, how: str, *, logs: str, room: int) -> Iterator[None]:
    """Run `stack/troubled.py`, named as its directory. It has done its work when the block begins, and ends with it."""
    environment = program_environment(
        **otlp(endpoint, OTEL_SERVICE_NAME=directory.name, OTEL_METRIC_EXPORT_INTERVAL="500"),
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=f"{logs}/v1/logs",
        # A server that refuses a large body may close the connection before it has all of it, and the answer is lost.
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED="true",
        HELIOGRAPH_OUTBOX=str(directory / "outbox"),
        HELIOGRAPH_OUTBOX_MAX_BYTES=str(room),
        HELIOGRAPH_VALIDATION="quarantine",
        HELIOGRAPH_QUARANTINE=str(directory / "quarantine.db"),
        HELIOGRAPH_TOKEN_HANDLERS="database,signed",
        HELIOGRAPH_TOKEN_DATABASE=str(directory / "tokens.db"),
    )
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.troubled", how],
            env=environment,
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == b"done\n", (directory / "log").read_text()
        yield
    finally:
        process.kill()
        process.communicate()


def _run_demo(directory: Path, endpoint: str) -> None:
    """Run the program of `make stack`, with the variables of that command."""
    environment = program_environment(
        OTEL_SERVICE_NAME="demo", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
    )
    command = [sys.executable, "-m", "heliograph.demo.program"]
    subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, check=True, timeout=EXIT_TIMEOUT_SECONDS
    )


def send_each_signal(endpoint: str, count: int) -> None:
    """Send a number of log records, spans and data points, each in one request. Nobody waits for them to be accepted."""
    now = str(time.time_ns())
    ids = {"traceId": "1" * 32, "spanId": "1" * 16}
    spans = [{**ids, "name": "span", "startTimeUnixNano": now, "endTimeUnixNano": now}] * count
    records = [{"timeUnixNano": now, "body": {"stringValue": "record"}}] * count
    gauges = [
        {"name": f"gauge{number}", "gauge": {"dataPoints": [{"timeUnixNano": now, "asInt": 1}]}}
        for number in range(count)
    ]
    post_json(f"{endpoint}/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
    post_json(f"{endpoint}/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})
    post_json(f"{endpoint}/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": gauges}]}]})


def send_late(endpoint: str, service: str, seconds: float) -> None:
    """Send a counter of a service as a Collector does in whose queue it waited: with a time that is long ago."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], Resource.create({"service.name": service}), shutdown_on_exit=False)
    provider.get_meter("shop").create_counter("shop.orders").add(1)
    data = reader.get_metrics_data()
    assert data is not None
    for metric in (metric for of in data.resource_metrics for scope in of.scope_metrics for metric in scope.metrics):
        points: list[Any] = metric.data.data_points  # type: ignore[assignment]
        points[:] = [replace(point, time_unix_nano=point.time_unix_nano - int(seconds * 1e9)) for point in points]
    assert OTLPMetricExporter(f"{endpoint}/v1/metrics").export(data) is MetricExportResult.SUCCESS
    provider.shutdown()


def _alerts_of(node: SingleNode) -> dict[str, str]:
    """Wait until every alert of a stack without Kafka is pending or firing, and return their states. Each test reports its own alert if it is not."""
    names = {alert["alert"] for alert in alerts(rules_without_kafka())}
    seen: dict[str, str] = {}

    def all_seen() -> bool:
        seen.update(node.prometheus.alerts())
        return seen.keys() >= names

    with suppress(TimeoutError):
        wait_until(all_seen, timeout_seconds=ALERT_SECONDS, interval_seconds=0.5)
    return seen
