"""An outbox and a file of tokens that the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tokens_cli import TokenCommand
from delivery.outboxes import logging_to
from delivery.servers import serving


@pytest.fixture
def abandoned(tmp_path: Path) -> Path:
    """An outbox with three records of a process that has ended."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path / "box", down.endpoint) as emit:
        for number in range(3):
            emit(f"r{number}")
    return tmp_path / "box"


@pytest.fixture
def token_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TokenCommand:
    """The command `heliograph token` with a new file. The environment names none."""
    monkeypatch.delenv("HELIOGRAPH_TOKEN_DATABASE", raising=False)
    return TokenCommand(tmp_path / "tokens.db")
