"""Every command that can print JSON takes one and the same option for it."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from heliograph.cli.json_option import json_option
from heliograph.cli.main import cli


def _print(*, as_json: bool) -> None:
    click.echo(as_json)


def command(*printed: str) -> click.Command:
    """Return a command that prints whether JSON is wanted."""
    return click.command()(json_option(*printed)(_print))


@pytest.mark.parametrize(("arguments", "wanted"), [([], "False"), (["--json"], "True")])
def test_command_learns_what_to_print(arguments: list[str], wanted: str) -> None:
    assert CliRunner().invoke(command(), arguments).output == f"{wanted}\n"


def test_help_says_what_is_printed() -> None:
    assert "Print JSON, one object per line." in CliRunner().invoke(command(), ["--help"]).output
    assert "Print one JSON object." in CliRunner().invoke(command("one JSON object"), ["--help"]).output


def commands(group: click.Group) -> list[click.Command]:
    """Return the commands of a group and of its groups."""
    return [
        each
        for command in group.commands.values()
        for each in (commands(command) if isinstance(command, click.Group) else [command])
    ]


def test_no_command_has_an_option_of_its_own_for_json() -> None:
    """Scripts find the same name everywhere, and it is never a value."""
    options = [option for each in commands(cli) for option in each.params if "--json" in option.opts]

    assert len(options) > 10
    assert {(option.name, getattr(option, "is_flag", None)) for option in options} == {("as_json", True)}
