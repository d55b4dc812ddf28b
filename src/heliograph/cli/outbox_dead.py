"""``heliograph outbox dead``: list, show, requeue and delete dead letters.

A person decides about them. Until then, the exit status of ``status`` and ``drain`` is 1.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.named_or_all import all_option, check_named_or_all
from heliograph.cli.outbox_directory import directory_option, open_outbox
from heliograph.cli.terminal import echo, echo_lines
from heliograph.delivery.journal.batch import decode_record
from heliograph.delivery.outbox.dead_letters import DeadLetter, DeadLetters
from heliograph.delivery.outbox.requeue import requeue as requeue_letters
from heliograph.otlp import to_json_document
from heliograph.values.text import display


@click.group()
def dead() -> None:
    """Manage dead letters: log records and spans that the server rejected for good."""


@dead.command("list")
@directory_option
@json_option("JSON")
def list_dead(directory: Path | None, *, as_json: bool) -> None:
    """List the dead letters: ID, time, signal, name of the event or span, reason, and the server's message."""
    for letter in open_outbox(directory).dead_letters.find():
        name = f"{letter.header.signal.name}  {letter.event_name or '-'}"
        line = f"{letter.id}  {letter.died}  {name}  {letter.reason}  {letter.message}"
        echo(json.dumps(_to_dict(letter)) if as_json else display(line))


@dead.command()
@click.argument("number", metavar="ID", type=int)
@directory_option
def show(number: int, directory: Path | None) -> None:
    """Print one dead letter, with its record, as JSON."""
    for letter in open_outbox(directory).dead_letters.find([number]):
        record = decode_record(letter.entry.encoded, letter.header.signal)
        document = {**_to_dict(letter), "record": None if record is None else to_json_document(record)}
        echo_lines(json.dumps(document, indent=2))
        return
    raise click.ClickException(f"there is no dead letter with ID {number}; `heliograph outbox dead list` shows the IDs")


numbers_argument = click.argument("numbers", metavar="ID…", type=int, nargs=-1)


@dead.command()
@numbers_argument
@all_option("Requeue all dead letters.")
@directory_option
def requeue(numbers: tuple[int, ...], directory: Path | None, *, everything: bool) -> None:
    """Move dead letters back into the outbox, to be sent again.

    If the outbox has no room for all of them within HELIOGRAPH_OUTBOX_MAX_BYTES, nothing is changed.
    """
    outbox = open_outbox(directory)
    found = _find_dead(outbox.dead_letters, numbers, everything=everything)
    requeue_letters(outbox, found)
    echo(
        f"Requeued: {len(found)}. To send now, run `heliograph outbox drain`; otherwise the next process that uses the outbox does."
    )


@dead.command("delete")
@numbers_argument
@all_option("Delete all dead letters.")
@directory_option
def delete_dead(numbers: tuple[int, ...], directory: Path | None, *, everything: bool) -> None:
    """Delete dead letters for good, so that `status` and `drain` do not report them any more.

    `heliograph outbox export --dead` keeps a copy.
    """
    letters = open_outbox(directory).dead_letters
    found = _find_dead(letters, numbers, everything=everything)
    letters.remove(letter.id for letter in found)
    echo(f"Deleted: {len(found)}.")


def _find_dead(letters: DeadLetters, numbers: tuple[int, ...], *, everything: bool) -> list[DeadLetter]:
    """Return the dead letters with these numbers, or all of them.

    Raises:
        click.UsageError: Neither or both of `numbers` and `everything` are given.
        click.ClickException: There is no dead letter with one of the numbers.
    """
    check_named_or_all(numbers, everything=everything, what="the dead letters by ID")
    found = list(letters.find(numbers))
    missing = sorted(set(numbers) - {letter.id for letter in found})
    if missing:
        ids = ", ".join(map(str, missing))
        raise click.ClickException(f"there is no dead letter with ID {ids}; nothing was changed")
    return found


def _to_dict(letter: DeadLetter) -> dict[str, object]:
    names = ("id", "died", "reason", "message", "uid", "event_name", "trace_id", "span_id", "happened")
    return {"signal": letter.header.signal.name, **{name: getattr(letter, name) for name in names}}
