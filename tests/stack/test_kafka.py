"""Kafka between two Collectors: everything arrives, although the broker, both Collectors and a backend are killed or stopped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backends import wait_until
from backends.kafka_node import KafkaNode
from stack.shop_process import shop
from stack.traces import event_uids

ARRIVAL_SECONDS = 240.0
EVENTS = 500
TOTAL = 7 * EVENTS


def test_nothing_is_lost_while_kafka_is_away_and_both_collectors_are_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every event is in VictoriaLogs by its unique id, every span in Jaeger, and Prometheus has the right count."""
    with KafkaNode(tmp_path / "node") as node, shop(node.producer.otlp_http_endpoint, tmp_path) as program:
        program.order(EVENTS)
        program.begin(EVENTS, spans=False, flush=False)
        node.kafka.kill()
        program.finish()
        # Kafka is away: this waits on the producer's disk, through a crash.
        program.order(EVENTS)
        node.producer.kill()
        node.producer.start()
        program.order(EVENTS)
        node.kafka.start()
        # VictoriaLogs is away: this waits in Kafka, because the consumer is killed before it could send what it had read.
        node.victorialogs.stop()
        program.order(EVENTS)
        wait_until(lambda: "Exporting failed" in node.consumer.log.read_text(), timeout_seconds=ARRIVAL_SECONDS)
        node.consumer.kill()
        node.victorialogs.start()
        node.consumer.start()
        program.begin(EVENTS, spans=False, flush=False)
        node.consumer.kill()
        program.finish()
        program.order(EVENTS)
        node.consumer.start()
        program.end()

        count = "event_name:=shop.order | stats count() records, count_uniq(log.record.uid) uids"
        wait_until(
            lambda: node.victorialogs.stats(count)["uids"] == TOTAL,
            timeout_seconds=ARRIVAL_SECONDS,
            interval_seconds=0.2,
        )
        uids = event_uids(node.jaeger, program.traces, timeout_seconds=ARRIVAL_SECONDS)
        assert len(uids) == 5 * EVENTS
        total = 'sum(heliograph_events_total{job="shop",otel_event_name="shop.order"})'
        wait_until(lambda: node.prometheus.query(total) == {frozenset(): TOTAL}, timeout_seconds=ARRIVAL_SECONDS)
        record_property("copies", node.victorialogs.stats(count)["records"] - TOTAL)
