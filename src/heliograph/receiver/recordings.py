"""Events that were recorded: in lines of OTLP JSON, as a Collector's file exporter writes them, or in a `Store`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.errors import FileFormatError
from heliograph.otlp import decode_attributes, without_ids
from heliograph.receiver.store import is_store
from heliograph.schema.drafts.from_events import RecordedEvent
from heliograph.semconv import LOG_RECORD_UID


def read_recorded(path: Path) -> Iterator[RecordedEvent]:
    """The events in a file; one that is there as a log record and as a span event, once.

    Raises:
        FileFormatError: The file is neither; names the line.
    """
    seen: set[object] = set()
    for event in _of_store(path) if is_store(path) else _of_lines(path):
        uid = event.attributes.get(LOG_RECORD_UID)
        if uid is None or uid not in seen:
            seen.add(uid)
            yield event


def _of_store(path: Path) -> Iterator[RecordedEvent]:
    query = """
        select event_name, severity_number, attributes from events where event_name != ''
        union all
        select event_name, null, attributes from span_events where uid is not null
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for event_name, severity_number, attributes in connection.execute(query):
                yield RecordedEvent(
                    event_name=event_name, attributes=json.loads(attributes), severity_number=severity_number
                )
    except (sqlite3.Error, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from error


def _of_lines(path: Path) -> Iterator[RecordedEvent]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield from _of_line(line, f"{path}, line {number}")
    except (OSError, UnicodeError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error


def _of_line(line: str, place: str) -> Iterator[RecordedEvent]:
    try:
        document = json.loads(line)
        if not isinstance(document, dict) or not document.keys() & {"resourceLogs", "resourceSpans", "resourceMetrics"}:
            raise FileFormatError(f"{place}: it is no request of OTLP in JSON")
        readable = without_ids(document)
        if "resourceLogs" in document:
            yield from _of_logs(json_format.ParseDict(readable, ExportLogsServiceRequest(), True))
        if "resourceSpans" in document:
            yield from _of_spans(json_format.ParseDict(readable, ExportTraceServiceRequest(), True))
    except (RecursionError, ValueError, json_format.ParseError) as error:
        raise error if isinstance(error, FileFormatError) else FileFormatError(f"{place}: {error}") from error


def _of_logs(request: ExportLogsServiceRequest) -> Iterator[RecordedEvent]:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if record.event_name:
                    yield RecordedEvent(
                        event_name=record.event_name,
                        attributes=decode_attributes(record.attributes),
                        severity_number=record.severity_number or None,
                    )


def _of_spans(request: ExportTraceServiceRequest) -> Iterable[RecordedEvent]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                for event in span.events:
                    attributes = decode_attributes(event.attributes)
                    if LOG_RECORD_UID in attributes:  # others are span events that are no events of an application
                        yield RecordedEvent(event_name=event.name, attributes=attributes)
