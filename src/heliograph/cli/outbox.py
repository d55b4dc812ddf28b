"""``heliograph outbox``: what waits to be delivered, and what never can be."""

from __future__ import annotations

import itertools
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from heliograph.delivery.dead_letters import DeadLetter, DeadLetters
from heliograph.delivery.folders import OutboxDirectory
from heliograph.delivery.journal.batch import Batch, decode_record, to_request
from heliograph.delivery.journal.reader import JournalReader, last_sequence
from heliograph.delivery.journal.writer import JournalWriter
from heliograph.delivery.metrics import OutboxCounters
from heliograph.delivery.orphans import Orphan, adopt
from heliograph.delivery.sender import Sender
from heliograph.delivery.transport.environment import destination_from_env
from heliograph.delivery.transport.open import open_transport
from heliograph.delivery.worker import MAX_OPEN_ORPHANS
from heliograph.errors import OutboxError
from heliograph.otlp import to_json_document, to_json_line
from heliograph.semconv import OUTBOX_DAMAGED, OUTBOX_DEAD, OUTBOX_DELIVERED, OUTBOX_REJECTED, OUTBOX_RETRIED
from heliograph.settings import Settings
from heliograph.values.text import display

FOLLOW_SECONDS: Final = 1.0
_BATCH_BYTES: Final = 1024 * 1024
_BATCH_RECORDS: Final = 1000


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
    folders = [found for folder in box.folders() if (found := _status_of(box, folder)) is not None]
    total: dict[str, Any] = {
        "waiting": sum(each["waiting"] for each in folders),
        "dead_letters": box.dead_letters.count(),
        "damaged_files": len(box.damaged_files()),
        "bytes": box.size(),
    }
    if as_json:
        click.echo(json.dumps({"folders": folders, **total}))
        return
    for each in folders:
        whose = "held by a process" if each["held"] else "left behind"
        click.echo(f"{each['folder']}  {whose}  {each['waiting']} records wait, the oldest for {each['oldest_age']} s")
    click.echo(
        "{waiting} records wait; {dead_letters} dead letters; {damaged_files} files with damage; {bytes} bytes.".format(
            **total
        )
    )


def _status_of(box: OutboxDirectory, folder: Path) -> dict[str, Any] | None:
    """What is known of a folder; `None` where it went meanwhile."""
    try:
        reader = JournalReader(folder, is_live=True, read_only=True)
        waiting = max(0, last_sequence(folder) - reader.acknowledged)
        first = next(_batches(folder, reader, max_records=1), None)
        reader.close()
    except FileNotFoundError:
        return None
    return {
        "folder": folder.name,
        "held": box.is_locked(folder),
        "waiting": waiting,
        "delivered": reader.acknowledged,
        "oldest_age": 0.0 if first is None else round(first.entries[0].age_seconds, 1),
    }


def _batches(folder: Path, reader: JournalReader, *, max_records: int = _BATCH_RECORDS) -> Iterator[Batch]:
    """What is in a folder; nothing of one that went meanwhile."""
    try:
        while batch := reader.read(max_bytes=_BATCH_BYTES, max_records=max_records):
            yield batch
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutboxError(folder, str(error)) from error


@outbox.command()
@directory_option
@click.option("--follow", is_flag=True, help="Go on with what processes leave from now on, until it is stopped.")
@json_option
def drain(directory: Path | None, *, follow: bool, as_json: bool) -> None:
    """Send what processes left that are gone, where the OTEL_* variables say; what living ones hold is theirs to send."""
    box = _outbox(directory)
    destination = destination_from_env(allow_plaintext=Settings.from_env().outbox_allow_plaintext)
    sender = Sender(
        open_transport(destination),
        timeout_seconds=destination.timeout_seconds,
        dead_letters=box.dead_letters,
        counts=OutboxCounters(),
    )
    if follow:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's way to stop it
    try:
        is_drained = _drain_once(box, sender)
        while follow:
            sender.closed.wait(max(FOLLOW_SECONDS, sender.waiting_seconds()))
            is_drained = _drain_once(box, sender)
    except KeyboardInterrupt:
        is_drained = True
    finally:
        sender.close()
    _tell(sender.counts, as_json=as_json)
    if not is_drained:
        click.echo("Not all was delivered: it stays.", err=True)
        raise SystemExit(1)


def _drain_once(box: OutboxDirectory, sender: Sender) -> bool:
    """Send what is there now, some folders at a time; whether all of it was sent."""
    unsent: set[Path] = set()
    while orphans := list(itertools.islice(adopt(box, unsent), MAX_OPEN_ORPHANS)):
        _send(orphans, sender)
        unsent.update(each.folder for each in orphans if not each.is_sent)
        if not sender.is_ready():
            return False
    return not unsent


def _send(orphans: list[Orphan], sender: Sender) -> None:
    waiting = sum(each.waiting for each in orphans)
    left = list(orphans)
    with click.progressbar(length=waiting, label="Sending", file=sys.stderr, show_pos=True) as bar:

        def progress() -> None:
            bar.update(max(0, waiting - sum(each.waiting for each in orphans) - bar.pos))

        try:
            for each in orphans:
                if each.drain(sender, progress):
                    left.remove(each)
        finally:
            for each in left:
                each.release()


def _tell(counts: OutboxCounters, *, as_json: bool) -> None:
    metrics = {
        "delivered": OUTBOX_DELIVERED,
        "rejected": OUTBOX_REJECTED,
        "dead": OUTBOX_DEAD,
        "damaged": OUTBOX_DAMAGED,
        "retried": OUTBOX_RETRIED,
    }
    totals = {name: counts.total(metric) for name, metric in metrics.items()}
    if as_json:
        click.echo(json.dumps(totals))
    else:
        click.echo(", ".join(f"{count} {name}" for name, count in totals.items()) + ".")


@outbox.command()
@directory_option
@json_option
def verify(directory: Path | None, *, as_json: bool) -> None:
    """Read all that is there, and change nothing; exit status 1 if anything is damaged."""
    box = _outbox(directory)
    folders = []
    with click.progressbar(box.folders(), label="Reading", file=sys.stderr) as bar:
        for folder in bar:
            reader = JournalReader(folder, is_live=box.is_locked(folder), read_only=True)
            records = sum(len(batch.entries) for batch in _batches(folder, reader))
            reader.close()
            folders.append(
                {
                    "folder": folder.name,
                    "waiting": records,
                    "damaged": reader.damaged,
                    "damaged_bytes": reader.damaged_bytes,
                }
            )
    is_sound = box.dead_letters.is_sound()
    if as_json:
        click.echo(json.dumps({"folders": folders, "dead_letters_sound": is_sound}))
    else:
        for each in folders:
            click.echo(
                "{folder}  {waiting} records can be read, {damaged} cannot ({damaged_bytes} bytes)".format(**each)
            )
        click.echo(f"The dead letters are {'sound' if is_sound else 'damaged'}.")
    if not is_sound or any(each["damaged"] or each["damaged_bytes"] for each in folders):
        raise SystemExit(1)


@outbox.command()
@directory_option
@click.option("--dead", "of_dead", is_flag=True, help="The dead letters, rather than what waits.")
@click.option("--output", type=click.File("w", lazy=False), default="-", help="A file; left out, it is the output.")
def export(directory: Path | None, output: IO[str], *, of_dead: bool) -> None:
    """Write what is there as lines of OTLP's JSON, which a Collector reads (otlpjsonfile); it stays where it is."""
    box = _outbox(directory)
    for line in _dead_lines(box) if of_dead else _waiting_lines(box):
        print(line, file=output)


def _dead_lines(box: OutboxDirectory) -> Iterator[str]:
    for letter in box.dead_letters.find():
        yield _line(to_request(letter.header, [letter.entry]))


def _waiting_lines(box: OutboxDirectory) -> Iterator[str]:
    for folder in box.folders():
        reader = JournalReader(folder, is_live=True, read_only=True)
        for batch in _batches(folder, reader):
            yield _line(to_request(batch.header, batch.entries))
        reader.close()


def _line(request: bytes) -> str:
    return to_json_line(ExportLogsServiceRequest.FromString(request))


@outbox.group()
def dead() -> None:
    """Records that no server will ever take."""


@dead.command("list")
@directory_option
@json_option
def list_dead(directory: Path | None, *, as_json: bool) -> None:
    """One line for each: its number, when it died, what it is, and why."""
    for letter in _outbox(directory).dead_letters.find():
        line = f"{letter.id}  {letter.died}  {letter.event_name or '-'}  {letter.reason}  {letter.message}"
        click.echo(json.dumps(_as_dict(letter)) if as_json else display(line))


@dead.command()
@click.argument("number", metavar="ID", type=int)
@directory_option
def show(number: int, directory: Path | None) -> None:
    """All that is known of the one with this number, as JSON."""
    for letter in _outbox(directory).dead_letters.find([number]):
        record = decode_record(letter.entry.encoded)
        shown = {**_as_dict(letter), "record": None if record is None else to_json_document(record)}
        click.echo(json.dumps(shown, indent=2))
        return
    raise click.ClickException(f"there is no dead letter {number}")


@dead.command()
@click.argument("numbers", metavar="ID…", type=int, nargs=-1)
@click.option("--all", "of_all", is_flag=True, help="All that are there.")
@directory_option
def requeue(numbers: tuple[int, ...], directory: Path | None, *, of_all: bool) -> None:
    """Put those with these numbers back into the outbox, to be sent again."""
    if bool(numbers) == of_all:
        raise click.UsageError("say which: their numbers, or --all")
    box = _outbox(directory)
    letters = box.dead_letters
    found = list(letters.find(numbers))
    missing = sorted(set(numbers) - {letter.id for letter in found})
    if missing:
        raise click.ClickException(f"there is no dead letter {', '.join(map(str, missing))}")
    for _, group in itertools.groupby(found, key=lambda letter: letter.header):
        _put_back(box, letters, list(group))
    click.echo(f"{len(found)} put back; `heliograph outbox drain`, or the next process, sends them.")


def _put_back(box: OutboxDirectory, letters: DeadLetters, group: list[DeadLetter]) -> None:
    """Into a folder that nobody holds then; where the machine stops in the middle, they are there twice."""
    lock = box.create_folder()
    writer = JournalWriter(lock.folder, group[0].header, durable=True)
    for letter in group:
        writer.append(letter.entry.scope, letter.entry.encoded)
    writer.close()
    lock.release()
    letters.remove(letter.id for letter in group)


def _as_dict(letter: DeadLetter) -> dict[str, object]:
    names = ("id", "died", "reason", "message", "uid", "event_name")
    return {name: getattr(letter, name) for name in names}


def _outbox(directory: Path | None) -> OutboxDirectory:
    settings = Settings.from_env()
    chosen = directory or settings.outbox
    if chosen is None:
        raise click.UsageError("say which outbox: --directory DIR, or HELIOGRAPH_OUTBOX")
    if not chosen.is_dir():
        raise click.UsageError(f"{chosen} is no directory: nothing was written there yet")
    return OutboxDirectory(chosen, max_bytes=settings.outbox_max_bytes)
