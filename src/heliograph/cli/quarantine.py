"""``heliograph quarantine``: list, show, replay and purge the invalid events that were set aside."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, TypeVar

import click

from heliograph.cli.datasette_source import DatasetteOptions
from heliograph.cli.event_classes import load_sources, sources_argument
from heliograph.cli.json_option import json_option
from heliograph.cli.named_or_all import all_option
from heliograph.cli.terminal import echo, echo_lines
from heliograph.errors import NotReplayable
from heliograph.host import Host
from heliograph.quarantine.store import Quarantine, Quarantined
from heliograph.schema.read.validation import ViolationKind
from heliograph.settings import SIGNED, Settings
from heliograph.values.text import counted, display

BATCH: Final = 500
"""The number of events that are emitted before a flush. The SDK's queue holds 2048 by default, and drops what exceeds that."""

F = TypeVar("F", bound=Callable[..., object])

event_option = click.option("--event", metavar="NAME", help="Only events with this event name, such as app.ban_user.")


def file_option(command: F) -> F:
    """Add the option ``--file`` to a command."""
    return click.option(
        "--file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The quarantine file. Default: HELIOGRAPH_QUARANTINE.",
    )(command)


@click.group()
def quarantine() -> None:
    """List, show, replay and purge invalid events that were set aside."""


@quarantine.command("list")
@file_option
@event_option
@click.option(
    "--kind", type=click.Choice([kind.value for kind in ViolationKind]), help="Only events with this kind of violation."
)
@json_option()
def list_events(file: Path | None, event: str | None, kind: str | None, *, as_json: bool) -> None:
    """Print one line per event: number, time, event name and violations."""
    counts: collections.Counter[str] = collections.Counter()
    for each in _found(file, event_name=event, kind=kind):
        counts[each.record.event_name] += 1
        echo(json.dumps(_as_dict(each)) if as_json else _line(each))
    if not as_json:
        summary = ", ".join(f"{count} {display(name)}" for name, count in sorted(counts.items()))
        echo(f"{counted(sum(counts.values()), 'event')}{': ' if summary else ''}{summary}", err=True)


@quarantine.command()
@click.argument("number", metavar="ID", type=int)
@file_option
@json_option()
def show(number: int, file: Path | None, *, as_json: bool) -> None:
    """Print everything that is stored about the event with this number."""
    found = list(_found(file, ids=[number]))
    if not found:
        raise click.ClickException(
            f"there is no event {number} in the quarantine; `heliograph quarantine list` shows the numbers"
        )
    event = _as_dict(found[0])
    echo_lines(json.dumps(event, indent=None if as_json else 2))


@quarantine.command()
@sources_argument
@file_option
@event_option
@click.option(
    "--id",
    "ids",
    metavar="ID",
    type=int,
    multiple=True,
    help="Only the event with this number. May be given several times.",
)
def replay(
    sources: tuple[str, ...], datasette: DatasetteOptions, file: Path | None, event: str | None, ids: tuple[int, ...]
) -> None:
    """Emit the events again, after their classes were fixed.

    Events are exported to the endpoint of the OTEL_* variables, with their original time, id, actor and span. An event
    is removed from the quarantine after the exporter has delivered it. Events that are still invalid, or cannot be
    delivered, remain. The exit status is 1 if any remain.
    """
    # Imported here, because the SDK takes a while to import.
    from heliograph.sdk.configure import configure

    loaded = load_sources(sources, datasette)
    # This comes before providers are set, because it may take long to shut them down if a backend does not answer.
    loaded.check()
    # Events need no tokens, and a database of tokens may be one of a Datasette, which this host does not have.
    settings = replace(loaded.settings(), token_handlers=(SIGNED,), token_database=None)
    store = Quarantine(settings.quarantine if file is None else file)
    total = remaining = 0
    with configure(settings) as host:
        loaded.register_in(host.schemas)
        for batch in _batches(store.find(event_name=event, ids=ids)):
            emitted = [each.id for each in batch if _emit(host, each)]
            # Remove only after the flush: if this process is killed in between, the events are sent twice (with the
            # same id, by which receivers deduplicate), and none is lost.
            if emitted and not host.flush():
                echo("Not delivered. The events remain in the quarantine and can be replayed again.", err=True)
                emitted = []
            store.remove(emitted)
            total += len(batch)
            remaining += len(batch) - len(emitted)
    echo(f"{total - remaining} replayed, {remaining} still in the quarantine.")
    if remaining:
        raise SystemExit(1)


def _emit(host: Host, each: Quarantined) -> bool:
    """Emit an event, and return True. If it cannot be replayed, report the reason and return False."""
    try:
        host.replay(each.record)
    except NotReplayable as error:
        echo(f"{each.id} {display(each.record.event_name)} cannot be replayed: {display(str(error))}", err=True)
        return False
    return True


@quarantine.command()
@file_option
@event_option
@click.option("--before", type=click.DateTime(), help="Only events that happened before this time, in UTC.")
@all_option("All events.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def purge(file: Path | None, event: str | None, before: datetime | None, *, everything: bool, yes: bool) -> None:
    """Delete events for good."""
    if not (everything or event or before):
        raise click.UsageError("choose the events to delete: --event NAME, --before DATE, or --all")
    utc = before and before.replace(tzinfo=timezone.utc)
    ids = [each.id for each in _found(file, event_name=event, before=utc)]
    if ids and not yes:
        click.confirm(f"Delete {counted(len(ids), 'event')} for good?", abort=True)
    _quarantine(file).remove(ids)
    echo(f"{len(ids)} deleted.")


def _quarantine(file: Path | None) -> Quarantine:
    return Quarantine(Settings.from_env().quarantine if file is None else file)


def _found(file: Path | None, **conditions: object) -> Iterator[Quarantined]:
    return _quarantine(file).find(**conditions)  # type: ignore[arg-type]  # each option is of its type


def _batches(found: Iterator[Quarantined]) -> Iterable[list[Quarantined]]:
    while batch := list(itertools.islice(found, BATCH)):
        yield batch


def _line(each: Quarantined) -> str:
    record = each.record
    name = record.event_name if record.version is None else f"{record.event_name}@{record.version}"
    return f"{each.id}  {each.happened}  {display(name)}  {display('; '.join(record.violations))}"


def _as_dict(each: Quarantined) -> dict[str, object]:
    record = each.record
    return {
        "id": each.id,
        "event_name": record.event_name,
        "version": record.version,
        "event_class": record.event_class,
        "uid": record.uid,
        "happened": each.happened,
        "set_aside": each.set_aside,
        "violations": list(record.violations),
        "actor": record.actor,
        "properties": dict(record.properties),
        "trace_id": f"{record.span.trace_id:032x}",
        "span_id": f"{record.span.span_id:016x}",
    }
