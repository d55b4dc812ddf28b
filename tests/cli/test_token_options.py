"""The options that the commands of `heliograph token` share: times, ids, and what a token allows."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from heliograph.cli.token_host import TokenFile
from heliograph.cli.token_options import Duration, TokenId, file_options, restriction_options
from heliograph.tokens.restrictions import TokenRestrictions

ID = "aZ09bY18cX27"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("12h", 43_200), ("30d", 2_592_000), ("4w", 2_419_200)],
)
def test_duration(text: str, seconds: int) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", " 1", "1\n", "-1", "+1", "1.5", "1e3", "d", "1D", "1 d", "1dd", "٣", "1" * 13])
def test_text_that_is_no_duration(text: str) -> None:
    """The message shows the text, and how to write a duration."""
    with pytest.raises(click.BadParameter, match="such as 30d") as raised:
        Duration().convert(text, None, None)
    assert repr(text) in raised.value.message


def test_token_id() -> None:
    assert TokenId().convert(ID, None, None) == ID


@pytest.mark.parametrize(
    "text", ["", ID[:-1], ID + "x", ID + "\n", "-" + ID[1:], "é" + ID[1:], "hgtok_" + ID, "٣" * 12]
)
def test_text_that_is_no_id_is_not_shown(text: str) -> None:
    """The text may be a token that was pasted by mistake."""
    with pytest.raises(click.BadParameter) as raised:
        TokenId().convert(text, None, None)
    assert "heliograph token list" in raised.value.message
    assert not text or text not in raised.value.message


def run(*arguments: str) -> tuple[Result, list[object]]:
    """Run a command with all options, and return its result and what it got."""
    got: list[object] = []

    @click.command()
    @file_options
    @restriction_options
    @click.option("--label")
    def command(file: TokenFile, restrictions: TokenRestrictions | None, label: str | None) -> None:
        got.extend((file, restrictions, label))

    return CliRunner().invoke(command, arguments), got


def test_command_without_options() -> None:
    """A token without restrictions allows everything that its actor may do, so there is no empty object for it."""
    ran, got = run()
    assert (ran.exit_code, ran.output) == (0, "")
    assert got == [TokenFile(database=None, config=None), None, None]


def test_command_with_options(tmp_path: Path) -> None:
    """Each option may be there several times, and options of the command itself are passed on."""
    config = tmp_path / "datasette.yaml"
    config.touch()
    ran, got = run(
        *("--database", "tokens.db", "-c", str(config), "--label", "ci"),
        *("--allow", "view-instance", "--allow", "view-table"),
        *("--allow-database", "shop", "insert-row", "--allow-resource", "shop", "orders", "delete-row"),
    )
    assert (ran.exit_code, ran.output) == (0, "")
    assert got == [
        TokenFile(database=Path("tokens.db"), config=config),
        TokenRestrictions(
            all=["view-instance", "view-table"],
            database={"shop": ["insert-row"]},
            resource={"shop": {"orders": ["delete-row"]}},
        ),
        "ci",
    ]


@pytest.mark.parametrize(
    ("arguments", "unknown"),
    [
        (["--allow", "fly"], ["fly"]),
        (["--allow-database", "view-table", "fly"], ["fly"]),
        (["--allow-resource", "a", "b", "fly", "--allow", "swim", "--allow", "fly"], ["fly", "swim"]),
    ],
)
def test_unknown_actions_are_reported_once(arguments: list[str], unknown: list[str]) -> None:
    """A plugin of Datasette may define further actions, so they are kept. Names of databases and tables are no actions."""
    ran, [_, restrictions, _] = run(*arguments)
    assert ran.exit_code == 0
    assert ran.output == "".join(f"Note: {each!r} is not an action of Datasette's core.\n" for each in unknown)
    assert restrictions is not None


@pytest.mark.parametrize(
    "arguments",
    [["--database", "."], ["-c", "missing.yaml"], ["--allow-database", "a"], ["--allow-resource", "a", "b"]],
)
def test_wrong_calls(arguments: list[str]) -> None:
    ran, got = run(*arguments)
    assert (ran.exit_code, got) == (2, [])
