"""The queries of a catalogue for a user's own events find data in a real VictoriaLogs, whatever the types of the fields are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource

from backends import wait_until
from backends.single_node import SingleNode
from dashboards.everything import BACKENDS, Color, Customer, OrderPlaced, ShopOpened, dashboards, schemas
from dashboards.panel_queries import PanelQuery, panel_queries
from heliograph import Host, Settings, acting_as
from stack.panel_data import Shown

LOGS = "victoriametrics-logs-datasource"
STREAM_FIELDS = "service.name,event_name"
SECONDS = 60.0
STRANGERS = "Events that are not in this catalogue"
CATALOGUE = dashboards(schemas(OrderPlaced, ShopOpened), BACKENDS["own"])["heliograph-catalogue"]
QUERIES = [query for query in panel_queries(CATALOGUE) if query.source == LOGS and query.panel != STRANGERS]


def order() -> OrderPlaced:
    customer = Customer(country="GB", email="ada@example.com")
    return OrderPlaced(
        total=Decimal("19.99"),
        seconds=0.25,
        discount=12.5,
        product_id=7,
        stars=4,
        grade=2,
        color=Color.RED,
        payment="card",
        is_gift=True,
        id=uuid4(),
        comment="a secret",
        coupon="SUMMER",
        secret="a secret",
        customer=customer,
        tags=["new", "sale"],
        lines=[customer],
        more={"rush": True},
        at=datetime.now(timezone.utc),
        wait=timedelta(days=2),
        photo=b"\\x00",
        mixed="text",
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """Return the data of a service with both kinds of events."""
    since = time.time()
    directory: Path = tmp_path_factory.mktemp("fields")
    with SingleNode(directory, absent=frozenset({"jaeger", "prometheus", "otelcol"})) as node:
        exporter = OTLPLogExporter(node.victorialogs.logs_endpoint, headers={"VL-Stream-Fields": STREAM_FIELDS})
        provider = LoggerProvider(Resource.create({"service.name": "shop"}), shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        with (
            Host(Settings(privacy_key="key"), events=[OrderPlaced, ShopOpened], logger_provider=provider) as host,
            acting_as({"id": "ada"}),
        ):
            host.track(ShopOpened())
            host.track(order())
        provider.shutdown()
        yield Shown(node, since, {"service": "shop"})


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.panel}-{query.target['refId']}")
def test_each_panel_for_a_field_has_data(shown: Shown, query: PanelQuery) -> None:
    """Numbers, texts, choices, lists and what is nested."""
    wait_until(lambda: shown.data_of(query), timeout_seconds=SECONDS)


def test_events_of_the_catalogue_are_no_strangers(shown: Shown) -> None:
    """The panel on events that are not in the catalogue is empty."""
    [strangers] = [query for query in panel_queries(CATALOGUE) if query.panel == STRANGERS]

    assert shown.data_of(strangers) == []
