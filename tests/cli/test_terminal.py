"""No command prints a character that a terminal would obey."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import heliograph.cli
from heliograph.cli import main
from heliograph.cli.terminal import echo, echo_lines, echo_styled, styled, tolerate_encoding
from heliograph.errors import FileFormatError
from schema.export.pages import UNPRINTABLE

COMMANDS = sorted(Path(heliograph.cli.__file__).parent.glob("*.py"))


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Of several lines, only the line ends are kept."""
    echo("a\n\x1b[2Jb\u202e")
    echo_lines("a\n\x1b[2Jb\r", err=True)

    assert capsys.readouterr() == ("a\\n\\x1b[2Jb\\u202e\n", "a\n\\x1b[2Jb\\r\n")


def test_streams_of_an_embedding_program_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams such as those of a notebook have no encoding that could be too small."""
    monkeypatch.setattr("sys.stdout", io.StringIO())
    tolerate_encoding()
    echo("é")

    assert sys.stdout.getvalue() == "é\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_commands_print_through_one_module(path: Path) -> None:
    """`outbox export` does not: it writes JSON, which is ASCII."""
    if path.name == "terminal.py":
        return
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printing = [ast.unparse(call) for call in calls if ast.unparse(call) in {"click.echo", "click.secho", "print"}]

    assert printing == (["print"] if path.name == "outbox.py" else [])


@pytest.mark.parametrize("kind", [click.ClickException, click.UsageError, FileFormatError])
def test_messages_of_errors_are_escaped(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """The errors of click and our own quote files and names."""

    def fail(**_: object) -> None:
        raise kind(f"{UNPRINTABLE}\nsecond line")

    monkeypatch.setattr(main.cli.commands["schema"].commands["lock"], "callback", fail)  # type: ignore[attr-defined]

    printed = CliRunner().invoke(main.cli, ["schema", "lock", "a:b"]).output

    assert printed.replace("\n", "").isprintable()
    assert "\nsecond line\n" in printed


@pytest.mark.parametrize(("no_color", "styled_text"), [("", "\x1b[36ma\\n\x1b[0m\nb\n"), ("1", "a\\n\nb\n")])
def test_styles_are_for_terminals_that_want_them(
    no_color: str, styled_text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe gets none, and a terminal of somebody who sets NO_COLOR."""
    monkeypatch.setenv("NO_COLOR", no_color)
    echo_styled([styled("a\n", fg="cyan"), "b"])
    assert capsys.readouterr().out == "a\\n\nb\n"

    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    echo_styled([styled("a\n", fg="cyan"), "b"])
    assert capsys.readouterr().out == styled_text
