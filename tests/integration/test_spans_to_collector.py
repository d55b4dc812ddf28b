"""Spans of our encoder and of OpenTelemetry's are the same in a real Collector."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from backends import Collector, wait_until
from delivery.ended_spans import ended, record_exception, request_of_the_sdk
from heliograph.delivery.encoding.requests import encode_resource, encode_scope, entry_field, join_request
from heliograph.delivery.encoding.spans import encode_span

REMOTE = SpanContext(0xABC, 0xDEF, True, TraceFlags(1), TraceState([("vendor", "a"), ("other", "b")]))
VALUES = {
    "text": "Žilina",
    "empty": "",
    "integer": -(2**63),
    "float": 1.5,
    "flag": False,
    "bytes": b"\0\xff",
    "list": ["a", "b"],
    "nested": {"list": [1, [2.5, None]], "map": {"a": {}}},
}


def spans(resource: Resource) -> list[ReadableSpan]:
    """Return spans with every field that a span can have."""

    def many(span: Span) -> None:
        for number in range(130):
            span.add_event(f"event {number}", {**VALUES, "number": number}, number + 1)
            span.add_link(SpanContext(number + 1, number + 1, number % 2 == 0, TraceFlags(number % 2)), VALUES)

    def failed(span: Span) -> None:
        record_exception(span)
        span.set_status(Status(StatusCode.ERROR, "bad"))

    in_remote = set_span_in_context(NonRecordingSpan(REMOTE), Context())
    kinds = [ended(resource=resource, name=kind.name, kind=kind) for kind in SpanKind]
    return [
        *kinds,
        ended(many, resource=resource, attributes=VALUES),
        ended(failed, resource=resource, context=in_remote, links=[Link(REMOTE, {"a": 1})]),
        ended(many, SpanLimits(max_event_attributes=2, max_events=3, max_attribute_length=2), resource=resource),
        ended(
            lambda span: span.set_status(StatusCode.OK), resource=resource, attributes={str(n): n for n in range(200)}
        ),
    ]


def our_request(ended_spans: list[ReadableSpan]) -> bytes:
    resource, scope = ended_spans[0].resource, ended_spans[0].instrumentation_scope
    assert scope is not None
    entries = [entry_field(encode_span(span)) for span in ended_spans]
    encoded_scope = encode_scope(scope.name, scope.version, scope.attributes)
    return join_request(
        encode_resource(resource.attributes), resource.schema_url, [(encoded_scope, scope.schema_url or "", entries)]
    )


def post(collector: Collector, body: bytes) -> None:
    request = urllib.request.Request(
        f"{collector.otlp_http_endpoint}/v1/traces", body, {"Content-Type": "application/x-protobuf"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        assert response.status == 200


def recorded(collector: Collector, service: str) -> list[Any]:
    """Return the spans of a service, each with its resource and its scope, as the Collector writes them."""
    return [
        (resource["resource"], resource.get("schemaUrl"), scope["scope"], scope.get("schemaUrl"), span)
        for file in collector.files.glob("traces*.jsonl")
        for line in file.read_bytes().split(b"\n")[:-1]
        for resource in json.loads(line)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
        if service in json.dumps(resource["resource"])
    ]


def test_collector_reads_the_same_spans(collector: Collector) -> None:
    """The Collector reads every field, with what the specification adds to OpenTelemetry's encoder."""
    service = f"spans-{uuid4()}"
    sent = spans(Resource({"service.name": service}, "https://example.com/resource"))

    post(collector, our_request(sent))
    wait_until(lambda: len(recorded(collector, service)) >= len(sent))
    post(collector, request_of_the_sdk(*sent).SerializeToString())
    wait_until(lambda: len(recorded(collector, service)) >= 2 * len(sent))

    found = recorded(collector, service)
    assert found[: len(sent)] == found[len(sent) :]
    [linked] = [span for *_, span in found[: len(sent)] if len(span.get("links", ())) == 1]
    assert linked["links"][0]["traceState"] == "vendor=a,other=b"
    assert linked["flags"] & 0x301 == 0x301
