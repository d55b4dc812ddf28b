"""Fixtures of the fault tests, and the table of their results.

Each test adds a row, and the table is printed at the end of the run. `make faults` runs the tests in full and writes the
table to `docs/faults.md`; with the other tests they run in a shorter form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backends import REPOSITORY
from faults.matrix import FIGURES, FULL, ROWS, Row, add_row, count_records, table
from faults.programs import Programs

TABLE = REPOSITORY / "docs" / "faults.md"
INTRODUCTION = """# The fault matrix

The results of the last `make faults`, with real processes, real sockets and a real Collector. Records are counted by
`log.record.uid`, where they are accepted and where they arrive: **lost = acknowledged − received − dead − damaged**.
*Damaged* counts records whose bytes on the disk were overwritten by the test, as the outbox counted them itself. A shorter
form of each test runs with the other tests.
"""


@pytest.fixture
def record_fault(tmp_path: Path) -> Callable[..., Row]:
    """Returns a function that counts the records of a fault, adds a row to the table, and fails if any record is lost."""

    def record_fault(
        fault: str,
        *,
        acknowledged: Sequence[str],
        received: Sequence[str],
        directory: Path = tmp_path / "box",
        damaged: int = 0,
    ) -> Row:
        row = count_records(fault, acknowledged=acknowledged, received=received, directory=directory, damaged=damaged)
        add_row(row)
        assert row.acknowledged > 0
        assert row.lost == 0, row
        return row

    return record_fault


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """A process that starts programs, which emit records until a signal ends them."""
    with Programs() as programs:
        yield programs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; after a full run, write it to the docs as well."""
    if not ROWS:
        return
    lines = table(sorted(ROWS, key=lambda row: row.fault))
    for figures in FIGURES:
        lines += ["", "```", *figures.splitlines(), "```"]
    terminalreporter.section("faults")
    for line in lines:
        terminalreporter.write_line(line)
    if FULL:
        TABLE.write_text("\n".join([INTRODUCTION, *lines, ""]))
