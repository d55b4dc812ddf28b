"""Apache Kafka, and the Collector that reads from it."""

from __future__ import annotations

from pathlib import Path

from backends.collector import SINGLE_NODE, config_arguments
from backends.ports import free_port
from backends.program import CONFIG, Backend

KAFKA_PRODUCER = CONFIG / "otelcol" / "kafka-producer.yaml"
KAFKA_CONSUMER = CONFIG / "otelcol" / "kafka-consumer.yaml"
SERVER_PROPERTIES = CONFIG / "kafka" / "server.properties"


class Kafka(Backend):
    """A Kafka of one broker, which keeps messages in its directory."""

    program = "kafka"

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        super().__init__(
            directory,
            {"HELIOGRAPH_KAFKA_PORT": self.port, "HELIOGRAPH_KAFKA_CONTROLLER_PORT": free_port()},
            HELIOGRAPH_KAFKA_DATA=str(directory / "data"),
        )


class KafkaConsumer(Backend):
    """A Collector that reads from Kafka, and sends to the backends.

    Args:
        directory: Its directory.
        overlays: Configurations that are merged into single-node.yaml with kafka-consumer.yaml.
        environment: Further variables of the configurations.
    """

    program = "otelcol"

    def __init__(self, directory: Path, *overlays: Path, **environment: str) -> None:
        health_port = free_port()
        super().__init__(
            directory,
            {"HELIOGRAPH_KAFKA_CONSUMER_HEALTH_PORT": health_port},
            health=f"http://127.0.0.1:{health_port}",
            arguments=config_arguments((SINGLE_NODE, KAFKA_CONSUMER, *overlays)),
            **environment,
        )
