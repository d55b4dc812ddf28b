"""The telemetry of one service that arrived at a real Collector and a real Jaeger, and checks of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from backends import Collector, Jaeger, LogRecord, Metric, Span, SpanEvent, wait_until
from heliograph.tokens.verification import token_id_of

Trace = list[Span]

SHARE_OF_A_TOKEN = 12
"""The number of successive characters of a token that are too many to appear elsewhere by chance."""


@dataclass(frozen=True)
class Arrived:
    """The telemetry of a service whose process has ended. The Collector has all of it by then, and Jaeger soon after."""

    service: str
    collector: Collector
    jaeger: Jaeger

    def traces(self) -> list[Trace]:
        """Wait until Jaeger has every span that the Collector has, and return its traces."""
        sent = {span.span_id for span in self.collector.traces() if span.resource["service.name"] == self.service}
        assert sent

        def complete() -> list[Trace] | None:
            now = datetime.now(timezone.utc)
            traces = self.jaeger.traces(self.service, now - timedelta(minutes=10), now + timedelta(minutes=1))
            return traces if {span.span_id for trace in traces for span in trace} == sent else None

        return wait_until(complete)

    def logs(self) -> list[LogRecord]:
        """Return the log records, duplicates included."""
        return [record for record in self.collector.logs() if record.resource["service.name"] == self.service]

    def metrics(self) -> list[Metric]:
        """Return the metrics. A metric is there once for each time that it was exported."""
        return [metric for metric in self.collector.metrics() if metric.resource["service.name"] == self.service]

    def assert_free_of(self, tokens: Iterable[str]) -> None:
        """Assert that no part of a token arrived, and that the Collector had none to mask."""
        traces = self.traces()
        kept = self.collector.raw().decode() + json.dumps([[repr(span) for span in trace] for trace in traces])
        assert [share for token in tokens for share in shares(token) if share in kept] == []
        everything = [*(span for trace in traces for span in trace), *self.logs(), *self.metrics()]
        masked = [thing for thing in everything if "redaction." in repr(thing) or "****" in repr(thing)]
        assert masked == []


def shares(token: str) -> list[str]:
    """Return every part of a signed token that is long enough to reveal something about it."""
    secret = token.removeprefix("dstok_")
    return [secret[start : start + SHARE_OF_A_TOKEN] for start in range(len(secret) - SHARE_OF_A_TOKEN + 1)]


def server_spans(traces: Iterable[Trace], path: str) -> list[tuple[Span, Trace]]:
    """Return the HTTP spans of requests to a path, each with its trace."""
    return [(span, trace) for trace in traces for span in trace if span.kind == "SERVER" and path_of(span) == path]


def path_of(span: Span) -> str:
    """Return the path of the request, from the attribute of the current or of the old HTTP conventions."""
    return str(span.attributes.get("url.path") or span.attributes.get("http.target"))


def below(span: Span, name: str, trace: Trace) -> list[Span]:
    """Return the spans with this name that are descendants of the span."""
    parents = {each.span_id: each.parent_id for each in trace}

    def is_below(span_id: str | None) -> bool:
        parent = parents.get(span_id or "")
        return parent == span.span_id or (parent is not None and is_below(parent))

    return [each for each in trace if each.name == name and is_below(each.span_id)]


def without_uid(event: SpanEvent | LogRecord) -> dict[str, object]:
    """Return the attributes of the event, without its unique id, and without the name that a span event has among them."""
    return {
        name: value for name, value in event.attributes.items() if name not in {"log.record.uid", "otel.event.name"}
    }


def credential(token: str) -> dict[str, object]:
    """Return the attributes by which telemetry names a signed token."""
    return {"heliograph.token.id": token_id_of(token, None), "heliograph.token.handler": "signed"}


def assert_same_event(record: LogRecord, event: SpanEvent, span: Span) -> None:
    """Assert that the log record belongs to the span, and has the same name, time, id and attributes as the span event."""
    assert (record.event_name, record.time_unix_nano) == (event.name, event.time_unix_nano)
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert {**record.attributes, "otel.event.name": event.name} == event.attributes
    assert record.attributes["log.record.uid"]
