"""The queries that the catalogue gives for Jaeger find the events in a real one."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Annotated
from uuid import uuid4

import pytest
from msgspec import Meta
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from backends import Jaeger, wait_until
from heliograph import Attribute, Event, Host, Settings, acting_as
from heliograph.schema.export.catalogue import catalogue
from registrar import Registrar


@dataclass
class BanEvent(Event, namespace="forum"):
    name = "ban"
    reason: Annotated[str, Attribute(examples=['spam, and "more"'])]


@dataclass
class CountEvent(Event, namespace="forum"):
    name = "count"
    posts: Annotated[int, Meta(ge=0)]


@dataclass
class SwitchEvent(Event, namespace="forum"):
    name = "switch"
    on: bool


@dataclass
class LoginEvent(Event, namespace="forum"):
    name = "login"


EXAMPLES = {
    BanEvent: BanEvent(reason='spam, and "more"'),
    CountEvent: CountEvent(posts=1),
    SwitchEvent: SwitchEvent(on=True),
    LoginEvent: LoginEvent(),
}


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: event.name)
def test_query_finds_the_trace_of_the_example(jaeger: Jaeger, event: Event) -> None:
    """A trace without such an event is not found."""
    service = f"catalogue-{uuid4()}"
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{jaeger.otlp_grpc_port}", insecure=True)
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with (
        Host(Settings(secret=("s",)), plugins=[Registrar(*EXAMPLES)], tracer_provider=provider) as host,
        acting_as({"id": "root"}),
    ):
        with tracer.start_as_current_span("request") as span:
            event.actor = {"id": "root"}
            host.track(event)
        with tracer.start_as_current_span("another"):
            pass
        (entry,) = catalogue([host.schemas[type(event)]])
    provider.shutdown()
    trace_id = f"{span.get_span_context().trace_id:032x}"

    query = next(each.text for each in entry.queries if each.where == "Jaeger, tags")
    tags = dict(word.split("=", maxsplit=1) for word in shlex.split(query))

    assert wait_until(lambda: jaeger.find(service, tags)) == {trace_id}
