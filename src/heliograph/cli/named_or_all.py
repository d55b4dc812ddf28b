"""The choice of commands that work on things that are named as arguments, or on all of them with ``--all``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


def all_option(help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:  # noqa: A002 — the name that click has for it
    """Return the option ``--all``. The command gets it as `everything`."""
    return click.option("--all", "everything", is_flag=True, help=help)


def check_named_or_all(named: Sequence[object], *, everything: bool, what: str) -> None:
    """Check that either something is named, or all is chosen.

    Args:
        named: The arguments that name something.
        everything: True if the option ``--all`` was given.
        what: A description of the things and their names, for the message, such as ``"the files by path"``.

    Raises:
        click.UsageError: Neither or both of them are given.
    """
    if bool(named) == everything:
        raise click.UsageError(f"name {what}, or use --all (one of the two)")
