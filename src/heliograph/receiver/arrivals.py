"""Find the events and the operations on tokens in OTLP requests, to print them for people.

An event arrives as a log record, as a span event, or as both, and an exporter that retries sends it again. `FirstArrivals` recognizes
the repetitions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import assert_never

from heliograph.otlp import decode_attributes, decode_value
from heliograph.receiver.signals import OtlpRequest
from heliograph.semconv import (
    LOG_RECORD_UID,
    TOKEN_CREATE,
    TOKEN_ID,
    TOKEN_RESULT,
    TOKEN_VERIFY,
    USER_HASH,
    USER_ID,
)
from heliograph.values.text import to_json

TOKEN_SPANS: Final = frozenset({TOKEN_CREATE, TOKEN_VERIFY})
"""The names of the spans of operations on tokens."""
MAX_IDENTITY: Final = 128
"""The longest identity, in characters, that `FirstArrivals` remembers. Those that heliograph sends have at most 49."""


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """An event, or an operation on a token. All texts come from the sender, and may have any characters.

    Attributes:
        name: The name of the event or of the span.
        is_event: True for an event, False for the span of an operation on a token.
        time_unix_nano: When the event happened, or the span began.
        body: The display string of an event that arrived as a log record; the result of an operation on a token.
        trace_id: The id of the trace, in hexadecimal; empty outside of a span.
        identity: An id that is the same each time this event or span is delivered; empty if there is none.
        service: The name of the service; empty if unknown.
        attributes: The attributes.
    """

    name: str
    is_event: bool
    time_unix_nano: int
    body: str
    trace_id: str
    identity: str
    service: str
    attributes: dict[str, object]

    @property
    def actor(self) -> str:
        """Return the id of the actor, or its hash; empty if there is none."""
        return _text(self.attributes.get(USER_ID)) or _text(self.attributes.get(USER_HASH))

    @property
    def token_id(self) -> str:
        """Return the id of the token; empty if there is none."""
        return _text(self.attributes.get(TOKEN_ID))


def arrivals(request: OtlpRequest) -> Iterator[Arrival]:
    """Yield the events and operations on tokens of a request."""
    match request:
        case ExportLogsServiceRequest():
            yield from _from_logs(request)
        case ExportTraceServiceRequest():
            yield from _from_traces(request)
        case ExportMetricsServiceRequest():
            pass
        case _:
            assert_never(request)


def names(request: OtlpRequest) -> Iterator[str]:
    """Yield the names of the log records that are events, and of the operations on tokens. No attributes are decoded.

    Span events are not included, because their attributes would be needed to recognize those that are events.
    """
    match request:
        case ExportLogsServiceRequest():
            for resource in request.resource_logs:
                for scope in resource.scope_logs:
                    yield from (record.event_name for record in scope.log_records if record.event_name)
        case ExportTraceServiceRequest():
            for resource_spans in request.resource_spans:
                for scope_spans in resource_spans.scope_spans:
                    yield from (span.name for span in scope_spans.spans if span.name in TOKEN_SPANS)
        case ExportMetricsServiceRequest():
            pass
        case _:
            assert_never(request)


def _from_logs(request: ExportLogsServiceRequest) -> Iterator[Arrival]:
    for resource in request.resource_logs:
        service = _service(resource.resource.attributes)
        for scope in resource.scope_logs:
            for record in scope.log_records:
                # A log record without an event name is not an event.
                if record.event_name:
                    attributes = decode_attributes(record.attributes)
                    yield Arrival(
                        attributes=attributes,
                        name=record.event_name,
                        is_event=True,
                        time_unix_nano=record.time_unix_nano or record.observed_time_unix_nano,
                        body=_text(decode_value(record.body)),
                        trace_id=_hex_id(record.trace_id),
                        identity=_text(attributes.get(LOG_RECORD_UID)),
                        service=service,
                    )


def _from_traces(request: ExportTraceServiceRequest) -> Iterator[Arrival]:
    for resource in request.resource_spans:
        service = _service(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                if span.name in TOKEN_SPANS:
                    yield _token_span(span, service)
                yield from _span_events(span, service)


def _token_span(span: Span, service: str) -> Arrival:
    attributes = decode_attributes(span.attributes)
    return Arrival(
        attributes=attributes,
        name=span.name,
        is_event=False,
        time_unix_nano=span.start_time_unix_nano,
        body=_text(attributes.get(TOKEN_RESULT)),
        trace_id=_hex_id(span.trace_id),
        identity=f"{span.trace_id.hex()}/{span.span_id.hex()}",
        service=service,
    )


def _span_events(span: Span, service: str) -> Iterator[Arrival]:
    for event in span.events:
        attributes = decode_attributes(event.attributes)
        # Other span events, such as exceptions, are not events of an application.
        if LOG_RECORD_UID in attributes:
            yield Arrival(
                attributes=attributes,
                name=event.name,
                is_event=True,
                time_unix_nano=event.time_unix_nano,
                body="",
                trace_id=_hex_id(span.trace_id),
                identity=_text(attributes[LOG_RECORD_UID]),
                service=service,
            )


class FirstArrivals:
    """Recognizes events and spans that have arrived before. It remembers a limited number of identities. For one thread.

    Args:
        limit: The number of identities that are remembered. The oldest is forgotten first.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, None] = OrderedDict()

    def is_first(self, arrival: Arrival) -> bool:
        """Return False if the same event or span has arrived before.

        An arrival whose identity is empty or longer than `MAX_IDENTITY` always counts as the first.
        """
        if not 0 < len(arrival.identity) <= MAX_IDENTITY:
            return True
        if arrival.identity in self._seen:
            return False
        self._seen[arrival.identity] = None
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
        return True


def _service(pairs: Iterable[KeyValue]) -> str:
    return _text(decode_attributes(pairs).get("service.name"))


def _text(value: object) -> str:
    """Return a value as text: senders may use other types than ours."""
    if value is None:
        return ""
    return value if isinstance(value, str) else to_json(value)


def _hex_id(value: bytes) -> str:
    return value.hex() if any(value) else ""
