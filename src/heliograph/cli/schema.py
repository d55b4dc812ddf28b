"""``heliograph schema``: what the event classes promise, exported, locked, checked, and read from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from heliograph.cli.event_classes import load_registry, sources_argument
from heliograph.errors import FileFormatError, SchemaError
from heliograph.receiver.recordings import read_recorded
from heliograph.schema.drafts.draft import EventDraft
from heliograph.schema.drafts.from_events import drafts_of_recorded
from heliograph.schema.drafts.from_weaver import drafts_of_weaver
from heliograph.schema.drafts.python_source import python_source
from heliograph.schema.drafts.weaver_registry import WeaverRegistry
from heliograph.schema.export.formats import EXPORTERS
from heliograph.schema.gate.diff import (
    Finding,
    Mode,
    diff,
    incompatible,
)
from heliograph.schema.gate.lock import dumps, loads, lock_of
from heliograph.schema.registry import SchemaRegistry
from heliograph.settings import Settings
from heliograph.values.text import display

LOCK_FILE: Final = "events.lock.json"
EXAMPLE_KEY: Final = "example"
"""The key of hashes in what is published: the hash of a known example would say something of the real key."""

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
    """Export, lock and check what event classes promise; read classes from elsewhere."""


@schema.command()
@sources_argument
@file_option
def lock(sources: tuple[str, ...], file: Path) -> None:
    """Write down what the classes promise, to be kept beside them, and compared with by `check`."""
    registry = _load(sources)
    write(file, dumps(lock_of(registry.values())))
    click.echo(f"{file}: {len(registry)} events")


@schema.command()
@sources_argument
@file_option
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.BACKWARD.value,
    show_default=True,
    help="backward: older events have to fit the new schemas; forward: new events have to fit the older ones.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each change.")
def check(sources: tuple[str, ...], file: Path, mode: str, *, as_json: bool) -> None:
    """Compare the classes with the lock file, and fail on a change that is incompatible.

    Names that go, and privacy that is weakened, are incompatible in every mode. Compatible changes are told, too: `lock`
    takes them over.
    """
    try:
        old = loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise click.UsageError(f"{file} cannot be read: {error}; `schema lock` writes it") from error
    except FileFormatError as error:
        raise click.UsageError(f"{file}: {error}") from error
    findings = diff(old, lock_of(_load(sources).values()))
    bad = incompatible(findings, Mode(mode))
    for finding in [*bad, *(each for each in findings if each not in bad)]:
        prefix = "error" if finding in bad else "note"
        click.echo(json.dumps(_as_dict(finding, prefix)) if as_json else f"{prefix}: {finding}")
    if not as_json:
        renew = "is older than the classes: `schema lock` renews it" if findings else "is up to date"
        click.echo(f"{len(bad)} incompatible changes; {file} {renew}.")
    if bad:
        raise SystemExit(1)


def _load(sources: tuple[str, ...]) -> SchemaRegistry:
    return load_registry(sources, dataclasses.replace(Settings.from_env(), privacy_key=EXAMPLE_KEY))


def _as_dict(finding: Finding, level: str) -> dict[str, object]:
    values = {**vars(finding), "level": level}
    return {key: sorted(value) if isinstance(value, frozenset) else value for key, value in values.items()}


@schema.command()
@sources_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(list(EXPORTERS)),
    required=True,
    help="What to write.",
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write to.")
def export(sources: tuple[str, ...], form: str, out: Path) -> None:
    """Write the classes' schemas in another form, into a folder; other files in it stay."""
    registry = _load(sources)
    try:
        files = EXPORTERS[form](registry.values())
    except SchemaError as error:
        raise click.ClickException(str(error)) from error
    for name, text in files.items():
        write(out / name, text)
        click.echo(out / name)


@schema.command("import")
@click.argument("form", metavar="FORMAT", type=click.Choice(["weaver"]))
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@out_option
def import_registry(form: str, directory: Path, out: Path) -> None:  # noqa: ARG001 — there is one format so far
    """Write typed classes from a registry of OpenTelemetry Weaver (FORMAT: weaver), of either form."""
    drafts, left_out = drafts_of_weaver(WeaverRegistry(directory))
    _write_drafts(drafts, left_out, out, origin="a registry of OpenTelemetry Weaver")


@schema.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@out_option
def infer(file: Path, out: Path) -> None:
    """Propose typed classes from recorded events: lines of OTLP JSON, or the demo's SQLite file."""
    drafts, left_out = drafts_of_recorded(read_recorded(file))
    _write_drafts(drafts, left_out, out, origin="recorded events")


def _write_drafts(drafts: list[EventDraft], left_out: list[str], out: Path, *, origin: str) -> None:
    for each in left_out:
        click.echo(f"Left out: {display(each)}", err=True)
    if not drafts:
        raise click.ClickException(f"{out} is not written: no events were found")
    write(out, python_source(drafts, origin=origin))
    click.echo(f"{out}: {len(drafts)} events")


def write(path: Path, text: str) -> None:
    """Write a file as a whole, or not at all.

    Raises:
        click.UsageError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise click.UsageError(f"{path} cannot be written: {error}") from error
