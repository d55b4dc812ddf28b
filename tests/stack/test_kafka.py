"""Kafka between two Collectors: everything arrives, although the broker, both Collectors and a backend are killed or stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from backends import Collector, wait_until
from backends.kafka_node import KafkaNode
from stack.shop_process import shop
from stack.traces import event_uids

ARRIVAL_SECONDS = 240.0
EVENTS = 500
TOTAL = 7 * EVENTS
PARTITIONS = 3
LARGEST = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    with KafkaNode(tmp_path_factory.mktemp("node")) as running:
        yield running


def test_nothing_is_lost_while_kafka_is_away_and_both_collectors_are_killed(
    node: KafkaNode, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Every event is in VictoriaLogs by its unique id, every span in Jaeger, and Prometheus has the right count."""
    with shop(node.producer.otlp_http_endpoint, tmp_path) as program:
        program.order(EVENTS)
        program.begin(EVENTS, spans=False, flush=False)
        node.kafka.kill()
        program.finish()
        # Kafka is down: this waits on the producer's disk, through a crash.
        program.order(EVENTS)
        node.producer.kill()
        node.producer.start()
        program.order(EVENTS)
        node.kafka.start()
        # VictoriaLogs is down: this waits in Kafka, because the consumer ends before it could send what it had read.
        failed = node.consumer.log.read_text().count("Exporting failed")
        node.victorialogs.stop()
        program.order(EVENTS)
        wait_until(
            lambda: node.consumer.log.read_text().count("Exporting failed") > failed, timeout_seconds=ARRIVAL_SECONDS
        )
        node.consumer.stop()
        node.consumer.start()
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
    # The README compares these two, topic by topic.
    for counter in ("otelcol_kafka_exporter_records_total", "otelcol_kafka_receiver_records_total"):
        query = f"count(sum by (topic) ({counter}) > 0)"
        wait_until(
            lambda query=query: node.prometheus.query(query) == {frozenset(): 3}, timeout_seconds=ARRIVAL_SECONDS
        )
    record_property("copies", node.victorialogs.stats(count)["records"] - TOTAL)


def emit(producer: Collector, name: str, body: str) -> None:
    """Send an event in a request of its own."""
    provider = LoggerProvider(shutdown_on_exit=False)
    exporter = OTLPLogExporter(f"{producer.otlp_http_endpoint}/v1/logs")
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("shop").emit(event_name=name, body=body)
    provider.shutdown()


def send_to_each_partition(node: KafkaNode, name: str) -> None:
    """Send events in messages of their own, and wait until all of them arrived."""
    for number in range(3 * PARTITIONS):
        emit(node.producer, name, str(number))
        # Longer than the producer collects records for a message: the messages are spread over the partitions.
        time.sleep(0.25)
    count = f"event_name:={name} | stats count_uniq(_msg) bodies"
    wait_until(lambda: node.victorialogs.stats(count)["bodies"] == 3 * PARTITIONS, timeout_seconds=ARRIVAL_SECONDS)


def test_alert_for_records_that_wait_in_kafka_is_caused_by_a_backend_that_is_away(node: KafkaNode) -> None:
    """The alert fires some minutes later, so it is pending here. All records arrive in the end."""
    node.victorialogs.stop()
    number = 0

    def is_pending() -> bool:
        nonlocal number
        for _ in range(50):
            emit(node.producer, "shop.waiting", str(number))
            number += 1
        return node.prometheus.alerts().get("KafkaLags") == "pending"

    wait_until(is_pending, timeout_seconds=ARRIVAL_SECONDS, interval_seconds=1.0)
    node.victorialogs.start()
    count = "event_name:=shop.waiting | stats count_uniq(_msg) bodies"
    wait_until(lambda: node.victorialogs.stats(count)["bodies"] == number, timeout_seconds=ARRIVAL_SECONDS)


def test_a_message_that_is_no_otlp_stops_no_partition(node: KafkaNode, tmp_path: Path) -> None:
    """The message is skipped, and the events behind it arrive."""
    raw = tmp_path / "raw.yaml"
    raw.write_text("exporters: {kafka: {logs: {topic: otlp_logs, encoding: raw}}}")
    skipped = node.consumer.log.read_text().count("failed to unmarshal")
    with node.another_producer(tmp_path, raw) as producer:
        emit(producer, "shop.raw", "This is text.")
        wait_until(
            lambda: node.consumer.log.read_text().count("failed to unmarshal") > skipped,
            timeout_seconds=ARRIVAL_SECONDS,
        )

    send_to_each_partition(node, "shop.after")


def test_another_consumer_takes_over_the_partitions_of_a_killed_one(node: KafkaNode, tmp_path: Path) -> None:
    """Two consumers divide the partitions, and each can have all of them."""
    with node.another_consumer(tmp_path):
        send_to_each_partition(node, "shop.divided")
        node.consumer.kill()
        send_to_each_partition(node, "shop.taken_over")
        node.consumer.start()
    send_to_each_partition(node, "shop.given_back")


def test_the_largest_record_passes_kafka(node: KafkaNode) -> None:
    """A record that the producer accepts is not too large for Kafka, even if others are in the same message."""
    bodies = [f"{number}{'x' * (LARGEST - 1000)}" for number in range(3)]
    for body in bodies:
        emit(node.producer, "shop.large", body)

    count = "event_name:=shop.large | stats count_uniq(_msg) bodies"
    wait_until(lambda: node.victorialogs.stats(count)["bodies"] == len(bodies), timeout_seconds=ARRIVAL_SECONDS)
