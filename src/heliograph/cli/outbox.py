"""``heliograph outbox``: what waits to be delivered, and what never can be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from heliograph.delivery.dead import DeadLetter, DeadLetters, decoded
from heliograph.delivery.destination import Destination
from heliograph.delivery.journal import JournalReader, JournalWriter, read_cursor
from heliograph.delivery.outbox import Lease, Outbox
from heliograph.delivery.sender import Sender
from heliograph.delivery.transport import open_transport
from heliograph.schema.body import display
from heliograph.settings import Settings

FOLLOW_SECONDS = 1.0


@click.group()
def outbox() -> None:
    """Look at the outbox, send what waits in it, and see to what no server took."""


directory_option = click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The outbox; left out, it is that of HELIOGRAPH_OUTBOX.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


@outbox.command()
@directory_option
@json_option
def status(directory: Path | None, *, as_json: bool) -> None:
    """How much waits, of living processes and of those that are gone; and how many dead letters there are."""
    box = _outbox(directory)
    folders = [_status_of(folder) for folder in box.folders()]
    dead = DeadLetters(box.dead_letters).count()
    if as_json:
        click.echo(json.dumps({"folders": folders, "dead_letters": dead, "bytes": box.size()}))
        return
    for each in folders:
        click.echo(f"{each['folder']}  {each['waiting']} records wait, {each['damaged']} damaged")
    waiting = sum(each["waiting"] for each in folders)
    click.echo(f"{waiting} records wait in {len(folders)} folders; {dead} dead letters; {box.size()} bytes.")


def _status_of(folder: Path) -> dict[str, Any]:
    reader = JournalReader(folder, is_live=True)  # it changes nothing
    try:
        waiting = sum(len(batch) for batch in _batches(reader))
    finally:
        reader.close()
    return {"folder": folder.name, "waiting": waiting, "damaged": reader.damaged, "delivered": read_cursor(folder)}


def _batches(reader: JournalReader) -> Iterator[tuple[Any, ...]]:
    while batch := reader.read(max_bytes=2**20, max_records=4096):
        yield batch.entries


@outbox.command()
@directory_option
@click.option("--follow", is_flag=True, help="Go on with what processes leave from now on, until it is stopped.")
def drain(directory: Path | None, *, follow: bool) -> None:
    """Send what processes left that are gone, where the OTEL_* variables say; what living ones hold is theirs to send."""
    box = _outbox(directory)
    destination = Destination.from_env(allow_plaintext=Settings.from_env().outbox_allow_plaintext)
    sender = Sender(
        open_transport(destination),
        timeout_seconds=destination.timeout_seconds,
        dead_letters=DeadLetters(box.dead_letters),
    )
    try:
        while True:
            is_drained = all([_drain_folder(sender, lease) for lease in box.adopt()])  # noqa: C419 — each of them
            if not follow:
                break
            time.sleep(max(FOLLOW_SECONDS, sender.waiting_seconds()))
    except KeyboardInterrupt:
        is_drained = True
    finally:
        sender.close()
    counts = sender.counts
    click.echo(f"{counts.delivered} delivered, {counts.rejected} rejected, {counts.dead} dead.")
    if not is_drained:
        click.echo("Not all was delivered: it stays.", err=True)
        raise SystemExit(1)


def _drain_folder(sender: Sender, lease: Lease) -> bool:
    reader = JournalReader(lease.folder, is_live=False)
    try:
        while sender.send_next(reader):
            click.echo(f"{lease.folder.name}: {reader.acknowledged} delivered", err=True)
    finally:
        reader.close()
    if sender.waiting_seconds():
        lease.release()
        return False
    lease.remove()
    return True


@outbox.group()
def dead() -> None:
    """Records that no server will ever take."""


@dead.command("list")
@directory_option
@json_option
def list_dead(directory: Path | None, *, as_json: bool) -> None:
    """One line for each: its number, when it died, what it is, and why."""
    for letter in DeadLetters(_outbox(directory).dead_letters).find():
        line = f"{letter.id}  {letter.died}  {letter.event_name or '-'}  {letter.reason}  {letter.message}"
        click.echo(json.dumps(_as_dict(letter)) if as_json else display(line))


@dead.command()
@click.argument("number", metavar="ID", type=int)
@directory_option
def show(number: int, directory: Path | None) -> None:
    """All that is known of the one with this number."""
    for letter in DeadLetters(_outbox(directory).dead_letters).find([number]):
        record = decoded(letter.framed)
        click.echo(json.dumps({**_as_dict(letter), "record": str(record)}, indent=2))
        return
    raise click.ClickException(f"there is no dead letter {number}")


@dead.command()
@click.argument("numbers", metavar="ID…", type=int, nargs=-1, required=True)
@directory_option
def requeue(numbers: tuple[int, ...], directory: Path | None) -> None:
    """Put those with these numbers back into the outbox, to be sent again."""
    box = _outbox(directory)
    letters = DeadLetters(box.dead_letters)
    found = list(letters.find(numbers))
    missing = sorted(set(numbers) - {letter.id for letter in found})
    if missing:
        raise click.ClickException(f"there is no dead letter {', '.join(map(str, missing))}")
    for letter in found:
        lease = box.begin()
        writer = JournalWriter(lease.folder, letter.header, segment_bytes=len(letter.framed), durable=True)
        writer.append(letter.scope, letter.framed)
        writer.close()
        lease.release()
        letters.remove([letter.id])
    click.echo(f"{len(found)} put back; `heliograph outbox drain`, or the next process, sends them.")


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    names = ("id", "died", "reason", "message", "uid", "event_name")
    return {name: getattr(letter, name) for name in names}


def _outbox(directory: Path | None) -> Outbox:
    settings = Settings.from_env()
    chosen = directory or settings.outbox
    if chosen is None:
        raise click.UsageError("say which outbox: --directory DIR, or HELIOGRAPH_OUTBOX")
    if not chosen.is_dir():
        raise click.UsageError(f"{chosen} is no directory: nothing was written there yet")
    return Outbox(chosen, max_bytes=settings.outbox_max_bytes)
