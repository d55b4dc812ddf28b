"""``heliograph demo``: run a small program, receive its telemetry, and print it. No other server is needed.

The program, `heliograph.cli.demo_program`, runs in another process, so that it exports over the network as a real program
does. This process runs the receiver, whose threads write to the store while the program runs. Everything is printed after both
have ended. Texts from the store are printed with `display`: any program of this machine can send to the receiver.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.terminal import time_of_day
from heliograph.values.text import display

if TYPE_CHECKING:
    from heliograph.receiver.store import Store

PROGRAM_TIMEOUT_SECONDS = 60
"""The time after which the program is killed."""

COUNT_QUERIES = {
    "events": "select count(distinct uid) from events where event_name != ''",
    "span_events": "select count(distinct uid) from span_events",
    "token_spans": "select count(*) from spans where name like 'token.%'",
}
"""The queries that count what arrived, by the names that the program uses to report what it sent.

Events are counted by their unique ids, since an exporter that retries may deliver one twice.
"""


@click.command()
@click.option(
    "--database",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("heliograph-demo.db"),
    show_default=True,
    help="The SQLite file for the received telemetry. The file of an earlier demo is replaced.",
)
def demo(database: Path) -> None:
    """Run a small program, and show the telemetry that it sends.

    The program tracks events inside and outside of spans, creates a token, verifies valid, expired and forged tokens,
    and exports everything with OTLP to the demo's own receiver on a free port of 127.0.0.1.
    """
    # imported here, because protobuf takes a while to import and most commands do not need it
    from heliograph.receiver.server import receiving
    from heliograph.receiver.store import Store, is_store

    if database.exists() and not is_store(database):
        raise click.ClickException(
            f"{database} is not the file of an earlier demo and is not replaced; choose another file with --database"
        )
    try:
        database.unlink(missing_ok=True)
        store = Store(database)
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(
            f"{database} cannot be written: {error}; choose another file with --database"
        ) from error
    with receiving(store) as endpoint:
        click.echo(f"An OTLP receiver listens at {endpoint}. A small forum sends its telemetry there …")
        sent = run_program(endpoint)
    print_events(store.rows("select * from events order by time_unix_nano"))
    print_spans(store)
    print_metrics(
        store.rows("select * from metrics where name like 'heliograph.%' and value != 0 order by name, attributes")
    )
    arrived = {what: store.rows(sql)[0][0] for what, sql in COUNT_QUERIES.items()}
    if not print_result(sent, arrived, database):
        sys.exit(1)


def run_program(endpoint: str) -> Mapping[str, int]:
    """Run the program, and return the number of events, span events and spans that it reports to have sent."""
    # The caller's own OTEL_* and HELIOGRAPH_* settings must not change what the demo shows, or send it elsewhere.
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "HELIOGRAPH_"))}
    environ |= {
        "OTEL_SERVICE_NAME": "forum",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "NO_PROXY": "127.0.0.1",
    }
    try:
        program = subprocess.run(
            [sys.executable, "-m", "heliograph.cli.demo_program"],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PROGRAM_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise click.ClickException(
            f"the demo's program did not end within {PROGRAM_TIMEOUT_SECONDS} seconds and was killed"
        ) from error
    if program.returncode:
        raise click.ClickException(
            f"the demo's program failed with exit status {program.returncode}; its errors are printed above"
        )
    sent: Mapping[str, int] = json.loads(program.stdout.splitlines()[-1])
    return sent


def print_events(events: Iterable[sqlite3.Row]) -> None:
    """Print the events in the order of their times, with actor, body and attributes."""
    print_heading("Events, as log records")
    for event in events:
        name = click.style(display(event["event_name"]).ljust(20), fg="cyan", bold=True)
        actor = click.style(display(event["user_id"] or "–"), fg="green")
        where = f"trace {event['trace_id'][:8]}…" if event["trace_id"].strip("0") else "outside of spans"
        click.echo(f"{time_of_day(event['time_unix_nano'])}  {name}  by {actor}, {where}")
        click.echo(f"    {display(event['body'])}")
        print_attributes(event["attributes"])


def print_spans(store: Store) -> None:
    """Print the spans as trees, each with its span events."""
    print_heading("Spans, with their span events")
    rows = store.rows("select * from spans order by start_unix_nano")
    ids = {row["span_id"] for row in rows}
    for row in rows:
        if row["parent_span_id"] not in ids:
            print_span(store, rows, row, depth=0)


def print_span(store: Store, rows: list[sqlite3.Row], span: sqlite3.Row, *, depth: int) -> None:
    """Print a span, its span events, and its child spans."""
    indent = "    " * depth
    millis = (span["end_unix_nano"] - span["start_unix_nano"]) / 1e6
    attributes = json.loads(span["attributes"])
    result = display(str(attributes.get("heliograph.token.result", "")))
    click.echo(
        f"{indent}{click.style(display(span['name']), fg='yellow', bold=True)}  {millis:.2f} ms  {result}".rstrip()
    )
    sql = "select * from span_events where span_id = ? order by time_unix_nano"
    for event in store.rows(sql, [span["span_id"]]):
        click.echo(f"{indent}    ◆ {click.style(display(event['event_name']), fg='cyan')}")
    for child in rows:
        if child["parent_span_id"] == span["span_id"]:
            print_span(store, rows, child, depth=depth + 1)


def print_metrics(metrics: Iterable[sqlite3.Row]) -> None:
    """Print one line per data point."""
    print_heading("Metrics")
    for metric in metrics:
        attributes = display(", ".join(str(value) for value in json.loads(metric["attributes"]).values()))
        value = (
            f"{metric['count']} × {metric['value'] / metric['count']:.6f} s"
            if metric["count"]
            else f"{metric['value']:.0f}"
        )
        click.echo(f"{click.style(display(metric['name']).ljust(34), fg='magenta')}  {attributes:<24} {value}")


def print_attributes(attributes: str) -> None:
    """Print one line per attribute, except for those that `print_events` has already printed."""
    for name, value in json.loads(attributes).items():
        if name not in {"log.record.uid", "user.id"}:
            click.echo(f"    {click.style(display(name), dim=True)} = {display(json.dumps(value, ensure_ascii=False))}")


def print_result(sent: Mapping[str, int], arrived: Mapping[str, int], database: Path) -> bool:
    """Print the numbers of what was sent and what arrived, and return True if they are the same and the flush succeeded."""
    print_heading("Result")
    complete = bool(sent["flushed"]) and all(arrived[what] == sent[what] for what in arrived)
    for what, count in arrived.items():
        click.echo(f"{what.replace('_', ' ')}: {sent[what]} sent, {count} arrived")
    summary = (
        click.style("Everything arrived.", fg="green") if complete else click.style("Not everything arrived.", fg="red")
    )
    click.echo(f"{summary} It is stored in {database}. To look at it with Datasette, run:\n\n    datasette {database}")
    return complete


def print_heading(text: str) -> None:
    """Print the heading of a section."""
    click.echo(f"\n{click.style(text, bold=True, underline=True)}")
