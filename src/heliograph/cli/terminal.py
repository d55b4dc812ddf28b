"""Print texts that may contain anything: names and messages come from files, servers and other people's classes.

Unprintable characters are escaped, because a terminal would obey them: they move the cursor, change the title, hide a
line, or reverse its direction. All commands print through this module, and `heliograph.cli.main` escapes error messages.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone

import click

from heliograph.values.text import escape_unprintable


def echo(line: object, *, err: bool = False) -> None:
    """Print a text as one line, to the standard output or the standard error. Line ends in it are escaped, too."""
    click.echo(escape_unprintable(str(line)), err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines, such as indented JSON. Its line ends are not escaped, so none of them may come from data."""
    click.echo(escape_unprintable(text, keep="\n"), err=err)


def styled(text: str, **style: object) -> str:
    """Return a text as part of a line for `echo_styled`, in a style of click's. Line ends in it are escaped, too."""
    return click.style(escape_unprintable(text), **style)  # type: ignore[arg-type]  # click's own types


def echo_styled(lines: Sequence[str]) -> None:
    """Print lines that consist of `styled` texts. Without a terminal, or with the variable ``NO_COLOR``, they have no styles."""
    click.echo("\n".join(lines), color=False if os.environ.get("NO_COLOR") else None)


def tolerate_encoding() -> None:
    """Escape characters that the encoding of the standard streams does not have, instead of raising an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def time_of_day(time_unix_nano: int) -> str:
    """Return the time of day in UTC, to the millisecond."""
    return datetime.fromtimestamp(time_unix_nano / 1e9, tz=timezone.utc).strftime("%H:%M:%S.%f")[:-3]
