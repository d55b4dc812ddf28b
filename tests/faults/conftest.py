"""Every fault has a row in a table, which is printed at the end: quickly with the other tests, in full by `make faults`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from backends import REPOSITORY
from faults.matrix import FIGURES, FULL, ROWS, Row, balance, note, table
from faults.programs import Programs

TABLE = REPOSITORY / "docs" / "faults.md"
INTRODUCTION = """# The fault matrix

What `make faults` measured last, with real processes, real sockets and a real Collector. Records are counted by
`log.record.uid`, where they were accepted and where they arrived: **lost = acknowledged − received − dead −
damaged**, where damaged are those that somebody's bytes took the place of on the disk, as the outbox counted them itself. A
shorter form of each row runs with the other tests.
"""


@pytest.fixture
def record_fault(tmp_path: Path) -> Callable[..., Row]:
    """Draws the balance of a fault, which is a row of the table: nothing may be lost."""

    def record_fault(
        fault: str,
        *,
        acknowledged: Sequence[str],
        received: Sequence[str],
        directory: Path = tmp_path / "box",
        damaged: int = 0,
    ) -> Row:
        row = balance(fault, acknowledged=acknowledged, received=received, directory=directory, damaged=damaged)
        note(row)
        assert row.acknowledged > 0
        assert row.lost == 0, row
        return row

    return record_fault


@pytest.fixture(scope="session")
def programs() -> Iterator[Programs]:
    """Starts programs that emit records, and end by a signal."""
    with Programs() as programs:
        yield programs


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; in its full form it goes to the docs, too."""
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
