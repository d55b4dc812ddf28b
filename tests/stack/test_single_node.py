"""Everything that a program sends to the single node is there in the end: events, spans and counts, through crashes and outages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from backends import wait_until
from backends.single_node import SingleNode
from stack.rules import rules
from stack.shop_process import shop
from stack.traces import event_uids

FULL = os.environ.get("FAULTS") == "full"
EACH = 10_000 if FULL else 3_400
ARRIVAL_SECONDS = 120.0
OUTAGE_SECONDS = 60.0


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
        uids = event_uids(node.jaeger, program.traces, timeout_seconds=ARRIVAL_SECONDS)
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
