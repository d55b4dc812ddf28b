"""The stack with Kafka between two Collectors, and the backends behind them."""

from __future__ import annotations

from pathlib import Path

from backends.collector import SINGLE_NODE, Collector
from backends.group import ProgramGroup, made
from backends.jaeger import Jaeger
from backends.kafka import KAFKA_PRODUCER, Kafka, KafkaConsumer
from backends.prometheus import Prometheus
from backends.victorialogs import VictoriaLogs

OVERLAYS = Path(__file__).parent
"""The directory of the overlays without which tests would wait for long intervals."""


class KafkaNode(ProgramGroup):
    """A producer, Kafka, a consumer and the backends. They run inside a `with` block, apart from those that a test stops."""

    def __init__(self, directory: Path) -> None:
        self.jaeger = Jaeger(made(directory / "jaeger"))
        self.victorialogs = VictoriaLogs(made(directory / "victorialogs"))
        self.prometheus = Prometheus(made(directory / "prometheus"))
        self.kafka = Kafka(made(directory / "kafka"))
        self.consumer = self.another_consumer(made(directory / "consumer"))
        self.producer = self.another_producer(made(directory / "producer"))
        super().__init__((self.jaeger, self.victorialogs, self.prometheus, self.kafka, self.consumer, self.producer))

    def another_producer(self, directory: Path, *overlays: Path) -> Collector:
        """Return a Collector, which has yet to be started, that sends everything to Kafka."""
        return Collector(
            directory,
            configs=(SINGLE_NODE, KAFKA_PRODUCER, OVERLAYS / "kafka-producer.yaml", *overlays),
            HELIOGRAPH_KAFKA_PORT=str(self.kafka.port),
            HELIOGRAPH_PROMETHEUS_PORT=str(self.prometheus.port),
        )

    def another_consumer(self, directory: Path) -> KafkaConsumer:
        """Return a Collector, which has yet to be started, that reads from Kafka."""
        return KafkaConsumer(
            directory,
            OVERLAYS / "kafka-consumer.yaml",
            HELIOGRAPH_KAFKA_PORT=str(self.kafka.port),
            HELIOGRAPH_JAEGER_OTLP_GRPC_PORT=str(self.jaeger.otlp_grpc_port),
            HELIOGRAPH_VICTORIALOGS_PORT=str(self.victorialogs.port),
            HELIOGRAPH_PROMETHEUS_PORT=str(self.prometheus.port),
        )
