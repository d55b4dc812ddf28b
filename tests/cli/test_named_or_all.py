"""Commands that change things want exactly one choice: names, or `--all`."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from heliograph.cli.named_or_all import all_option, check_named_or_all


@click.command()
@click.argument("names", nargs=-1)
@all_option("Delete all files.")
def delete(names: tuple[str, ...], *, everything: bool) -> None:
    check_named_or_all(names, everything=everything, what="the files by path")
    click.echo("all" if everything else " ".join(names))


@pytest.mark.parametrize(("arguments", "output"), [(["a", "b"], "a b\n"), (["--all"], "all\n")])
def test_one_choice_is_accepted(arguments: list[str], output: str) -> None:
    """The command gets the names, or the option."""
    assert CliRunner().invoke(delete, arguments).output == output


@pytest.mark.parametrize("arguments", [[], ["a", "--all"]], ids=["neither", "both"])
def test_neither_and_both_are_refused(arguments: list[str]) -> None:
    """A command that deletes must not guess."""
    ran = CliRunner().invoke(delete, arguments)

    assert ran.exit_code == 2
    assert "Error: name the files by path, or use --all (one of the two)" in ran.output


def test_option_is_explained() -> None:
    """The help of each command says what `--all` would do."""
    assert "Delete all files." in CliRunner().invoke(delete, ["--help"]).output
