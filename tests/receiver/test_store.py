"""The receiver stores telemetry in an SQLite file.

`tests/test_sqlite_file.py` tests what it has in common with our other SQLite files.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.receiver.store import Store, StoreWriter, is_store


def logs(name: str) -> ExportLogsServiceRequest:
    """Return a request with one log record."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    return request


def test_file_can_be_read_by_others(tmp_path: Path) -> None:
    """Any SQLite program reads it, and a second store on the same file adds to it."""
    path = tmp_path / "store.db"
    for name in ("app.one", "app.two"):
        Store(path).add(logs(name))

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select event_name from events").fetchall() == [("app.one",), ("app.two",)]


def test_log_record_that_arrives_twice_is_stored_twice(tmp_path: Path) -> None:
    """Duplicates are not hidden: people can see that a retry was delivered twice."""
    store = Store(tmp_path / "store.db")
    store.add(logs("app.one"))
    store.add(logs("app.one"))

    assert store.rows("select count(*) from events")[0][0] == 2


def test_spans_are_stored_with_their_events(tmp_path: Path) -> None:
    """A span event refers to its span."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="work")
    span.events.add(name="app.one")

    store = Store(tmp_path / "store.db")
    store.add(request)
    rows = store.rows("select e.event_name, s.name from span_events e join spans s using (span_id)")

    assert [tuple(row) for row in rows] == [("app.one", "work")]


def test_metrics_keep_the_last_value(tmp_path: Path) -> None:
    """A newer data point of the same series replaces the one before."""
    store = Store(tmp_path / "store.db")
    for value in (1, 5):
        request = ExportMetricsServiceRequest()
        resource = request.resource_metrics.add()
        attribute = resource.resource.attributes.add(key="service.name")
        attribute.value.string_value = "shop"
        resource.scope_metrics.add().metrics.add(name="n").sum.data_points.add(as_int=value)
        store.add(request)

    assert [tuple(row) for row in store.rows("select name, value from metrics where name = ?", ["n"])] == [("n", 5)]


def test_request_is_stored_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    with closing(StoreWriter(store)) as writer, pytest.raises(sqlite3.OperationalError):
        writer.insert({"events": [{"event_name": "app.one"}]}, {"events": [{"no_column": 1}]})

    assert store.rows("select * from events") == []


def test_format_of_the_file(tmp_path: Path) -> None:
    """`heliograph schema infer` and people's queries read files of older versions."""
    store = Store(tmp_path / "store.db")
    tables = [
        tuple(row) for row in store.rows("select name, sql from sqlite_master where type = 'table' order by name")
    ]
    columns = {
        name: [row["name"] for row in store.rows("select name from pragma_table_info(?)", [name])] for name, _ in tables
    }

    assert store.rows("pragma application_id")[0][0] == 0x48454C49
    assert columns == {
        "events": [
            *("uid", "event_name", "time_unix_nano", "severity_number", "body", "user_id", "trace_id", "span_id"),
            *("service", "attributes"),
        ],
        "metrics": ["name", "unit", "attributes", "value", "count", "time_unix_nano", "service"],
        "span_events": ["uid", "event_name", "time_unix_nano", "trace_id", "span_id", "attributes"],
        "spans": [
            *("trace_id", "span_id", "parent_span_id", "name", "kind", "start_unix_nano", "end_unix_nano", "status"),
            *("service", "attributes"),
        ],
    }


def test_is_store_recognizes_files_of_a_store(tmp_path: Path) -> None:
    """Text, the SQLite file of another program, and a missing file are not one."""
    own, text, other = tmp_path / "a #?%20.db", tmp_path / "text", tmp_path / "other.db"
    Store(own)
    text.write_text("not a database, but long enough to be one, judged by its size" * 20)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table events (uid text)")

    assert is_store(own)
    assert not is_store(text)
    assert not is_store(other)
    assert not is_store(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
