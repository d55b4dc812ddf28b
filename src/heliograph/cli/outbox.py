"""``heliograph outbox``: show, check, send and export the records in an outbox, and manage dead letters and damaged files.

The commands work beside running programs. `status`, `verify` and `export` open folders read-only, also folders of running
processes. `drain` adopts only orphans, through the same lock that the programs use (`heliograph.delivery.outbox.folder_lock`), so nothing
is sent twice. A folder may disappear at any moment, because its owner deletes it when everything in it was sent.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.outbox_damaged import damaged
from heliograph.cli.outbox_dead import dead
from heliograph.cli.outbox_directory import (
    batches,
    directory_option,
    open_outbox,
    open_reader,
)
from heliograph.cli.outbox_drain import drain
from heliograph.cli.terminal import echo
from heliograph.delivery.journal.batch import Entry, to_request
from heliograph.delivery.journal.filesystems import filesystem_of, keeps_reserved_space
from heliograph.delivery.journal.frames import Header
from heliograph.delivery.outbox.folders import OutboxDirectory
from heliograph.delivery.outbox.state import OutboxState
from heliograph.otlp import to_json_line
from heliograph.values.text import counted


@click.group()
def outbox() -> None:
    """Inspect an outbox, send the records in it, and manage dead letters."""


outbox.add_command(drain)
outbox.add_command(dead)
outbox.add_command(damaged)


@outbox.command()
@directory_option
@json_option("JSON")
def status(directory: Path | None, *, as_json: bool) -> None:
    """Show how many records wait in each folder, how many dead letters there are, and the size of the outbox.

    The exit status is 1 if records wait, a folder is stuck, or there are dead letters or damaged files.
    """
    outbox = open_outbox(directory)
    state = OutboxState.of(outbox)
    size = outbox.space.used()
    kind = filesystem_of(outbox.directory) or "an unknown file system"
    write = "map" if keeps_reserved_space(outbox.directory) else "pwrite"
    if as_json:
        echo(
            json.dumps(
                {"folders": state.folders, **state.totals(), "stuck": state.stuck, "bytes": size, "write": write}
            )
        )
    else:
        for each in state.folders:
            owner = "in use by a process" if each["held"] else "orphaned"
            echo(
                f"{each['folder']}  {owner}  waiting: {each['waiting']}, oldest: {each['oldest_age']} s, signal: {each['signal']}"
            )
        echo(f"On {kind}, HELIOGRAPH_OUTBOX_WRITE=auto means {write}.")
        for reason in state.stuck:
            echo(f"Stuck: {reason}")
        echo(
            "Total waiting: {waiting}. Dead letters: {dead_letters}. Damaged files: {damaged_files}. ".format(
                **state.totals()
            )
            + f"Size: {counted(size, 'byte')}."
        )
    if not state.is_clean:
        raise SystemExit(1)


@outbox.command()
@directory_option
@json_option("JSON")
def verify(directory: Path | None, *, as_json: bool) -> None:
    """Read every record without changing anything, and report damage.

    The exit status is 1 if a journal or the file of dead letters is damaged.
    """
    outbox = open_outbox(directory)
    folders: list[dict[str, Any]] = []
    with click.progressbar(outbox.folders(), label="Reading", file=sys.stderr) as bar:
        for folder in bar:
            reader = open_reader(outbox, folder)
            if reader is None:
                continue
            records = sum(len(batch.entries) for batch in batches(folder, reader))
            reader.close()
            folders.append(
                {
                    "folder": folder.name,
                    "waiting": records,
                    "damaged": reader.damaged,
                    "damaged_bytes": reader.damaged_bytes,
                }
            )
    is_sound = outbox.dead_letters.is_sound()
    if as_json:
        echo(json.dumps({"folders": folders, "dead_letters_sound": is_sound}))
    else:
        for each in folders:
            readable, size = counted(each["waiting"], "readable record"), counted(each["damaged_bytes"], "byte")
            echo(f"{each['folder']}  {readable}, {each['damaged']} damaged ({size})")
        echo(f"The file of dead letters is {'intact' if is_sound else 'damaged'}.")
    if not is_sound or any(each["damaged"] or each["damaged_bytes"] for each in folders):
        raise SystemExit(1)


@outbox.command()
@directory_option
@click.option("--dead", "only_dead", is_flag=True, help="Export dead letters, and not the records that wait.")
@click.option(
    "--output", type=click.File("w", lazy=False), default="-", help="The file to write. Default: standard output."
)
def export(directory: Path | None, output: IO[str], *, only_dead: bool) -> None:
    """Write the records as lines of OTLP/JSON, without removing them from the outbox.

    The otlpjsonfile receiver of an OpenTelemetry Collector reads this format.
    """
    outbox = open_outbox(directory)
    for line in _dead_letter_lines(outbox) if only_dead else _waiting_lines(outbox):
        print(line, file=output)


def _dead_letter_lines(outbox: OutboxDirectory) -> Iterator[str]:
    for letter in outbox.dead_letters.find():
        yield _to_line(letter.header, [letter.entry])


def _waiting_lines(outbox: OutboxDirectory) -> Iterator[str]:
    for folder in outbox.folders():
        reader = open_reader(outbox, folder)
        if reader is None:
            continue
        for batch in batches(folder, reader):
            yield _to_line(batch.header, batch.entries)
        reader.close()


def _to_line(header: Header, entries: Iterable[Entry]) -> str:
    return to_json_line(header.signal.request_class.FromString(to_request(header, entries)))
