"""VictoriaLogs, Prometheus and promtool start with the configurations of the stack, and answer queries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from backends import Prometheus, VictoriaLogs, promtool, wait_until
from backends.program import BackendError

SHOP = Resource.create({"service.name": "shop", "service.version": "1.2"})


@pytest.fixture
def victorialogs(tmp_path: Path) -> Iterator[VictoriaLogs]:
    with VictoriaLogs(tmp_path) as backend:
        yield backend


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Prometheus]:
    with Prometheus(tmp_path) as backend:
        yield backend


def send_event(endpoint: str, user: str) -> None:
    provider = LoggerProvider(SHOP, shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(endpoint)))
    provider.get_logger("shop").emit(event_name="shop.order", body="ordered", attributes={"user.id": user})
    provider.shutdown()


def test_victorialogs_finds_an_event_by_its_name_and_keeps_it_over_a_restart(victorialogs: VictoriaLogs) -> None:
    """The event's name and its attributes are fields of the same names."""
    send_event(victorialogs.logs_endpoint, "7")

    [record] = wait_until(lambda: victorialogs.query("event_name:=shop.order"))
    assert (record["user.id"], record["service.name"], record["_msg"]) == ("7", "shop", "ordered")

    victorialogs.stop()
    victorialogs.start()
    assert victorialogs.stats("* | stats count() as events, sum(user.id) as ids") == {"events": 1, "ids": 7}


def test_an_error_of_a_query_is_raised(victorialogs: VictoriaLogs) -> None:
    """A query with a wrong syntax raises an error with the status."""
    with pytest.raises(BackendError, match="400 from") as error:
        victorialogs.query("| nonsense")
    assert error.value.status == 400


def test_prometheus_receives_a_counter_with_the_labels_of_its_service(prometheus: Prometheus) -> None:
    """Metrics that were sent by OTLP are found by their names in Prometheus' form, without labels of the scope."""
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(prometheus.metrics_endpoint))
    provider = MeterProvider([reader], resource=SHOP, shutdown_on_exit=False)
    provider.get_meter("shop", "3").create_counter("shop.orders", unit="{order}").add(2, {"kind": "book"})
    provider.shutdown()

    [(labels, value)] = wait_until(lambda: prometheus.query("shop_orders_total")).items()

    assert value == 2
    labels_wanted = {"__name__": "shop_orders_total", "job": "shop", "kind": "book", "service_version": "1.2"}
    assert labels_wanted.items() <= dict(labels).items()
    assert not [name for name, _ in labels if name.startswith("otel_scope")]


def test_promtool_prints_its_version() -> None:
    """A call of promtool returns its exit status."""
    assert promtool("--version").returncode == 0
