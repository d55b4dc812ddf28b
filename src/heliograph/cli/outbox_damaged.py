"""``heliograph outbox damaged``: list and delete damaged files, which have the bytes of the outbox that could not be read.

A person decides about them. Until then, the exit status of ``status`` and ``drain`` is 1.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import click

from heliograph.cli.json_option import json_option
from heliograph.cli.named_or_all import all_option, check_named_or_all
from heliograph.cli.outbox_directory import directory_option, open_outbox
from heliograph.cli.terminal import echo
from heliograph.delivery.trust import delete_file, delete_folder
from heliograph.errors import OutboxError
from heliograph.values.text import counted


@click.group()
def damaged() -> None:
    """Manage damaged files: bytes of the outbox that could not be read."""


@damaged.command("list")
@directory_option
@json_option("JSON")
def list_damaged(directory: Path | None, *, as_json: bool) -> None:
    """List the damaged files, by their path inside the outbox, with their size."""
    outbox = open_outbox(directory)
    for path in outbox.damaged_files():
        name, size = str(path.relative_to(outbox.directory)), path.stat().st_size
        echo(json.dumps({"name": name, "bytes": size}) if as_json else f"{name}  {counted(size, 'byte')}")


@damaged.command("delete")
@click.argument("names", metavar="NAME…", nargs=-1)
@all_option("Delete all damaged files.")
@directory_option
def delete_damaged(names: tuple[str, ...], directory: Path | None, *, everything: bool) -> None:
    """Delete damaged files for good, so that `status` and `drain` do not report them any more."""
    check_named_or_all(names, everything=everything, what="the files as `heliograph outbox damaged list` shows them")
    outbox = open_outbox(directory)
    # Only files of the list can be named: no other path is ever deleted.
    files = {str(path.relative_to(outbox.directory)): path for path in outbox.damaged_files()}
    missing = sorted(set(names) - set(files))
    if missing:
        raise click.ClickException(f"there is no damaged file {', '.join(missing)}; nothing was deleted")
    chosen = [path for name, path in files.items() if everything or name in names]
    for path in chosen:
        _delete(path, outbox.directory)
    echo(f"Deleted: {len(chosen)}.")


def _delete(path: Path, directory: Path) -> None:
    """Delete a file, and its folder if it becomes empty."""
    try:
        delete_file(path, directory)
    except OSError as error:
        raise OutboxError(path, f"it cannot be deleted: {error.strerror}") from error
    with contextlib.suppress(OSError):
        delete_folder(path.parent, directory)
