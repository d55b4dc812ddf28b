"""Prepare the commands of a page: records that wait, backends that run, events in the quarantine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from backends import Jaeger, VictoriaLogs
from delivery.outboxes import logging_to
from delivery.servers import serving
from documentation.session import Session
from heliograph import Event, Host, Settings
from heliograph.receiver.server import receiving
from heliograph.receiver.store import Store

Fixture = Callable[[str], Any]


@contextmanager
def delivery(session: Session, fixture: Fixture) -> Iterator[None]:
    """An outbox with a dead letter and a record that waits, and a server that accepts it now."""
    outbox = session.folder / "outbox"
    session.expectations.replace("/var/lib/my-app/outbox", str(outbox))
    with serving(lambda number, records: (413, {}, b"") if number == 0 else (503, {}, b"")) as refusing:
        with logging_to(outbox, refusing.endpoint) as emit:
            emit("dead")
            assert not emit.processor.force_flush(10_000)
            emit("waits")
    with serving() as server:
        session.export("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.endpoint)
        yield
    assert sorted(server.accepted) == ["dead", "waits"]


@contextmanager
def doctor(session: Session, fixture: Fixture) -> Iterator[None]:
    """Jaeger and VictoriaLogs run, and telemetry goes there."""
    jaeger: Jaeger = fixture("jaeger")
    victorialogs: VictoriaLogs = fixture("victorialogs")
    session.export("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{jaeger.otlp_http_endpoint}/v1/traces")
    session.export("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", victorialogs.logs_endpoint)
    session.export("OTEL_METRICS_EXPORTER", "none")
    session.expectations.replace("http://localhost:16686", jaeger.url)
    session.expectations.replace("http://localhost:9428", victorialogs.url)
    (session.folder / "datasette.yaml").write_text("title: Shop\n")
    yield


@contextmanager
def frameworks(session: Session, fixture: Fixture) -> Iterator[None]:
    """Nothing is exported: the programs only start."""
    session.export("OTEL_SDK_DISABLED", "true")
    yield


@contextmanager
def received(session: Session, fixture: Fixture) -> Iterator[None]:
    """A receiver at the default endpoint accepts everything."""
    with receiving(Store(session.folder.parent / "received.db")) as endpoint:
        session.export("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        yield


@dataclass
class _OrderPlaced(Event, namespace="shop", version="0"):
    name = "order-placed"
    total: int
    customer: dict[str, str]


@contextmanager
def schemas(session: Session, fixture: Fixture) -> Iterator[None]:
    """An event is in the quarantine, and another program has recorded one of its events."""
    settings = Settings(validation="quarantine", quarantine=session.folder / "heliograph-quarantine.db")
    with Host(settings, events=[_OrderPlaced]) as host:
        host.track(_OrderPlaced(total=12.5, customer={"name": "Ada"}))  # type: ignore[arg-type]
    record = {"eventName": "shop.sale", "attributes": [{"key": "shop.sale.total", "value": {"intValue": "3"}}]}
    recorded = session.folder / "heliograph-demo" / "events.db"
    recorded.parent.mkdir()
    recorded.write_text(json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}))
    with received(session, fixture):
        yield


PREPARATIONS: dict[str, Callable[[Session, Fixture], AbstractContextManager[None]]] = {
    "docs/delivery.md": delivery,
    "docs/doctor.md": doctor,
    "docs/frameworks.md": frameworks,
    "docs/schemas.md": schemas,
    "docs/tokens.md": received,
}
