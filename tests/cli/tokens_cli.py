"""Runs `heliograph token` on a file, also as a fixture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from heliograph.cli.main import cli


class TokenCommand:
    """Runs the commands of `heliograph token` with one file.

    Attributes:
        file: The file of the tokens.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, command: str, *arguments: object, stdin: str | bytes = "") -> Result:
        """Run a command, and return what it printed and its exit status."""
        words = [command, "--database", str(self.file), *map(str, arguments)]
        return CliRunner().invoke(cli, ["token", *words], input=stdin, env={"HELIOGRAPH_TOKEN_CACHE_SECONDS": "0"})

    def json(self, command: str, *arguments: object, stdin: str | bytes = "", status: int = 0) -> list[Any]:
        """Run a command with `--json`, and return the objects that it printed. Fail if it ends with another status."""
        ran = self(command, "--json", *arguments, stdin=stdin)
        assert ran.exit_code == status, ran.output
        return [json.loads(line) for line in ran.output.splitlines() if line.startswith("{")]

    def issue(self, actor: str = "alice", *arguments: object) -> tuple[str, str]:
        """Create a token, and return its id and the token."""
        [issued] = self.json("create", actor, *arguments)
        return issued["id"], issued["token"]

    def result(self, token: str) -> str:
        """Return the result of the verification of a token."""
        verdict = json.loads(self("verify", "--json", stdin=token).output)
        return str(verdict["result"])


@pytest.fixture
def token_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenCommand:
    """The command `heliograph token` with a new file. The environment names none."""
    monkeypatch.delenv("HELIOGRAPH_TOKEN_DATABASE", raising=False)
    return TokenCommand(tmp_path / "tokens.db")
