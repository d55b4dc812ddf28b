"""A real Datasette with all other plugins for telemetry: each works, in every order in which they may be loaded."""

from __future__ import annotations

import re
import sqlite3
import urllib.request
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from backends import free_port, wait_until
from integrations.datasette.writable import ARGUMENTS, SECRET, configure, create_table, prepare
from otlp_receiver import Receiver
from processes import datasette, otlp

OTLP_SIBLING, VIEWER, PROMETHEUS = (
    "datasette-otel-otlp-exporter",
    "datasette-otel-viewer",
    "datasette-otel-prometheus",
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory of a Datasette."""
    prepare(tmp_path)
    return tmp_path


# The only order in which the siblings work together: the viewer has to own the TracerProvider, which the exporter
# joins, and Prometheus has to own the MeterProvider.
SIBLINGS = (PROMETHEUS, VIEWER, OTLP_SIBLING)
LOAD_ORDERS = [[*SIBLINGS[:position], "heliograph", *SIBLINGS[position:]] for position in range(4)]


@pytest.mark.parametrize("order", LOAD_ORDERS, ids=lambda order: f"{order.index('heliograph') + 1}. of 4")
def test_all_siblings_work_and_no_span_is_sent_twice(directory: Path, receiver: Receiver, order: list[str]) -> None:
    """The plugin may be loaded before, between or after its three siblings.

    The exporter sends each span once, with our events on them. The viewer keeps the spans. Prometheus fetches our metrics.
    The plugin exports each event as a log record.
    """
    port = free_port()
    configure(directory, {PROMETHEUS: {"port": port}, VIEWER: {"self_metrics": False}})
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=",".join(order), **otlp(receiver.endpoint)) as server:
        assert create_table(server) == 201
        scraped = wait_until(lambda: scrape(port))
        kept = wait_until(lambda: spans_in_the_viewers_file(directory))
        server.stop()

    sent = receiver.spans()
    assert max(Counter(span.span_id for span in sent).values()) == 1
    assert {"datasette.startup", "token.verify"} <= {span.name for span in sent}
    assert {"datasette.startup", "token.verify"} <= kept
    assert "\ndb_client_operation_duration_seconds_count{" in scraped
    assert re.search(r'^heliograph_events_total\{.*"datasette.create_table".*\} 1', scraped, re.MULTILINE)
    [record] = receiver.logs()
    assert record.event_name == "datasette.create_table"
    [(span, event)] = [(span, event) for span in sent for event in span.events if event.name == record.event_name]
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert {**record.attributes, "otel.event.name": "datasette.create_table"} == event.attributes
    assert "disabled" not in server.output()


@pytest.mark.parametrize(
    ("chosen", "count"), [({}, 1), ({"OTEL_TRACES_EXPORTER": "none"}, 0)], ids=["unsaid", "intended"]
)
def test_spans_that_a_sibling_keeps_are_a_warning(
    directory: Path, receiver: Receiver, chosen: dict[str, str], count: int
) -> None:
    """With the viewer, an endpoint gets the log records and no span. The log says so once, and how to change it."""
    variables = {**otlp(receiver.endpoint), **chosen}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{VIEWER}", **variables) as server:
        assert create_table(server) == 201
        server.stop()

    assert receiver.spans() == []
    assert len(receiver.logs()) == 1
    warned = [line for line in server.output().splitlines() if "Spans, and the events in them, go to" in line]
    assert len(warned) == count
    assert all(f"go to {VIEWER} and not to an OTLP endpoint" in line for line in warned)


def test_outbox_beside_a_sibling_that_keeps_spans_is_one_warning(directory: Path, receiver: Receiver) -> None:
    """The warning says where the spans go, and names the one way to get them into the outbox."""
    variables = {**otlp(receiver.endpoint), "HELIOGRAPH_OUTBOX": str(directory / "outbox")}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{VIEWER}", **variables) as server:
        server.stop()

    [warned] = [line for line in server.output().splitlines() if "outbox" in line or "DATASETTE_LOAD_PLUGINS" in line]
    assert f"go to {VIEWER} and not to an OTLP endpoint, nor to the outbox" in warned
    assert f"list the plugins to load in DATASETTE_LOAD_PLUGINS without {VIEWER}" in warned


def test_outbox_beside_a_sibling_that_takes_the_spans_is_a_warning(directory: Path, receiver: Receiver) -> None:
    """No span goes to the outbox: a process has one TracerProvider. The log names the call that adds the outbox's processor."""
    box = str(directory / "outbox")
    variables = {**otlp(receiver.endpoint), "HELIOGRAPH_OUTBOX": box}
    with datasette(directory, *ARGUMENTS, secret=SECRET, plugins=f"heliograph,{OTLP_SIBLING}", **variables) as server:
        server.stop()

    [warned] = [line for line in server.output().splitlines() if "the setting `outbox` has no effect" in line]
    assert f"`provider.add_span_processor(OutboxSpanProcessor({box!r}))`" in warned


def scrape(port: int) -> str | None:
    """Return the metrics that Prometheus would fetch, or `None` until our counter is among them."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        text: str = response.read().decode()
    return text if "heliograph_events" in text else None


def spans_in_the_viewers_file(directory: Path) -> set[str] | None:
    """Return the names of the spans that the viewer has stored, or `None` until `token.verify` is among them."""
    with closing(sqlite3.connect(directory / "otel.db")) as connection:
        names = {name for (name,) in connection.execute("select name from spans")}
    return names if "token.verify" in names else None
