"""``heliograph demo``: run a small program, receive its telemetry, and print it beside the code that caused it.

Received texts are escaped before they are printed, because any program on this machine can send to the receiver.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from heliograph.cli.terminal import echo, echo_styled, styled, tolerate_encoding
from heliograph.demo.chapter import Chapter, Count
from heliograph.demo.columns import beside
from heliograph.demo.opening import how_to_open
from heliograph.sqlite_file import COMPANIONS

if TYPE_CHECKING:
    from heliograph.receiver.store import Store


@click.command()
@click.option(
    "--database",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    default=Path("heliograph-demo"),
    show_default=True,
    help="The folder for the received telemetry. The telemetry of an earlier demo in it is replaced.",
)
def demo(folder: Path) -> None:
    """Run a small program, and print its code beside the telemetry that arrives from it.

    The program is a forum. It tracks events, one of which is invalid; it uses a token and revokes it; and it is killed during
    an outage of the receiver. Its telemetry is sent over OTLP to the demo's own receiver on free ports of 127.0.0.1. At the end, the
    demo compares the numbers of sent and arrived events and spans. No other server is needed.

    The exit status is 1 if anything is missing.
    """
    tolerate_encoding()
    store = _new_store(folder)
    counts: list[Count] = []
    for chapter in _chapters(store):
        _print(chapter)
        counts += chapter.counts
    _print_counts(counts)
    for line in how_to_open(folder):
        echo(line)
    if not all(each.is_complete for each in counts):
        raise SystemExit(1)


def _new_store(folder: Path) -> Store:
    """Return an empty store in the folder."""
    # Imported here, because protobuf takes a while to import.
    from heliograph.receiver.datasette_folder import (
        DATABASE,
        open_folder,
    )

    file = folder / DATABASE
    try:
        if file.exists() and not _is_of_a_demo(file):
            raise click.ClickException(
                f"{file} is not from an earlier demo, so it is not replaced; choose another folder with --database"
            )
        for ending in ("", *COMPANIONS):
            file.with_name(file.name + ending).unlink(missing_ok=True)
        return open_folder(folder)
    except (OSError, sqlite3.Error) as error:
        raise click.ClickException(
            f"{folder} cannot be written: {error}; choose another folder with --database"
        ) from error


def _is_of_a_demo(file: Path) -> bool:
    """Return True if a file is a store that has only telemetry of the demo's program. `heliograph tail` stores that of any program."""
    # Imported here for the same reason.
    from heliograph.demo.processes import SERVICE
    from heliograph.receiver.store import Store, is_store

    others = "select 1 from events where service is not ? union all select 1 from spans where service is not ? limit 1"
    return is_store(file) and not Store(file).rows(others, [SERVICE, SERVICE])


def _chapters(store: Store) -> Iterator[Chapter]:
    # Imported here for the same reason.
    from heliograph.demo.forum_chapters import forum_chapters
    from heliograph.demo.outage import outage_chapter
    from heliograph.demo.processes import DemoFailed

    with tempfile.TemporaryDirectory(prefix="heliograph-demo-") as work:
        try:
            yield from forum_chapters(store, Path(work))
            yield outage_chapter(store, Path(work))
        except DemoFailed as error:
            raise click.ClickException(str(error)) from error


def _print(chapter: Chapter) -> None:
    lines = [styled(chapter.title, bold=True), ""]
    if chapter.code:
        lines += [_pair(left, right) for left, right in beside(chapter.code, chapter.seen)]
    else:
        lines += map(_seen, chapter.seen)
    echo_styled([*lines, ""])


def _pair(left: str, right: str) -> str:
    line = f"{styled(left)} {styled('│', dim=True)}"
    return f"{line} {_seen(right)}" if right else line


def _seen(line: str) -> str:
    return styled(line) if line.startswith(" ") else styled(line, fg="cyan")


def _print_counts(counts: list[Count]) -> None:
    width = max(len(each.what) for each in counts)
    lines = [styled("Is anything missing?", bold=True), "", f"{'':{width}}  {'sent':>7}  {'arrived':>7}"]
    for each in counts:
        line = f"{each.what:{width}}  {each.sent:>7}  {each.arrived:>7}"
        lines.append(styled(line) if each.is_complete else styled(line, fg="red"))
    is_complete = all(each.is_complete for each in counts)
    lines += [
        "",
        styled("Everything arrived.", fg="green") if is_complete else styled("Not everything arrived.", fg="red"),
    ]
    echo_styled(lines)
