"""An outbox and a file of tokens that the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.tokens_cli import token_command
from delivery.outboxes import logging_to
from delivery.servers import serving

__all__ = ["token_command"]


@pytest.fixture
def abandoned(tmp_path: Path) -> Path:
    """An outbox with three records of a process that has ended."""
    with serving(lambda number, records: (503, {}, b"")) as down, logging_to(tmp_path / "box", down.endpoint) as emit:
        for number in range(3):
            emit(f"r{number}")
    return tmp_path / "box"
