"""Read recorded events from a file: a receiver's `Store`, or lines of OTLP JSON from a Collector's file exporter."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.errors import FileFormatError
from heliograph.otlp import decode_attributes, without_ids
from heliograph.receiver.store import is_store
from heliograph.schema.drafts.from_events import RecordedEvent
from heliograph.semconv import EVENT_NAME, LOG_RECORD_UID
from heliograph.sqlite_file import open_read_only

_OF_A_REFERENCE: Final = frozenset({LOG_RECORD_UID, EVENT_NAME})
"""All attributes of a span event that only refers to a log record (the setting `HELIOGRAPH_SPAN_EVENT=reference`)."""
_REQUEST_KEYS: Final = ("resourceLogs", "resourceSpans", "resourceMetrics")


def read_recorded(path: Path) -> Iterator[RecordedEvent]:
    """Yield the events of a file. An event that was recorded several times, or both as log record and as span event, is yielded once.

    A span event that may only refer to a log record lacks its attributes. It is yielded at the end, if its log record is not in the file.

    Raises:
        FileFormatError: The file is neither a receiver's file nor lines of OTLP JSON, or it is damaged. The message names the file and,
            for OTLP JSON, the line.
    """
    seen: set[str] = set()
    references: dict[str, RecordedEvent] = {}
    for event in _read_store(path) if is_store(path) else _read_lines(path):
        uid = event.attributes.get(LOG_RECORD_UID)
        if not isinstance(uid, str):
            # Another program recorded this event, without an id.
            yield event
        elif event.severity_number is None and event.attributes.keys() <= _OF_A_REFERENCE:
            references[uid] = event
        elif uid not in seen:
            seen.add(uid)
            yield event
    yield from (event for uid, event in references.items() if uid not in seen)


def _read_store(path: Path) -> Iterator[RecordedEvent]:
    query = """
        select event_name, severity_number, attributes from events where event_name != ''
        union all
        select event_name, null, attributes from span_events where uid is not null
    """
    try:
        with closing(open_read_only(path)) as connection:
            for event_name, severity_number, attributes in connection.execute(query):
                yield RecordedEvent(
                    event_name=event_name, attributes=json.loads(attributes), severity_number=severity_number
                )
    except (sqlite3.Error, ValueError) as error:
        raise FileFormatError(f"{path}: {error}") from error


def _read_lines(path: Path) -> Iterator[RecordedEvent]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield from _read_line(line, f"{path}, line {number}")
    except (OSError, UnicodeError) as error:
        raise FileFormatError(f"{path} cannot be read: {error}") from error


def _read_line(line: str, place: str) -> Iterator[RecordedEvent]:
    try:
        yield from _request_events(json.loads(line))
    # RecursionError is raised for JSON that is nested too deep.
    except (RecursionError, ValueError, json_format.ParseError) as error:
        raise FileFormatError(f"{place}: {error}") from error


def _request_events(document: object) -> Iterator[RecordedEvent]:
    if not isinstance(document, dict) or not document.keys() & set(_REQUEST_KEYS):
        raise ValueError(f"this is not an OTLP request in JSON: it has none of the keys {', '.join(_REQUEST_KEYS)}")
    # protobuf would read the hexadecimal ids as base64.
    readable = without_ids(document)
    if "resourceLogs" in document:
        yield from _log_record_events(json_format.ParseDict(readable, ExportLogsServiceRequest(), True))
    if "resourceSpans" in document:
        yield from _span_events(json_format.ParseDict(readable, ExportTraceServiceRequest(), True))


def _log_record_events(request: ExportLogsServiceRequest) -> Iterator[RecordedEvent]:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                # A log record without an event name is not an event.
                if record.event_name:
                    yield RecordedEvent(
                        event_name=record.event_name,
                        attributes=decode_attributes(record.attributes),
                        severity_number=record.severity_number or None,
                    )


def _span_events(request: ExportTraceServiceRequest) -> Iterable[RecordedEvent]:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                for event in span.events:
                    attributes = decode_attributes(event.attributes)
                    # Other span events, such as exceptions, are not events of an application.
                    if LOG_RECORD_UID in attributes:
                        yield RecordedEvent(event_name=event.name, attributes=attributes)
