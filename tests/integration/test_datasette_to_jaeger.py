"""A real Datasette exports over HTTP to a real Collector, which forwards to a real Jaeger."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from arrived import Arrived, assert_same_event, below, credential, server_spans, without_uid
from backends import Collector, Jaeger
from heliograph import Host, Settings, SignedTokenHandler
from heliograph.semconv import OWN_EVENTS
from processes import clean_environment, datasette, otlp, run

SECRET = "the secret that Datasette and the tokens share"

PERMISSIONS = ("create-table", "insert-row", "update-row", "delete-row", "drop-table")

TABLE = {"db.namespace": "data", "db.collection.name": "plants"}


@dataclass(frozen=True)
class Write:
    """A request to Datasette's write API, and the event that Datasette tracks for it."""

    path: str
    body: dict[str, Any]
    event: str
    attributes: dict[str, Any]


WRITES = (
    Write(
        "/data/-/create",
        {
            "table": "plants",
            "columns": [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}],
            "pk": "id",
        },
        "datasette.create_table",
        {
            **TABLE,
            "datasette.create_table.schema": 'CREATE TABLE "plants" (\n   "id" INTEGER PRIMARY KEY,\n   "name" TEXT\n)',
        },
    ),
    Write(
        "/data/plants/-/insert",
        {"rows": [{"id": 1, "name": "Fern"}, {"id": 2, "name": "Moss"}]},
        "datasette.insert_rows",
        {
            **TABLE,
            "datasette.insert_rows.num_rows": 2,
            "datasette.insert_rows.ignore": False,
            "datasette.insert_rows.replace": False,
        },
    ),
    Write(
        "/data/plants/1/-/update",
        {"update": {"name": "Bracken"}},
        "datasette.update_row",
        {**TABLE, "datasette.update_row.pks": ["1"]},
    ),
    Write("/data/plants/2/-/delete", {}, "datasette.delete_row", {**TABLE, "datasette.delete_row.pks": ["2"]}),
    Write("/data/plants/-/drop", {"confirm": True}, "datasette.drop_table", TABLE),
)

REJECTED = {"invalid": "/data/plants/-/upsert", "expired": "/data/plants/3/-/update"}


@dataclass(frozen=True)
class Session:
    """The results of a Datasette that has ended: response statuses by path, tokens by result, output, and arrived telemetry."""

    statuses: dict[str, int]
    tokens: dict[str, str]
    exit_status: int
    output: str
    arrived: Arrived


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, collector: Collector, jaeger: Jaeger) -> Iterator[Session]:
    directory = tmp_path_factory.mktemp("datasette")
    sqlite3.connect(directory / "data.db").execute("vacuum").connection.close()
    config = {"permissions": {action: {"id": "alice"} for action in PERMISSIONS}}
    (directory / "datasette.json").write_text(json.dumps(config))
    good, forged, expired = good_token(directory), forged_token(), expired_token()
    service = f"datasette-{uuid4()}"
    with datasette(
        directory,
        *("data.db", "--config", "datasette.json"),
        secret=SECRET,
        **otlp(collector.otlp_http_endpoint, OTEL_SERVICE_NAME=service, HELIOGRAPH_OPT_IN="*"),
    ) as server:
        statuses = {write.path: server.post(write.path, write.body, good).status for write in WRITES}
        statuses[REJECTED["invalid"]] = server.post(REJECTED["invalid"], {"rows": []}, forged).status
        statuses[REJECTED["expired"]] = server.post(REJECTED["expired"], {"update": {}}, expired).status
        exit_status = server.stop()
    tokens = {"valid": good, "invalid": forged, "expired": expired}
    return Session(statuses, tokens, exit_status, server.output(), Arrived(service, collector, jaeger))


def good_token(directory: Any) -> str:
    """Return a token that Datasette's own command created."""
    command = [sys.executable, "-m", "datasette", "create-token", "alice", "--secret", SECRET, "--expires-after", "600"]
    made = run(command, cwd=directory, env=clean_environment(DATASETTE_LOAD_PLUGINS="heliograph"))
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def forged_token() -> str:
    """Return a token that a `Host` with another secret signed."""
    with Host(Settings(secret=("not the secret",))) as host:
        return host.call(host.create_token, "alice")


def expired_token() -> str:
    """Return a token that a `Host` with the same secret signed an hour ago, with a lifetime of a minute."""
    with Host(Settings(secret=(SECRET,))) as host:
        an_hour_ago = SignedTokenHandler(clock=lambda: time.time() - 3600)
        return host.call(an_hour_ago.create_token, host, "alice", expires_after=60)


def test_datasette_responds_as_without_the_plugin_and_stops_without_messages(session: Session) -> None:
    """The writes succeed, forged and expired tokens are rejected, and nothing is logged when SIGTERM stops the server."""
    assert {session.statuses[write.path] for write in WRITES} == {200, 201}
    assert {session.statuses[path] for path in REJECTED.values()} == {401}
    assert session.exit_status in {0, -15}
    assert "Traceback" not in session.output
    assert "heliograph" not in session.output


@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.event)
def test_each_write_is_one_trace_with_its_token_and_its_event(session: Session, write: Write) -> None:
    """Jaeger has the HTTP span with the event, its actor and properties, and `token.verify` below the span."""
    [(server, trace)] = server_spans(session.arrived.traces(), write.path)
    [verify] = below(server, "token.verify", trace)
    [event] = [event for span in trace for event in span.events if event.name.startswith("datasette.")]

    assert verify.scope == "heliograph"
    assert verify.kind == "INTERNAL"
    assert verify.status == "UNSET"
    good = credential(session.tokens["valid"])
    assert verify.attributes == {
        **good,
        "heliograph.token.result": "valid",
        "user.id": "alice",
    }
    assert event in server.events
    assert event.name == write.event
    assert good.items() <= server.attributes.items()
    assert without_uid(event) == {**write.attributes, **good, "user.id": "alice"}


@pytest.mark.parametrize("result", REJECTED)
def test_each_rejected_token_is_one_trace_with_its_result(session: Session, result: str) -> None:
    """Jaeger has the HTTP span with status 401, and below it `token.verify` with the result. There is no error and no event."""
    [(server, trace)] = server_spans(session.arrived.traces(), REJECTED[result])
    [verify] = below(server, "token.verify", trace)

    assert server.attributes["http.response.status_code"] == 401
    known = credential(session.tokens[result]) if result == "expired" else {"heliograph.token.handler": "signed"}
    assert verify.attributes == {**known, "heliograph.token.result": result}
    assert verify.status == "UNSET"
    assert [event.name for span in trace for event in span.events if span.scope == "heliograph"] == []
    assert [event.name for event in server.events if event.name.startswith("datasette.")] == []


def test_each_event_is_exactly_one_log_record_of_its_span(session: Session) -> None:
    """The Collector has one record for each event, in order, with its name and the ids of the span that has the event."""
    records = [record for record in session.arrived.logs() if record.event_name not in OWN_EVENTS]
    spans = {span.span_id: span for trace in session.arrived.traces() for span in trace}

    assert [record.event_name for record in records] == [write.event for write in WRITES]
    for record in records:
        span = spans[record.span_id or ""]
        [event] = [event for event in span.events if event.name == record.event_name]
        assert_same_event(record, event, span)
        assert record.scope == "heliograph"
        assert record.severity_number == 9
        assert record.severity_text == ""
    assert [record.body for record in records] == [write.event.split(".")[1].replace("_", "-") for write in WRITES]
    assert len({record.attributes["log.record.uid"] for record in records}) == len(WRITES)


def test_events_and_tokens_are_measured(session: Session) -> None:
    """The last export of metrics has the number of events by name, and the durations of token operations by result."""
    metrics = {metric.name: metric for metric in session.arrived.metrics()}

    events, verified = metrics["heliograph.events"], metrics["heliograph.token.verify.duration"]
    assert {str(point.attributes["otel.event.name"]): point.value for point in events.points if point.value} == {
        **{write.event: 1 for write in WRITES},
        "heliograph.token_rejected": 2,
    }
    assert {point.attributes["heliograph.token.result"]: point.count for point in verified.points} == {
        "valid": len(WRITES),
        "invalid": 1,
        "expired": 1,
    }


def test_no_part_of_a_token_arrived(session: Session) -> None:
    """The Collector's files and Jaeger contain no part of a token, and the Collector masked nothing."""
    session.arrived.assert_free_of(session.tokens.values())
