"""``heliograph schema``: show, export, lock and check the schemas of event classes, and draft classes from other sources."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from heliograph.cli.datasette_source import DatasetteOptions
from heliograph.cli.event_classes import EXAMPLE_KEY, load_registry, sources_argument
from heliograph.cli.json_option import json_option
from heliograph.cli.output_file import write
from heliograph.cli.recordings import read_recorded
from heliograph.cli.terminal import echo, echo_lines
from heliograph.errors import FileFormatError, SchemaError
from heliograph.schema.drafts.draft import EventDraft
from heliograph.schema.drafts.from_events import drafts_of_recorded
from heliograph.schema.drafts.from_weaver import drafts_of_weaver
from heliograph.schema.drafts.python_source import python_source
from heliograph.schema.drafts.weaver_registry import WeaverRegistry
from heliograph.schema.export.catalogue import catalogue
from heliograph.schema.export.formats import EXPORTERS, REGISTRIES, exporter_of
from heliograph.schema.export.plain_text import plain_text
from heliograph.schema.gate.diff import (
    Change,
    Mode,
    diff,
    incompatible,
)
from heliograph.schema.gate.lock import dumps, loads, lock_of
from heliograph.tokens.events import TOKEN_EVENTS
from heliograph.values.text import counted

LOCK_FILE: Final = "events.lock.json"
"""The name of the lock file, if the option ``--file`` is missing."""

file_option = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=LOCK_FILE,
    show_default=True,
    help="The lock file.",
)
out_option = click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The Python file to write."
)


@click.group()
def schema() -> None:
    """Show, export, lock and check the schemas of event classes; draft classes from other sources."""


@schema.command()
@sources_argument
@file_option
def lock(sources: tuple[str, ...], datasette: DatasetteOptions, file: Path) -> None:
    """Write the contracts of the classes to the lock file. Commit it; `check` compares the classes with it."""
    registry = load_registry(sources, datasette=datasette, privacy_key=EXAMPLE_KEY)
    write(file, dumps(lock_of(registry.values())))
    echo(f"{file}: {counted(len(registry), 'event')}")


@schema.command()
@sources_argument
@file_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.BACKWARD.value,
    show_default=True,
    help="backward: the new schemas must accept old events; forward: the old schemas must accept new events; full: both.",
)
@json_option("one JSON object for each change")
def check(sources: tuple[str, ...], datasette: DatasetteOptions, file: Path, mode: str, *, as_json: bool) -> None:
    """Compare the classes with the lock file, and fail if a change is incompatible.

    A removed name or weakened privacy is incompatible in every mode. Compatible changes are printed too; `lock` writes them
    to the lock file.
    """
    try:
        old = loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}; `heliograph schema lock` writes it") from error
    except FileFormatError as error:
        raise click.UsageError(f"{file}: {error}") from error
    registry = load_registry(sources, datasette=datasette, privacy_key=EXAMPLE_KEY)
    changes = diff(old, lock_of(registry.values()))
    bad = incompatible(changes, Mode(mode))
    for change in [*bad, *(each for each in changes if each not in bad)]:
        level = "error" if change in bad else "note"
        echo(json.dumps(_as_dict(change, level)) if as_json else f"{level}: {change}")
    if not as_json:
        echo(f"{counted(len(bad), 'incompatible change')}. {_advice(changes, bad, file)}")
    if bad:
        raise SystemExit(1)


def _as_dict(change: Change, level: str) -> dict[str, object]:
    values = {**vars(change), "level": level}
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in values.items()}


def _advice(changes: list[Change], bad: list[Change], file: Path) -> str:
    if bad:
        return (
            "Undo every incompatible change, or give the changed events a new `version`. "
            f"To accept the classes as they are, write {file} again with `heliograph schema lock`."
        )
    if changes:
        return f"{file} is older than the classes; write it again with `heliograph schema lock`."
    return f"{file} is up to date."


@schema.command()
@sources_argument
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(EXPORTERS)),
    required=True,
    help="The format to write.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write to.")
@click.option(
    "--schema-url",
    metavar="URL",
    help="For Weaver: the URL that identifies the registry, such as https://example.com/schemas/shop/1.0.0.",
)
@click.option(
    "--schema-version",
    metavar="VERSION",
    help="For Weaver: the version of the registry, if the URL does not end with it.",
)
def export(
    sources: tuple[str, ...],
    datasette: DatasetteOptions,
    *,
    format_name: str,
    out: Path,
    schema_url: str | None,
    schema_version: str | None,
) -> None:
    """Write the schemas of the classes to a folder, in another format. Other files in the folder are kept."""
    try:
        exporter = exporter_of(format_name, schema_url, schema_version)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    registry = load_registry(sources, datasette=datasette, privacy_key=EXAMPLE_KEY)
    if format_name in REGISTRIES:
        # Heliograph's own events are in the telemetry, too, and Weaver's live check rejects events that are not in the registry.
        registry.register_own(TOKEN_EVENTS)
    try:
        files = exporter([*registry.values(), *registry.own])
    except SchemaError as error:
        raise click.ClickException(str(error)) from error
    for name, text in files.items():
        write(out / name, text)
        echo(out / name)


@schema.command()
@click.argument("event", metavar="EVENT")
@sources_argument
def show(event: str, sources: tuple[str, ...], datasette: DatasetteOptions) -> None:
    """Print the meaning of the event with the name EVENT, its attributes, an example, and queries that find it.

    EVENT is the name on the wire, such as app.ban_user. All versions of the event are printed. The events about tokens, such as
    heliograph.token_rejected, are known with any SOURCES.
    """
    registry = load_registry(sources, datasette=datasette, privacy_key=EXAMPLE_KEY)
    registry.register_own(TOKEN_EVENTS)
    entries = catalogue([*registry.values(), *registry.own])
    found = [entry for entry in entries if event in {entry.event_name, entry.label}]
    if not found:
        raise click.ClickException(_unknown(event, sorted({entry.event_name for entry in entries})))
    echo_lines("\n\n".join(map(plain_text, found)))


def _unknown(event: str, names: list[str]) -> str:
    similar = get_close_matches(event, names, n=3)
    known = f"similar names are {', '.join(similar)}" if similar else f"the events are {', '.join(names)}"
    return f"there is no event {event}; {known}"


@schema.command("import")
@click.argument("format_name", metavar="FORMAT", type=click.Choice(["weaver"]))
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option
def import_registry(format_name: str, directory: Path, out: Path) -> None:  # noqa: ARG001 — there is one format so far
    """Draft event classes from an OpenTelemetry Weaver registry (FORMAT: weaver), in either of its file formats."""
    drafts, skipped = drafts_of_weaver(WeaverRegistry(directory))
    _write_drafts(drafts, skipped, out, origin="an OpenTelemetry Weaver registry")


@schema.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@out_option
def infer(file: Path, out: Path) -> None:
    """Draft event classes from recorded events: lines of OTLP JSON, or the SQLite file of `heliograph tail` or `heliograph demo`."""
    drafts, skipped = drafts_of_recorded(read_recorded(file))
    _write_drafts(drafts, skipped, out, origin="recorded events")


def _write_drafts(drafts: list[EventDraft], skipped: list[str], out: Path, *, origin: str) -> None:
    for each in skipped:
        echo(f"Skipped: {each}", err=True)
    if not drafts:
        raise click.ClickException(f"{out} is not written: no events were found")
    write(out, python_source(drafts, origin=origin))
    echo(f"{out}: {counted(len(drafts), 'event')}")
