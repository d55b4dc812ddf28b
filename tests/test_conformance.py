"""The names on the wire: a real workload emits every declared name, and no other.

The names are written out here as well, so that a change of a name on the wire changes a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from datasette.events import CreateTableEvent
from opentelemetry.trace import SpanKind

from delivery.outboxes import outbox_with_every_outcome
from heliograph import (
    Event,
    RequestActor,
    Settings,
    SignedTokenHandler,
    TokenInvalid,
    acting_as,
    hookimpl,
    semconv,
)
from heliograph.integrations.request_span import start_request_span
from heliograph.schema import conventions
from recorder import Telemetry

ATTRIBUTES = {
    "log.record.uid",
    "user.id",
    "user.name",
    "user.full_name",
    "user.hash",
    "user.roles",
    "user.email",
    "heliograph.actor",
    "heliograph.event.created",
    "heliograph.event.overflow",
    "heliograph.event.version",
    "heliograph.event.violations",
    "heliograph.violation.kind",
    "heliograph.signal",
    "heliograph.failed.code",
    "heliograph.hook",
    "heliograph.token.handler",
    "heliograph.token.id",
    "heliograph.token.key_number",
    "heliograph.token.target.id",
    "heliograph.token.result",
    "heliograph.outbox.reason",
    "heliograph.outbox.signal",
    "otel.event.name",
    "error.type",
    "client.address",
    "http.request.method",
    "http.request.method_original",
    "http.response.status_code",
    "http.route",
    "url.path",
    "url.scheme",
    "user_agent.original",
    "db.namespace",
    "db.collection.name",
}
SPANS = {"token.create", "token.verify"}
METRICS = {
    ("heliograph.events", "{event}"),
    ("heliograph.event.violations", "{violation}"),
    ("heliograph.emit.failures", "{failure}"),
    ("heliograph.hook.failures", "{failure}"),
    ("heliograph.token.verifications", "{verification}"),
    ("heliograph.token.create.duration", "s"),
    ("heliograph.token.verify.duration", "s"),
    ("heliograph.outbox.depth", "{record}"),
    ("heliograph.outbox.size", "By"),
    ("heliograph.outbox.oldest.age", "s"),
    ("heliograph.outbox.accepted", "{record}"),
    ("heliograph.outbox.delivered", "{record}"),
    ("heliograph.outbox.rejected", "{record}"),
    ("heliograph.outbox.retried", "{request}"),
    ("heliograph.outbox.dead", "{record}"),
    ("heliograph.outbox.damaged", "{record}"),
}


@dataclass
class ThingEvent(Event, version="1"):
    """An event with every attribute that an event can have."""

    name = "thing"
    number: int
    many: dict


class Plugin:
    """Registers the events, and has a hook that fails."""

    @hookimpl
    def register_events(self):
        return [ThingEvent, CreateTableEvent]

    @hookimpl
    def track_event(self, event):
        raise RuntimeError("a hook that fails")


class Request(RequestActor):
    """A request that knows all of its attributes."""

    def attribute(self, name: str) -> object:
        return "GET"


class BreakableLogger:
    """A logger that fails once the test breaks it."""

    def __init__(self, logger: object) -> None:
        self._logger = logger
        self.is_broken = False

    def emit(self, **record: object) -> None:
        if self.is_broken:
            raise RuntimeError("a provider that fails")
        self._logger.emit(**record)  # type: ignore[attr-defined]


@pytest.fixture
def emitted(telemetry: Telemetry, tmp_path: Path) -> Iterator[Telemetry]:
    """The telemetry of a workload that emits every name."""
    actor = {"id": 1, "name": "a", "full_name": "b", "roles": ["c"], "email": "d", "team": "e"}
    settings = Settings(secret=("x",), actor=("*",), context=tuple(map(str, semconv.REQUEST_ATTRIBUTES)))
    with telemetry.host(Plugin(), settings=settings) as host:
        with acting_as(Request()):
            host.track(ThingEvent(number=1, many={}))
        span = start_request_span(host.tracer, lambda name: "X" if name == "http.request.method" else "x", None)
        assert span is not None
        span.respond(500)
        span.end()
        host.track(ThingEvent(number="one", many={}, actor=actor))  # type: ignore[arg-type]
        host.track(
            ThingEvent(number=1, many={str(key): key for key in range(60)}, actor={str(key): 1 for key in range(60)})
        )
        host.track(ThingEvent(number=1, many={}, created=datetime(1900, 1, 1, tzinfo=timezone.utc)))
        host.track(CreateTableEvent(actor=None, database="d", table="t", schema="s"))
        emitter = host._instrumentation._emitter
        emitter._logger = broken = BreakableLogger(emitter._logger)  # type: ignore[assignment]
        broken.is_broken = True
        host.track(ThingEvent(number=1, many={}))
        broken.is_broken = False
        token = host.call(host.create_token, "root", expires_after=3600)
        with pytest.raises(TokenInvalid):
            host.call(host.verify_token, token + "x")
        host.call(host.verify_token, token)

        class Failing(SignedTokenHandler):
            name = "failing"

            async def create_token(self, *_: object, **__: object) -> str:
                raise RuntimeError

        class Handlers:
            @hookimpl
            def register_token_handler(self):
                return Failing()

        host.register(Handlers())
        with pytest.raises(RuntimeError):
            host.call(host.create_token, "root")
    with telemetry.host(Plugin(), settings=Settings(secret=("x",), actor=("id:hash",), privacy_key="k")) as host:
        host.track(ThingEvent(number=1, many={}, actor={"id": 1}))
    with outbox_with_every_outcome(tmp_path, telemetry.meter_provider):
        yield telemetry


def names(telemetry: Telemetry) -> Iterator[str]:
    for log in telemetry.logs:
        yield from log.log_record.attributes or ()
    for span in telemetry.spans:
        yield from span.attributes or ()
    for metric in telemetry.metrics().values():
        for point in metric.data.data_points:
            yield from point.attributes or ()


def declared_name(name: str) -> str:
    """Return the declared name for an emitted one, which may be below a prefix."""
    return "heliograph.actor" if name.startswith("heliograph.actor.") else name


def test_attributes(emitted: Telemetry) -> None:
    """The emitted, the declared and the expected names are the same."""
    declared = {str(name) for name in vars(semconv).values() if isinstance(name, semconv.AttributeName)}
    of_fields = ("app.", "datasette.", "heliograph.token_rejected.")
    found = {declared_name(name) for name in names(emitted) if not name.startswith(of_fields)}

    assert found == declared == ATTRIBUTES


def test_spans(emitted: Telemetry) -> None:
    """The emitted, the declared and the expected names are the same."""
    declared = {str(name) for name in vars(semconv).values() if isinstance(name, semconv.SpanName)}

    names = {
        span.name for span in emitted.spans if span.kind is SpanKind.INTERNAL
    }  # the name of a request's span is its route
    assert names == declared == SPANS


def test_metrics(emitted: Telemetry) -> None:
    """The emitted, the declared and the expected names and units are the same."""
    declared = {(str(name), name.unit) for name in vars(semconv).values() if isinstance(name, semconv.MetricName)}

    assert {(metric.name, metric.unit) for metric in emitted.metrics().values()} == declared == METRICS


def test_scope_and_event_names(emitted: Telemetry) -> None:
    """There is one scope, with the schema URL of its conventions, and an event name consists of namespace and name."""
    scopes = {log.instrumentation_scope for log in emitted.logs} | {
        span.instrumentation_scope for span in emitted.spans
    }
    assert {scope.schema_url for scope in scopes} == {semconv.SCHEMA_URL}  # type: ignore[union-attr]
    assert semconv.SCHEMA_URL.endswith(f"/{conventions.version()}")
    assert {log.instrumentation_scope.name for log in emitted.logs} == {"heliograph"}  # type: ignore[union-attr]
    assert {log.log_record.event_name for log in emitted.logs} == {
        "app.thing",
        "datasette.create_table",
        "heliograph.token_created",
        "heliograph.token_rejected",
    }
