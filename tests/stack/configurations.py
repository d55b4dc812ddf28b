"""The configurations of the Collector: each file with the overlays that its documentation names."""

from __future__ import annotations

from backends.collector import AGENT, GATEWAY, RECORDING, SINGLE_NODE
from backends.kafka import KAFKA_CONSUMER, KAFKA_PRODUCER
from backends.program import CONFIG

OTELCOL = CONFIG / "otelcol"
IN_CONTAINERS = (OTELCOL / "compose.yaml", OTELCOL / "compose-kafka.yaml")
COLLECTORS = {
    "single-node": (SINGLE_NODE,),
    "debug": (SINGLE_NODE, OTELCOL / "debug.yaml"),
    "compose": (SINGLE_NODE, OTELCOL / "compose.yaml"),
    "agent": (AGENT,),
    "gateway": (GATEWAY,),
    "gateway with files": (GATEWAY, OTELCOL / "debug.yaml"),
    "loki": (SINGLE_NODE, OTELCOL / "loki.yaml"),
    "tempo": (SINGLE_NODE, OTELCOL / "tempo.yaml"),
    "loki and tempo": (SINGLE_NODE, OTELCOL / "loki.yaml", OTELCOL / "tempo.yaml"),
    "gateway with loki and tempo": (GATEWAY, OTELCOL / "loki.yaml", OTELCOL / "tempo.yaml"),
    "kafka producer": (SINGLE_NODE, KAFKA_PRODUCER),
    "gateway as kafka producer": (GATEWAY, KAFKA_PRODUCER),
    "kafka consumer": (SINGLE_NODE, KAFKA_CONSUMER),
    "compose with a kafka producer": (SINGLE_NODE, KAFKA_PRODUCER, *IN_CONTAINERS),
    "compose with a kafka consumer": (SINGLE_NODE, KAFKA_CONSUMER, *IN_CONTAINERS),
    "agent in kubernetes": (AGENT, OTELCOL / "kubernetes-agent.yaml"),
    "gateway in kubernetes": (GATEWAY, OTELCOL / "compose.yaml"),
    "recording": RECORDING,
}
