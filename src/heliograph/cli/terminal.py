"""Print texts on a terminal. Names and messages come from files, servers and other people's classes.

Characters that are not printable are escaped, because a terminal would obey them: they move the cursor, change the title, hide a
line, or reverse its direction. All commands print through this module, and `heliograph.cli.main` escapes error messages.
"""

from __future__ import annotations

import click

from heliograph.values.text import escape_unprintable


def echo(line: object, *, err: bool = False) -> None:
    """Print a text as one line, to the standard output or the standard error. Line ends in it are escaped, too."""
    click.echo(escape_unprintable(str(line)), err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines, such as indented JSON. No line end in it may come from data."""
    click.echo(escape_unprintable(text, keep="\n"), err=err)
