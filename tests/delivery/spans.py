"""Helpers for tests of spans in an outbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import IdGenerator, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from delivery.outboxes import destination
from heliograph.delivery.encoding.requests import entry_field
from heliograph.delivery.encoding.spans import encode_span
from heliograph.delivery.journal.frames import Header, Scope
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.signals import TRACES
from heliograph.delivery.span_processor import OutboxSpanProcessor


@contextmanager
def tracing_to(
    directory: Path,
    endpoint: str,
    *,
    service: str = "tests",
    sampler: Any = ALWAYS_ON,
    id_generator: IdGenerator | None = None,
    **kwargs: Any,
) -> Iterator[Any]:
    """Yield a function that makes a span and returns its id; it has the attributes `processor` and `tracer`."""
    processor = OutboxSpanProcessor(directory, **{"destination": destination(endpoint, signal="traces"), **kwargs})
    resource = Resource({"service.name": service})
    provider = TracerProvider(sampler, resource, shutdown_on_exit=False, id_generator=id_generator)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("tests", "1")

    def trace(name: str, **attributes: Any) -> str:
        with tracer.start_as_current_span(name, context=Context(), attributes=attributes) as span:
            span.add_event("app.event", attributes)
        return f"{span.get_span_context().span_id:016x}"

    trace.processor, trace.tracer = processor, tracer  # type: ignore[attr-defined]
    try:
        yield trace
    finally:
        processor.shutdown(timeout_millis=100)


def make_orphan_of_spans(directory: Path, *spans: Any) -> Path:
    """Create the folder of an ended process, with these spans of the SDK."""
    lock = OutboxDirectory(directory, max_bytes=10**9).create_folder(TRACES)
    writer = JournalWriter(lock.folder, Header(resource=b"", signal=TRACES))
    for span in spans:
        writer.append(Scope(scope=b""), entry_field(encode_span(span)))
    writer.close()
    lock.release()
    return lock.folder


def span_id(span: Any) -> str:
    """Return the id of a span as a server counts it."""
    return f"{span.get_span_context().span_id:016x}"
