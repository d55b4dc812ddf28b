"""What arrived is kept in a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from heliograph.receiver.store import Store, is_store


def logs(name: str) -> ExportLogsServiceRequest:
    """A request with one log record."""
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(event_name=name)
    return request


def test_file_can_be_read_by_others(tmp_path: Path) -> None:
    """What was kept is in the file, for whoever opens it, and is still there when it is opened again."""
    path = tmp_path / "store.db"
    for name in ("app.one", "app.two"):
        store = Store(path)
        store.add_logs(logs(name))
        store.close()

    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select event_name from events").fetchall() == [("app.one",), ("app.two",)]


def test_a_log_record_that_comes_twice_is_there_twice(tmp_path: Path) -> None:
    """Duplicates are not hidden: a retry that was delivered twice can be seen."""
    with closing(Store(tmp_path / "store.db")) as store:
        store.add_logs(logs("app.one"))
        store.add_logs(logs("app.one"))
        assert store.rows("select count(*) from events")[0][0] == 2


def test_spans_and_their_events(tmp_path: Path) -> None:
    """Span events refer to their span."""
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name="work")
    span.events.add(name="app.one")

    with closing(Store(tmp_path / "store.db")) as store:
        store.add_traces(request)
        rows = store.rows("select e.event_name, s.name from span_events e join spans s using (span_id)")

    assert [tuple(row) for row in rows] == [("app.one", "work")]


def test_metrics_keep_the_last_value(tmp_path: Path) -> None:
    """A newer data point of the same series replaces the one before."""
    with closing(Store(tmp_path / "store.db")) as store:
        for value in (1, 5):
            request = ExportMetricsServiceRequest()
            resource = request.resource_metrics.add()
            attribute = resource.resource.attributes.add(key="service.name")
            attribute.value.string_value = "shop"
            resource.scope_metrics.add().metrics.add(name="n").sum.data_points.add(as_int=value)
            store.add_metrics(request)
        assert [tuple(row) for row in store.rows("select name, value from metrics where name = ?", ["n"])] == [("n", 5)]


def test_is_store_knows_its_own_files(tmp_path: Path) -> None:
    """A file of a store is one; text, another SQLite file, and nothing at all are not."""
    own, text, other = tmp_path / "a #?%20.db", tmp_path / "text", tmp_path / "other.db"
    Store(own).close()
    text.write_text("not a database, but long enough to be taken for one by who looks at its size alone" * 20)
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table events (uid text)")

    assert is_store(own)
    assert not is_store(text)
    assert not is_store(other)
    assert not is_store(tmp_path / "missing")
    assert not (tmp_path / "missing").exists()
