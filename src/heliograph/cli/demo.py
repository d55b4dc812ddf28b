"""``heliograph demo``: the whole way of an event, without a server."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from sqlite3 import Row
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from heliograph.receiver.store import Store

PROGRAM_TIMEOUT_SECONDS = 60

EXPECTED = {
    "events": "select count(distinct uid) from events where event_name != ''",
    "span_events": "select count(distinct uid) from span_events",
    "token_spans": "select count(*) from spans where name like 'token.%'",
}


@click.command()
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("heliograph-demo.db"),
    show_default=True,
    help="The SQLite file for what arrives; an older one is replaced.",
)
def demo(database: Path) -> None:
    """Run a small program, and show what arrives of its telemetry.

    It tracks events inside and outside of spans, creates a token and checks good, expired and forged ones, and exports
    all of it by OTLP to a receiver of the demo's own, on a free port of 127.0.0.1.
    """
    # the receiver needs protobuf, which the other commands do not
    from heliograph.receiver.server import receiving
    from heliograph.receiver.store import Store, is_store

    if database.exists() and not is_store(database):
        raise click.ClickException(f"{database} is no file of an earlier demo, and stays; name another with --database")
    database.unlink(missing_ok=True)
    try:
        store = Store(database)
    except sqlite3.Error as error:
        raise click.ClickException(f"{database} cannot be written: {error}; name another with --database") from error
    try:
        with receiving(store) as endpoint:
            click.echo(f"An OTLP receiver listens at {endpoint}; a small forum runs, and sends there …")
            sent = run_program(endpoint)
        show_events(store.rows("select * from events order by time_unix_nano"))
        show_spans(store)
        show_metrics(store.rows("select * from metrics where name like 'heliograph.%' order by name, attributes"))
        arrived = {what: store.rows(sql)[0][0] for what, sql in EXPECTED.items()}
    finally:
        store.close()
    if not conclude(sent, arrived, database):
        sys.exit(1)


def run_program(endpoint: str) -> Mapping[str, int]:
    """Run the program, and return what it says that it sent."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "HELIOGRAPH_"))}
    environ |= {
        "OTEL_SERVICE_NAME": "forum",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "NO_PROXY": "127.0.0.1",
    }
    program = subprocess.run(
        [sys.executable, "-m", "heliograph.cli.demo_program"],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        timeout=PROGRAM_TIMEOUT_SECONDS,
        check=False,
    )
    if program.returncode:
        raise click.ClickException(f"the program ended with status {program.returncode}; its errors are above")
    sent: Mapping[str, int] = json.loads(program.stdout.splitlines()[-1])
    return sent


def show_events(events: Iterable[Row]) -> None:
    """The timeline of events, with actor and attributes."""
    heading("Events, as log records")
    for event in events:
        name = click.style(event["event_name"].ljust(20), fg="cyan", bold=True)
        actor = click.style(event["user_id"] or "–", fg="green")
        where = f"trace {event['trace_id'][:8]}…" if event["trace_id"].strip("0") else "outside of a span"
        click.echo(f"{clock(event['time_unix_nano'])}  {name}  by {actor}, {where}")
        click.echo(f"    {event['body']}")
        show_attributes(event["attributes"])


def show_spans(store: Store) -> None:
    """The spans as trees, each with its span events."""
    heading("Spans, with their span events")
    rows = store.rows("select * from spans order by start_unix_nano")
    ids = {row["span_id"] for row in rows}
    for row in rows:
        if row["parent_span_id"] not in ids:
            show_span(store, rows, row, depth=0)


def show_span(store: Store, rows: list[Row], span: Row, *, depth: int) -> None:
    """A span, its span events, and the spans below it."""
    indent = "    " * depth
    millis = (span["end_unix_nano"] - span["start_unix_nano"]) / 1e6
    attributes = json.loads(span["attributes"])
    result = attributes.get("heliograph.token.result", "")
    click.echo(f"{indent}{click.style(span['name'], fg='yellow', bold=True)}  {millis:.2f} ms  {result}".rstrip())
    sql = "select * from span_events where span_id = ? order by time_unix_nano"
    for event in store.rows(sql, [span["span_id"]]):
        click.echo(f"{indent}    ◆ {click.style(event['event_name'], fg='cyan')}")
    for below in rows:
        if below["parent_span_id"] == span["span_id"]:
            show_span(store, rows, below, depth=depth + 1)


def show_metrics(metrics: Iterable[Row]) -> None:
    """The metrics, one data point a line."""
    heading("Metrics")
    for metric in metrics:
        attributes = ", ".join(str(value) for value in json.loads(metric["attributes"]).values())
        value = (
            f"{metric['count']} × {metric['value'] / metric['count']:.6f} s"
            if metric["count"]
            else f"{metric['value']:.0f}"
        )
        click.echo(f"{click.style(metric['name'].ljust(34), fg='magenta')}  {attributes:<24} {value}")


def show_attributes(attributes: str) -> None:
    """Attributes, one a line, without those that the line above says already."""
    for name, value in json.loads(attributes).items():
        if name not in {"log.record.uid", "user.id"}:
            click.echo(f"    {click.style(name, dim=True)} = {json.dumps(value, ensure_ascii=False)}")


def conclude(sent: Mapping[str, int], arrived: Mapping[str, int], database: Path) -> bool:
    """Say whether all that was sent arrived, and how to look at it."""
    heading("Result")
    complete = bool(sent["flushed"]) and all(arrived[what] == sent[what] for what in arrived)
    for what, count in arrived.items():
        click.echo(f"{what.replace('_', ' ')}: {sent[what]} sent, {count} arrived")
    verdict = click.style("Everything arrived.", fg="green") if complete else click.style("Not all arrived.", fg="red")
    click.echo(f"{verdict} It is in {database}; with Datasette installed, look at it:\n\n    datasette {database}")
    return complete


def heading(text: str) -> None:
    """A line that begins a part."""
    click.echo(f"\n{click.style(text, bold=True, underline=True)}")


def clock(time_unix_nano: int) -> str:
    """A time of day, in UTC, to the millisecond."""
    return datetime.fromtimestamp(time_unix_nano / 1e9, tz=timezone.utc).strftime("%H:%M:%S.%f")[:-3]
