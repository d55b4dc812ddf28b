"""The rows of the fault matrix: log records are counted by `log.record.uid`, spans by their ids, where they are accepted and where they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from heliograph.delivery.outbox.dead_letters import DeadLetters
from heliograph.delivery.outbox.folders import DEAD_LETTERS
from heliograph.delivery.signals import TRACES, OutboxSignal

COLUMNS = ("fault", "acknowledged", "received", "duplicates", "dead", "damaged", "lost")

FULL = os.environ.get("FAULTS") == "full"
"""True if the tests run in their full form."""


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: The name of the fault.
        acknowledged: Accepted records, as counted by the program that emitted them.
        received: Accepted records that arrived.
        duplicates: Arrivals of records that had arrived before.
        dead: Dead letters.
        damaged: Records whose bytes were overwritten on the disk, as the outbox counted them.
        lost: Accepted records that are none of these.
    """

    fault: str
    acknowledged: int
    received: int
    duplicates: int
    dead: int
    damaged: int
    lost: int


def count_records(
    fault: str,
    *,
    acknowledged: Iterable[str],
    received: Sequence[str],
    directory: Path,
    damaged: int = 0,
    signal: OutboxSignal | None = None,
) -> Row:
    """Return the row of a fault: for one signal, or for all that are in the outbox."""
    wanted, arrived = set(acknowledged), set(received)
    letters = DeadLetters(directory / DEAD_LETTERS).find()
    dead = {each.uid or each.span_id for each in letters if signal in {None, each.header.signal}}
    return Row(
        fault=f"{fault}, spans" if signal is TRACES else fault,
        acknowledged=len(wanted),
        received=len(wanted & arrived),
        duplicates=len(received) - len(arrived),
        dead=len(dead),
        damaged=damaged,
        lost=len(wanted - arrived - dead) - damaged,
    )


ROWS: list[Row] = []
FIGURES: list[str] = []
"""Other measurements, as the benchmark printed them."""


def add_row(row: Row) -> None:
    """Add a row to the table."""
    ROWS.append(row)


def table(rows: Iterable[Row]) -> list[str]:
    """Return the rows as a table in Markdown."""
    lines = [COLUMNS, ("---", *("---:" for _ in COLUMNS[1:]))]
    lines += [tuple(f"{cell:,}" if isinstance(cell, int) else cell for cell in astuple(row)) for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]
