"""A backlog of many waiting records: none is lost, and the memory of the process does not grow with them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from backends import REPOSITORY
from faults.matrix import FIGURES, FULL, Row, add_row
from processes import clean_environment, run

WAITING = 10_000_000 if FULL else 100_000
MEMORY_MIB = 64


def test_backlog(tmp_path: Path) -> None:
    """The benchmark makes the backlog, and prints the figures that are checked here."""
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "backlog.py"), str(WAITING)]
    ended = run(command, cwd=tmp_path, env=clean_environment(TMPDIR=str(tmp_path)), timeout_seconds=3600)
    *figures, last = ended.stdout.splitlines()
    FIGURES.append("\n".join(figures))
    balance = json.loads(last)
    lost = balance["acknowledged"] - balance["received"]
    row = Row(f"{WAITING:,} records wait", **balance, dead=0, damaged=0, lost=lost)
    add_row(row)

    assert (row.lost, row.duplicates) == (0, 0)
    [grown] = re.findall(r"memory grew by +([\d.]+) MiB", ended.stdout)
    assert float(grown) <= MEMORY_MIB
