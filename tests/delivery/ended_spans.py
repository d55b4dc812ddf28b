"""Spans as the SDK hands them to processors, and as OpenTelemetry's encoder encodes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON


class Ended(SpanProcessor):
    """Keeps the last span that has ended."""

    span: ReadableSpan

    def on_end(self, span: ReadableSpan) -> None:
        self.span = span


def ended(change: Callable[[Span], None] = lambda _: None, limits: SpanLimits | None = None, **kwargs: Any) -> Any:
    """Return a span as the SDK hands it to processors."""
    processor = Ended()
    resource = kwargs.pop("resource", Resource({"a": 1}, "https://r"))
    provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, span_limits=limits)
    provider.add_span_processor(processor)
    end_time = kwargs.pop("end_time", None)
    tracer = provider.get_tracer("scope", "1", "https://scope", {"b": 2})
    span = tracer.start_span(**{"name": "GET /x", "context": Context(), **kwargs})
    change(span)  # type: ignore[arg-type]
    span.end(end_time)
    return processor.span


def request_of_the_sdk(*spans: ReadableSpan) -> ExportTraceServiceRequest:
    """Return the request that OpenTelemetry's encoder makes of spans of one scope, with what the specification adds to it."""
    request = encode_spans(spans)
    for message, span in zip(request.resource_spans[0].scope_spans[0].spans, spans):
        message.flags |= span.context.trace_flags & 0xFF
        for encoded, link in zip(message.links, span.links):
            encoded.flags |= link.context.trace_flags & 0xFF
            encoded.trace_state = link.context.trace_state.to_header()
    return request


def message_of_the_sdk(span: ReadableSpan) -> Message:
    """Return the message of one span in such a request."""
    [message] = request_of_the_sdk(span).resource_spans[0].scope_spans[0].spans
    return message


def record_exception(span: Span) -> None:
    try:
        int("é")
    except ValueError as error:
        span.record_exception(error, {"more": [1, 2]})
