"""Fixtures of the fault tests.

Each test adds a row to the table that is printed at the end of the run (`report.py`). `make faults` runs the tests in full and
writes the table to `docs/faults.md`; with the other tests they run in a shorter form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cli.tokens_cli import token_command
from faults.matrix import Row, add_row, count_records
from faults.programs import Programs
from heliograph.delivery.signals import OutboxSignal

__all__ = ["token_command"]


@pytest.fixture
def record_fault(tmp_path: Path) -> Callable[..., Row]:
    """Returns a function that counts the records of a fault, adds a row to the table, and fails if the promise is broken.

    No record may be lost, and each failure may repeat one request. A test has one failure, unless it says how many it causes.
    """

    def record_fault(
        fault: str,
        *,
        acknowledged: Sequence[str],
        received: Sequence[str],
        directory: Path = tmp_path / "box",
        damaged: int = 0,
        signal: OutboxSignal | None = None,
        failures: int = 1,
        largest_batch: int | None = None,
    ) -> Row:
        counted = {"acknowledged": acknowledged, "received": received, "directory": directory, "damaged": damaged}
        row = count_records(fault, signal=signal, **counted)  # type: ignore[arg-type]
        add_row(row)
        assert row.acknowledged > 0
        assert row.lost == 0, row
        # Without servers that know their requests, a test has so few records that one request can hold them all.
        assert row.duplicates <= failures * (largest_batch or row.acknowledged), row
        return row

    return record_fault


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """A process that starts programs, which emit records until a signal ends them."""
    with Programs() as programs:
        yield programs
