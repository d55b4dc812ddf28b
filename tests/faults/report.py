"""The table of the faults at the end of a run.

With pytest-xdist, the rows come from the processes that ran the tests, and another process prints them. So these hooks belong to
`tests/conftest.py`: the process that prints loads no other.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest

from backends import REPOSITORY
from faults.matrix import FIGURES, FULL, ROWS, Row, add_row, table

TABLE = REPOSITORY / "docs" / "faults.md"
INTRODUCTION = """# The fault matrix

The last results of each test in its full form (`make faults`), with real processes, real sockets and a real Collector. Log records are counted by
`log.record.uid`, and spans by their ids, where they are accepted and where they arrive: **lost = acknowledged − received − dead − damaged**. Each
test also fails if there are more duplicates than one request for each failure. *Damaged* counts records whose bytes on the disk were
overwritten by the test, as the outbox counted them itself. A shorter form of each test runs with the other tests.
"""


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of pytest-xdist: send the rows to the process that prints them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["faults"] = {"rows": [astuple(row) for row in ROWS], "figures": FIGURES}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take the rows of a process of pytest-xdist. One that crashed has none."""
    faults = getattr(node, "workeroutput", {}).get("faults", {"rows": [], "figures": []})
    for row in faults["rows"]:
        add_row(Row(*row))
    FIGURES.extend(faults["figures"])


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
