"""An agent and two gateways: spans of a trace meet, traces with events are kept, and no log record is lost by a crash."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import StatusCode, set_span_in_context

from backends import Collector, wait_until
from backends.gateways import Gateways
from stack.shop import SPANS_OF_A_TRACE
from stack.shop_process import shop

ARRIVAL_SECONDS = 120.0
PLAIN_TRACES = 400
EVENTS = 500
TOKEN = "hgtok_abc.def"


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[Gateways]:
    with Gateways(tmp_path) as running:
        yield running


def send_pairs(endpoint: str, count: int, *, status: StatusCode = StatusCode.UNSET) -> set[str]:
    """Send traces of two spans without events, the two in different requests, and return the ids of the traces."""
    provider = TracerProvider(resource=Resource.create({"service.name": "pairs"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = provider.get_tracer("pairs")
    # Explicit times: on a busy machine a trace would be a slow one, which is kept.
    now = time.time_ns()
    roots = [tracer.start_span("root", attributes={"note": TOKEN}, start_time=now) for _ in range(count)]
    for root in roots:
        child = tracer.start_span("child", context=set_span_in_context(root), start_time=now)
        child.set_status(status)
        child.end(now)
    assert provider.force_flush()
    for root in roots:
        root.end(now)
    assert provider.force_flush()
    provider.shutdown()
    return {format(root.get_span_context().trace_id, "032x") for root in roots}


def by_trace(gateway: Collector) -> dict[str, set[str]]:
    """Return the ids of the spans that a gateway kept, by trace."""
    traces: dict[str, set[str]] = {}
    for span in gateway.traces():
        traces.setdefault(span.trace_id, set()).add(span.span_id)
    return traces


def sizes(gateways: Gateways) -> dict[str, int]:
    """Return the number of spans of each trace that was kept, all of them at one gateway."""
    at_a, at_b = by_trace(gateways.a), by_trace(gateways.b)
    assert not at_a.keys() & at_b.keys()
    return {trace_id: len(spans) for trace_id, spans in {**at_a, **at_b}.items()}


def kept(sent: set[str], gateways: Gateways) -> dict[str, int]:
    """Return the sizes of those of the sent traces that were kept."""
    return {trace_id: size for trace_id, size in sizes(gateways).items() if trace_id in sent}


def uids(gateway: Collector) -> set[object]:
    """Return the unique ids of the log records that a gateway accepted."""
    return {record.attributes["log.record.uid"] for record in gateway.logs()}


def test_traces_with_events_or_errors_are_kept_whole_and_others_are_sampled(gateways: Gateways, tmp_path: Path) -> None:
    """All spans of a trace meet at one gateway, although they come in several requests."""
    endpoint = gateways.agent.otlp_http_endpoint
    plain = send_pairs(endpoint, PLAIN_TRACES)
    failed = send_pairs(endpoint, 20, status=StatusCode.ERROR)
    with shop(endpoint, tmp_path) as program:
        program.order(EVENTS)
        program.end()
        expected = dict.fromkeys(program.traces, SPANS_OF_A_TRACE) | dict.fromkeys(failed, 2)

        wait_until(lambda: expected.items() <= sizes(gateways).items(), timeout_seconds=ARRIVAL_SECONDS)

    # A second span can still be on its way: it follows the decision about its trace.
    wait_until(lambda: set(kept(plain, gateways).values()) == {2}, timeout_seconds=ARRIVAL_SECONDS)
    # 10 % of 400: the chance of none is 1e-18, and that of half of them is smaller.
    assert len(kept(plain, gateways)) < PLAIN_TRACES / 2
    for gateway in (gateways.a, gateways.b):
        assert by_trace(gateway)
        assert TOKEN.encode() not in gateway.raw()


def test_every_log_record_arrives_although_a_gateway_is_killed_twice(
    gateways: Gateways, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Records wait on the agent's disk while the gateway is down, and on the gateway's while VictoriaLogs is down."""
    with shop(gateways.agent.otlp_http_endpoint, tmp_path) as program:
        program.order(EVENTS, spans=False)
        gateways.victorialogs.stop()
        program.begin(EVENTS, spans=False, flush=False)
        gateways.a.kill()
        program.finish()
        program.order(EVENTS, spans=False)
        gateways.a.start()
        wait_until(lambda: len(uids(gateways.a)) == 3 * EVENTS, timeout_seconds=ARRIVAL_SECONDS)
        gateways.a.kill()
        gateways.a.start()
        program.end()
    gateways.victorialogs.start()

    count = "event_name:=shop.order | stats count() records, count_uniq(log.record.uid) uids"
    wait_until(
        lambda: gateways.victorialogs.stats(count)["uids"] == 3 * EVENTS,
        timeout_seconds=ARRIVAL_SECONDS,
        interval_seconds=0.2,
    )
    record_property("copies", gateways.victorialogs.stats(count)["records"] - 3 * EVENTS)


def test_spans_wait_on_the_agents_disk_while_a_gateway_is_away(gateways: Gateways) -> None:
    """Every trace with an error is there in the end, although the agent is killed before it could send it."""
    gateways.b.kill()
    sent = send_pairs(gateways.agent.otlp_http_endpoint, 100, status=StatusCode.ERROR)
    gateways.agent.kill()
    gateways.agent.start()
    gateways.b.start()

    wait_until(lambda: kept(sent, gateways) == dict.fromkeys(sent, 2), timeout_seconds=ARRIVAL_SECONDS)
    assert by_trace(gateways.b)
