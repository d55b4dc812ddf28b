"""The folder of `heliograph tail --database` opens in a real Datasette, and every query of it works."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
import yaml
from datasette.app import Datasette

from heliograph.errors import FileFormatError
from heliograph.receiver.datasette_folder import open_folder
from processes import datasette
from receiver.requests import TRACE, attributes, log_request, span_request, sum_request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an event that arrived in three ways, one as a span event alone, an operation on a token, and metrics."""
    store = open_folder(tmp_path / "new" / "telemetry")
    event = log_request("app.ban_user", trace=TRACE, log__record__uid="u1", user__id="ada", heliograph__token__id="t1")
    row = log_request("datasette.update_row", user__id="bob", db__namespace="shop", db__collection__name="orders")
    [record] = row.resource_logs[0].scope_logs[0].log_records
    record.attributes.extend(attributes(datasette__update_row__pks="7"))
    for request in (
        event,
        event,
        row,
        log_request(""),
        span_request("GET /", "app.ban_user", uid="u1"),
        span_request("GET /x", "app.seen", uid="u2", span_id=b"x" * 8),
        span_request(
            "token.verify",
            span_id=b"t" * 8,
            heliograph__token__result="valid",
            heliograph__token__id="t1",
            user__hash="sha256:1",
        ),
        sum_request("heliograph.outbox.dead", 1),
        sum_request("heliograph.outbox.rejected", 0),
        sum_request("otel.sdk.exporter.span.exported", 5),
        sum_request("otel.sdk.exporter.span.exported", 2, error__type="timeout"),
    ):
        store.add(request)
    return tmp_path / "new" / "telemetry"


def queries(folder: Path) -> list[str]:
    """Return the names of the stored queries."""
    return list(yaml.safe_load((folder / "datasette.yaml").read_text())["databases"]["events"]["queries"])


def test_views_show_each_event_once(folder: Path) -> None:
    """An event may have arrived more than once, and in either form."""
    store = open_folder(folder)

    events = store.rows("select * from event_view order by time_unix_nano desc, name")
    [token] = store.rows("select * from token_view")

    assert [(row["name"], row["actor"], row["token_id"], row["service"]) for row in events] == [
        ("app.ban_user", "ada", "t1", "shop"),
        ("app.seen", "ada", None, "shop"),
        ("datasette.update_row", "bob", None, "shop"),
    ]
    assert {row["time"] for row in events} == {"2027-01-15T12:00:00.000Z"}
    assert (token["operation"], token["result"], token["actor"], token["token_id"], token["duration_ms"]) == (
        "token.verify",
        "valid",
        "sha256:1",
        "t1",
        1.0,
    )
    assert len(store.rows("select * from span_view")) == 3


def test_latest_events_are_found_by_an_index(folder: Path) -> None:
    """The time of the query does not grow with the file."""
    for view, column in (
        ("event_view", "time_unix_nano"),
        ("token_view", "start_unix_nano"),
        ("span_view", "start_unix_nano"),
    ):
        plan = open_folder(folder).rows(f"explain query plan select * from {view} order by {column} desc limit 200")
        assert not [row["detail"] for row in plan if "TEMP B-TREE" in row["detail"]]


def test_datasette_opens_on_a_page_with_the_queries(folder: Path) -> None:
    """A real server shows the links on its first page, and each of them works."""
    parameters = "?token_id=t1&actor=ada&trace_id=" + TRACE.hex()
    with datasette(folder.parent, str(folder)) as server:
        home = server.get("/")
        links = re.findall(r'href="(/events/\w+)"', home.body)
        assert "Events and tokens" in home.body
        assert {f"/events/{name}" for name in queries(folder)} <= set(links)
        for name in queries(folder):
            answer = server.get(f"/events/{name}.json{parameters}&_shape=objects")
            assert answer.status == 200, (name, answer.body)
            assert answer.json["rows"], name
        changed = server.get("/events/row_changes.json").json["rows"]
        losses = server.get("/events/losses.json").json["rows"]

    assert {(row["name"], row["value"]) for row in losses} == {
        ("heliograph.outbox.dead", 1.0),
        ("otel.sdk.exporter.span.exported", 2.0),
    }
    assert [(row["actor"], row["database"], row["table"], row["pks"]) for row in changed] == [
        ("bob", "shop", "orders", "7")
    ]


def test_files_that_people_changed_are_kept(folder: Path) -> None:
    """The folder can be used again, and is its owner's alone."""
    (folder / "metadata.yaml").write_text("title: Mine")
    (folder / "datasette.yaml").unlink()

    store = open_folder(folder)

    assert (folder / "metadata.yaml").read_text() == "title: Mine"
    assert Datasette(config=yaml.safe_load((folder / "datasette.yaml").read_text()))
    assert len(store.rows("select * from events")) == 4
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.db").write_text("mine")
    with pytest.raises(FileFormatError):
        open_folder(tmp_path)
