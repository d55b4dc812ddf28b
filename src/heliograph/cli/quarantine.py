"""``heliograph quarantine``: the events that broke their contracts and were set aside."""

from __future__ import annotations

import collections
import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final, TypeVar

import click

from heliograph.cli.event_classes import load_registry, sources_argument
from heliograph.errors import NotReplayable
from heliograph.hooks.specs import hookimpl
from heliograph.host import Host
from heliograph.quarantine.store import Quarantine, Quarantined
from heliograph.schema.read.validation import ViolationKind
from heliograph.settings import Settings
from heliograph.values.text import display

BATCH: Final = 500
"""How many events are emitted before a flush: the SDK's queue takes 2048."""

F = TypeVar("F", bound=Callable[..., object])

event_option = click.option("--event", metavar="NAME", help="Events of this name alone, such as app.ban_user.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


def file_option(command: F) -> F:
    """Add the option that names the file."""
    return click.option(
        "--file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The quarantine; left out, it is that of HELIOGRAPH_QUARANTINE.",
    )(command)


@click.group()
def quarantine() -> None:
    """Look at the events that broke their contracts, replay them, or throw them away."""


@quarantine.command("list")
@file_option
@event_option
@click.option("--kind", type=click.Choice([kind.value for kind in ViolationKind]), help="With this kind of violation.")
@json_option
def list_events(file: Path | None, event: str | None, kind: str | None, *, as_json: bool) -> None:
    """One line for each event: its number, when it happened, what it is, and what is wrong with it."""
    counts: collections.Counter[str] = collections.Counter()
    for each in _found(file, event_name=event, kind=kind):
        counts[each.record.event_name] += 1
        click.echo(json.dumps(_as_dict(each)) if as_json else _line(each))
    if not as_json:
        summary = ", ".join(f"{count} {display(name)}" for name, count in sorted(counts.items()))
        click.echo(f"{sum(counts.values())} events{': ' if summary else ''}{summary}", err=True)


@quarantine.command()
@click.argument("number", metavar="ID", type=int)
@file_option
@json_option
def show(number: int, file: Path | None, *, as_json: bool) -> None:
    """All that is known of the event with this number."""
    found = list(_found(file, ids=[number]))
    if not found:
        raise click.ClickException(f"there is no event {number} in the quarantine")
    shown = _as_dict(found[0])
    click.echo(json.dumps(shown) if as_json else json.dumps(shown, indent=2))


@quarantine.command()
@sources_argument
@file_option
@event_option
@click.option("--id", "ids", metavar="ID", type=int, multiple=True, help="The event with this number; several times.")
def replay(sources: tuple[str, ...], file: Path | None, event: str | None, ids: tuple[int, ...]) -> None:
    """Emit the events that are valid by now, once their classes were mended.

    They go where the OTEL_* variables say, with their first time, id, actor and span. An event leaves the quarantine when
    the exporter has delivered it; those that break their contracts still, or cannot be delivered, stay.
    """
    from heliograph.sdk.configure import configure  # the SDK takes a while to import

    kept = _quarantine(file)
    classes = list(load_registry(sources))
    total = stayed = 0
    with configure(plugins=[_Classes(classes)]) as host:
        for batch in _batches(_found(file, event_name=event, ids=ids)):
            emitted = [each.id for each in batch if _is_emitted(host, each)]
            if emitted and not host.flush():
                click.echo("Not delivered: they stay, and can be replayed again.", err=True)
                emitted = []
            kept.remove(emitted)
            total += len(batch)
            stayed += len(batch) - len(emitted)
    click.echo(f"{total - stayed} replayed, {stayed} stay.")
    if stayed:
        raise SystemExit(1)


def _is_emitted(host: Host, each: Quarantined) -> bool:
    try:
        host.replay(each.record)
    except NotReplayable as error:
        click.echo(f"{each.id} {display(each.record.event_name)} stays: {display(str(error))}", err=True)
        return False
    return True


@quarantine.command()
@file_option
@event_option
@click.option("--before", type=click.DateTime(), help="Those that happened before this time, in UTC.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(file: Path | None, event: str | None, before: datetime | None, *, everything: bool, yes: bool) -> None:
    """Throw events away, for ever."""
    if not (everything or event or before):
        raise click.UsageError("say which: --event NAME, --before DATE, or --all")
    utc = before and before.replace(tzinfo=timezone.utc)
    ids = [each.id for each in _found(file, event_name=event, before=utc)]
    if ids and not yes:
        click.confirm(f"Throw {len(ids)} events away?", abort=True)
    _quarantine(file).remove(ids)
    click.echo(f"{len(ids)} thrown away.")


class _Classes:
    """A plugin that registers classes."""

    def __init__(self, classes: list[type]) -> None:
        self._classes = classes

    @hookimpl
    def register_events(self) -> list[type]:
        """The classes."""
        return self._classes


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
