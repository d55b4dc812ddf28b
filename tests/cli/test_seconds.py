"""Options that are a number of seconds take only numbers that the system can wait for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from heliograph.cli.main import cli
from heliograph.cli.seconds import MAX_SECONDS, Seconds


def test_numbers() -> None:
    """The limits are included, 0 only where it is permitted."""
    assert [Seconds().convert(text, None, None) for text in ("0", "0.5", "1e6")] == [0, 0.5, MAX_SECONDS]


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "1e300", "1000001", "-1", "later"])
def test_other_values_are_refused(seconds: str, tmp_path: Path) -> None:
    """Every command refuses such a timeout before it does anything."""
    for command in (["tail", "--await", "x"], ["doctor"], ["outbox", "drain", str(tmp_path)]):
        ran = CliRunner().invoke(cli, [*command, "--timeout", seconds])
        assert ran.exit_code == 2, command
        assert "Invalid value for '--timeout'" in ran.output
