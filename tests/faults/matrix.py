"""What a fault cost: counted by `log.record.uid`, where records are accepted and where they arrive."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from heliograph.delivery.dead_letters import DeadLetters
from heliograph.delivery.folders import DEAD_LETTERS

HEAD = ("fault", "acknowledged", "received", "duplicates", "dead", "damaged", "lost")


FULL = os.environ.get("FAULTS") == "full"


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: What was done.
        acknowledged: Records that were accepted, as far as whoever emitted them knows.
        received: Those of them that arrived.
        duplicates: How often one came once more.
        dead: Records among the dead letters.
        damaged: Records that somebody's bytes took the place of, as they were counted when they were read.
        lost: Records that were acknowledged, and are nowhere.
    """

    fault: str
    acknowledged: int
    received: int
    duplicates: int
    dead: int
    damaged: int
    lost: int


def balance(
    fault: str, *, acknowledged: Iterable[str], received: Sequence[str], directory: Path, damaged: int = 0
) -> Row:
    """What became of the records with these ids."""
    wanted, arrived = set(acknowledged), set(received)
    dead = {str(letter.uid) for letter in DeadLetters(directory / DEAD_LETTERS).find()}
    return Row(
        fault=fault,
        acknowledged=len(wanted),
        received=len(wanted & arrived),
        duplicates=len(received) - len(arrived),
        dead=len(dead),
        damaged=damaged,
        lost=len(wanted - arrived - dead) - damaged,
    )


ROWS: list[Row] = []
FIGURES: list[str] = []
"""What was measured besides, in the words of the benchmark that measured it."""


def note(row: Row) -> None:
    """Put a row into the table."""
    ROWS.append(row)


def table(rows: Iterable[Row]) -> list[str]:
    """The rows as a table in Markdown."""
    lines = [HEAD, ("---", *("---:" for _ in HEAD[1:]))]
    lines += [tuple(f"{cell:,}" if isinstance(cell, int) else cell for cell in astuple(row)) for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]
