"""The overlays for Loki and Tempo keep what the configurations below them promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

from backends import Collector, wait_until
from backends.collector import RECORDING, SINGLE_NODE
from backends.program import CONFIG

LOKI = CONFIG / "otelcol" / "loki.yaml"
TEMPO = CONFIG / "otelcol" / "tempo.yaml"


@pytest.fixture
def collector_for_loki(tmp_path: Path) -> Iterator[Collector]:
    """A Collector that changes records for Loki, and writes them to files."""
    node, debug, recording = RECORDING
    with Collector(tmp_path, configs=(node, debug, LOKI, recording)) as running:
        yield running


def exporter(config: Path, name: str) -> dict[str, Any]:
    exporters: dict[str, dict[str, Any]] = yaml.safe_load(config.read_text())["exporters"]
    return exporters[name]


def test_the_name_of_an_event_becomes_an_attribute_for_loki(collector_for_loki: Collector) -> None:
    """A record that has such an attribute keeps it, and a record without an event gets none."""
    provider = LoggerProvider(shutdown_on_exit=False)
    endpoint = f"{collector_for_loki.otlp_http_endpoint}/v1/logs"
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint)))
    logger = provider.get_logger("shop")
    logger.emit(event_name="shop.order", body="event", attributes={"token": "dstok_abc"})
    logger.emit(event_name="shop.order", body="own", attributes={"event_name": "mine"})
    logger.emit(body="plain")
    provider.shutdown()

    records = wait_until(lambda: found if len(found := collector_for_loki.logs()) == 3 else None)

    assert {record.body: record.attributes.get("event_name") for record in records} == {
        "event": "shop.order",
        "own": "mine",
        "plain": None,
    }
    assert b"dstok_abc" not in collector_for_loki.raw()


@pytest.mark.parametrize(
    ("overlay", "name", "replaced"),
    [(LOKI, "otlp_http/loki", "otlp_http/victorialogs"), (TEMPO, "otlp_grpc/tempo", "otlp_grpc/jaeger")],
    ids=["loki", "tempo"],
)
@pytest.mark.parametrize("setting", ["sending_queue", "retry_on_failure"])
def test_an_overlay_has_the_durability_of_the_exporter_that_it_replaces(
    overlay: Path, name: str, replaced: str, setting: str
) -> None:
    """The queue is on disk, and the retries have no end."""
    assert exporter(overlay, name)[setting] == exporter(SINGLE_NODE, replaced)[setting]
