"""The command `heliograph` as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from heliograph.cli import main
from heliograph.errors import FileFormatError, HeliographError, OutboxError, QuarantineError, SettingsError
from heliograph.version import __version__


def test_the_commands_are_listed_with_their_help() -> None:
    """Each command and each group has a sentence."""
    result = CliRunner().invoke(main.cli, ["--help"])

    assert result.exit_code == 0
    for command, group in main.cli.commands.items():
        assert command in result.output
        assert group.get_short_help_str(), command


@pytest.mark.parametrize("command", [["heliograph"], [sys.executable, "-m", "heliograph"]], ids=["script", "module"])
def test_the_version_is_printed(command: list[str]) -> None:
    """The installed script and ``python -m heliograph`` print the same."""
    if command == ["heliograph"]:
        command = [f"{sys.prefix}/bin/heliograph"]

    result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60, check=True)

    assert __version__ in result.stdout


@pytest.mark.parametrize(
    "error",
    [
        FileFormatError("not a lock file"),
        OutboxError(Path("outbox"), "the folder is missing"),
        QuarantineError(Path("quarantine.db"), "the file is missing"),
        SettingsError(["wrong"]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_problems_with_files_and_settings_are_wrong_usage(
    error: HeliographError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a message and the exit status 2, and no traceback."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(main.cli.commands["schema"].commands["lock"], "callback", lambda **_: fail())  # type: ignore[attr-defined]

    result = CliRunner().invoke(main.cli, ["schema", "lock", "a:b"])

    assert result.exit_code == 2
    assert str(error).splitlines()[0] in result.output
    assert "Traceback" not in result.output
