"""Recorded events are read from a Collector's files and from the receiver's store."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.cli.recordings import read_recorded
from heliograph.errors import FileFormatError
from heliograph.receiver.store import Store
from heliograph.schema.drafts.from_events import RecordedEvent


def pair(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "value": value}


def logs(**record: Any) -> str:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]})


LOG = logs(
    timeUnixNano="1767322800000000000",
    severityNumber=13,
    eventName="shop.order",
    traceId="0123456789abcdef0123456789abcdef",
    spanId="0123456789abcdef",
    newFieldOfTomorrow=1,
    attributes=[
        pair("log.record.uid", {"stringValue": "u1"}),
        pair("shop.order.total", {"intValue": "3"}),
        pair("shop.order.tags", {"arrayValue": {"values": [{"stringValue": "a"}]}}),
    ],
)
TRACE = json.dumps(
    {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "0123456789abcdef0123456789abcdef",
                                "spanId": "0123456789abcdef",
                                "name": "request",
                                "newFieldOfTomorrow": 1,
                                "events": [
                                    {
                                        "name": "shop.order",
                                        "attributes": [pair("log.record.uid", {"stringValue": "u1"})],
                                    },
                                    {
                                        "name": "shop.sale",
                                        "attributes": [pair("log.record.uid", {"stringValue": "u2"})],
                                    },
                                    {"name": "exception", "attributes": []},
                                ],
                            }
                        ]
                    }
                ]
            }
        ]
    }
)


def test_events_are_read_from_lines_of_otlp(tmp_path: Path) -> None:
    """Log records, and span events without a log record, are events; each is read once, with the types of its values."""
    path = tmp_path / "events.jsonl"
    path.write_text(
        f"{LOG}\n\n{TRACE}\n{logs(body={'stringValue': 'no event'})}\n" + json.dumps({"resourceMetrics": []})
    )

    assert list(read_recorded(path)) == [
        RecordedEvent(
            event_name="shop.order",
            attributes={"log.record.uid": "u1", "shop.order.total": 3, "shop.order.tags": ["a"]},
            severity_number=13,
        ),
        RecordedEvent(event_name="shop.sale", attributes={"log.record.uid": "u2"}),
    ]


@pytest.mark.parametrize("is_log_first", [True, False])
def test_severity_of_an_event_without_attributes_is_kept(tmp_path: Path, is_log_first: bool) -> None:
    """The log record has no more attributes than the span event that refers to it, but it has the severity."""
    log = logs(eventName="shop.sale", severityNumber=13, attributes=[pair("log.record.uid", {"stringValue": "u2"})])
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join([log, TRACE] if is_log_first else [TRACE, log]), encoding="utf-8")

    found = [event for event in read_recorded(path) if event.event_name == "shop.sale"]
    assert found == [
        RecordedEvent(event_name="shop.sale", attributes={"log.record.uid": "u2"}, severity_number=13),
    ]


def test_event_that_arrived_twice_is_read_once(tmp_path: Path) -> None:
    """A sender repeats a request whose response it did not get."""
    path = tmp_path / "events.jsonl"
    path.write_text(f"{LOG}\n{LOG}\n", encoding="utf-8")

    assert [event.event_name for event in read_recorded(path)] == ["shop.order"]


def test_events_are_read_from_a_store(tmp_path: Path) -> None:
    """The tables of a store give the same events as lines of OTLP."""
    path = tmp_path / "demo.db"
    store = Store(path)
    ids = '"traceId": "0123456789abcdef0123456789abcdef", "spanId": "0123456789abcdef", '  # protobuf cannot read them
    store.add(json_format.Parse(LOG.replace(ids, ""), ExportLogsServiceRequest(), ignore_unknown_fields=True))
    store.add(json_format.Parse(TRACE.replace(ids, ""), ExportTraceServiceRequest(), ignore_unknown_fields=True))

    found = list(read_recorded(path))

    assert [(event.event_name, event.severity_number) for event in found] == [("shop.order", 13), ("shop.sale", None)]
    assert found[0].attributes == {"log.record.uid": "u1", "shop.order.total": 3, "shop.order.tags": ["a"]}


REFERENCE = json.loads(TRACE)
REFERENCE["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["events"][0]["attributes"].append(
    pair("otel.event.name", {"stringValue": "shop.order"})
)


@pytest.mark.parametrize("lines", [(LOG, json.dumps(REFERENCE)), (json.dumps(REFERENCE), LOG)])
def test_span_event_that_refers_to_a_log_record_does_not_replace_it(tmp_path: Path, lines: tuple[str, str]) -> None:
    """The attributes are in the log record alone, whichever arrived first. An event without attributes is read, too."""
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")

    assert [(event.event_name, len(event.attributes)) for event in read_recorded(path)] == [
        ("shop.order", 3),
        ("shop.sale", 1),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2"),
        ("[]", "line 2: this is not an OTLP request in JSON"),
        ('{"a": 1}', "line 2: this is not an OTLP request in JSON"),
        ('{"resourceLogs": 3}', "line 2"),
        (logs(attributes=[pair("a", {"intValue": "many"})]), "line 2"),
        ("[" * 100_000, "line 2"),
        *(
            (logs(**{key: value}), f"line 2: the {key} of a record is not a text")
            for key in ("traceId", "spanId")
            for value in ([], {}, 5)
        ),
    ],
)
def test_line_that_is_not_otlp_is_reported(tmp_path: Path, line: str, problem: str) -> None:
    """The message names the file and the line."""
    path = tmp_path / "events.jsonl"
    path.write_text(f"{LOG}\n{line}\n")

    with pytest.raises(FileFormatError, match=rf"events\.jsonl, {problem}"):
        list(read_recorded(path))


def test_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    """The message names a file that is no text, and one that is missing."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\xff\xfe\n")

    with pytest.raises(FileFormatError, match=r"events\.jsonl cannot be read"):
        list(read_recorded(path))
    with pytest.raises(FileFormatError, match=r"gone\.jsonl cannot be read"):
        list(read_recorded(tmp_path / "gone.jsonl"))


def test_events_without_unique_id_are_all_read(tmp_path: Path) -> None:
    """Another program may emit such events. Nothing shows if two of them are the same."""
    path = tmp_path / "events.jsonl"
    path.write_text(f"{logs(eventName='shop.order')}\n" * 2)

    assert (
        list(read_recorded(path)) == [RecordedEvent(event_name="shop.order", attributes={}, severity_number=None)] * 2
    )


def test_records_in_a_store_that_are_not_events_are_not_read(tmp_path: Path) -> None:
    """These are log records without an event name, and span events without a unique id."""
    path = tmp_path / "demo.db"
    store = Store(path)
    log_record, traces = ExportLogsServiceRequest(), ExportTraceServiceRequest()
    log_record.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "no event"
    store.add(log_record)
    traces.resource_spans.add().scope_spans.add().spans.add(name="request").events.add(name="exception")
    store.add(traces)

    assert list(read_recorded(path)) == []


def test_store_that_is_damaged_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "demo.db"
    Store(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into events (event_name, attributes) values ('shop.order', 'no JSON')")

    with pytest.raises(FileFormatError, match=r"demo\.db"):
        list(read_recorded(path))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop table events")
    with pytest.raises(FileFormatError, match=r"demo\.db: no such table"):
        list(read_recorded(path))


def test_event_with_a_uid_of_another_type_is_read(tmp_path: Path) -> None:
    """Such an attribute is another program's, and distinguishes nothing."""
    path = tmp_path / "events.jsonl"
    path.write_text(logs(eventName="a.b", attributes=[pair("log.record.uid", {"arrayValue": {}})]) + "\n")

    assert [event.attributes for event in read_recorded(path)] == [{"log.record.uid": []}]
