"""``heliograph outbox``: show, check, send and export the records in an outbox, and manage its dead letters.

The commands work beside running programs. `status`, `verify` and `export` open folders read-only, also those of running
processes. `drain` adopts orphans only, through the same lock that the programs use (`heliograph.delivery.folders`), so nothing
is sent twice. A folder may disappear at any moment, because its owner has sent all of it.
"""

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

from heliograph.cli.terminal import echo, echo_lines
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
from heliograph.values.text import counted, display

FOLLOW_SECONDS: Final = 1.0
"""The time between two searches for orphans with ``drain --follow``."""
_BATCH_BYTES: Final = 1024 * 1024
_BATCH_RECORDS: Final = 1000


@click.group()
def outbox() -> None:
    """Inspect an outbox, send the records in it, and manage dead letters."""


directory_option = click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The outbox. Default: the value of HELIOGRAPH_OUTBOX.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@outbox.command()
@directory_option
@json_option
def status(directory: Path | None, *, as_json: bool) -> None:
    """Show how many records wait in each folder, how many dead letters there are, and the size of the outbox."""
    box = _open_outbox(directory)
    folders = [found for folder in box.folders() if (found := _status_of(box, folder)) is not None]
    total: dict[str, Any] = {
        "waiting": sum(each["waiting"] for each in folders),
        "dead_letters": box.dead_letters.count(),
        "damaged_files": len(box.damaged_files()),
        "bytes": box.space.used(),
    }
    if as_json:
        echo(json.dumps({"folders": folders, **total}))
        return
    for each in folders:
        owner = "in use by a process" if each["held"] else "orphaned"
        echo(f"{each['folder']}  {owner}  waiting: {each['waiting']}, oldest: {each['oldest_age']} s")
    echo(
        "Total waiting: {waiting}. Dead letters: {dead_letters}. Damaged files: {damaged_files}. ".format(**total)
        + f"Size: {counted(total['bytes'], 'byte')}."
    )


def _status_of(box: OutboxDirectory, folder: Path) -> dict[str, Any] | None:
    """Return the state of a folder, or `None` if it was deleted meanwhile."""
    reader = _open_reader(folder, is_live=True)
    if reader is None:
        return None
    try:
        waiting = max(0, last_sequence(folder) - reader.acknowledged)
        first = next(_batches(folder, reader, max_records=1), None)
        reader.close()
    except FileNotFoundError:  # pragma: no cover — another process deletes the folder at this moment
        return None
    return {
        "folder": folder.name,
        "held": box.is_locked(folder),
        "waiting": waiting,
        "delivered": reader.acknowledged,
        "oldest_age": 0.0 if first is None else round(first.entries[0].age_seconds, 1),
    }


def _open_reader(folder: Path, *, is_live: bool) -> JournalReader | None:
    """Return a reader that changes no file, or `None` if the folder was deleted meanwhile."""
    try:
        return JournalReader(folder, is_live=is_live, read_only=True)
    except FileNotFoundError:
        return None


def _batches(folder: Path, reader: JournalReader, *, max_records: int = _BATCH_RECORDS) -> Iterator[Batch]:
    """Yield the records of a folder. End early if its owner deletes it meanwhile.

    Raises:
        OutboxError: The folder cannot be read.
    """
    try:
        while batch := reader.read(max_bytes=_BATCH_BYTES, max_records=max_records):
            yield batch
    except FileNotFoundError:  # pragma: no cover — another process deletes the folder at this moment
        return
    except OSError as error:
        raise OutboxError(folder, str(error)) from error


@outbox.command()
@directory_option
@click.option(
    "--follow",
    is_flag=True,
    help="Keep running until SIGTERM or Ctrl-C, and also send the records of processes that end later.",
)
@json_option
def drain(directory: Path | None, *, follow: bool, as_json: bool) -> None:
    """Send the records of processes that have ended.

    The server is the one that the OTEL_EXPORTER_OTLP_* variables name. Records of running processes are not touched: those
    processes send them. The exit status is 1 if records remain, except after `--follow`.
    """
    box = _open_outbox(directory)
    destination = destination_from_env(allow_plaintext=Settings.from_env().outbox_allow_plaintext)
    sender = Sender(
        open_transport(destination),
        timeout_seconds=destination.timeout_seconds,
        dead_letters=box.dead_letters,
        counts=OutboxCounters(),
    )
    if follow:
        # A service manager stops it by SIGTERM. As a KeyboardInterrupt it ends the loop below, and the folders are unlocked.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        is_drained = _drain_once(box, sender)
        while follow:
            sender.closed.wait(max(FOLLOW_SECONDS, sender.waiting_seconds()))
            is_drained = _drain_once(box, sender)
    except KeyboardInterrupt:
        is_drained = follow  # with --follow, a signal is the normal end
    finally:
        sender.close()
    _print_counters(sender.counts, as_json=as_json)
    if not is_drained:
        echo("Not all records were delivered. The remaining ones are still in the outbox.", err=True)
        raise SystemExit(1)


def _drain_once(box: OutboxDirectory, sender: Sender) -> bool:
    """Send all orphans, at most `MAX_OPEN_ORPHANS` at a time. Return True if every one was sent."""
    unsent: set[Path] = set()
    while orphans := list(itertools.islice(adopt(box, unsent), MAX_OPEN_ORPHANS)):
        _send(orphans, sender)
        unsent.update(orphan.folder for orphan in orphans if not orphan.is_sent)
        if not sender.is_ready():
            return False
    return not unsent


def _send(orphans: list[Orphan], sender: Sender) -> None:
    """Send orphans, with a progress bar, and unlock those that could not be sent."""
    waiting = sum(orphan.waiting for orphan in orphans)
    unfinished = list(orphans)
    with click.progressbar(length=waiting, label="Sending", file=sys.stderr, show_pos=True) as bar:

        def progress() -> None:
            bar.update(max(0, waiting - sum(orphan.waiting for orphan in orphans) - bar.pos))

        try:
            for orphan in orphans:
                if orphan.drain(sender, progress):
                    unfinished.remove(orphan)
        finally:
            for orphan in unfinished:
                orphan.release()


def _print_counters(counters: OutboxCounters, *, as_json: bool) -> None:
    metrics = {
        "delivered": OUTBOX_DELIVERED,
        "rejected": OUTBOX_REJECTED,
        "dead": OUTBOX_DEAD,
        "damaged": OUTBOX_DAMAGED,
        "retried": OUTBOX_RETRIED,
    }
    totals = {name: counters.total(metric) for name, metric in metrics.items()}
    if as_json:
        echo(json.dumps(totals))
        return
    echo(
        "Delivered: {delivered}. Rejected: {rejected}. Dead letters: {dead}. Damaged: {damaged}. "
        "Failed requests: {retried}.".format(**totals)
    )


@outbox.command()
@directory_option
@json_option
def verify(directory: Path | None, *, as_json: bool) -> None:
    """Read every record without changing anything, and report damage.

    The exit status is 1 if a journal or the file of dead letters is damaged.
    """
    box = _open_outbox(directory)
    folders: list[dict[str, Any]] = []
    with click.progressbar(box.folders(), label="Reading", file=sys.stderr) as bar:
        for folder in bar:
            # The end of a live journal may be a record that is being written, which is no damage.
            reader = _open_reader(folder, is_live=box.is_locked(folder))
            if reader is None:
                continue
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
    box = _open_outbox(directory)
    for line in _dead_letter_lines(box) if only_dead else _waiting_lines(box):
        print(line, file=output)


def _dead_letter_lines(box: OutboxDirectory) -> Iterator[str]:
    for letter in box.dead_letters.find():
        yield _to_line(to_request(letter.header, [letter.entry]))


def _waiting_lines(box: OutboxDirectory) -> Iterator[str]:
    for folder in box.folders():
        reader = _open_reader(folder, is_live=True)
        if reader is None:
            continue
        for batch in _batches(folder, reader):
            yield _to_line(to_request(batch.header, batch.entries))
        reader.close()


def _to_line(request: bytes) -> str:
    return to_json_line(ExportLogsServiceRequest.FromString(request))


@outbox.group()
def dead() -> None:
    """Manage dead letters: records that the server rejected for good."""


@dead.command("list")
@directory_option
@json_option
def list_dead(directory: Path | None, *, as_json: bool) -> None:
    """List the dead letters: ID, time, event name, reason, and the server's message."""
    for letter in _open_outbox(directory).dead_letters.find():
        line = f"{letter.id}  {letter.died}  {letter.event_name or '-'}  {letter.reason}  {letter.message}"
        echo(json.dumps(_to_dict(letter)) if as_json else display(line))


@dead.command()
@click.argument("number", metavar="ID", type=int)
@directory_option
def show(number: int, directory: Path | None) -> None:
    """Print one dead letter, with its record, as JSON."""
    for letter in _open_outbox(directory).dead_letters.find([number]):
        record = decode_record(letter.entry.encoded)
        document = {**_to_dict(letter), "record": None if record is None else to_json_document(record)}
        echo_lines(json.dumps(document, indent=2))
        return
    raise click.ClickException(f"there is no dead letter with ID {number}; `heliograph outbox dead list` shows the IDs")


@dead.command()
@click.argument("numbers", metavar="ID…", type=int, nargs=-1)
@click.option("--all", "every", is_flag=True, help="Requeue all dead letters.")
@directory_option
def requeue(numbers: tuple[int, ...], directory: Path | None, *, every: bool) -> None:
    """Move dead letters back into the outbox, to be sent again."""
    if bool(numbers) == every:
        raise click.UsageError("name the dead letters by ID, or use --all (one of the two)")
    box = _open_outbox(directory)
    letters = box.dead_letters
    found = list(letters.find(numbers))
    missing = sorted(set(numbers) - {letter.id for letter in found})
    if missing:
        ids = ", ".join(map(str, missing))
        raise click.ClickException(f"there is no dead letter with ID {ids}; nothing was requeued")
    for _, group in itertools.groupby(found, key=lambda letter: letter.header):
        _move_back(box, letters, list(group))
    echo(
        f"Requeued: {len(found)}. To send now, run `heliograph outbox drain`; otherwise the next process that uses the outbox does."
    )


def _move_back(box: OutboxDirectory, letters: DeadLetters, group: list[DeadLetter]) -> None:
    """Move dead letters of one resource to a new folder, which is an orphan afterwards.

    The records are on the disk before they are deleted from the dead letters. If the machine stops in between, they exist
    twice, and are delivered twice; the other order could lose them.
    """
    lock = box.create_folder()
    writer = JournalWriter(lock.folder, group[0].header, durable=True)
    for letter in group:
        writer.append(letter.entry.scope, letter.entry.encoded)
    writer.close()
    lock.release()
    letters.remove(letter.id for letter in group)


def _to_dict(letter: DeadLetter) -> dict[str, object]:
    names = ("id", "died", "reason", "message", "uid", "event_name")
    return {name: getattr(letter, name) for name in names}


def _open_outbox(directory: Path | None) -> OutboxDirectory:
    settings = Settings.from_env()
    chosen = directory or settings.outbox
    if chosen is None:
        raise click.UsageError("name the outbox by --directory DIR, or set HELIOGRAPH_OUTBOX")
    if not chosen.is_dir():
        raise click.UsageError(f"{chosen} is not a directory; it is created when a program first uses it as its outbox")
    return OutboxDirectory(chosen, max_bytes=settings.outbox_max_bytes)
